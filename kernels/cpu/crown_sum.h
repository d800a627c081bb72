/* The last step of a group of 64 trees: adding their values, one after the other, to the outputs they belong to. */
#pragma once

#include "kernels/cpu/crown.h"

/* at[i]: number of the value of tree first + i; the top bit is ignored. Included where the instruction set is known. */
static inline void crown_add(const struct crown *crown, uint32_t first, const uint32_t at[CROWN_TREES], double *margins)
{
    const struct tree_order *order = crown->order;
    uint32_t end = first + CROWN_TREES < order->count ? first + CROWN_TREES : order->count;
    for (uint32_t t = first; t < end;) {
        uint32_t output = order->output[t], run_end = order->output_end[output];
        run_end = run_end < end ? run_end : end;
        if (crown->values32) {
            float sum = (float)margins[output];
            for (; t < run_end; t++)
                sum += crown->values32[at[t - first] & ~CROWN_LEAF];
            margins[output] = (double)sum;
        } else {
            double sum = margins[output];
            for (; t < run_end; t++)
                sum += crown->values64[at[t - first] & ~CROWN_LEAF];
            margins[output] = sum;
        }
    }
}
