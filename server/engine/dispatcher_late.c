/*
 * Rows that an engine has and does not give back. Once their batch is stuck they go to another engine that works; without one callers
 * are answered at their deadline, and at the end of the server everybody is. Their slots stay with the engine, which may still read
 * them, until it lets go of the batch (txn_share).
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
    row->given_up = true;
    txn_share(pool_txn(d->with.pool, row->slot));
    dispatcher_refuse(d, row, refusal);
}

/* The same row waits for an engine again. A row that got stuck so often may itself be the trouble. */
static bool rescue(struct dispatcher *d, struct row *row)
{
    struct row again = *row;
    again.attempts++;
    if (again.attempts >= DISPATCHER_ATTEMPTS)
        return false;
    row->given_up = true;
    txn_share(pool_txn(d->with.pool, row->slot));
    (void)atomic_fetch_add_explicit(&d->callers, row->kind == ROW_CALLER, memory_order_relaxed);
    batcher_add(&d->batcher, again);
    return true;
}

static bool another_works(const struct dispatcher *d, const struct work *work, int64_t now_ns)
{
    for (uint32_t i = 0; i < d->lane_count; i++) {
        if (i != work->lane->with.number && route_health(&d->batcher.engines[i], now_ns) == ROUTE_GOOD)
            return true;
    }
    return false;
}

static const int64_t TRY_NS = 5000000; /* between looks for an engine that stuck rows could go to */

/* Rescues the rows of a stuck batch, or answers its late ones, or everybody, and returns when to look again. */
static int64_t look_through(struct dispatcher *d, struct work *work, const struct route_batch *batch, int64_t now_ns)
{
    bool several = d->lane_count > 1 && d->with.policy == BATCHER_DEADLINE;
    bool stuck = several && now_ns > batch->overdue_ns && another_works(d, work, now_ns);
    int64_t try_ns = now_ns <= batch->overdue_ns ? batch->overdue_ns + 1 : now_ns + TRY_NS, next_ns = INT64_MAX;
    for (uint32_t i = 0; i < work->batch.n; i++) {
        struct row *row = &work->rows[i];
        if (row->given_up)
            continue;
        if (stuck && !d->over && rescue(d, row)) {
            next_ns = now_ns; /* batches are to be made of it at once */
            continue;
        }
        if (several && row->attempts + 1 < DISPATCHER_ATTEMPTS && try_ns < next_ns)
            next_ns = try_ns;
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

int64_t dispatcher_give_up(struct dispatcher *d, int64_t now_ns)
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
