#if defined(__AVX512VBMI__)
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/avx512.h"
#include "kernels/cpu/planes_avx512.h"

#define ALWAYS static inline __attribute__((always_inline))

/* Lanes of trees t .. t + n - 1, and of rows r .. r + n - 1: byte 8r + t of 64. */
#define TREE_LANES(t, n) (0x0101010101010101u * (((1u << (n)) - 1) << (t)))
#define ROW_LANES(r, n) (((n) == 8 ? ~0ull : (1ull << 8 * (n)) - 1) << 8 * (r))

/* Looks `at` up in 128 bytes. */
ALWAYS __m512i look_up_128(const uint8_t *table, __m512i at)
{
    return _mm512_permutex2var_epi8(_mm512_load_si512(table), at, _mm512_load_si512(table + 64));
}

/* A level's table: 64 bytes serve all 8 trees up to level 3, 128 bytes 8, 4, 2 trees and 1 from level 4 on. */
ALWAYS __m512i look_up_level(const uint8_t *table, int level, __m512i at)
{
    if (level <= 3)
        return _mm512_permutexvar_epi8(at, _mm512_load_si512(table));
    int served = 8 >> (level - 4);
    __m512i found = look_up_128(table, at);
    for (int t = served; t < 8; t += served)
        found = _mm512_mask_mov_epi8(found, TREE_LANES(t, served), look_up_128(table + t / served * 128, at));
    return found;
}

/* The ranks of eight rows: 128 bytes serve 8, 4, 2 rows or 1. base: where each lane's row starts in them. */
ALWAYS __m512i look_up_rank(const uint8_t *ranks, int columns, __m512i base, __m512i column)
{
    int served = 128 / columns;
    __m512i at = columns == 128 ? column : _mm512_or_si512(column, base);
    __m512i found = look_up_128(ranks, at);
    for (int r = served; r < 8; r += served)
        found = _mm512_mask_mov_epi8(found, ROW_LANES(r, served), look_up_128(ranks + r / served * 128, at));
    return found;
}

/* Walks eight rows down eight trees. */
ALWAYS __m512i walk_tile(const uint8_t *tests, uint32_t depth, const uint8_t *ranks, int columns, __m512i base, __m512i at)
{
    const __m512i one = _mm512_set1_epi8(1);
#define TILE_LEVEL(level, bytes)                                                                                                 \
    if (depth > (level)) {                                                                                                       \
        __m512i rank = look_up_rank(ranks, columns, base, look_up_level(tests, level, at));                                      \
        __mmask64 pass = _mm512_cmpge_epu8_mask(rank, look_up_level(tests + (bytes), level, at));                                \
        at = _mm512_add_epi8(at, at);                                                                                            \
        at = _mm512_mask_add_epi8(at, pass, at, one);                                                                            \
        tests += 2 * (bytes);                                                                                                    \
    }
    TILE_LEVEL(0, 64)
    TILE_LEVEL(1, 64)
    TILE_LEVEL(2, 64)
    TILE_LEVEL(3, 64)
    TILE_LEVEL(4, 128)
    TILE_LEVEL(5, 256)
    TILE_LEVEL(6, 512)
    TILE_LEVEL(7, 1024)
#undef TILE_LEVEL
    return at;
}

struct lanes {
    uint8_t byte[64];
} __attribute__((aligned(64)));

/* By rows of 8 x 8 to by trees, in three steps that each put two registers side by side and part their trees in two:
 * 8 rows of 8 trees -> 16 rows of 4 -> 32 rows of 2 -> 64 rows of one. After a step, a register holds ROWS rows of TREES
 * trees, tree by tree; where byte i of the lower or the upper trees comes from is TURN. */
#define ROWS(step) (16 << (step))
#define TREES(step) (4 >> (step))
#define TURN_ROW(step, i) ((i) % ROWS(step) % (ROWS(step) / 2))
#define TURN_TREE(step, i, upper) ((i) / ROWS(step) + (upper) * TREES(step))
#define TURN(step, i, upper)                                                                                                     \
    (uint8_t)(((i) % ROWS(step) >= ROWS(step) / 2 ? 64 : 0) + ((step) == 0                                                       \
                  ? TURN_ROW(step, i) * 8 + TURN_TREE(step, i, upper)                                                            \
                  : TURN_TREE(step, i, upper) * (ROWS(step) / 2) + TURN_ROW(step, i)))
#define TURN_4(step, i, upper) TURN(step, i, upper), TURN(step, i + 1, upper), TURN(step, i + 2, upper), TURN(step, i + 3, upper)
#define TURN_16(step, i, upper)                                                                                                  \
    TURN_4(step, i, upper), TURN_4(step, i + 4, upper), TURN_4(step, i + 8, upper), TURN_4(step, i + 12, upper)
#define TURN_64(step, upper)                                                                                                     \
    {                                                                                                                            \
        {                                                                                                                        \
            TURN_16(step, 0, upper), TURN_16(step, 16, upper), TURN_16(step, 32, upper), TURN_16(step, 48, upper)                \
        }                                                                                                                        \
    }
static const struct lanes turn_low[3] = {TURN_64(0, 0), TURN_64(1, 0), TURN_64(2, 0)};
static const struct lanes turn_high[3] = {TURN_64(0, 1), TURN_64(1, 1), TURN_64(2, 1)};

