/* What kernels_avx512.c gathers into a table; see kernels.h for what each does. */
#pragma once

#include "kernels/cpu/kernels.h"

void rank_row_avx512(const struct ranks *ranks, const void *row, uint8_t *out);
void rank_block_avx512(const struct ranks *ranks, const struct rows *rows, const uint32_t *slots, uint32_t n, uint8_t *out);
void crown_groups_avx512(const struct crown *crown, const uint8_t *ranks, uint32_t from, uint32_t to, double *margins);
void blend_block_avx512(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, void *sums);
void tile_block_avx512(const struct tile *tile, const uint8_t *ranks, uint32_t from, uint32_t to, uint32_t n, void *sums);
