#if defined(__AVX2__)
#include <immintrin.h>

#include "kernels/cpu/avx2.h"
#include "kernels/cpu/crown_sum.h"

#define ALWAYS static inline __attribute__((always_inline))

/* A byte shuffle reaches 16 columns. `tables` of them (1, 2, 4 or 8) are looked up in all, and the higher bits of the column,
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

ALWAYS __m256i fetch(const uint8_t *ranks, int tables, __m256i columns)
{
    if (tables == 1)
        return table(ranks, 0, columns);
    if (tables == 2)
        return fetch_2(ranks, 0, columns);
    if (tables == 4)
        return fetch_4(ranks, 0, columns);
    return _mm256_blendv_epi8(fetch_4(ranks, 0, columns), fetch_4(ranks, 4, columns), _mm256_slli_epi16(columns, 1));
}

/* Which of 32 trees pass at a position: all bits of a byte, or none. */
ALWAYS __m256i passes(const uint8_t *tests, int position, const uint8_t *ranks, int tables)
{
    const uint8_t *test = tests + (size_t)position * 2 * CROWN_TREES;
    __m256i thresholds = _mm256_load_si256((const void *)(test + CROWN_TREES));
    __m256i rank = fetch(ranks, tables, _mm256_load_si256((const void *)test));
    return _mm256_cmpeq_epi8(_mm256_max_epu8(rank, thresholds), rank);
}

/* exit_N: the exits of the N levels below a position, by each tree's way: a bit a level, the topmost highest. */
ALWAYS __m256i exit_1(const uint8_t *tests, int position, const uint8_t *ranks, int tables)
{
    return _mm256_and_si256(passes(tests, position, ranks, tables), _mm256_set1_epi8(1));
}

#define EXIT_LEVEL(levels, below)                                                                                                \
    ALWAYS __m256i exit_##levels(const uint8_t *tests, int position, const uint8_t *ranks, int tables)                           \
    {                                                                                                                            \
        __m256i fail = exit_##below(tests, 2 * position + 1, ranks, tables);                                                     \
        __m256i pass = exit_##below(tests, 2 * position + 2, ranks, tables);                                                     \
        pass = _mm256_or_si256(pass, _mm256_set1_epi8(1 << below));                                                              \
        return _mm256_blendv_epi8(fail, pass, passes(tests, position, ranks, tables));                                           \
    }
EXIT_LEVEL(2, 1)
EXIT_LEVEL(3, 2)
EXIT_LEVEL(4, 3)
EXIT_LEVEL(5, 4)
EXIT_LEVEL(6, 5)

ALWAYS __m256i exits_of(const uint8_t *tests, uint32_t depth, const uint8_t *ranks, int tables)
{
    switch (depth) {
    case 1:
        return exit_1(tests, 0, ranks, tables);
    case 2:
        return exit_2(tests, 0, ranks, tables);
    case 3:
        return exit_3(tests, 0, ranks, tables);
    case 4:
        return exit_4(tests, 0, ranks, tables);
    case 5:
        return exit_5(tests, 0, ranks, tables);
    default:
        return exit_6(tests, 0, ranks, tables);
    }
}

/* From a page to where its exit leads. */
ALWAYS uint32_t leave_page(const struct crown *crown, uint32_t at, const uint8_t *ranks, int tables, bool deep)
{
    const struct crown_page *page = &crown->pages[at];
    __m128i thresholds = _mm_loadu_si128((const void *)page->thresholds), fail = _mm_loadu_si128((const void *)page->fail);
    __m128i rank = _mm256_castsi256_si128(fetch(ranks, tables, _mm256_load_si256((const void *)page)));
    __m128i pass = _mm_cmpeq_epi8(_mm_max_epu8(rank, thresholds), rank);
    __m128i next = _mm_blendv_epi8(fail, _mm_loadu_si128((const void *)page->pass), pass);
    next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    if (deep)
        next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    uint32_t code = (uint32_t)_mm_cvtsi128_si32(next) & 0xFF, exit = code & 0x3F;
    uint32_t leaf = (crown->page_values[at] + exit) | CROWN_LEAF;
    return code >= CROWN_PAGE_PAGE ? page->first_page + exit : leaf;
}

/* Walks the group's trees through their pages, all together; at[] becomes values. */
ALWAYS void walk_pages(const struct crown *crown, uint32_t at[CROWN_TREES], const uint8_t *ranks, int tables, bool deep)
{
    uint8_t walking[CROWN_TREES];
    uint32_t n = 0;
    for (uint32_t i = 0; i < CROWN_TREES; i++) {
        walking[n] = (uint8_t)i;
        n += !(at[i] & CROWN_LEAF);
    }
    while (n > 0) {
        uint32_t left = 0;
        for (uint32_t j = 0; j < n; j++) {
            uint8_t i = walking[j];
            uint32_t to = leave_page(crown, at[i], ranks, tables, deep);
            at[i] = to;
            walking[left] = i;
            left += !(to & CROWN_LEAF);
        }
        n = left;
    }
}

ALWAYS void groups(const struct crown *crown, const uint8_t *ranks, uint32_t from, uint32_t to, double *margins, int tables)
{
    size_t group_bytes = (((size_t)1 << crown->depth) - 1) * 2 * CROWN_TREES;
    for (uint32_t g = from; g < to; g++) {
        uint8_t exits[CROWN_TREES] __attribute__((aligned(32)));
        uint32_t at[CROWN_TREES], first = g * CROWN_TREES;
        const uint8_t *tests = crown->tests + g * group_bytes;
        for (int half = 0; half < CROWN_TREES; half += 32)
            _mm256_store_si256((void *)(exits + half), exits_of(tests + half, crown->depth, ranks, tables));
        for (uint32_t i = 0; i < CROWN_TREES; i++)
            at[i] = (first + i) << crown->depth | exits[i];
        if (crown->exits) {
            for (uint32_t i = 0; i < CROWN_TREES; i++)
                at[i] = crown->exits[at[i]];
            if (crown->doublings == 2)
                walk_pages(crown, at, ranks, tables, false);
            else
                walk_pages(crown, at, ranks, tables, true);
        }
        crown_add(crown, first, at, margins);
    }
}

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
