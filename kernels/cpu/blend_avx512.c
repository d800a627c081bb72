#if defined(__AVX512VBMI__)
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/avx512.h"

/* Bytes are widened by interleaving within 128-bit quarters, so sums lie in this order: quarter q of register r holds, for
 * float32, rows 16q + 4r .. + 3; for float64, rows 16q + 2r, + 1. */
#define PLACE32(i) (((i) % 16 / 4) * 16 + (i) / 16 * 4 + (i) % 4)
#define PLACE64(i) (((i) % 16 / 2) * 8 + (i) / 16 * 2 + (i) % 2)
#define FOUR(place, i) place(i), place((i) + 1), place((i) + 2), place((i) + 3)
#define SIXTEEN(place, i) FOUR(place, i), FOUR(place, (i) + 4), FOUR(place, (i) + 8), FOUR(place, (i) + 12)
#define ALL(place) SIXTEEN(place, 0), SIXTEEN(place, 16), SIXTEEN(place, 32), SIXTEEN(place, 48)
const uint8_t blend_place32_avx512[64] = {ALL(PLACE32)};
const uint8_t blend_place64_avx512[64] = {ALL(PLACE64)};

/* Looks 64 leaf numbers up in one plane of bytes. */
static inline __m512i look_up(const uint8_t *plane, uint32_t leaves, __m512i numbers)
{
    if (leaves == 64)
        return _mm512_permutexvar_epi8(numbers, _mm512_load_si512(plane));
    __m512i low = _mm512_permutex2var_epi8(_mm512_load_si512(plane), numbers, _mm512_load_si512(plane + 64));
    if (leaves == 128)
        return low;
    __m512i high = _mm512_permutex2var_epi8(_mm512_load_si512(plane + 128), numbers, _mm512_load_si512(plane + 192));
    return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(numbers), high);
}

/* Four planes become the 64 words that they are bytes of. */
static inline void four_planes(const uint8_t *planes, uint32_t leaves, __m512i numbers, __m512i words[4])
{
    __m512i b0 = look_up(planes, leaves, numbers), b1 = look_up(planes + leaves, leaves, numbers);
    __m512i b2 = look_up(planes + 2 * (size_t)leaves, leaves, numbers), b3 = look_up(planes + 3 * (size_t)leaves, leaves, numbers);
    __m512i low01 = _mm512_unpacklo_epi8(b0, b1), high01 = _mm512_unpackhi_epi8(b0, b1);
    __m512i low23 = _mm512_unpacklo_epi8(b2, b3), high23 = _mm512_unpackhi_epi8(b2, b3);
    words[0] = _mm512_unpacklo_epi16(low01, low23);
    words[1] = _mm512_unpackhi_epi16(low01, low23);
    words[2] = _mm512_unpacklo_epi16(high01, high23);
    words[3] = _mm512_unpackhi_epi16(high01, high23);
}

static inline void add32(const uint8_t *planes, uint32_t leaves, __m512i numbers, __m512 sums[4])
{
    __m512i words[4];
    four_planes(planes, leaves, numbers, words);
    for (int i = 0; i < 4; i++)
        sums[i] = _mm512_add_ps(sums[i], _mm512_castsi512_ps(words[i]));
}

static inline void add64(const uint8_t *planes, uint32_t leaves, __m512i numbers, __m512d sums[8])
{
    __m512i low[4], high[4];
    four_planes(planes, leaves, numbers, low);
    four_planes(planes + 4 * (size_t)leaves, leaves, numbers, high);
    for (int i = 0; i < 4; i++) {
        sums[2 * i] = _mm512_add_pd(sums[2 * i], _mm512_castsi512_pd(_mm512_unpacklo_epi32(low[i], high[i])));
        sums[2 * i + 1] = _mm512_add_pd(sums[2 * i + 1], _mm512_castsi512_pd(_mm512_unpackhi_epi32(low[i], high[i])));
    }
}

struct work {
    uint8_t places[BLEND_WORK][64];
} __attribute__((aligned(64)));

static inline void blend_step(const struct blend_step *step, const uint8_t *ranks, struct work *work)
{
    __m512i column = _mm512_load_si512(ranks + (size_t)step->column * 64);
    __mmask64 pass = _mm512_cmpge_epu8_mask(column, _mm512_set1_epi8((char)step->threshold));
    __m512i after_fail = _mm512_set1_epi8((char)step->fail_leaves), from_pass = _mm512_load_si512(work->places[step->pass]);
    __m512i leaves = _mm512_mask_add_epi8(_mm512_load_si512(work->places[step->fail]), pass, from_pass, after_fail);
    _mm512_store_si512(work->places[step->to], leaves);
}

/* Brings the leaf numbers that 64 rows come to into the first place of each tree of the group. */
static inline void blend_group(const struct blend *blend, const struct blend_group *group, const uint8_t *ranks, struct work *work)
{
    const struct blend_step *step = blend->steps + group->first_step, *end = step + (size_t)group->steps * BLEND_SIDE_BY_SIDE;
    for (; step < end; step += BLEND_SIDE_BY_SIDE) {
        blend_step(step, ranks, work);
        blend_step(step + 1, ranks, work);
        blend_step(step + 2, ranks, work);
        blend_step(step + 3, ranks, work);
    }
}

static inline __m512i outcome(const struct work *work, uint32_t k)
{
    return _mm512_load_si512(work->places[k * BLEND_PLACES]);
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
    memset(work.places[BLEND_ZERO], 0, 64);
    if (blend->ranks->inputs->forest->sum_type == NUMBER_F32)
        block32(blend, ranks, from, to, sums, &work);
    else
        block64(blend, ranks, from, to, sums, &work);
}
#endif
