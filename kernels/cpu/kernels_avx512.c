#if defined(__AVX512VBMI__)
#include "kernels/cpu/avx512.h"

/* See planes_avx512.h for the order. */
#define PLACE32(i) (((i) % 16 / 4) * 16 + (i) / 16 * 4 + (i) % 4)
#define PLACE64(i) (((i) % 16 / 2) * 8 + (i) / 16 * 2 + (i) % 2)
#define FOUR(place, i) place(i), place((i) + 1), place((i) + 2), place((i) + 3)
#define SIXTEEN(place, i) FOUR(place, i), FOUR(place, (i) + 4), FOUR(place, (i) + 8), FOUR(place, (i) + 12)
#define ALL(place) SIXTEEN(place, 0), SIXTEEN(place, 16), SIXTEEN(place, 32), SIXTEEN(place, 48)
static const uint8_t place32[64] = {ALL(PLACE32)};
static const uint8_t place64[64] = {ALL(PLACE64)};

const struct cpu_kernels cpu_kernels_avx512 = {
    .rank_row = rank_row_avx512,
    .rank_block = rank_block_avx512,
    .crown_columns = 256,
    .crown_groups = crown_groups_avx512,
    .blend_leaves = BLEND_LEAVES_PLANES,
    .blend_block = blend_block_avx512,
    .tile_block = tile_block_avx512,
    .place32 = place32,
    .place64 = place64,
};
#endif
