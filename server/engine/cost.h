/*
 * What a batch costs: l(b), an engine's time for b rows, as it is now. No threads, no clock of its own.
 *
 *     l(b) = shape(b) * scale        shape: measured at load at 1, 2, 4 … batch_max, linear between; bent slowly by live batches
 *     tail(b) = l(b) * spread        scale: how much slower than that the engine is just now; follows within a few batches
 *                                    spread: what the slow batches of the last second were to the mean
 *
 * The scale follows the median of three batches: a stall is no slow device. Nor does a stall or two widen the spread.
 *
 * One scale for all sizes, so that a device which throttles is known to be slow at sizes that have not been seen since. With
 * nothing seen for a while it goes back to 1: what was slow then may have healed, and must be tried to be known. Such an
 * engine is in doubt until a batch says how it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { COST_SIZES_MAX = 24, COST_RECENT = 64 };

struct cost {
    uint32_t sizes[COST_SIZES_MAX]; /* [count] 1, 2, 4 … batch_max */
    uint32_t count;
    double shape_ns[COST_SIZES_MAX]; /* never falls with size */
    double scale, spread;
    double last[2];            /* what the two batches before said of the scale */
    float recent[COST_RECENT]; /* batch over mean, of the last ones; a ring … */
    int64_t recent_ns[COST_RECENT]; /* … and when they ended */
    uint32_t recent_at;
    int64_t seen_ns; /* last batch */
    bool doubt;
};

/* Sizes up to batch_max; every l is ns until cost_set says otherwise. */
void cost_init(struct cost *cost, uint32_t batch_max, double ns);
/* What was measured at load for sizes[i]: in order of i, as a larger batch is taken to cost at least as much. */
void cost_set(struct cost *cost, uint32_t i, double ns);
/* A batch of n took ns and ended now. */
void cost_observe(struct cost *cost, uint32_t n, int64_t ns, int64_t now_ns);
/* Lets go of what is long past; to be called now and then with the time. */
void cost_relax(struct cost *cost, int64_t now_ns);

double cost_mean_ns(const struct cost *cost, uint32_t n);
double cost_tail_ns(const struct cost *cost, uint32_t n);
/* The largest n <= most whose tail is within ns; 0: not even one row's is. */
uint32_t cost_fit(const struct cost *cost, double ns, uint32_t most);

/* What a row of the largest batch costs less than a row alone. Where that is more than COST_BATCHES_PAY_NS, a hand-over between
 * threads and back, batches pay. */
#define COST_BATCHES_PAY_NS 60000.0
double cost_saved_ns(const struct cost *cost);
