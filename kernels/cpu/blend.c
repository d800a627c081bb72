#include "kernels/cpu/blend.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/many.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/shape.h"
#include "model/base/check.h"

_Static_assert(RANKS_MAX * 64 <= MANY_RANK_BYTES, "64 rows must fit");
_Static_assert(RANKS_MAX <= 512 && BLEND_NOBODYS < 16, "a step packs them into 9 and 4 bits");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && sizeof(struct blend_step) == 5, "blend_where reads it at once");

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

static struct blend_step make_step(uint32_t column, uint32_t fail, uint32_t pass, uint32_t to)
{
    struct blend_step step = {0};
    uint32_t packed = column | fail << 9 | pass << 13 | to << 17;
    for (int i = 0; i < 3; i++)
        step.where[i] = (uint8_t)(packed >> 8 * i);
    return step;
}

/* Whatever comes: leaf 0. */
static struct blend_step idle_step(uint32_t to)
{
    return make_step(0, BLEND_ZERO, BLEND_ZERO, to);
}

/* Writes the steps of what is below `child`, as tree k of the group; the outcome comes to place `to`. Returns where to read
 * it. At most 255 deep. */
static uint32_t put_steps(struct maker *m, uint32_t k, uint32_t child, uint32_t to)
{
    if (child & SHAPE_LEAF)
        return BLEND_ZERO;
    const struct shape_split *split = &m->shape.splits[child];
    bool fail_first = places_needed(m, split->fail) >= places_needed(m, split->pass);
    uint32_t first = fail_first ? split->fail : split->pass, second = fail_first ? split->pass : split->fail;
    CHECK(to < BLEND_NOBODYS);
    uint32_t first_at = put_steps(m, k, first, to);
    uint32_t second_at = put_steps(m, k, second, first & SHAPE_LEAF ? to : to + 1);
    struct blend_step *step = &m->steps[k][m->step_counts[k]++];
    *step = make_step(split->column, fail_first ? first_at : second_at, fail_first ? second_at : first_at, to);
    step->threshold = split->threshold;
    step->fail_leaves = (uint8_t)shape_leaves(&m->shape, split->fail);
    return to;
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
    uint32_t room = leaves;
    while (blend->layout == BLEND_LEAVES_PLANES && (room & (room - 1)) != 0)
        room += room & -room;
    if (prepared_grow(&blend->values, &blend->value_capacity, blend->value_count + room + 64, /* a plane is read as 64 bytes */
                      number_type_bytes(blend->ranks->inputs->forest->sum_type)) != 0)
        return -1;
    blend->trees[at] = (struct blend_tree){.first_value = (uint32_t)blend->value_count, .leaves = room};
    blend->value_count += room;
    count_places(m);
    m->step_counts[k] = 0;
    if (shape->root & SHAPE_LEAF) /* passed or failed, it is leaf 0 */
        m->steps[k][m->step_counts[k]++] = idle_step(0);
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
            bool is_idle = i >= m->step_counts[k];
            blend->steps[blend->step_count++] = is_idle ? idle_step(BLEND_NOBODYS) : m->steps[k][i];
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

static void rank(const struct many *many, const struct rows *rows, const uint32_t *slots, uint32_t n, uint8_t *out)
{
    const struct blend *blend = many->layout;
    many->kernels->rank_block(blend->ranks, rows, slots, n, out);
}

static uint32_t cache_block(const struct many *many, uint32_t from, uint32_t end)
{
    const struct blend *blend = many->layout;
    size_t value_bytes = number_type_bytes(many->forest->sum_type);
    const struct blend_group *first = &blend->groups[from], *g = first;
    for (; g + 1 < blend->groups + end; g++) {
        size_t steps = (g[1].first_step - first->first_step) * sizeof(struct blend_step);
        uint32_t values = blend->trees[g[1].first_tree].first_value - blend->trees[first->first_tree].first_value;
        if (steps + values * value_bytes >= MANY_CACHE_BYTES)
            break;
    }
    return (uint32_t)(g - blend->groups) + 1;
}

static void add(const struct many *many, const uint8_t *ranks, uint32_t from, uint32_t to, uint32_t n, void *sums)
{
    (void)n;
    many->kernels->blend_block(many->layout, ranks, from, to, sums);
}

void blend_margins(const struct blend *blend, const struct cpu_kernels *kernels, const struct rows *rows, const uint32_t *slots,
                   uint32_t n, double *margins)
{
    const struct many many = {
        .forest = blend->ranks->inputs->forest,
        .kernels = kernels,
        .layout = blend,
        .group_end = blend->group_end,
        .rank_bytes = (size_t)blend->ranks->count * 64,
        .rank = rank,
        .cache_block = cache_block,
        .add = add,
    };
    many_margins(&many, rows, slots, n, margins);
}