/* in: [8 rows each]; out: [tree], the 64 rows in order. */
ALWAYS void turn_around(const struct lanes in[8], __m512i out[8])
{
    __m512i a[8], b[8];
    const __m512i low0 = _mm512_load_si512(&turn_low[0]), high0 = _mm512_load_si512(&turn_high[0]);
    const __m512i low1 = _mm512_load_si512(&turn_low[1]), high1 = _mm512_load_si512(&turn_high[1]);
    const __m512i low2 = _mm512_load_si512(&turn_low[2]), high2 = _mm512_load_si512(&turn_high[2]);
    for (int i = 0; i < 4; i++) { /* a[i]: rows 16i .., trees 0 - 3; a[4 + i]: trees 4 - 7 */
        __m512i first = _mm512_load_si512(&in[2 * i]), second = _mm512_load_si512(&in[2 * i + 1]);
        a[i] = _mm512_permutex2var_epi8(first, low0, second);
        a[4 + i] = _mm512_permutex2var_epi8(first, high0, second);
    }
    for (int h = 0; h < 2; h++) { /* b[4h + 2p + i]: rows 32i .., trees 4h + 2p, + 1 */
        for (int i = 0; i < 2; i++) {
            b[4 * h + i] = _mm512_permutex2var_epi8(a[4 * h + 2 * i], low1, a[4 * h + 2 * i + 1]);
            b[4 * h + 2 + i] = _mm512_permutex2var_epi8(a[4 * h + 2 * i], high1, a[4 * h + 2 * i + 1]);
        }
    }
    for (int p = 0; p < 4; p++) {
        out[2 * p] = _mm512_permutex2var_epi8(b[2 * p], low2, b[2 * p + 1]);
        out[2 * p + 1] = _mm512_permutex2var_epi8(b[2 * p], high2, b[2 * p + 1]);
    }
}

/* The leaves that up to 64 rows come to in the trees of a group. */
ALWAYS void leaves_of(const struct tile *tile, const struct tile_group *group, const uint8_t *ranks, uint32_t n, int columns, __m512i base,
                      struct lanes reached[8], __m512i leaves[8])
{
    const __m512i start = _mm512_set1_epi64(0x0706050403020100);
    for (uint32_t r = 0; r < n; r += 8) {
        __m512i at = walk_tile(tile->tests + group->tests, group->depth, ranks + (size_t)r * (size_t)columns, columns, base, start);
        _mm512_store_si512(&reached[r / 8], at);
    }
    turn_around(reached, leaves);
    __m512i leaf_bits = _mm512_set1_epi8((char)((1u << group->depth) - 1));
    for (int t = 0; t < 8; t++)
        leaves[t] = _mm512_and_si512(leaves[t], leaf_bits);
}

ALWAYS void block(const struct tile *tile, const uint8_t *ranks, uint32_t from, uint32_t to, uint32_t n, void *sums, int columns)
{
    struct lanes reached[8], base_lanes;
    memset(reached, 0, sizeof reached);
    for (int i = 0; i < 64; i++)
        base_lanes.byte[i] = (uint8_t)(i / 8 * columns % 128);
    __m512i base = _mm512_load_si512(&base_lanes), leaves[8];
    bool is_f32 = tile->ranks->inputs->forest->sum_type == NUMBER_F32;
    if (is_f32) {
        __m512 s[4];
        for (int i = 0; i < 4; i++)
            s[i] = _mm512_load_ps((const float *)sums + 16 * i);
        for (uint32_t g = from; g < to; g++) {
            const struct tile_group *group = &tile->groups[g];
            leaves_of(tile, group, ranks, n, columns, base, reached, leaves);
            for (uint32_t k = 0; k < group->trees; k++)
                add32(tile->values + ((size_t)group->first_value + k * group->leaves) * 4, group->leaves, leaves[k], s);
        }
        for (int i = 0; i < 4; i++)
            _mm512_store_ps((float *)sums + 16 * i, s[i]);
    } else {
        __m512d s[8];
        for (int i = 0; i < 8; i++)
            s[i] = _mm512_load_pd((const double *)sums + 8 * i);
        for (uint32_t g = from; g < to; g++) {
            const struct tile_group *group = &tile->groups[g];
            leaves_of(tile, group, ranks, n, columns, base, reached, leaves);
            for (uint32_t k = 0; k < group->trees; k++)
                add64(tile->values + ((size_t)group->first_value + k * group->leaves) * 8, group->leaves, leaves[k], s);
        }
        for (int i = 0; i < 8; i++)
            _mm512_store_pd((double *)sums + 8 * i, s[i]);
    }
}

void tile_block_avx512(const struct tile *tile, const uint8_t *ranks, uint32_t from, uint32_t to, uint32_t n, void *sums)
{
    if (tile->columns == 16)
        block(tile, ranks, from, to, n, sums, 16);
    else if (tile->columns == 32)
        block(tile, ranks, from, to, n, sums, 32);
    else if (tile->columns == 64)
        block(tile, ranks, from, to, n, sums, 64);
    else
        block(tile, ranks, from, to, n, sums, 128);
}
#endif
