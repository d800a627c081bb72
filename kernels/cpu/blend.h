/*
 * The kernel for many rows: one tree at a time, 64 rows.
 *
 * All splits of a tree are computed for all 64 rows, from the leaves up: a split compares its column's 64 ranks with its
 * threshold and blends, by the outcome, the 64 leaf numbers that its two children came to. What the root comes to is each
 * row's leaf. There is no branch and no gather, and the shape of the tree does not matter, only its number of splits; hence
 * trees of up to 256 leaves, whose numbers fit a byte.
 *
 *     work[to] = ranks[column] >= threshold ? work[pass] : work[fail]          64 bytes at once
 *
 * work[0 .. 255] hold the leaf numbers themselves, the rest what splits came to. Of two children the one that needs more
 * room is computed first, so that nine places are enough.
 */
#pragma once

#include "kernels/cpu/ranks.h"

enum {
    BLEND_LEAVES_MAX = 256,
    BLEND_PLACES = 10, /* beyond the leaf numbers: 9 for 256 leaves, and one that nothing reads */
};

/* How leaf values are laid out. */
enum blend_leaves {
    BLEND_LEAVES_PLAIN,  /* [leaf] */
    BLEND_LEAVES_PLANES, /* [byte of the number][leaf]: fetched by byte shuffles, a multiple of 64 leaves */
};

struct blend_step {
    uint16_t column;
    uint8_t threshold, to; /* to: from 0, after the leaf numbers */
    uint16_t fail, pass;
};

struct blend_tree {
    uint32_t first_step, step_count; /* at least one; the last one's `to` is 0 */
    uint32_t first_value;            /* into values: numbers (plain) or bytes / the size of a number (planes) */
    uint32_t leaves;                 /* in the layout: padded for planes (64, 128, 256) */
};

struct blend {
    const struct ranks *ranks; /* borrowed, like order */
    const struct tree_order *order;
    enum blend_leaves layout;
    struct blend_step *steps;
    struct blend_tree *trees; /* [order->count] */
    size_t step_count, step_capacity;
    void *values; /* float or double by the sum type */
    size_t value_count, value_capacity;
    uint32_t leaves_max; /* of a tree */
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
