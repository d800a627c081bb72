#if defined(__AVX2__)
#include "kernels/cpu/avx2.h"

const struct cpu_kernels cpu_kernels_avx2 = {
    .rank_row = rank_row_avx2,
    .rank_block = rank_block_avx2,
    .crown_columns = 128,
    .crown_groups = crown_groups_avx2,
    .blend_leaves = BLEND_LEAVES_PLAIN,
    .blend_block = blend_block_avx2,
    .place32 = blend_place_avx2,
    .place64 = blend_place_avx2,
};
#endif
