#include "server/load/histogram.h"

#include <math.h>

static uint32_t cell_of(uint64_t value)
{
    if (value >> HISTOGRAM_TOP)
        return HISTOGRAM_CELLS - 1;
    int top = value ? 63 - __builtin_clzll(value) : 0;
    int shift = top > HISTOGRAM_BITS ? top - HISTOGRAM_BITS : 0;
    return ((uint32_t)shift << HISTOGRAM_BITS) + (uint32_t)(value >> shift);
}

/* The highest value that falls into a cell. */
static int64_t cell_end(uint32_t cell)
{
    int shift = cell >> (HISTOGRAM_BITS + 1) ? (int)(cell >> HISTOGRAM_BITS) - 1 : 0;
    uint64_t low = (uint64_t)(cell - ((uint32_t)shift << HISTOGRAM_BITS)) << shift;
    return (int64_t)(low + (UINT64_C(1) << shift) - 1);
}

void histogram_record(struct histogram *h, int64_t ns)
{
    if (ns < 0)
        ns = 0;
    h->cells[cell_of((uint64_t)ns)]++;
    h->count++;
    h->sum_ns += (double)ns;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    for (uint32_t i = 0; i < HISTOGRAM_CELLS; i++)
        h->cells[i] += from->cells[i];
    h->count += from->count;
    h->sum_ns += from->sum_ns;
    if (from->max_ns > h->max_ns)
        h->max_ns = from->max_ns;
}

int64_t histogram_quantile(const struct histogram *h, double q)
{
    if (h->count == 0)
        return 0;
    uint64_t rank = (uint64_t)ceil(q * (double)h->count - 1e-9), seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_CELLS; i++) {
        seen += h->cells[i];
        if (seen >= rank && seen > 0) {
            int64_t end = cell_end(i);
            return i == HISTOGRAM_CELLS - 1 || end > h->max_ns ? h->max_ns : end;
        }
    }
    return h->max_ns;
}

double histogram_mean(const struct histogram *h)
{
    return h->count ? h->sum_ns / (double)h->count : 0;
}

uint64_t histogram_at_most(const struct histogram *h, int64_t ns)
{
    uint64_t seen = 0;
    uint32_t last = cell_of(ns > 0 ? (uint64_t)ns : 0);
    for (uint32_t i = 0; i <= last; i++)
        seen += h->cells[i];
    return seen;
}
