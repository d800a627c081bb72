/*
 * The kernel for few rows: 64 trees at once, one row.
 *
 * The top of every tree, its *crown*, is completed to a full binary tree of `depth` levels and laid out across 64 trees: at
 * each position, 64 columns and 64 thresholds. The row's ranks lie in registers; a byte shuffle fetches each tree's rank, one
 * comparison decides 64 splits, and a blend from the bottom up leaves in each lane the way that its tree took: the exit.
 *
 * Below the crown the rest of a tree is cut into *pages* of up to 15 splits, one cache line each:
 *
 *     columns[15] | thresholds[15] | fail[15] | pass[15] | first child page, or first value
 *
 * A page is decided at once: all its splits are compared, `next` = pass or fail of each, and next = next[next] doubles the
 * steps taken each time; as children have higher numbers than their parents and exits higher ones than those, a maximum keeps
 * what has arrived. Walks of 64 trees go from page to page together, so that their cache misses overlap.
 *
 * A page holds the top of one subtree, or several small subtrees of one tree as a whole, which start at its first splits: an
 * *entry* is a page's number and the split to start from. Child pages follow each other, those with small subtrees first.
 * Trees that end within 4 levels below the crown have no page below another; such pages say themselves where their values are.
 *
 * A leaf found is a number into values; they are added one after the other, in the order of the trees.
 */
#pragma once

#include "kernels/cpu/ranks.h"

enum {
    CROWN_DEPTH_MAX = 6,
    CROWN_TREES = 64,    /* in a group */
    CROWN_COLUMNS = 256, /* at most; AVX2: 128 */
    CROWN_PAGE_SPLITS = 15,
    /* Exits of a page, as `next` tells them: leaf i of the page; child page i, from its split 0; child page i, from split j. */
    CROWN_PAGE_LEAF = 0x80,   /* | i, below 32 */
    CROWN_PAGE_PAGE = 0xA0,   /* | i, below 32 */
    CROWN_PAGE_SHARED = 0xC0, /* | i << 4 | j, i below 4 */
    CROWN_PAGE_SHARED_MAX = 4,
    CROWN_ROWS = 64, /* whose ranks a call holds at a time */
};

/* Where a walk is: an entry, page << 4 | split, or CROWN_LEAF | a value's number. */
#define CROWN_LEAF (1u << 31)

struct crown_page {
    uint8_t columns[CROWN_PAGE_SPLITS], thresholds[CROWN_PAGE_SPLITS];
    uint8_t fail[CROWN_PAGE_SPLITS], pass[CROWN_PAGE_SPLITS];
    uint32_t first; /* child page 0, where page_values has the values; else the number of the value of leaf exit 0 */
};

struct crown {
    const struct ranks *ranks;      /* borrowed, like order */
    const struct tree_order *order;
    uint32_t depth;                 /* of the crown, 1 .. 6 */
    uint32_t doublings;             /* in a page: 2 where pages have no child pages and are 4 levels deep at most, else 3 */
    uint32_t columns;               /* a row's ranks, padded: 16, 32, 64, 128 or 256 */
    uint32_t group_count;
    uint8_t *tests;                 /* [group][position][2][64]: columns, then thresholds */
    uint32_t *exits;                /* [group * 64 + tree][1 << depth]; NULL: exit e of tree t is value t << depth | e */
    struct crown_page *pages;
    uint32_t *page_values;          /* [page] number of the value of its leaf exit 0; NULL: see crown_page.first */
    size_t page_count, page_capacity, page_values_capacity;
    float *values32;                /* one of the two, by the sum type */
    double *values64;
    size_t value_count, value_capacity;
    uint32_t *blocks;               /* [block_count + 1] first group of each cache block */
    uint32_t block_count;
};

/* Leaves must be plain. depth: of the crown; deeper trees get pages. columns_max: of the kernel that will run it.
 * STATUS_UNSUPPORTED: more columns. STATUS_NO_MEMORY. *out is owned: crown_free. */
MUST_USE enum status crown_make(const struct ranks *ranks, const struct tree_order *order, uint32_t depth, uint32_t columns_max,
                                struct crown **out, struct error *err);
void crown_free(struct crown *crown);
size_t crown_bytes(const struct crown *crown);

struct cpu_kernels;
struct rows;

/* Margins of rows[slots[i]], i < n, into margins[n][outputs]. Any thread; at most 24 KB of stack. */
void crown_margins(const struct crown *crown, const struct cpu_kernels *kernels, const struct rows *rows, const uint32_t *slots,
                   uint32_t n, double *margins);
