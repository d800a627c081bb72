/*
 * The batcher: rows wait in it, and it says which of them make the next batch, and for which engine. No threads, no clock of
 * its own, so that tests/unit/server/engine can run it under a simulated one.
 *
 *     batcher_add ─► queue of callers' rows ─┐                       ┌─► batch for engine e ─► batcher_done
 *                    queue of the stream's ──┴─► batcher_next(now) ──┴─► rows that are too late
 *
 * Work-conserving: a batch is made as soon as an engine is free and anything waits. Callers' rows go first, the earliest
 * deadline first; the stream's fill what is left, and a share of all places is theirs while they wait. A batch grows only
 * while the tightest deadline in it still holds at the tail of the engine's cost: now + tail(k) + reply <= deadline; and no
 * batch is much longer than lets a row which just missed it make the next one.
 *
 * BATCHER_WINDOW is what other servers do, for comparison: first come, first served; wait until so many rows are there or
 * the oldest has waited so long; engines in turn; no row is ever too late.
 */
#pragma once

#include "server/engine/admission.h"
#include "server/engine/queue.h"
#include "server/engine/route.h"

enum batcher_policy { BATCHER_DEADLINE, BATCHER_WINDOW };

struct batcher_options {
    enum batcher_policy policy;
    uint32_t batch_max;
    uint32_t waiting_max[ROW_KINDS]; /* rows of each kind there can be at all */
    double stream_share;             /* of the places, while rows of the stream wait */
    int64_t slo_ns;                  /* the usual time a caller gives */
    uint32_t window_rows;            /* BATCHER_WINDOW */
    int64_t window_ns;
    uint32_t engines;                /* at most ROUTE_ENGINES_MAX */
};

struct batcher {
    struct batcher_options with;
    struct queue queues[ROW_KINDS];
    struct route_engine engines[ROUTE_ENGINES_MAX];
    double stream_credit;     /* places that are the stream's by now */
    int64_t tightest_ns[2];   /* shortest time a caller gave: in this second, in the one before */
    int64_t tightest_since_ns;
    int64_t reply_ns;
    uint32_t passed_over;     /* callers' rows that wait because the first one's deadline made a batch small */
    uint32_t turn;            /* BATCHER_WINDOW: whose it is */
    struct row *formed;       /* [batch_max] the batch that batcher_next made */
    struct row *late;         /* [waiting_max of callers] */
};

/* What batcher_next found; rows are the batcher's until the next call. */
struct batcher_batch {
    int engine;             /* -1: none is made */
    uint32_t place;         /* for batcher_done */
    const struct row *rows; /* [n] */
    uint32_t n;
    const struct row *late; /* [late_n] callers' rows that no engine can answer in time, taken off the queue */
    uint32_t late_n;
};

/* Engines start with cost_init, one millisecond: fill engines[i] with batcher_engine. STATUS_NO_MEMORY. */
MUST_USE enum status batcher_init(struct batcher *batcher, const struct batcher_options *options, struct error *err);
void batcher_free(struct batcher *batcher);
/* cost is copied. */
void batcher_engine(struct batcher *batcher, uint32_t i, const struct cost *cost, uint32_t batch_max, uint32_t in_flight_max);

void batcher_add(struct batcher *batcher, struct row row);
/* Makes the next batch, which counts as sent; call again until engine is -1. */
void batcher_next(struct batcher *batcher, int64_t now_ns, struct batcher_batch *out);
/* Fewer of its rows than were given out go to the engine after all; 0: none, the place is free again. */
void batcher_shrink(struct batcher *batcher, int engine, uint32_t place, uint32_t n);
/* A batch came back. The rows of one that failed may be added again. */
void batcher_done(struct batcher *batcher, int engine, uint32_t place, bool ok, int64_t now_ns);
/* When batcher_next may find something though nothing was added and nothing came back; INT64_MAX: never. */
int64_t batcher_look_ns(const struct batcher *batcher, int64_t now_ns);

/* Lets go of what is long past; batcher_next does it too. */
void batcher_refresh(struct batcher *batcher, int64_t now_ns);
void batcher_admission(const struct batcher *batcher, int64_t now_ns, struct admission *out);
static inline uint32_t batcher_waiting(const struct batcher *batcher)
{
    return batcher->queues[ROW_CALLER].count + batcher->queues[ROW_STREAM].count;
}
