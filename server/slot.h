/*
 * Slots: one struct txn travels with a transaction from the source to the sink. All are made at start.
 *
 * A pool has a quota a source, so that a Kafka outage cannot starve HTTP. No free slot is the back-pressure: pool_take
 * gives fewer than asked for. The feature rows lie in one array indexed by slot number (pool_rows), which a backend may
 * register. Taking and giving back is lock-free (a stack per source whose head carries a version against ABA).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/backend.h"
#include "model/bundle.h"
#include "model/input/decode.h"
#include "model/input/transaction.h"

enum source_kind { SOURCE_HTTP, SOURCE_KAFKA, SOURCE_FILE, SOURCE_COUNT };

/* What its windows rest on: all of the time they look back on, less, or less since it came too late to be in its place. */
enum txn_state { TXN_COMPLETE, TXN_WARMING, TXN_LATE, TXN_STATES };

enum outcome { OUTCOME_SCORED, OUTCOME_REJECTED, OUTCOME_REPEATED, OUTCOME_REFUSED, OUTCOME_FAILED, OUTCOME_COUNT };

/* OUTCOME_REFUSED: why; in the order of the label values of assay_refused_total. */
enum refusal {
    REFUSAL_NONE,
    REFUSAL_SLOTS,  /* none was free */
    REFUSAL_BUSY,   /* let in, it would have been answered after its deadline */
    REFUSAL_LATE,   /* it was let in, and things went slower than foreseen */
    REFUSAL_ENGINE, /* no engine works */
    REFUSAL_GONE,   /* its client has gone */
    REFUSAL_STOPPING, /* the server ends and waits no longer */
    REFUSAL_COUNT
};

struct verdict {
    double margin, score; /* of the bundle's output; score is calibrated */
    enum decision decision;
};

/* Nanoseconds spent in each stage for this transaction; its share, where a batch was worked on. */
struct stage_times {
    int64_t decode, features, wait, score, decide;
};

struct ticket;
struct model_info;

struct txn {
    uint32_t number;             /* slot and row number */
    uint8_t source;              /* enum source_kind: whose quota */
    uint8_t outcome;             /* enum outcome, once known */
    uint8_t refusal;             /* enum refusal: OUTCOME_REFUSED */
    bool trial;                  /* scored for the answer alone: nothing remembers it, no decision is logged */
    uint8_t state;               /* enum txn_state */
    int32_t state_source;        /* a partition, for the state to know it again by offset; -1: none */
    int64_t state_offset;
    struct transaction input;
    struct span document;        /* the bytes it was decoded from; borrowed from the source */
    struct decode_fault fault;   /* OUTCOME_REJECTED */
    struct verdict verdict;      /* OUTCOME_SCORED, OUTCOME_REPEATED; between engine and decision: its score is not calibrated yet */
    uint64_t reasons;            /* bit i: bundle->reasons[i] applies */
    const struct bundle *bundle; /* that it is scored with */
    int64_t received_ns;         /* clock_monotonic_ns at arrival */
    int64_t deadline_ns;         /* likewise, when its answer stops being of use; a stream's is a wish */
    int64_t decided_ns;          /* likewise, when the decision was taken */
    int64_t submitted_ns, scored_ns; /* likewise, to the batcher and back from the engine */
    struct ticket *ticket;       /* on its way through the batcher: whose it is … */
    struct txn *next;            /* … and the next one in its inbox */
    struct stage_times times;
    _Atomic uint32_t holders;    /* 0: one, as usual; see txn_share */
    void *origin;                /* the source's own: which request, which record */
    uint64_t origin_item;        /* likewise: position in an array, offset */
};

struct pool;

struct pool_options {
    uint32_t slots[SOURCE_COUNT];
    uint32_t columns; /* of a feature row; the stride is rounded up to 64 bytes */
    enum number_type type;
    size_t windows; /* of the plan */
};

MUST_USE enum status pool_create(const struct schema *schema, const struct pool_options *options, struct pool **out, struct error *err);
void pool_free(struct pool *pool); /* all slots must be back */

/* Takes up to n slots of the source's quota into out[n] and returns how many; what lies past them in out is undefined. Any
 * thread. */
uint32_t pool_take(struct pool *pool, enum source_kind source, struct txn **out, uint32_t n);
/* All n are of one source. A shared slot is free when all its holders have given it. Any thread. */
void pool_give(struct pool *pool, struct txn *const *txns, uint32_t n);

const struct rows *pool_rows(const struct pool *pool);
void *pool_row(const struct pool *pool, uint32_t number);
/* All rows, for an engine that reads them where they lie. */
void *pool_memory(const struct pool *pool, size_t *bytes);
/* From here on one more holds it, and its row stays until all have given it back. Not by two at a time. */
void txn_share(struct txn *txn);
/* The slot of this number. */
struct txn *pool_txn(const struct pool *pool, uint32_t number);
/* Takes what an engine gave for the slot's row, margins[info->margins] and scores[info->scores]: the bundle's output alone. */
void txn_take_scores(struct txn *txn, const struct model_info *info, const double *margins, const double *scores);
uint32_t pool_in_flight(const struct pool *pool, enum source_kind source);
