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

#include "kernels/cpu/ranks.h"

enum {
    BLEND_LEAVES_MAX = 256,
    BLEND_SIDE_BY_SIDE = 4,
    BLEND_PLACES = 9, /* of each tree: 8 for 256 leaves, and one that nobody reads */
    BLEND_ZERO = BLEND_SIDE_BY_SIDE * BLEND_PLACES, /* the place that stands for a leaf: 64 zeros */
    BLEND_WORK = BLEND_ZERO + 1,
};

/* How leaf values are laid out. */
enum blend_leaves {
    BLEND_LEAVES_PLAIN,  /* [leaf] */
    BLEND_LEAVES_PLANES, /* [byte of the number][leaf]: fetched by byte shuffles, a multiple of 64 leaves */
};

struct blend_step {
    uint8_t threshold;
    uint8_t fail_leaves; /* below the fail side */
    uint8_t where[4];    /* column, places: see blend_where */
};

/* Packs where a step reads and writes, so that one load and a shift and a mask each give byte offsets of 64-byte vectors. */
static inline void blend_put_where(struct blend_step *step, uint32_t column, uint32_t fail, uint32_t pass, uint32_t to)
{
    uint32_t packed = column | fail << 9 | pass << 15 | to << 21;
    for (int i = 0; i < 4; i++)
        step->where[i] = (uint8_t)(packed >> 8 * i);
}

struct blend_where {
    uint32_t column, fail, pass, to; /* in bytes */
};

static inline struct blend_where blend_where(const struct blend_step *step)
{
    uint32_t packed = step->where[0] | (uint32_t)step->where[1] << 8 | (uint32_t)step->where[2] << 16 | (uint32_t)step->where[3] << 24;
    return (struct blend_where){
        .column = packed << 6 & 511 << 6, .fail = packed >> 3 & 63 << 6, .pass = packed >> 9 & 63 << 6, .to = packed >> 15 & 63 << 6};
}

struct blend_tree {
    uint32_t first_value; /* into values: numbers (plain), or bytes / the size of a number (planes) */
    uint32_t leaves;      /* in the layout: padded for planes (64, 128, 256) */
};

/* Up to four trees that follow each other, of one output. */
struct blend_group {
    uint32_t first_step; /* step i of tree k is steps[first_step + 4 * i + k]; tree k has the places from
                          * BLEND_PLACES * k on, and its outcome comes to the first of them */
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
