#include "kernels/cpu/crown.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/crown_pages.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/preorder.h"
#include "kernels/ref/forest_reference.h"
#include "model/base/check.h"

enum { BLOCK_BYTES = 256 << 10 }; /* groups that stay in the second-level cache while rows go by */

/* --- crowns ----------------------------------------------------------------------------------------------------------- */

static uint8_t *test_at(const struct crown *crown, uint32_t tree, uint32_t position)
{
    size_t positions = ((size_t)1 << crown->depth) - 1, group = tree / CROWN_TREES;
    return crown->tests + (group * positions + position) * 2 * CROWN_TREES + tree % CROWN_TREES;
}

/* Where walks go on after the crown, [1 << depth] children: to values, or to pages. */
static int put_exits(struct crown_maker *m, uint32_t tree, const uint32_t *children)
{
    struct crown *crown = m->crown;
    uint32_t count = 1u << crown->depth, roots[1 << CROWN_DEPTH_MAX], entries[1 << CROWN_DEPTH_MAX], n = 0;
    uint32_t *exits = crown->exits + ((size_t)tree << crown->depth);
    for (uint32_t e = 0; e < count; e++) {
        if (!(children[e] & SHAPE_LEAF))
            roots[n++] = children[e];
    }
    if (crown_pages_place(m, roots, n, n, entries) != 0 || crown_reserve_values(crown, count) != 0)
        return -1;
    n = 0;
    for (uint32_t e = 0; e < count; e++) {
        if (!(children[e] & SHAPE_LEAF))
            exits[e] = entries[n++];
        else if (e > 0 && children[e] == children[e - 1]) /* a leaf above the crown's end has several exits side by side */
            exits[e] = exits[e - 1];
        else {
            exits[e] = CROWN_LEAF | (uint32_t)crown->value_count;
            crown_put_value(crown, crown->value_count++, m->shape.values[children[e] & ~SHAPE_LEAF]);
        }
    }
    return 0;
}

static int put_crown(struct crown_maker *m, uint32_t tree)
{
    struct crown *crown = m->crown;
    uint32_t children[2 << CROWN_DEPTH_MAX]; /* by position, the root at 0, of position p at 2p + 1 (fail) and 2p + 2 (pass) */
    uint32_t positions = (1u << crown->depth) - 1;
    children[0] = m->shape.root;
    for (uint32_t p = 0; p < positions; p++) {
        uint8_t *test = test_at(crown, tree, p);
        if (children[p] & SHAPE_LEAF) { /* column 0 with threshold 0: whatever comes goes on to the same leaf */
            children[2 * p + 1] = children[2 * p + 2] = children[p];
            continue;
        }
        const struct shape_split *split = &m->shape.splits[children[p]];
        test[0] = (uint8_t)split->column;
        test[CROWN_TREES] = split->threshold;
        children[2 * p + 1] = split->fail;
        children[2 * p + 2] = split->pass;
    }
    if (crown->exits)
        return put_exits(m, tree, children + positions);
    for (uint32_t e = 0; e <= positions; e++)
        crown_put_value(crown, (size_t)tree << crown->depth | e, m->shape.values[children[positions + e] & ~SHAPE_LEAF]);
    return 0;
}

static int put_tree(struct crown_maker *m, uint32_t tree)
{
    shape_read(&m->shape, m->crown->ranks, m->crown->order->tree[tree]);
    crown_pages_begin(m);
    return put_crown(m, tree) == 0 ? crown_pages_fill(m) : -1;
}

static size_t bytes_so_far(const struct crown *crown, uint32_t groups)
{
    size_t value_bytes = crown->values32 ? 4 : 8, exits = crown->exits ? 4 : value_bytes;
    size_t crown_bytes = ((size_t)groups * CROWN_TREES << crown->depth) * (2 + exits);
    return crown_bytes + crown->page_count * (sizeof *crown->pages + (crown->page_values ? 4 : 0)) + (crown->exits ? crown->value_count * value_bytes : 0);
}

static int put_trees(struct crown_maker *m)
{
    struct crown *crown = m->crown;
    size_t block_start = 0;
    for (uint32_t g = 0; g < crown->group_count; g++) {
        size_t bytes = bytes_so_far(crown, g);
        if (g == 0 || bytes - block_start >= BLOCK_BYTES) {
            crown->blocks[crown->block_count++] = g;
            block_start = bytes;
        }
        for (uint32_t t = g * CROWN_TREES; t < (g + 1) * CROWN_TREES && t < crown->order->count; t++) {
            if (put_tree(m, t) != 0)
                return -1;
        }
    }
    crown->blocks[crown->block_count] = crown->group_count;
    /* Lanes without a tree end at once, at a value that nobody adds. */
    for (size_t t = crown->order->count; crown->exits && t < (size_t)crown->group_count * CROWN_TREES; t++) {
        for (size_t e = 0; e < (size_t)1 << crown->depth; e++)
            crown->exits[t << crown->depth | e] = CROWN_LEAF;
    }
    return 0;
}

