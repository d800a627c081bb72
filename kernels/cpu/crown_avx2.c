#if defined(__AVX2__)
#include <immintrin.h>

#include "kernels/cpu/avx2.h"

#define ALWAYS static inline __attribute__((always_inline))

/* 32 trees; a row's ranks stay in memory, `width` tables of 16. */
enum { LANES = 32 };
typedef __m256i lanes;
typedef uint8_t row_ranks;

/* A byte shuffle reaches 16 columns. `width` of them (1, 2, 4 or 8) are looked up in all, and the higher bits of the column,
 * moved to where a blend looks, pick one. */
ALWAYS __m256i table(const uint8_t *ranks, int number, __m256i columns)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_load_si128((const void *)(ranks + 16 * number))), columns);
}

ALWAYS __m256i fetch_2(const uint8_t *ranks, int first, __m256i columns)
{
    return _mm256_blendv_epi8(table(ranks, first, columns), table(ranks, first + 1, columns), _mm256_slli_epi16(columns, 3));
}

ALWAYS __m256i fetch_4(const uint8_t *ranks, int first, __m256i columns)
{
    return _mm256_blendv_epi8(fetch_2(ranks, first, columns), fetch_2(ranks, first + 2, columns), _mm256_slli_epi16(columns, 2));
}

ALWAYS __m256i fetch(const uint8_t *ranks, int width, __m256i columns)
{
    if (width == 1)
        return table(ranks, 0, columns);
    if (width == 2)
        return fetch_2(ranks, 0, columns);
    if (width == 4)
        return fetch_4(ranks, 0, columns);
    return _mm256_blendv_epi8(fetch_4(ranks, 0, columns), fetch_4(ranks, 4, columns), _mm256_slli_epi16(columns, 1));
}

/* Which of 32 trees pass at a position: all bits of a byte, or none. */
ALWAYS __m256i passes(const uint8_t *tests, int position, const uint8_t *ranks, int width)
{
    const uint8_t *test = tests + (size_t)position * 2 * CROWN_TREES;
    __m256i thresholds = _mm256_load_si256((const void *)(test + CROWN_TREES));
    __m256i rank = fetch(ranks, width, _mm256_load_si256((const void *)test));
    return _mm256_cmpeq_epi8(_mm256_max_epu8(rank, thresholds), rank);
}

ALWAYS __m256i exit_1(const uint8_t *tests, int position, const uint8_t *ranks, int width)
{
    return _mm256_and_si256(passes(tests, position, ranks, width), _mm256_set1_epi8(1));
}

ALWAYS __m256i fork(__m256i fail, __m256i pass, int bit, const uint8_t *tests, int position, const uint8_t *ranks, int width)
{
    return _mm256_blendv_epi8(fail, _mm256_or_si256(pass, _mm256_set1_epi8((char)bit)), passes(tests, position, ranks, width));
}

ALWAYS void lanes_store(__m256i exits, uint8_t *to)
{
    _mm256_store_si256((void *)to, exits);
}

ALWAYS uint32_t page_code(const struct crown_page *page, uint32_t split, const uint8_t *ranks, int width, bool deep)
{
    __m128i thresholds = _mm_loadu_si128((const void *)page->thresholds), fail = _mm_loadu_si128((const void *)page->fail);
    __m128i rank = _mm256_castsi256_si128(fetch(ranks, width, _mm256_load_si256((const void *)page)));
    __m128i pass = _mm_cmpeq_epi8(_mm_max_epu8(rank, thresholds), rank);
    __m128i next = _mm_blendv_epi8(fail, _mm_loadu_si128((const void *)page->pass), pass);
    next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    if (deep)
        next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    return (uint32_t)_mm_cvtsi128_si32(_mm_shuffle_epi8(next, _mm_cvtsi32_si128((int)split))) & 0xFF;
}

#include "kernels/cpu/crown_lanes.h"

void crown_groups_avx2(const struct crown *crown, const uint8_t *ranks, uint32_t from, uint32_t to, double *margins)
{
    if (crown->columns <= 16)
        groups(crown, ranks, from, to, margins, 1);
    else if (crown->columns == 32)
        groups(crown, ranks, from, to, margins, 2);
    else if (crown->columns == 64)
        groups(crown, ranks, from, to, margins, 4);
    else
        groups(crown, ranks, from, to, margins, 8);
}
#endif
