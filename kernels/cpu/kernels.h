/* The functions that exist once for each instruction set. */
#pragma once

#include "kernels/cpu/blend.h"
#include "kernels/cpu/crown.h"
#include "kernels/cpu/ranks.h"
#include "kernels/cpu/tile.h"
#include "model/backend.h"

struct cpu_kernels {
    /* One row's ranks, one byte a column, into out[ranks->count]. */
    void (*rank_row)(const struct ranks *ranks, const void *row, uint8_t *out);
    /* The ranks of n <= 64 rows, a column's side by side: into out[column][64]; those of rows n and above are 0. */
    void (*rank_block)(const struct ranks *ranks, const struct rows *rows, const uint32_t *slots, uint32_t n, uint8_t *out);

    uint32_t crown_columns; /* at most */
    /* Adds the trees of groups [from, to) to one row's margins. ranks: [crown->columns], aligned to 64, padded with anything. */
    void (*crown_groups)(const struct crown *crown, const uint8_t *ranks, uint32_t from, uint32_t to, double *margins);

    enum blend_leaves blend_leaves;
    /* Adds groups [from, to), all of one output, to the sums of 64 rows: float or double [64] by the sum type, in the
     * kernel's order of rows. ranks: [column][64], aligned to 64. */
    void (*blend_block)(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, void *sums);
    /* Adds groups [from, to), all of one output, to the sums of n <= 64 rows, likewise. ranks: [row][tile->columns], those of
     * rows n and above are any. NULL: this instruction set has no such kernel. */
    void (*tile_block)(const struct tile *tile, const uint8_t *ranks, uint32_t from, uint32_t to, uint32_t n, void *sums);

    /* [64] where row i's sum is in sums. */
    const uint8_t *place32, *place64;
};

#if defined(__x86_64__)
extern const struct cpu_kernels cpu_kernels_avx2, cpu_kernels_avx512;
#endif
