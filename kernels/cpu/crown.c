#include "kernels/cpu/crown.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/preorder.h"
#include "kernels/cpu/shape.h"
#include "kernels/ref/forest_reference.h"
#include "model/base/check.h"

enum { BLOCK_BYTES = 256 << 10 }; /* groups that stay in the second-level cache while rows go by */

struct maker {
    struct crown *crown;
    struct shape shape;
    uint32_t *page_roots; /* [splits of the largest tree] split at the root of page first_page + i of the tree at hand */
    size_t first_page;
};

/* --- pages ------------------------------------------------------------------------------------------------------------ */

/* A child of a split already chosen, which may be chosen itself. */
struct candidate {
    uint32_t split, leaves;
    uint8_t parent, side; /* side: 0 fail, 1 pass */
};

/* Splits chosen for a page, in order; children after parents. */
struct page_plan {
    uint32_t splits[CROWN_PAGE_SPLITS];
    uint8_t depths[CROWN_PAGE_SPLITS];
    uint8_t inner[CROWN_PAGE_SPLITS][2]; /* number of the child on that side, where it is in the page; else 0 */
    uint32_t count;
    struct candidate candidates[CROWN_PAGE_SPLITS + 1];
    uint32_t candidate_count;
};

static void choose_split(const struct maker *m, struct page_plan *plan, uint32_t number, uint8_t depth, uint8_t depth_max)
{
    const struct shape_split *split = &m->shape.splits[number];
    uint8_t at = (uint8_t)plan->count++;
    plan->splits[at] = number;
    plan->depths[at] = depth;
    for (uint8_t side = 0; side < 2; side++) {
        uint32_t child = side ? split->pass : split->fail;
        plan->inner[at][side] = 0;
        if (!(child & SHAPE_LEAF) && depth < depth_max)
            plan->candidates[plan->candidate_count++] =
                (struct candidate){.split = child, .leaves = m->shape.splits[child].leaves, .parent = at, .side = side};
    }
}

/* The splits that most leaves lie below, as far as the page has room and its walk has steps. */
static void plan_page(const struct maker *m, uint32_t root, uint8_t depth_max, struct page_plan *plan)
{
    plan->count = plan->candidate_count = 0;
    choose_split(m, plan, root, 1, depth_max);
    bool all_fit = m->shape.splits[root].leaves <= CROWN_PAGE_SPLITS + 1;
    while (plan->count < CROWN_PAGE_SPLITS && plan->candidate_count > 0) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < plan->candidate_count && !all_fit; i++)
            best = plan->candidates[i].leaves > plan->candidates[best].leaves ? i : best;
        struct candidate chosen = plan->candidates[best];
        plan->candidates[best] = plan->candidates[--plan->candidate_count];
        plan->inner[chosen.parent][chosen.side] = (uint8_t)plan->count;
        choose_split(m, plan, chosen.split, (uint8_t)(plan->depths[chosen.parent] + 1), depth_max);
    }
}

static void put_value(struct crown *crown, size_t at, double value)
{
    if (crown->values32)
        crown->values32[at] = (float)value;
    else
        crown->values64[at] = value;
}

static int reserve_values(struct crown *crown, size_t more)
{
    bool is_f32 = crown->ranks->inputs->forest->sum_type == NUMBER_F32;
    void **values = is_f32 ? (void **)&crown->values32 : (void **)&crown->values64;
    return prepared_grow(values, &crown->value_capacity, crown->value_count + more, is_f32 ? 4 : 8);
}

static int reserve_pages(struct crown *crown, size_t more)
{
    size_t need = crown->page_count + more;
    if (need >= CROWN_LEAF)
        return -1;
    return prepared_grow((void **)&crown->pages, &crown->page_capacity, need, sizeof *crown->pages) |
           prepared_grow((void **)&crown->page_values, &crown->page_values_capacity, need, sizeof *crown->page_values);
}

/* What `next` holds for a child that is not in the page: an exit. */
static uint8_t page_exit(struct maker *m, uint32_t child, uint32_t *leaf_exits, uint32_t *page_exits)
{
    struct crown *crown = m->crown;
    if (child & SHAPE_LEAF) {
        put_value(crown, crown->value_count++, m->shape.values[child & ~SHAPE_LEAF]);
        return (uint8_t)(CROWN_PAGE_LEAF | (*leaf_exits)++);
    }
    m->page_roots[crown->page_count++ - m->first_page] = child;
    return (uint8_t)(CROWN_PAGE_PAGE | (*page_exits)++);
}

