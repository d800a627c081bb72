/*
 * The kernel for many rows: one tree at a time, 64 rows.
 *
 * All splits of a tree are computed for all 64 rows, from the leaves up. What comes to a split is, for each row, the number
 * of its leaf among those below the split; a leaf itself comes to 0, and those on the pass side are numbered after those on
 * the fail side:
 *
 *     place[to] = ranks[column] >= threshold ? place[pass] + leaves of the fail side : place[fail]       64 bytes at once
 *
 * What the root comes to is each row's leaf. There is no branch and no gather, and the shape of the tree does not matter,
 * only its number of splits; hence trees of up to 256 leaves, whose numbers fit a byte. Of two children the one that needs
 * more room is computed first, so that eight places are enough.
 *
 * Four trees go side by side, step by step: within one tree a step mostly waits for the one before it, whose outcome has
 * only just been stored. Shorter trees end in steps that write to a place nobody reads.
 */
#pragma once

#include <string.h>

#include "kernels/cpu/ranks.h"

enum {
    BLEND_LEAVES_MAX = 256,
    BLEND_SIDE_BY_SIDE = 4,
    /* Of each tree: 8 places for 256 leaves, one that nobody reads, and one that stands for a leaf: 64 zeros. */
    BLEND_NOBODYS = 8,
    BLEND_ZERO = 9,
    BLEND_PLACES = 10,
};

/* How leaf values are laid out. */
enum blend_leaves {
    BLEND_LEAVES_PLAIN,  /* [leaf] */
    BLEND_LEAVES_PLANES, /* [byte of the number][leaf]: fetched by byte shuffles; leaves padded to a power of two */
};

struct blend_step {
    uint8_t threshold;
    uint8_t fail_leaves; /* below the fail side */
    uint8_t where[3];    /* column, places: see blend_where */
};

/* Where a step reads and writes, in bytes: a column of the ranks, places of its tree. */
struct blend_where {
    uint32_t column, fail, pass, to;
};

/* One load, and a shift and a mask each; a table of what the places can be would take a byte less and a third more time. */
static inline struct blend_where blend_where(const struct blend_step *step)
{
    uint32_t packed;
    memcpy(&packed, (const uint8_t *)step + 1, sizeof packed); /* fail_leaves comes along */
    return (struct blend_where){
        .column = packed >> 2 & 511 << 6, .fail = packed >> 11 & 15 << 6, .pass = packed >> 15 & 15 << 6, .to = packed >> 19 & 15 << 6};
}

struct blend_tree {
    uint32_t first_value; /* into values: numbers (plain), or bytes / the size of a number (planes) */
    uint32_t leaves;      /* in the layout */
};

/* Up to four trees that follow each other, of one output. */
struct blend_group {
    uint32_t first_step; /* step i of tree k is steps[first_step + 4 * i + k]; its outcome comes to its place 0 */
    uint32_t steps;      /* of each */
    uint32_t first_tree, trees;
};

struct blend {
    const struct ranks *ranks; /* borrowed, like order */
    const struct tree_order *order;
    enum blend_leaves layout;
    struct blend_step *steps;
    struct blend_tree *trees;   /* [order->count] */
    struct blend_group *groups;
    uint32_t *group_end;        /* [outputs] one past the last group of each */
    uint32_t group_count;
    size_t step_count, step_capacity;
    void *values; /* float or double by the sum type */
    size_t value_count, value_capacity;
};

/* Leaves must be plain. STATUS_UNSUPPORTED: a tree has more than 256 leaves. STATUS_NO_MEMORY. *out is owned: blend_free. */
MUST_USE enum status blend_make(const struct ranks *ranks, const struct tree_order *order, enum blend_leaves layout,
                                struct blend **out, struct error *err);
void blend_free(struct blend *blend);
size_t blend_bytes(const struct blend *blend);

struct cpu_kernels;
struct rows;

/* Margins of rows[slots[i]], i < n, into margins[n][outputs]. Any thread; at most 64 KB of stack. */
void blend_margins(const struct blend *blend, const struct cpu_kernels *kernels, const struct rows *rows, const uint32_t *slots,
                   uint32_t n, double *margins);
