/*
 * The one way through: decode, features, score, decide.
 *
 *     source thread:  pool_take ─► pipeline_decode (each) ─► pipeline_score (all) ─► deliver (the source's own) ─► pipeline_finish
 *                                                                                                              (each) ─► pool_give
 *
 * Run to completion: with a synchronous engine everything happens in the thread that received the bytes. A worker is that
 * thread's private part (scratch, metrics shard), so no stage takes a lock or allocates.
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
struct history;

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
};

/* STATUS_UNSUPPORTED: the engine does not answer before submit returns, which running to completion needs. */
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

/* Computes the features of n decoded transactions (rejected ones are not handed in), scores them and calls deliver; with a
 * synchronous engine that is before it returns. deliver may be NULL: the caller looks at the transactions itself. CHECKs
 * n <= batch_max. */
void pipeline_score(struct worker *worker, struct txn *const *txns, uint32_t n, pipeline_deliver *deliver, void *owner);

/* For the source, once the answer has been handed over: counts the outcome, the decision and the time of a transaction. */
void pipeline_finish(struct worker *worker, const struct txn *txn, int64_t now_ns);
