/*
 * The one way through: decode, features, score, decide.
 *
 *     source thread:  pool_take ─► pipeline_decode (each) ─► pipeline_score (all) ─► deliver (the source's own) ─► pipeline_finish
 *                                                                                                              (each) ─► pool_give
 *
 * Run to completion: where a row is cheap, everything happens in the thread that received the bytes. Where batches pay, the
 * feature row is made there, the batcher (engine/dispatcher.h) has the engines score it, and the decision is taken there again.
 * A worker is that thread's private part (scratch, metrics shard), so no stage takes a lock or allocates.
 *
 * pipeline_score takes transactions into the past of their keys: whatever refuses one (no slot, a repeat that is answered) comes
 * before it, and what it has begun is answered.
 *
 * Every transaction handed to pipeline_decode ends in one pipeline_finish, whatever became of it; between the two it may be
 * admitted (and scored), refused or found to be a repeat, which is why features are computed in pipeline_score and not before.
 */
#pragma once

#include "server/metrics.h"
#include "server/slot.h"

struct pipeline;
struct worker;
struct decision_log;
struct dispatcher;
struct history;
struct ticket;

/* Borrows all; they outlive the pipeline. `prepared` is what `engine` made of the bundle's model. */
struct pipeline_options {
    const struct bundle *bundle;
    const struct engine *engine;
    const struct prepared *prepared;
    struct pool *pool;
    struct metrics *metrics;
    struct history *history;           /* what the bundle's windows look at; NULL: it has none */
    bool live;                         /* times ahead of the clock are refused; else what comes is history */
    struct decision_log *decision_log; /* NULL: none */
    struct dispatcher *dispatcher;     /* NULL: whoever brings rows scores them */
    int64_t slo_ns;                    /* a deadline, unless the caller gave one */
    bool late_is_refused;              /* HTTP: a score that is there after its deadline is none */
};

/* Without a dispatcher an engine that answers later is waited for, and one thread alone may have a worker. */
MUST_USE enum status pipeline_create(const struct pipeline_options *options, struct pipeline **out, struct error *err);
void pipeline_free(struct pipeline *pipeline); /* all workers must be freed before */

/* One per thread; only that thread may use it. batch_max: most transactions in one pipeline_score. */
MUST_USE enum status worker_create(struct pipeline *pipeline, enum source_kind source, uint32_t batch_max, struct worker **out, struct error *err);
void worker_free(struct worker *worker);
struct metrics_shard *worker_metrics(struct worker *worker);

/* Decodes one document. The document must stay until the slot is given back. received_ns: its arrival. *consumed as for
 * decode_transaction. STATUS_INVALID: txn->fault says why, txn->outcome is OUTCOME_REJECTED. Clears txn->trial and
 * says that it comes from no source that the state knows by offset; whoever knows better sets both before pipeline_score. */
MUST_USE enum status pipeline_decode(struct worker *worker, struct txn *txn, const char *json, size_t len, int64_t received_ns, size_t *consumed);

/* Likewise a document that must fill json[0..len): anything but space behind it is DECODE_TRAILING. The slot says what became
 * of it, so the status may be ignored. */
enum status pipeline_decode_whole(struct worker *worker, struct txn *txn, const char *json, size_t len, int64_t received_ns);

/* Called once for a group with the answers in place: outcome is OUTCOME_SCORED, OUTCOME_FAILED, or OUTCOME_REJECTED where the
 * time lies ahead of the clock. */
typedef void pipeline_deliver(void *owner, struct txn *const *txns, uint32_t n);

/* Computes the features of n decoded transactions (rejected ones are not handed in), scores them, here or through the batcher, and
 * calls deliver before it returns. deliver may be NULL: the caller looks at the transactions itself. CHECKs n <= batch_max. */
void pipeline_score(struct worker *worker, struct txn *const *txns, uint32_t n, pipeline_deliver *deliver, void *owner);

/* For callers with a deadline, before the transaction leaves any trace: can it be answered in time? before: those of the same
 * group that were let in already. */
enum refusal pipeline_admit(const struct worker *worker, const struct txn *txn, uint32_t before);

/* pipeline_score in two halves, for a thread that serves others meanwhile. While pipeline_batches says so, n transactions may be
 * submitted; they are the batcher's until the ticket's done has been called (mostly in another thread), and are then to be taken: their
 * outcome is one of pipeline_score's, or OUTCOME_REFUSED. */
bool pipeline_batches(const struct worker *worker);
void pipeline_submit(struct worker *worker, struct ticket *ticket, struct txn *const *txns, uint32_t n);
void pipeline_take(struct worker *worker, struct txn *const *txns, uint32_t n);

/* The source's thread turns to something else, with what it decoded not admitted yet. */
void pipeline_pause(struct worker *worker);

/* The decision that a refused transaction gets all the same: logged and counted as what it is. Sets txn->verdict and reasons; the
 * outcome stays OUTCOME_REFUSED. */
void pipeline_fall_back(struct worker *worker, struct txn *txn, enum decision decision);

/* For the source, once the answer has been handed over: counts the outcome, the decision and the time of a transaction. */
void pipeline_finish(struct worker *worker, const struct txn *txn, int64_t now_ns);
