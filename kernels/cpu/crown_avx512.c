#if defined(__AVX512VBMI__)
#include <immintrin.h>

#include "kernels/cpu/avx512.h"

#define ALWAYS static inline __attribute__((always_inline))

/* 64 trees; a row's ranks lie in `width` registers: 1, 2 or 4. */
enum { LANES = 64 };
typedef __m512i lanes;
typedef struct {
    __m512i r[4];
} row_ranks;

ALWAYS __m512i fetch(const row_ranks *row, int width, __m512i columns)
{
    if (width == 1)
        return _mm512_permutexvar_epi8(columns, row->r[0]);
    __m512i low = _mm512_permutex2var_epi8(row->r[0], columns, row->r[1]);
    if (width == 2)
        return low;
    __m512i high = _mm512_permutex2var_epi8(row->r[2], columns, row->r[3]);
    return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(columns), high);
}

/* Which of 64 trees pass at a position. */
ALWAYS __mmask64 passes(const uint8_t *tests, int position, const row_ranks *row, int width)
{
    const uint8_t *test = tests + (size_t)position * 2 * CROWN_TREES;
    return _mm512_cmpge_epu8_mask(fetch(row, width, _mm512_load_si512(test)), _mm512_load_si512(test + CROWN_TREES));
}

ALWAYS __m512i exit_1(const uint8_t *tests, int position, const row_ranks *row, int width)
{
    return _mm512_maskz_set1_epi8(passes(tests, position, row, width), 1);
}

ALWAYS __m512i fork(__m512i fail, __m512i pass, int bit, const uint8_t *tests, int position, const row_ranks *row, int width)
{
    return _mm512_mask_add_epi8(fail, passes(tests, position, row, width), pass, _mm512_set1_epi8((char)bit));
}

ALWAYS void lanes_store(__m512i exits, uint8_t *to)
{
    _mm512_store_si512(to, exits);
}

ALWAYS uint32_t page_code(const struct crown_page *page, uint32_t split, const row_ranks *row, int width, bool deep)
{
    __m128i ranks = _mm512_castsi512_si128(fetch(row, width, _mm512_load_si512(page)));
    __mmask16 pass = _mm_cmpge_epu8_mask(ranks, _mm_loadu_si128((const void *)page->thresholds));
    __m128i next = _mm_mask_loadu_epi8(_mm_loadu_si128((const void *)page->fail), pass, page->pass);
    next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    if (deep)
        next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    return (uint32_t)_mm_cvtsi128_si32(_mm_shuffle_epi8(next, _mm_cvtsi32_si128((int)split))) & 0xFF;
}

#include "kernels/cpu/crown_lanes.h"

ALWAYS void load_and_add(const struct crown *crown, const uint8_t *ranks, uint32_t from, uint32_t to, double *margins, int width)
{
    row_ranks row;
    for (int i = 0; i < width; i++)
        row.r[i] = _mm512_load_si512(ranks + (size_t)i * 64);
    groups(crown, &row, from, to, margins, width);
}

void crown_groups_avx512(const struct crown *crown, const uint8_t *ranks, uint32_t from, uint32_t to, double *margins)
{
    if (crown->columns <= 64)
        load_and_add(crown, ranks, from, to, margins, 1);
    else if (crown->columns == 128)
        load_and_add(crown, ranks, from, to, margins, 2);
    else
        load_and_add(crown, ranks, from, to, margins, 4);
}
#endif
