#if defined(__AVX2__)
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/avx2.h"

/* Sums lie in the order of rows. */
#define FOUR(i) (i), (i) + 1, (i) + 2, (i) + 3
#define SIXTEEN(i) FOUR(i), FOUR((i) + 4), FOUR((i) + 8), FOUR((i) + 12)
const uint8_t blend_place_avx2[64] = {SIXTEEN(0), SIXTEEN(16), SIXTEEN(32), SIXTEEN(48)};

struct work {
    uint8_t places[BLEND_SIDE_BY_SIDE][BLEND_PLACES][64];
} __attribute__((aligned(64)));

/* 32 of the 64 rows. */
static inline void blend_half(struct blend_where at, __m256i threshold, __m256i fail_leaves, const uint8_t *ranks, uint8_t *places)
{
    __m256i rank = _mm256_load_si256((const void *)(ranks + at.column));
    __m256i pass = _mm256_cmpeq_epi8(_mm256_max_epu8(rank, threshold), rank);
    __m256i from_fail = _mm256_load_si256((const void *)(places + at.fail));
    __m256i from_pass = _mm256_add_epi8(_mm256_load_si256((const void *)(places + at.pass)), fail_leaves);
    _mm256_store_si256((void *)(places + at.to), _mm256_blendv_epi8(from_fail, from_pass, pass));
}

static inline void blend_step(const struct blend_step *step, const uint8_t *ranks, uint8_t *places)
{
    struct blend_where at = blend_where(step);
    __m256i threshold = _mm256_set1_epi8((char)step->threshold), fail_leaves = _mm256_set1_epi8((char)step->fail_leaves);
    blend_half(at, threshold, fail_leaves, ranks, places);
    blend_half(at, threshold, fail_leaves, ranks + 32, places + 32);
}

/* Brings the leaf numbers that 64 rows come to into the first place of each tree of the group. */
static inline void blend_group(const struct blend *blend, const struct blend_group *group, const uint8_t *ranks, struct work *work)
{
    const struct blend_step *step = blend->steps + group->first_step, *end = step + (size_t)group->steps * BLEND_SIDE_BY_SIDE;
    for (; step < end; step += BLEND_SIDE_BY_SIDE) {
        blend_step(step, ranks, work->places[0][0]);
        blend_step(step + 1, ranks, work->places[1][0]);
        blend_step(step + 2, ranks, work->places[2][0]);
        blend_step(step + 3, ranks, work->places[3][0]);
    }
}

static inline void add32(const float *values, const uint8_t *numbers, __m256 sums[8])
{
    for (int i = 0; i < 8; i++) {
        __m256i leaf = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(numbers + 8 * i)));
        sums[i] = _mm256_add_ps(sums[i], _mm256_i32gather_ps(values, leaf, 4));
    }
}

/* 16 registers would be all there are: the sums stay in memory. */
static inline void add64(const double *values, const uint8_t *numbers, double *sums)
{
    for (int i = 0; i < 16; i++) {
        __m128i leaf = _mm_cvtepu8_epi32(_mm_loadu_si32(numbers + 4 * i));
        __m256d sum = _mm256_add_pd(_mm256_load_pd(sums + 4 * i), _mm256_i32gather_pd(values, leaf, 8));
        _mm256_store_pd(sums + 4 * i, sum);
    }
}

static void block32(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, float *sums, struct work *work)
{
    __m256 s[8];
    for (int i = 0; i < 8; i++)
        s[i] = _mm256_load_ps(sums + 8 * i);
    for (uint32_t g = from; g < to; g++) {
        const struct blend_group *group = &blend->groups[g];
        blend_group(blend, group, ranks, work);
        for (uint32_t k = 0; k < group->trees; k++) {
            const struct blend_tree *tree = &blend->trees[group->first_tree + k];
            add32((const float *)blend->values + tree->first_value, work->places[k][0], s);
        }
    }
    for (int i = 0; i < 8; i++)
        _mm256_store_ps(sums + 8 * i, s[i]);
}

static void block64(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, double *sums, struct work *work)
{
    for (uint32_t g = from; g < to; g++) {
        const struct blend_group *group = &blend->groups[g];
        blend_group(blend, group, ranks, work);
        for (uint32_t k = 0; k < group->trees; k++) {
            const struct blend_tree *tree = &blend->trees[group->first_tree + k];
            add64((const double *)blend->values + tree->first_value, work->places[k][0], sums);
        }
    }
}

void blend_block_avx2(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, void *sums)
{
    struct work work;
    for (int k = 0; k < BLEND_SIDE_BY_SIDE; k++)
        memset(work.places[k][BLEND_ZERO], 0, 64);
    if (blend->ranks->inputs->forest->sum_type == NUMBER_F32)
        block32(blend, ranks, from, to, sums, &work);
    else
        block64(blend, ranks, from, to, sums, &work);
}
#endif
