#include "kernels/cpu/blend.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/shape.h"
#include "model/base/check.h"

enum {
    NOBODYS_PLACE = BLEND_PLACES - 1,
    RANK_BYTES = 40 << 10,   /* of a call's scratch: ranks of 64 rows or a multiple, RANKS_MAX columns at most */
    BLOCKS_MAX = 16,         /* of 64 rows in the scratch */
    BLOCK_BYTES = 256 << 10, /* trees that stay in the second-level cache while the blocks of rows go by */
};
_Static_assert(RANKS_MAX * 64 <= RANK_BYTES, "one block of rows must fit");

/* --- laying out ------------------------------------------------------------------------------------------------------- */

struct maker {
    struct blend *blend;
    struct shape shape;
    uint8_t *places; /* [splits of the largest tree] that a split needs below it */
    struct blend_step steps[BLEND_SIDE_BY_SIDE][BLEND_LEAVES_MAX]; /* of the group at hand */
    uint32_t step_counts[BLEND_SIDE_BY_SIDE];
};

static uint32_t places_needed(const struct maker *m, uint32_t child)
{
    return child & SHAPE_LEAF ? 0 : m->places[child];
}

static void count_places(struct maker *m)
{
    for (uint32_t i = m->shape.split_count; i-- > 0;) { /* children come after their parents */
        uint32_t fail = places_needed(m, m->shape.splits[i].fail), pass = places_needed(m, m->shape.splits[i].pass);
        uint32_t need = fail == pass ? fail + 1 : fail > pass ? fail : pass;
        m->places[i] = (uint8_t)need;
    }
}

/* Writes the steps of what is below `child`, as tree k of the group; the outcome comes to its place `to`. Returns where to
 * read it. At most 255 deep. */
static uint8_t put_steps(struct maker *m, uint32_t k, uint32_t child, uint32_t to)
{
    if (child & SHAPE_LEAF)
        return BLEND_ZERO;
    const struct shape_split *split = &m->shape.splits[child];
    bool fail_first = places_needed(m, split->fail) >= places_needed(m, split->pass);
    uint32_t first = fail_first ? split->fail : split->pass, second = fail_first ? split->pass : split->fail;
    uint8_t first_at = put_steps(m, k, first, to);
    uint8_t second_at = put_steps(m, k, second, first & SHAPE_LEAF ? to : to + 1);
    uint8_t place = (uint8_t)(k * BLEND_PLACES + to);
    CHECK(to < NOBODYS_PLACE);
    m->steps[k][m->step_counts[k]++] = (struct blend_step){
        .column = split->column,
        .threshold = split->threshold,
        .fail_leaves = (uint8_t)shape_leaves(&m->shape, split->fail),
        .fail = fail_first ? first_at : second_at,
        .pass = fail_first ? second_at : first_at,
        .to = place,
    };
    return place;
}

static void put_value(struct maker *m, const struct blend_tree *tree, uint32_t leaf, double value)
{
    bool is_f32 = m->blend->ranks->inputs->forest->sum_type == NUMBER_F32;
    size_t bytes = is_f32 ? 4 : 8;
    float value32 = (float)value;
    const uint8_t *number = is_f32 ? (const uint8_t *)&value32 : (const uint8_t *)&value;
    uint8_t *out = (uint8_t *)m->blend->values + tree->first_value * bytes;
    for (size_t b = 0; b < bytes; b++)
        out[m->blend->layout == BLEND_LEAVES_PLANES ? b * tree->leaves + leaf : leaf * bytes + b] = number[b];
}

/* Values of tree `at`, and its steps as tree k of the group at hand. */
static int put_tree(struct maker *m, uint32_t at, uint32_t k)
{
    struct blend *blend = m->blend;
    const struct shape *shape = &m->shape;
    shape_read(&m->shape, blend->ranks, blend->order->tree[at]);
    uint32_t leaves = shape->leaf_count;
    uint32_t room = blend->layout == BLEND_LEAVES_PLAIN ? leaves : leaves <= 64 ? 64 : leaves <= 128 ? 128 : 256;
    if (prepared_grow(&blend->values, &blend->value_capacity, blend->value_count + room,
                      number_type_bytes(blend->ranks->inputs->forest->sum_type)) != 0)
        return -1;
    blend->trees[at] = (struct blend_tree){.first_value = (uint32_t)blend->value_count, .leaves = room};
    blend->value_count += room;
    count_places(m);
    m->step_counts[k] = 0;
    if (shape->root & SHAPE_LEAF) /* passed or failed, it is leaf 0 */
        m->steps[k][m->step_counts[k]++] =
            (struct blend_step){.fail = BLEND_ZERO, .pass = BLEND_ZERO, .to = (uint8_t)(k * BLEND_PLACES)};
    else
        (void)put_steps(m, k, shape->root, 0);
    for (uint32_t i = 0; i < leaves; i++)
        put_value(m, &blend->trees[at], i, shape->values[i]);
    return 0;
}

