#include "kernels/cpu/crown_pages.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/memory.h"
#include "kernels/cpu/preorder.h"

enum { PLACE_MAX = 1 << CROWN_DEPTH_MAX, OWN_PAGE = UINT8_MAX };

int crown_maker_make(struct crown_maker *m, const struct forest *forest)
{
    size_t nodes = forest_largest_tree(forest);
    m->roots = malloc(nodes * sizeof *m->roots);
    m->roots_end = malloc(nodes * sizeof *m->roots_end);
    return shape_make(forest, &m->shape) == 0 && m->roots && m->roots_end ? 0 : -1;
}

void crown_maker_free(struct crown_maker *m)
{
    shape_free(&m->shape);
    free(m->roots);
    free(m->roots_end);
}

void crown_pages_begin(struct crown_maker *m)
{
    m->first_page = m->crown->page_count;
    m->root_count = 0;
}

void crown_put_value(struct crown *crown, size_t at, double value)
{
    if (crown->values32)
        crown->values32[at] = (float)value;
    else
        crown->values64[at] = value;
}

int crown_reserve_values(struct crown *crown, size_t more)
{
    bool is_f32 = crown->ranks->inputs->forest->sum_type == NUMBER_F32;
    void **values = is_f32 ? (void **)&crown->values32 : (void **)&crown->values64;
    return prepared_grow(values, &crown->value_capacity, crown->value_count + more, is_f32 ? 4 : 8);
}

static int reserve_pages(struct crown *crown, size_t more)
{
    size_t need = crown->page_count + more;
    if (need >= CROWN_LEAF >> 4)
        return -1;
    if (prepared_grow((void **)&crown->pages, &crown->page_capacity, need, sizeof *crown->pages) != 0)
        return -1;
    return crown->doublings == 2
               ? 0
               : prepared_grow((void **)&crown->page_values, &crown->page_values_capacity, need, sizeof *crown->page_values);
}

/* --- which subtrees share a page -------------------------------------------------------------------------------------- */

/* As deep as a walk within one page gets. */
static uint32_t steps_max(const struct crown *crown)
{
    return 1u << crown->doublings;
}

/* Splits of a subtree that leaves room for others in its page; 0: it does not fit, or fills the page. */
static uint32_t small_splits(const struct crown_maker *m, uint32_t root)
{
    const struct shape_split *split = &m->shape.splits[root];
    return split->leaves <= CROWN_PAGE_SPLITS && split->depth <= steps_max(m->crown) ? split->leaves - 1 : 0;
}

struct sharing {
    uint8_t page_of[PLACE_MAX]; /* OWN_PAGE, or which of the shared pages */
    uint8_t used[PLACE_MAX];    /* splits in each shared page */
    uint32_t pages;
};

/* The largest first, each into the first page that has room. */
static void share(const struct crown_maker *m, const uint32_t *roots, uint32_t n, uint32_t shared_max, struct sharing *out)
{
    uint32_t sizes = 0;
    out->pages = 0;
    memset(out->page_of, OWN_PAGE, n);
    for (uint32_t i = 0; i < n; i++)
        sizes |= 1u << small_splits(m, roots[i]);
    for (uint32_t size = CROWN_PAGE_SPLITS; size > 0; size--) {
        for (uint32_t i = 0; i < n && sizes >> size & 1; i++) {
            if (small_splits(m, roots[i]) != size)
                continue;
            uint32_t page = 0;
            while (page < out->pages && out->used[page] + size > CROWN_PAGE_SPLITS)
                page++;
            if (page == shared_max)
                continue;
            if (page == out->pages)
                out->used[out->pages++] = 0;
            out->used[page] = (uint8_t)(out->used[page] + size);
            out->page_of[i] = (uint8_t)page;
        }
    }
}

static void open_page(struct crown_maker *m)
{
    m->crown->page_count++;
    m->first_root = m->root_count;
}

/* Where a subtree starts in the page that was opened last. */
static uint32_t add_root(struct crown_maker *m, uint32_t root)
{
    size_t page = m->crown->page_count - 1;
    uint32_t entry = (uint32_t)(page << 4 | (m->root_count - m->first_root));
    m->roots[m->root_count++] = root;
    m->roots_end[page - m->first_page] = m->root_count;
    return entry;
}

