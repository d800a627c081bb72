/*
 * The kernel for a few rows and more, for trees that are not deep: 8 trees x 8 rows in the 64 bytes of a register.
 *
 * Byte 8r + t is where row r stands in tree t: `at`, the number of its node among those of a level of all 8 trees, t * 2^level
 * + node. Going down a level, for 64 walks at once:
 *
 *     column    = columns[level][at]          a byte shuffle in the tables of the 8 trees
 *     threshold = thresholds[level][at]
 *     rank      = ranks[r][column]            a byte shuffle in the ranks of the 8 rows
 *     at        = 2 * at + (rank >= threshold)
 *
 * The tables of a level hold 8 * 2^level bytes. A shuffle reaches 128 of them; where there are more, several are done and
 * each lane takes the one for its tree, or its row, which never change. Trees are completed to the depth of the deepest of
 * their eight, with tests that everything passes. Of the number reached, the lowest `depth` bits are the leaf.
 */
#pragma once

#include "kernels/cpu/ranks.h"

enum {
    TILE_TREES = 8,
    TILE_DEPTH_MAX = 8,
    TILE_COLUMNS_MAX = 128,
};

struct tile_group {
    size_t tests; /* into tests: for each level its columns, then its thresholds, each 8 * 2^level bytes and at least 64 */
    uint32_t depth; /* 1 .. 8 */
    uint32_t first_tree, trees; /* up to 8 that follow each other, of one output */
    uint32_t leaves;      /* of a tree in the layout: 2^depth */
    uint32_t first_value; /* of the first tree, in numbers; each tree has its values as planes of bytes, see planes_avx512.h */
};

struct tile {
    const struct ranks *ranks; /* borrowed, like order */
    const struct tree_order *order;
    uint32_t columns; /* bytes of a row's ranks: 16, 32, 64 or 128 */
    struct tile_group *groups;
    uint32_t *group_end; /* [outputs] one past the last group of each */
    uint32_t group_count;
    uint8_t *tests;
    size_t test_bytes;
    uint8_t *values;
    size_t value_count;
};

/* Leaves must be plain. STATUS_UNSUPPORTED: a tree deeper than 8, more than 128 columns. STATUS_NO_MEMORY.
 * *out is owned: tile_free. */
MUST_USE enum status tile_make(const struct ranks *ranks, const struct tree_order *order, struct tile **out, struct error *err);
void tile_free(struct tile *tile);
size_t tile_bytes(const struct tile *tile);

struct cpu_kernels;
struct rows;

/* Margins of rows[slots[i]], i < n, into margins[n][outputs]. Any thread; at most 64 KB of stack. */
void tile_margins(const struct tile *tile, const struct cpu_kernels *kernels, const struct rows *rows, const uint32_t *slots, uint32_t n,
                  double *margins);
