#if defined(__AVX512VBMI__)
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/avx512.h"
#include "kernels/cpu/planes_avx512.h"

struct work {
    uint8_t places[BLEND_SIDE_BY_SIDE][BLEND_PLACES][64];
} __attribute__((aligned(64)));

static inline void blend_step(const struct blend_step *step, const uint8_t *ranks, uint8_t *places)
{
    struct blend_where at = blend_where(step);
    __m512i rank = _mm512_load_si512(ranks + at.column);
    __mmask64 pass = _mm512_cmpge_epu8_mask(rank, _mm512_set1_epi8((char)step->threshold));
    __m512i fail_leaves = _mm512_set1_epi8((char)step->fail_leaves), from_pass = _mm512_load_si512(places + at.pass);
    _mm512_store_si512(places + at.to, _mm512_mask_add_epi8(_mm512_load_si512(places + at.fail), pass, from_pass, fail_leaves));
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

static inline __m512i outcome(const struct work *work, uint32_t k)
{
    return _mm512_load_si512(work->places[k][0]);
}

static void block32(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, float *sums, struct work *work)
{
    __m512 s[4];
    for (int i = 0; i < 4; i++)
        s[i] = _mm512_load_ps(sums + 16 * i);
    for (uint32_t g = from; g < to; g++) {
        const struct blend_group *group = &blend->groups[g];
        blend_group(blend, group, ranks, work);
        for (uint32_t k = 0; k < group->trees; k++) {
            const struct blend_tree *tree = &blend->trees[group->first_tree + k];
            add32((const uint8_t *)blend->values + (size_t)tree->first_value * 4, tree->leaves, outcome(work, k), s);
        }
    }
    for (int i = 0; i < 4; i++)
        _mm512_store_ps(sums + 16 * i, s[i]);
}

static void block64(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, double *sums, struct work *work)
{
    __m512d s[8];
    for (int i = 0; i < 8; i++)
        s[i] = _mm512_load_pd(sums + 8 * i);
    for (uint32_t g = from; g < to; g++) {
        const struct blend_group *group = &blend->groups[g];
        blend_group(blend, group, ranks, work);
        for (uint32_t k = 0; k < group->trees; k++) {
            const struct blend_tree *tree = &blend->trees[group->first_tree + k];
            add64((const uint8_t *)blend->values + (size_t)tree->first_value * 8, tree->leaves, outcome(work, k), s);
        }
    }
    for (int i = 0; i < 8; i++)
        _mm512_store_pd(sums + 8 * i, s[i]);
}

void blend_block_avx512(const struct blend *blend, const uint8_t *ranks, uint32_t from, uint32_t to, void *sums)
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
