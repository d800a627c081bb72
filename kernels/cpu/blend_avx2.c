#if defined(__AVX2__)
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/avx2.h"

/* Sums lie in the order of rows. */
#define FOUR(i) (i), (i) + 1, (i) + 2, (i) + 3
#define SIXTEEN(i) FOUR(i), FOUR((i) + 4), FOUR((i) + 8), FOUR((i) + 12)
const uint8_t blend_place_avx2[64] = {SIXTEEN(0), SIXTEEN(16), SIXTEEN(32), SIXTEEN(48)};

struct work {
    uint8_t vectors[BLEND_LEAVES_MAX + BLEND_PLACES][64];
} __attribute__((aligned(64)));

static inline void blend_half(const struct blend_step *step, const uint8_t *ranks, struct work *work, size_t half)
{
    __m256i rank = _mm256_load_si256((const void *)(ranks + (size_t)step->column * 64 + half));
    __m256i pass = _mm256_cmpeq_epi8(_mm256_max_epu8(rank, _mm256_set1_epi8((char)step->threshold)), rank);
    __m256i fail_leaves = _mm256_load_si256((const void *)(work->vectors[step->fail] + half));
    __m256i pass_leaves = _mm256_load_si256((const void *)(work->vectors[step->pass] + half));
    _mm256_store_si256((void *)(work->vectors[BLEND_LEAVES_MAX + step->to] + half), _mm256_blendv_epi8(fail_leaves, pass_leaves, pass));
}

/* The leaf numbers that 64 rows come to in one tree. */
static inline const uint8_t *leaves_of(const struct blend *blend, const struct blend_tree *tree, const uint8_t *ranks, struct work *work)
{
    const struct blend_step *step = blend->steps + tree->first_step, *end = step + tree->step_count;
    for (; step < end; step++) {
        blend_half(step, ranks, work, 0);
        blend_half(step, ranks, work, 32);
    }
    return work->vectors[BLEND_LEAVES_MAX];
}

static void block32(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, float *sums, struct work *work)
{
    __m256 s[8];
    for (int i = 0; i < 8; i++)
        s[i] = _mm256_load_ps(sums + 8 * i);
    for (uint32_t t = from; t < to; t++) {
        const struct blend_tree *tree = &blend->trees[t];
        const uint8_t *numbers = leaves_of(blend, tree, ranks, work);
        const float *values = (const float *)blend->values + tree->first_value;
        for (int i = 0; i < 8; i++) {
            __m256i leaf = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(numbers + 8 * i)));
            s[i] = _mm256_add_ps(s[i], _mm256_i32gather_ps(values, leaf, 4));
        }
    }
    for (int i = 0; i < 8; i++)
        _mm256_store_ps(sums + 8 * i, s[i]);
}

static void block64(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, double *sums, struct work *work)
{
    for (uint32_t t = from; t < to; t++) {
        const struct blend_tree *tree = &blend->trees[t];
        const uint8_t *numbers = leaves_of(blend, tree, ranks, work);
        const double *values = (const double *)blend->values + tree->first_value;
        for (int i = 0; i < 16; i++) { /* 16 registers would be all there are: the sums stay in memory */
            __m128i leaf = _mm_cvtepu8_epi32(_mm_loadu_si32(numbers + 4 * i));
            __m256d sum = _mm256_add_pd(_mm256_load_pd(sums + 4 * i), _mm256_i32gather_pd(values, leaf, 8));
            _mm256_store_pd(sums + 4 * i, sum);
        }
    }
}

void blend_block_avx2(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, void *sums)
{
    struct work work;
    for (uint32_t i = 0; i < blend->leaves_max; i++)
        memset(work.vectors[i], (int)i, 64);
    if (blend->ranks->inputs->forest->sum_type == NUMBER_F32)
        block32(blend, ranks, from, to, sums, &work);
    else
        block64(blend, ranks, from, to, sums, &work);
}
#endif
