/*
 * Inline or batched: who scores a row? Going through the batcher costs it two hand-overs between threads, and saves it what a
 * row of a full batch costs less than a row alone. Measured at load, and looked at again as rows come by: a model on a busier
 * machine is a dearer one.
 */
#include <math.h>

#include "server/engine/dispatcher_private.h"
#include "server/log.h"

static const int64_t RETURN_NS = 1000000000; /* batches must not pay for so long before it is inline again */

/* What a row of the largest batch, on the engine that is best at it, costs less than a row alone on the first one, as they are now. */
static double saved_ns(const struct dispatcher *d)
{
    double best = INFINITY;
    for (uint32_t i = 0; i < d->lane_count; i++) {
        const struct cost *cost = &d->batcher.engines[i].cost;
        uint32_t most = cost->sizes[cost->count - 1];
        best = fmin(best, cost_mean_ns(cost, most) / most);
    }
    return cost_mean_ns(&d->batcher.engines[0].cost, 1) - best;
}

static void change(struct dispatcher *d, bool batches, double saved)
{
    atomic_store_explicit(&d->batches, batches, memory_order_relaxed); /* a hint: either way gives the right answer */
    log_info("engine.mode", LOG_TEXT("mode", batches ? "batched" : "inline"), LOG_REAL("saved_us", saved / 1e3));
}

void dispatcher_mode_choose(struct dispatcher *d)
{
    double one = cost_mean_ns(&d->batcher.engines[0].cost, 1), saved = saved_ns(d);
    bool must = d->with.mode == DISPATCHER_BATCHED || !d->synchronous || (d->with.engine_count > 1 && !d->with.others_optional);
    bool may = d->with.mode == DISPATCHER_AUTO && !must;
    /* What a row alone must cost so that batches, which save the same part of it as ever, pay. */
    d->alone_limit_ns = may && saved > 0 ? COST_BATCHES_PAY_NS * one / saved : (double)INFINITY;
    d->may_return = may;
    change(d, d->with.mode != DISPATCHER_INLINE && (must || saved > COST_BATCHES_PAY_NS), saved);
}

/* Half of what made it batch, and not at once, so that it does not go to and fro: what a source found dear shows in batches only
 * after some of them. */
void dispatcher_mode_reconsider(struct dispatcher *d, int64_t now_ns)
{
    double saved = saved_ns(d);
    bool batches = dispatcher_batches(d);
    if (!batches || !d->batched || saved >= COST_BATCHES_PAY_NS / 2)
        d->paid_ns = now_ns;
    d->batched = batches;
    if (d->may_return && batches && now_ns - d->paid_ns > RETURN_NS)
        change(d, false, saved);
}

bool dispatcher_batches(const struct dispatcher *d)
{
    return atomic_load_explicit(&d->batches, memory_order_relaxed);
}

void dispatcher_weigh(struct dispatcher *d, double alone_ns)
{
    if (alone_ns > d->alone_limit_ns && !dispatcher_batches(d))
        change(d, true, alone_ns * COST_BATCHES_PAY_NS / d->alone_limit_ns);
}