static int put_page(struct maker *m, size_t at, uint8_t depth_max)
{
    struct crown *crown = m->crown;
    struct page_plan plan;
    if (reserve_pages(crown, CROWN_PAGE_SPLITS + 1) != 0 || reserve_values(crown, CROWN_PAGE_SPLITS + 1) != 0)
        return -1;
    plan_page(m, m->page_roots[at - m->first_page], depth_max, &plan);
    struct crown_page *page = &crown->pages[at];
    uint32_t leaf_exits = 0, page_exits = 0;
    page->first_page = (uint32_t)crown->page_count;
    crown->page_values[at] = (uint32_t)crown->value_count;
    for (uint32_t i = 0; i < plan.count; i++) {
        const struct shape_split *split = &m->shape.splits[plan.splits[i]];
        page->columns[i] = (uint8_t)split->column;
        page->thresholds[i] = split->threshold;
        page->fail[i] = plan.inner[i][0] ? plan.inner[i][0] : page_exit(m, split->fail, &leaf_exits, &page_exits);
        page->pass[i] = plan.inner[i][1] ? plan.inner[i][1] : page_exit(m, split->pass, &leaf_exits, &page_exits);
    }
    return 0;
}

/* --- crowns ----------------------------------------------------------------------------------------------------------- */

static uint8_t *test_at(const struct crown *crown, uint32_t tree, uint32_t position)
{
    size_t positions = ((size_t)1 << crown->depth) - 1, group = tree / CROWN_TREES;
    return crown->tests + (group * positions + position) * 2 * CROWN_TREES + tree % CROWN_TREES;
}

/* Where a walk goes on after the crown: a leaf's value, or a new page. */
static int put_exit(struct maker *m, uint32_t tree, uint32_t exit, uint32_t child, uint32_t *last_leaf, uint32_t *last_value)
{
    struct crown *crown = m->crown;
    if (!crown->exits) {
        put_value(crown, (size_t)tree << crown->depth | exit, m->shape.values[child & ~SHAPE_LEAF]);
        return 0;
    }
    uint32_t *out = &crown->exits[(size_t)tree << crown->depth | exit];
    if (!(child & SHAPE_LEAF)) {
        if (reserve_pages(crown, 1) != 0)
            return -1;
        m->page_roots[crown->page_count - m->first_page] = child;
        *out = (uint32_t)crown->page_count++;
        return 0;
    }
    if (child != *last_leaf) { /* a leaf above the crown's end has several exits side by side */
        if (reserve_values(crown, 1) != 0)
            return -1;
        put_value(crown, crown->value_count, m->shape.values[child & ~SHAPE_LEAF]);
        *last_leaf = child;
        *last_value = (uint32_t)crown->value_count++;
    }
    *out = CROWN_LEAF | *last_value;
    return 0;
}

static int put_crown(struct maker *m, uint32_t tree)
{
    struct crown *crown = m->crown;
    uint32_t children[2 << CROWN_DEPTH_MAX]; /* by position, the root at 0, of position p at 2p + 1 (fail) and 2p + 2 (pass) */
    uint32_t positions = (1u << crown->depth) - 1, last_leaf = 0, last_value = 0;
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
    for (uint32_t e = 0; e <= positions; e++) {
        if (put_exit(m, tree, e, children[positions + e], &last_leaf, &last_value) != 0)
            return -1;
    }
    return 0;
}

static int put_tree(struct maker *m, uint32_t tree)
{
    struct crown *crown = m->crown;
    m->first_page = crown->page_count;
    shape_read(&m->shape, crown->ranks, crown->order->tree[tree]);
    if (put_crown(m, tree) != 0)
        return -1;
    uint8_t depth_max = (uint8_t)(1 << crown->doublings);
    for (size_t at = m->first_page; at < crown->page_count; at++) {
        if (put_page(m, at, depth_max) != 0)
            return -1;
    }
    return 0;
}

static size_t bytes_so_far(const struct crown *crown, uint32_t groups)
{
    size_t value_bytes = crown->values32 ? 4 : 8, exits = crown->exits ? 4 : value_bytes;
    size_t crown_bytes = ((size_t)groups * CROWN_TREES << crown->depth) * (2 + exits);
    return crown_bytes + crown->page_count * (sizeof *crown->pages + 4) + (crown->exits ? crown->value_count * value_bytes : 0);
}

static int put_trees(struct maker *m)
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
    struct maker m = {.crown = crown};
    size_t lanes = (size_t)crown->group_count * CROWN_TREES;
    crown->tests = prepared_alloc(((lanes << crown->depth) - lanes) * 2);
    crown->blocks = prepared_alloc((crown->group_count + 1) * sizeof *crown->blocks);
    m.page_roots = malloc(forest_largest_tree(forest) * sizeof *m.page_roots);
    bool enough = crown->tests && crown->blocks && m.page_roots && shape_make(forest, &m.shape) == 0;
    if (enough && tree_depth > crown->depth) {
        crown->exits = prepared_alloc((lanes << crown->depth) * sizeof *crown->exits);
        enough = crown->exits && reserve_values(crown, 1) == 0;
    } else if (enough) {
        enough = reserve_values(crown, lanes << crown->depth) == 0;
        crown->value_count = lanes << crown->depth;
    }
    int result = enough ? put_trees(&m) : -1;
    shape_free(&m.shape);
    free(m.page_roots);
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