/* Interleaves the steps of up to four trees. */
static int put_group(struct maker *m, uint32_t first_tree, uint32_t trees)
{
    struct blend *blend = m->blend;
    uint32_t steps = 0;
    for (uint32_t k = 0; k < BLEND_SIDE_BY_SIDE; k++) {
        m->step_counts[k] = 0;
        if (k < trees && put_tree(m, first_tree + k, k) != 0)
            return -1;
        steps = m->step_counts[k] > steps ? m->step_counts[k] : steps;
    }
    size_t need = blend->step_count + (size_t)steps * BLEND_SIDE_BY_SIDE;
    if (prepared_grow((void **)&blend->steps, &blend->step_capacity, need, sizeof *blend->steps) != 0)
        return -1;
    blend->groups[blend->group_count++] = (struct blend_group){
        .first_step = (uint32_t)blend->step_count, .steps = steps, .first_tree = first_tree, .trees = trees};
    for (uint32_t i = 0; i < steps; i++) {
        for (uint32_t k = 0; k < BLEND_SIDE_BY_SIDE; k++) {
            struct blend_step nothing = {.fail = BLEND_ZERO, .pass = BLEND_ZERO, .to = (uint8_t)(k * BLEND_PLACES + NOBODYS_PLACE)};
            blend->steps[blend->step_count++] = i < m->step_counts[k] ? m->steps[k][i] : nothing;
        }
    }
    return 0;
}

static enum status put_trees(struct maker *m)
{
    const struct tree_order *order = m->blend->order;
    for (uint32_t o = 0, t = 0; o < m->blend->ranks->inputs->forest->outputs; o++) {
        uint32_t end = order->output_end[o];
        for (; t < end; t += end - t < BLEND_SIDE_BY_SIDE ? end - t : BLEND_SIDE_BY_SIDE) {
            if (put_group(m, t, end - t < BLEND_SIDE_BY_SIDE ? end - t : BLEND_SIDE_BY_SIDE) != 0)
                return STATUS_NO_MEMORY;
        }
        m->blend->group_end[o] = m->blend->group_count;
    }
    return STATUS_OK;
}

static enum status make(struct blend *blend, const struct forest *forest)
{
    struct maker *m = calloc(1, sizeof *m);
    if (!m)
        return STATUS_NO_MEMORY;
    m->blend = blend;
    m->places = malloc(BLEND_LEAVES_MAX);
    blend->trees = prepared_alloc((size_t)blend->order->count * sizeof *blend->trees);
    blend->groups = prepared_alloc(((size_t)blend->order->count / BLEND_SIDE_BY_SIDE + forest->outputs) * sizeof *blend->groups);
    blend->group_end = prepared_alloc(forest->outputs * sizeof *blend->group_end);
    bool enough = shape_make(forest, &m->shape) == 0 && blend->trees && blend->groups && blend->group_end && m->places;
    enum status status = enough ? put_trees(m) : STATUS_NO_MEMORY;
    shape_free(&m->shape);
    free(m->places);
    free(m);
    return status;
}

