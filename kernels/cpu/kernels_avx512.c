#if defined(__AVX512VBMI__)
#include "kernels/cpu/avx512.h"

const struct cpu_kernels cpu_kernels_avx512 = {
    .rank_row = rank_row_avx512,
    .rank_block = rank_block_avx512,
    .crown_columns = 256,
    .crown_groups = crown_groups_avx512,
    .blend_leaves = BLEND_LEAVES_PLANES,
    .blend_block = blend_block_avx512,
    .place32 = blend_place32_avx512,
    .place64 = blend_place64_avx512,
};
#endif
