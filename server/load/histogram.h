/*
 * A histogram of durations with a bounded relative error, after G. Tene's HdrHistogram: each power of two is divided into
 * 2^HISTOGRAM_BITS cells of equal width, so that a value is known to within 1/128 (0.8 %) from 1 ns to 18 minutes, and
 * recording is an index and an addition.
 *
 *     0 1 2 … 255 | 256 258 … 510 | 512 516 … 1020 | …        lowest value of each cell, BITS = 7
 *
 * One thread at a time.
 */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_BITS = 7, HISTOGRAM_TOP = 40, HISTOGRAM_CELLS = (HISTOGRAM_TOP - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS };

/* All zero is an empty one. */
struct histogram {
    uint64_t count;
    int64_t max_ns; /* exact, also beyond the last cell */
    double sum_ns;
    uint64_t cells[HISTOGRAM_CELLS];
};

/* Records a duration; below 0 counts as 0, above 2^HISTOGRAM_TOP ns as the last cell. */
void histogram_record(struct histogram *h, int64_t ns);

/* Adds everything of `from`. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/* The smallest duration that at least this share (0..1) of the recorded ones do not exceed (nearest rank), in nanoseconds:
 * the upper end of its cell, never above the maximum. 0 when empty. */
int64_t histogram_quantile(const struct histogram *h, double q);

double histogram_mean(const struct histogram *h); /* ns; 0 when empty */

/* How many of the recorded are at most ns, to within the cell that ns falls into. */
uint64_t histogram_at_most(const struct histogram *h, int64_t ns);
