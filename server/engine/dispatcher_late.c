/*
 * Rows that are not waited for any more: those whose deadline comes while their batch is stuck with an engine, and at the end of
 * the server all of them. Their callers are answered; their slots stay with the engine, which may still read them, until it lets
 * go of the batch (txn_share).
 */
#include "model/base/check.h"
#include "server/engine/dispatcher_private.h"

/* When a caller's row in this batch is told that it is late. A batch that is stuck has no claim to the last moment, in which an
 * answer could still get out; one that may come back any time has. */
static int64_t late_ns(const struct dispatcher *d, const struct route_batch *batch, const struct row *row)
{
    int64_t told_ns = row->deadline_ns - d->batcher.reply_ns;
    if (told_ns < batch->overdue_ns)
        told_ns = batch->overdue_ns < row->deadline_ns ? batch->overdue_ns : row->deadline_ns;
    return told_ns;
}

static void leave_behind(struct dispatcher *d, struct row *row, enum refusal refusal)
{
    row->answered = true;
    txn_share(pool_txn(d->with.pool, row->slot));
    dispatcher_refuse(d, row, refusal);
}

/* Answers the late ones of a batch, or everybody, and returns when the next one is late. */
static int64_t look_through(struct dispatcher *d, struct work *work, const struct route_batch *batch, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    for (uint32_t i = 0; i < work->batch.n; i++) {
        struct row *row = &work->rows[i];
        if (row->answered)
            continue;
        bool waits = row->kind == ROW_CALLER && d->with.policy == BATCHER_DEADLINE;
        int64_t told_ns = waits ? late_ns(d, batch, row) : INT64_MAX;
        if (d->over)
            leave_behind(d, row, REFUSAL_STOPPING);
        else if (told_ns <= now_ns)
            leave_behind(d, row, REFUSAL_LATE);
        else if (told_ns < next_ns)
            next_ns = told_ns;
    }
    return next_ns;
}

int64_t dispatcher_answer_late(struct dispatcher *d, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    for (uint32_t i = 0; i < d->lane_count; i++) {
        const struct route_engine *engine = &d->batcher.engines[i];
        for (uint32_t place = 0; place < engine->in_flight_max; place++) {
            struct work *work = &d->lanes[i].works[place];
            if (engine->batches[place].n == 0)
                continue;
            if (work->look_ns <= now_ns || d->over)
                work->look_ns = look_through(d, work, &engine->batches[place], now_ns);
            next_ns = work->look_ns < next_ns ? work->look_ns : next_ns;
        }
    }
    return next_ns;
}

void dispatcher_empty(struct dispatcher *d)
{
    for (int kind = 0; kind < ROW_KINDS; kind++) {
        struct queue *queue = &d->batcher.queues[kind];
        while (queue->count > 0) {
            struct row row = queue_pop(queue);
            (void)atomic_fetch_sub_explicit(&d->callers, kind == ROW_CALLER, memory_order_relaxed);
            dispatcher_refuse(d, &row, REFUSAL_STOPPING);
        }
    }
}

void dispatcher_let_go(struct dispatcher *d, const struct row *row)
{
    struct txn *txn = pool_txn(d->with.pool, row->slot);
    pool_give(d->with.pool, &txn, 1);
}