static int make(struct crown *crown, const struct forest *forest, uint32_t tree_depth)
{
    struct crown_maker m = {.crown = crown};
    size_t lanes = (size_t)crown->group_count * CROWN_TREES;
    crown->tests = prepared_alloc(((lanes << crown->depth) - lanes) * 2);
    crown->blocks = prepared_alloc((crown->group_count + 1) * sizeof *crown->blocks);
    bool enough = crown->tests && crown->blocks && crown_maker_make(&m, forest) == 0;
    if (enough && tree_depth > crown->depth) {
        crown->exits = prepared_alloc((lanes << crown->depth) * sizeof *crown->exits);
        enough = crown->exits && crown_reserve_values(crown, 1) == 0;
    } else if (enough) {
        enough = crown_reserve_values(crown, lanes << crown->depth) == 0;
        crown->value_count = lanes << crown->depth;
    }
    int result = enough ? put_trees(&m) : -1;
    crown_maker_free(&m);
    return result;
}

enum status crown_make(const struct ranks *ranks, const struct tree_order *order, uint32_t depth, uint32_t columns_max,
                       struct crown **out, struct error *err)
{
    const struct forest *forest = ranks->inputs->forest;
    if (ranks->count > columns_max)
        return error_set(err, STATUS_UNSUPPORTED, "%u columns of ranks, more than %u", ranks->count, columns_max);
    CHECK(depth >= 1 && depth <= CROWN_DEPTH_MAX && order->plain);
    struct crown *crown = calloc(1, sizeof *crown);
    uint32_t tree_depth = 0;
    for (uint32_t t = 0; t < forest->tree_count; t++)
        tree_depth = forest->trees[t].depth > tree_depth ? forest->trees[t].depth : tree_depth;
    if (crown) {
        crown->ranks = ranks;
        crown->order = order;
        crown->depth = depth;
        crown->doublings = tree_depth <= depth + 4 ? 2 : 3;
        crown->columns = 16;
        while (crown->columns < ranks->count)
            crown->columns *= 2;
        crown->group_count = (order->count + CROWN_TREES - 1) / CROWN_TREES;
        if (make(crown, forest, tree_depth) == 0) {
            *out = crown;
            return STATUS_OK;
        }
    }
    crown_free(crown);
    return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

void crown_free(struct crown *crown)
{
    if (!crown)
        return;
    free(crown->tests);
    free(crown->exits);
    free(crown->pages);
    free(crown->page_values);
    free(crown->values32);
    free(crown->values64);
    free(crown->blocks);
    free(crown);
}

size_t crown_bytes(const struct crown *crown)
{
    return bytes_so_far(crown, crown->group_count);
}

/* --- computing -------------------------------------------------------------------------------------------------------- */

void crown_margins(const struct crown *crown, const struct cpu_kernels *kernels, const struct rows *rows, const uint32_t *slots,
                   uint32_t n, double *margins)
{
    uint8_t ranks[CROWN_ROWS * CROWN_COLUMNS] __attribute__((aligned(64)));
    const struct forest *forest = crown->ranks->inputs->forest;
    size_t width = crown->columns < 64 ? 64 : crown->columns;
    for (uint32_t first = 0; first < n; first += CROWN_ROWS) {
        uint32_t count = n - first < CROWN_ROWS ? n - first : CROWN_ROWS;
        double *out = margins + (size_t)first * forest->outputs;
        for (uint32_t i = 0; i < count; i++) {
            kernels->rank_row(crown->ranks, (const char *)rows->base + (size_t)slots[first + i] * rows->stride, ranks + i * width);
            forest_reference_start(forest, out + (size_t)i * forest->outputs);
        }
        for (uint32_t b = 0; b < crown->block_count; b++) {
            for (uint32_t i = 0; i < count; i++)
                kernels->crown_groups(crown, ranks + i * width, crown->blocks[b], crown->blocks[b + 1],
                                      out + (size_t)i * forest->outputs);
        }
        for (uint32_t i = 0; i < count; i++)
            forest_reference_finish(forest, out + (size_t)i * forest->outputs);
    }
}