enum status blend_make(const struct ranks *ranks, const struct tree_order *order, enum blend_leaves layout, struct blend **out,
                       struct error *err)
{
    const struct forest *forest = ranks->inputs->forest;
    for (uint32_t t = 0; t < forest->tree_count; t++) {
        if (forest->trees[t].leaves > BLEND_LEAVES_MAX)
            return error_set(err, STATUS_UNSUPPORTED, "tree %u has %u leaves, more than %d", t, forest->trees[t].leaves,
                             BLEND_LEAVES_MAX);
    }
    struct blend *blend = calloc(1, sizeof *blend);
    if (blend) {
        blend->ranks = ranks;
        blend->order = order;
        blend->layout = layout;
        if (make(blend, forest) == STATUS_OK) {
            *out = blend;
            return STATUS_OK;
        }
    }
    blend_free(blend);
    return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

void blend_free(struct blend *blend)
{
    if (!blend)
        return;
    free(blend->steps);
    free(blend->trees);
    free(blend->groups);
    free(blend->group_end);
    free(blend->values);
    free(blend);
}

size_t blend_bytes(const struct blend *blend)
{
    size_t value_bytes = number_type_bytes(blend->ranks->inputs->forest->sum_type);
    return blend->step_count * sizeof *blend->steps + blend->order->count * sizeof *blend->trees +
           blend->group_count * sizeof *blend->groups + blend->value_count * value_bytes;
}

/* --- computing -------------------------------------------------------------------------------------------------------- */

/* 64 sums, by the sum type, in the kernel's order. */
union sums {
    float f32[64];
    double f64[64];
};

static void start_sums(union sums *sums, const struct forest *forest, uint32_t output)
{
    double start = forest->base_first ? forest->base[output] : 0;
    for (uint32_t i = 0; i < 64; i++) {
        if (forest->sum_type == NUMBER_F32)
            sums->f32[i] = (float)start;
        else
            sums->f64[i] = start;
    }
}

static void finish_sums(const union sums *sums, const struct cpu_kernels *kernels, const struct forest *forest, uint32_t output,
                        uint32_t n, double *margins)
{
    for (uint32_t i = 0; i < n; i++) {
        double *margin = &margins[(size_t)i * forest->outputs + output];
        if (forest->sum_type == NUMBER_F32) {
            float sum = sums->f32[kernels->place32[i]];
            *margin = (double)(forest->base_first ? sum : sum + (float)forest->base[output]);
        } else {
            double sum = sums->f64[kernels->place64[i]];
            *margin = forest->base_first ? sum : sum + forest->base[output];
        }
    }
}

/* One past the last group from `from` on that a cache block holds. */
static uint32_t block_end(const struct blend *blend, uint32_t from, uint32_t end)
{
    size_t value_bytes = number_type_bytes(blend->ranks->inputs->forest->sum_type);
    const struct blend_group *first = &blend->groups[from], *g = first;
    for (; g + 1 < blend->groups + end; g++) {
        size_t steps = (g[1].first_step - first->first_step) * sizeof(struct blend_step);
        uint32_t values = blend->trees[g[1].first_tree].first_value - blend->trees[first->first_tree].first_value;
        if (steps + values * value_bytes >= BLOCK_BYTES)
            break;
    }
    return (uint32_t)(g - blend->groups) + 1;
}

/* The margins of one output for n rows, n <= 64 * BLOCKS_MAX. ranks: [block of 64][column][64]. */
static void add_output(const struct blend *blend, const struct cpu_kernels *kernels, const uint8_t *ranks, uint32_t output, uint32_t n,
                       double *margins)
{
    const struct forest *forest = blend->ranks->inputs->forest;
    union sums sums[BLOCKS_MAX] __attribute__((aligned(64)));
    uint32_t blocks = (n + 63) / 64, end = blend->group_end[output];
    uint32_t from = output > 0 ? blend->group_end[output - 1] : 0;
    for (uint32_t b = 0; b < blocks; b++)
        start_sums(&sums[b], forest, output);
    while (from < end) {
        uint32_t to = block_end(blend, from, end);
        for (uint32_t b = 0; b < blocks; b++)
            kernels->blend_block(blend, ranks + (size_t)b * blend->ranks->count * 64, from, to, &sums[b]);
        from = to;
    }
    for (uint32_t b = 0; b < blocks; b++) {
        uint32_t rows = n - 64 * b < 64 ? n - 64 * b : 64;
        finish_sums(&sums[b], kernels, forest, output, rows, margins + (size_t)b * 64 * forest->outputs);
    }
}

void blend_margins(const struct blend *blend, const struct cpu_kernels *kernels, const struct rows *rows, const uint32_t *slots,
                   uint32_t n, double *margins)
{
    uint8_t ranks[RANK_BYTES] __attribute__((aligned(64)));
    const struct forest *forest = blend->ranks->inputs->forest;
    uint32_t columns = blend->ranks->count, fit = columns ? RANK_BYTES / (columns * 64) : BLOCKS_MAX;
    uint32_t chunk = 64 * (fit < BLOCKS_MAX ? fit : BLOCKS_MAX);
    for (uint32_t first = 0; first < n; first += chunk) {
        uint32_t count = n - first < chunk ? n - first : chunk;
        for (uint32_t i = 0; i < count; i += 64)
            kernels->rank_block(blend->ranks, rows, slots + first + i, count - i < 64 ? count - i : 64, ranks + (size_t)i * columns);
        for (uint32_t o = 0; o < forest->outputs; o++)
            add_output(blend, kernels, ranks, o, count, margins + (size_t)first * forest->outputs);
    }
}
