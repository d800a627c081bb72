#if defined(__AVX512VBMI__)
#include <immintrin.h>

#include "kernels/cpu/avx512.h"
#include "kernels/cpu/crown_sum.h"

#define ALWAYS static inline __attribute__((always_inline))

/* A row's ranks: 1, 2 or 4 registers, as many columns as the forest has. */
struct row_ranks {
    __m512i r[4];
};

ALWAYS __m512i fetch(const struct row_ranks *row, int registers, __m512i columns)
{
    if (registers == 1)
        return _mm512_permutexvar_epi8(columns, row->r[0]);
    __m512i low = _mm512_permutex2var_epi8(row->r[0], columns, row->r[1]);
    if (registers == 2)
        return low;
    __m512i high = _mm512_permutex2var_epi8(row->r[2], columns, row->r[3]);
    return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(columns), high);
}

/* Which of 64 trees pass at a position. */
ALWAYS __mmask64 passes(const uint8_t *tests, int position, const struct row_ranks *row, int registers)
{
    const uint8_t *test = tests + (size_t)position * 2 * CROWN_TREES;
    return _mm512_cmpge_epu8_mask(fetch(row, registers, _mm512_load_si512(test)), _mm512_load_si512(test + CROWN_TREES));
}

/* exit_N: the exits of the N levels below a position, by each tree's way: a bit a level, the topmost highest. */
ALWAYS __m512i exit_1(const uint8_t *tests, int position, const struct row_ranks *row, int registers)
{
    return _mm512_maskz_set1_epi8(passes(tests, position, row, registers), 1);
}

#define EXIT_LEVEL(levels, below)                                                                                                \
    ALWAYS __m512i exit_##levels(const uint8_t *tests, int position, const struct row_ranks *row, int registers)                 \
    {                                                                                                                            \
        __m512i fail = exit_##below(tests, 2 * position + 1, row, registers);                                                    \
        __m512i pass = exit_##below(tests, 2 * position + 2, row, registers);                                                    \
        return _mm512_mask_add_epi8(fail, passes(tests, position, row, registers), pass, _mm512_set1_epi8(1 << below));          \
    }
EXIT_LEVEL(2, 1)
EXIT_LEVEL(3, 2)
EXIT_LEVEL(4, 3)
EXIT_LEVEL(5, 4)
EXIT_LEVEL(6, 5)

ALWAYS __m512i exits_of(const uint8_t *tests, uint32_t depth, const struct row_ranks *row, int registers)
{
    switch (depth) {
    case 1:
        return exit_1(tests, 0, row, registers);
    case 2:
        return exit_2(tests, 0, row, registers);
    case 3:
        return exit_3(tests, 0, row, registers);
    case 4:
        return exit_4(tests, 0, row, registers);
    case 5:
        return exit_5(tests, 0, row, registers);
    default:
        return exit_6(tests, 0, row, registers);
    }
}

/* From a page to where its exit leads. */
ALWAYS uint32_t leave_page(const struct crown *crown, uint32_t at, const struct row_ranks *row, int registers, bool deep)
{
    const struct crown_page *page = &crown->pages[at];
    __m128i ranks = _mm512_castsi512_si128(fetch(row, registers, _mm512_load_si512(page)));
    __mmask16 pass = _mm_cmpge_epu8_mask(ranks, _mm_loadu_si128((const void *)page->thresholds));
    __m128i next = _mm_mask_loadu_epi8(_mm_loadu_si128((const void *)page->fail), pass, page->pass);
    next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    if (deep)
        next = _mm_max_epu8(next, _mm_shuffle_epi8(next, next));
    uint32_t code = (uint32_t)_mm_cvtsi128_si32(next) & 0xFF, exit = code & 0x3F;
    uint32_t leaf = (crown->page_values[at] + exit) | CROWN_LEAF;
    return code >= CROWN_PAGE_PAGE ? page->first_page + exit : leaf;
}

/* Walks the group's trees through their pages, all together; at[] becomes values. */
ALWAYS void walk_pages(const struct crown *crown, uint32_t at[CROWN_TREES], const struct row_ranks *row, int registers, bool deep)
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
            uint32_t to = leave_page(crown, at[i], row, registers, deep);
            at[i] = to;
            walking[left] = i;
            left += !(to & CROWN_LEAF);
        }
        n = left;
    }
}

ALWAYS void groups(const struct crown *crown, const uint8_t *ranks, uint32_t from, uint32_t to, double *margins, int registers)
{
    struct row_ranks row;
    for (int i = 0; i < registers; i++)
        row.r[i] = _mm512_load_si512(ranks + (size_t)i * 64);
    size_t group_bytes = (((size_t)1 << crown->depth) - 1) * 2 * CROWN_TREES;
    for (uint32_t g = from; g < to; g++) {
        uint8_t exits[CROWN_TREES] __attribute__((aligned(64)));
        uint32_t at[CROWN_TREES], first = g * CROWN_TREES;
        _mm512_store_si512(exits, exits_of(crown->tests + g * group_bytes, crown->depth, &row, registers));
        for (uint32_t i = 0; i < CROWN_TREES; i++)
            at[i] = (first + i) << crown->depth | exits[i];
        if (crown->exits) {
            for (uint32_t i = 0; i < CROWN_TREES; i++)
                at[i] = crown->exits[at[i]];
            if (crown->doublings == 2)
                walk_pages(crown, at, &row, registers, false);
            else
                walk_pages(crown, at, &row, registers, true);
        }
        crown_add(crown, first, at, margins);
    }
}

void crown_groups_avx512(const struct crown *crown, const uint8_t *ranks, uint32_t from, uint32_t to, double *margins)
{
    if (crown->columns <= 64)
        groups(crown, ranks, from, to, margins, 1);
    else if (crown->columns == 128)
        groups(crown, ranks, from, to, margins, 2);
    else
        groups(crown, ranks, from, to, margins, 4);
}
#endif