int crown_pages_place(struct crown_maker *m, const uint32_t *roots, uint32_t n, uint32_t shared_max, uint32_t *entries)
{
    struct sharing sharing;
    if (reserve_pages(m->crown, n) != 0)
        return -1;
    share(m, roots, n, shared_max, &sharing);
    for (uint32_t page = 0; page < sharing.pages; page++) {
        open_page(m);
        for (uint32_t i = 0; i < n; i++) {
            if (sharing.page_of[i] == page)
                entries[i] = add_root(m, roots[i]);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (sharing.page_of[i] != OWN_PAGE)
            continue;
        open_page(m);
        entries[i] = add_root(m, roots[i]);
    }
    return 0;
}

/* --- filling a page --------------------------------------------------------------------------------------------------- */

/* A child of a split already chosen, which may be chosen itself. */
struct candidate {
    uint32_t split, leaves;
    uint8_t parent, side; /* side: 0 fail, 1 pass */
};

/* Splits chosen for a page, in order: its roots, then children after parents. */
struct page_plan {
    uint32_t splits[CROWN_PAGE_SPLITS];
    uint8_t depths[CROWN_PAGE_SPLITS];
    uint8_t inner[CROWN_PAGE_SPLITS][2]; /* number of the child on that side, where it is in the page; else 0 */
    uint32_t count;
    struct candidate candidates[CROWN_PAGE_SPLITS + 1];
    uint32_t candidate_count;
};

static void choose_split(const struct crown_maker *m, struct page_plan *plan, uint32_t number, uint8_t depth)
{
    const struct shape_split *split = &m->shape.splits[number];
    uint8_t at = (uint8_t)plan->count++;
    plan->splits[at] = number;
    plan->depths[at] = depth;
    for (uint8_t side = 0; side < 2; side++) {
        uint32_t child = side ? split->pass : split->fail;
        plan->inner[at][side] = 0;
        if (!(child & SHAPE_LEAF) && depth < steps_max(m->crown))
            plan->candidates[plan->candidate_count++] =
                (struct candidate){.split = child, .leaves = m->shape.splits[child].leaves, .parent = at, .side = side};
    }
}

/* The splits that most leaves lie below, as far as the page has room and its walk has steps; small subtrees fit whole. */
static void plan_page(const struct crown_maker *m, const uint32_t *roots, uint32_t n, struct page_plan *plan)
{
    plan->count = plan->candidate_count = 0;
    for (uint32_t i = 0; i < n; i++)
        choose_split(m, plan, roots[i], 1);
    bool all_fit = n > 1 || m->shape.splits[roots[0]].leaves <= CROWN_PAGE_SPLITS + 1;
    while (plan->count < CROWN_PAGE_SPLITS && plan->candidate_count > 0) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < plan->candidate_count && !all_fit; i++)
            best = plan->candidates[i].leaves > plan->candidates[best].leaves ? i : best;
        struct candidate chosen = plan->candidates[best];
        plan->candidates[best] = plan->candidates[--plan->candidate_count];
        plan->inner[chosen.parent][chosen.side] = (uint8_t)plan->count;
        choose_split(m, plan, chosen.split, (uint8_t)(plan->depths[chosen.parent] + 1));
    }
}

/* The children of a page's splits that are not in it: leaves get values, others pages. */
struct page_exits {
    uint8_t *next[CROWN_PAGE_SPLITS + 1]; /* what leads to subtree i */
    uint32_t roots[CROWN_PAGE_SPLITS + 1], n, leaves;
};

static void put_next(const struct crown_maker *m, uint8_t *next, uint8_t inner, uint32_t child, struct page_exits *exits)
{
    struct crown *crown = m->crown;
    if (inner)
        *next = inner;
    else if (child & SHAPE_LEAF) {
        *next = (uint8_t)(CROWN_PAGE_LEAF | exits->leaves++);
        crown_put_value(crown, crown->value_count++, m->shape.values[child & ~SHAPE_LEAF]);
    } else {
        exits->next[exits->n] = next;
        exits->roots[exits->n++] = child;
    }
}

/* The page is built aside: pages may move when more are added. */
static int fill_page(struct crown_maker *m, size_t at, const uint32_t *roots, uint32_t n)
{
    struct crown *crown = m->crown;
    struct page_plan plan;
    struct page_exits exits = {.n = 0};
    struct crown_page page = {.first = (uint32_t)crown->page_count};
    uint32_t entries[CROWN_PAGE_SPLITS + 1];
    if (crown_reserve_values(crown, 2 * CROWN_PAGE_SPLITS) != 0)
        return -1;
    plan_page(m, roots, n, &plan);
    if (crown->page_values)
        crown->page_values[at] = (uint32_t)crown->value_count;
    else
        page.first = (uint32_t)crown->value_count;
    for (uint32_t i = 0; i < plan.count; i++) {
        const struct shape_split *split = &m->shape.splits[plan.splits[i]];
        page.columns[i] = (uint8_t)split->column;
        page.thresholds[i] = split->threshold;
        put_next(m, &page.fail[i], plan.inner[i][0], split->fail, &exits);
        put_next(m, &page.pass[i], plan.inner[i][1], split->pass, &exits);
    }
    if (crown_pages_place(m, exits.roots, exits.n, CROWN_PAGE_SHARED_MAX, entries) != 0)
        return -1;
    for (uint32_t i = 0; i < exits.n; i++) {
        uint32_t after = entries[i] - (page.first << 4);
        bool is_shared = after >> 4 < CROWN_PAGE_SHARED_MAX;
        *exits.next[i] = (uint8_t)(is_shared ? CROWN_PAGE_SHARED | after : CROWN_PAGE_PAGE | after >> 4);
    }
    crown->pages[at] = page;
    return 0;
}

int crown_pages_fill(struct crown_maker *m)
{
    uint32_t first_root = 0;
    for (size_t at = m->first_page; at < m->crown->page_count; at++) {
        uint32_t end = m->roots_end[at - m->first_page];
        if (fill_page(m, at, m->roots + first_root, end - first_root) != 0)
            return -1;
        first_root = end;
    }
    return 0;
}
