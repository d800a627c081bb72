/*
 * The one way through: decode, features, score, decide.
 *
 *     source thread:  pool_take ─► pipeline_decode (each) ─► pipeline_score (all) ─► deliver (the source's own) ─► pool_give
 *
 * Run to completion: with a synchronous engine everything happens in the thread that received the bytes. A worker is that
 * thread's private part (scratch, metrics shard), so no stage takes a lock or allocates.
 */
#pragma once

#include "server/metrics.h"
#include "server/slot.h"

struct pipeline;
struct worker;

/* Borrows all; they outlive the pipeline. `prepared` is what `engine` made of the bundle's model. */
struct pipeline_options {
    const struct bundle *bundle;
    const struct engine *engine;
    const struct prepared *prepared;
    struct pool *pool;
    struct metrics *metrics;
    struct decision_log *decision_log; /* NULL: none */
};

MUST_USE enum status pipeline_create(const struct pipeline_options *options, struct pipeline **out, struct error *err);
void pipeline_free(struct pipeline *pipeline);

/* One per thread; only that thread may use it. batch_max: most transactions in one pipeline_score. */
MUST_USE enum status worker_create(struct pipeline *pipeline, enum source_kind source, uint32_t batch_max, struct worker **out, struct error *err);
void worker_free(struct worker *worker);
struct metrics_shard *worker_metrics(struct worker *worker);

/* Decodes one document and computes its feature row. The document must stay until the slot is given back. received_ns: its
 * arrival. *consumed as for decode_transaction. STATUS_INVALID: txn->fault says why, txn->outcome is OUTCOME_REJECTED. */
MUST_USE enum status pipeline_decode(struct worker *worker, struct txn *txn, const char *json, size_t len, int64_t received_ns, size_t *consumed);

/* Called once for a group with the answers in place: outcome is OUTCOME_SCORED or OUTCOME_FAILED. */
typedef void pipeline_deliver(void *owner, struct txn *const *txns, uint32_t n);

/* Scores n decoded transactions (rejected ones are not handed in) and calls deliver; with a synchronous engine that is
 * before it returns. CHECKs n <= batch_max. */
void pipeline_score(struct worker *worker, struct txn *const *txns, uint32_t n, pipeline_deliver *deliver, void *owner);

/* For the source, once the answer has been handed over: counts the outcome, the decision and the time of a transaction.
 * Every transaction that went through pipeline_decode is finished once. */
void pipeline_finish(struct worker *worker, const struct txn *txn, int64_t now_ns);
