/*
 * Between the threads that receive transactions and the engines that score them.
 *
 *     source thread: admit ─► (features) ─► submit ─┐                        ┌─► engine 0 ─┐
 *     source thread: admit ─► (features) ─► submit ─┼─► inbox ─► batcher ────┼─► engine 1 ─┼─► finished ─► ticket done
 *     source thread: …                              ┘      (one thread)      └─► …        ─┘
 *
 * One thread owns the batcher and speaks to the engines that answer later; those that answer before submit returns have a
 * thread each (lane.h). Source threads reach it by one exchange on the inbox, whatever the number of rows; it sleeps on a
 * futex while there is nothing to do. A ticket says whose rows they are, and is called when all are back.
 */
#pragma once

#include "model/model.h"
#include "server/engine/batcher.h"
#include "server/metrics.h"
#include "server/slot.h"

struct dispatcher;

/* Some rows that are submitted together. Made by the source, borrowed until done is called. */
struct ticket {
    /* All rows are back. In the dispatcher's thread, which must not be held up; the ticket is the source's again. */
    void (*done)(struct ticket *ticket);
    /* Optional: has whoever waits for it gone? Then its rows need not be scored. The dispatcher's thread. */
    bool (*gone)(const struct ticket *ticket);
    uint32_t left;       /* the dispatcher's: rows that are not back; 0: a reminder */
    int64_t remind_ns;   /* … */
    struct ticket *next; /* … */
};

struct dispatcher_engine {
    const struct engine *engine;
    const struct prepared *prepared;
};

enum dispatcher_mode { DISPATCHER_AUTO, DISPATCHER_INLINE, DISPATCHER_BATCHED };

struct dispatcher_options {
    const struct dispatcher_engine *engines; /* [engine_count]; the first may score inline */
    uint32_t engine_count;
    bool others_optional; /* the engines after the first were found, not asked for: used where batches pay */
    const struct model_info *info;
    struct pool *pool;
    struct metrics *metrics;
    uint32_t slots[ROW_KINDS]; /* rows of each kind that can come */
    uint32_t copies;           /* threads for a synchronous engine that is the only one */
    enum dispatcher_mode mode; /* AUTO: inline where handing over costs more than batches save */
    enum batcher_policy policy;
    uint32_t batch_max, window_rows;
    int64_t slo_ns, window_ns;
};

/* Measures all engines, then starts. Borrows all but the options. STATUS_INVALID: inline is wanted and the first engine answers
 * later; STATUS_NO_MEMORY, STATUS_LIMIT, or what an engine says. */
MUST_USE enum status dispatcher_create(const struct dispatcher_options *options, struct dispatcher **out, struct error *err);
/* Nobody submits any more and no row is in it. */
void dispatcher_free(struct dispatcher *dispatcher);
/* Says when the drain is over: what has no score by then (monotonic) is given back as refused, REFUSAL_STOPPING, and so is whatever
 * still comes. Any thread. NULL is allowed. */
void dispatcher_end(struct dispatcher *dispatcher, int64_t deadline_ns);

/* Any thread: */
/* Do rows go through it now, or is the caller to score them itself? */
bool dispatcher_batches(const struct dispatcher *dispatcher);
/* What the engine takes for a row alone that its source scores itself, on the average of many. */
void dispatcher_weigh(struct dispatcher *dispatcher, double alone_ns);
/* May a caller's row with this deadline come in? before: rows that its submitter was told to bring and has not submitted yet. */
enum refusal dispatcher_admit(struct dispatcher *dispatcher, int64_t deadline_ns, uint32_t before, int64_t now_ns);
/* Rows of one kind with their features in place. Each comes back with its outcome: SCORED with margin and raw score in its
 * verdict, or REFUSED with the reason; the stream's for REFUSAL_STOPPING alone. Its slot may be in use still when it is refused:
 * pool_give sees to that. */
void dispatcher_submit(struct dispatcher *dispatcher, struct ticket *ticket, enum row_kind kind, struct txn *const *txns, uint32_t n,
                       int64_t now_ns);
/* Calls the ticket's done at that time, without rows. */
void dispatcher_remind(struct dispatcher *dispatcher, struct ticket *ticket, int64_t at_ns);
/* A line for each engine whose device is down. */
void dispatcher_notes(const struct dispatcher *dispatcher, struct buf *out);
/* From a row's coming back to its answer's being handed over. */
void dispatcher_replied(struct dispatcher *dispatcher, int64_t ns);
