#include "kernels/cpu/tile.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/many.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/shape.h"

_Static_assert(TILE_COLUMNS_MAX * 64 <= MANY_RANK_BYTES, "64 rows must fit");

/* --- laying out ------------------------------------------------------------------------------------------------------- */

/* Bytes of the columns, or of the thresholds, of a level. */
static size_t table_bytes(uint32_t level)
{
    return level < 3 ? 64 : (size_t)TILE_TREES << level;
}

static size_t group_test_bytes(uint32_t depth)
{
    size_t bytes = 0;
    for (uint32_t level = 0; level < depth; level++)
        bytes += 2 * table_bytes(level);
    return bytes;
}

static struct tile_group plan_group(const struct tile *tile, uint32_t first_tree, uint32_t end)
{
    struct tile_group group = {.first_tree = first_tree, .depth = 1};
    for (uint32_t t = first_tree; t < end && group.trees < TILE_TREES; t++, group.trees++) {
        uint32_t depth = tile->ranks->inputs->forest->trees[tile->order->tree[t]].depth;
        group.depth = depth > group.depth ? depth : group.depth;
    }
    group.leaves = 1u << group.depth;
    return group;
}

/* Forms the groups and finds how much room they take. */
static void plan_groups(struct tile *tile)
{
    for (uint32_t o = 0, t = 0; o < tile->ranks->inputs->forest->outputs; o++) {
        while (t < tile->order->output_end[o]) {
            struct tile_group *group = &tile->groups[tile->group_count++];
            *group = plan_group(tile, t, tile->order->output_end[o]);
            group->tests = tile->test_bytes;
            group->first_value = (uint32_t)tile->value_count;
            tile->test_bytes += group_test_bytes(group->depth);
            tile->value_count += (size_t)group->leaves * group->trees;
            t += group->trees;
        }
        tile->group_end[o] = tile->group_count;
    }
}

static void put_value(const struct tile *tile, const struct tile_group *group, uint32_t k, uint32_t leaf, double value)
{
    bool is_f32 = tile->ranks->inputs->forest->sum_type == NUMBER_F32;
    size_t bytes = is_f32 ? 4 : 8;
    float value32 = (float)value;
    const uint8_t *number = is_f32 ? (const uint8_t *)&value32 : (const uint8_t *)&value;
    uint8_t *planes = tile->values + (group->first_value + (size_t)k * group->leaves) * bytes;
    for (size_t b = 0; b < bytes; b++)
        planes[b * group->leaves + leaf] = number[b];
}

/* Tree k of the group, completed to its depth. */
static void put_tree(struct tile *tile, const struct tile_group *group, uint32_t k, const struct shape *shape)
{
    uint32_t level_children[2][1 << TILE_DEPTH_MAX]; /* of this level and the next */
    uint8_t *columns = tile->tests + group->tests;
    level_children[0][0] = shape->root;
    for (uint32_t level = 0; level < group->depth; level++) {
        const uint32_t *children = level_children[level % 2];
        uint32_t *next = level_children[(level + 1) % 2];
        uint8_t *thresholds = columns + table_bytes(level);
        for (uint32_t n = 0; n < 1u << level; n++) {
            next[2 * n] = next[2 * n + 1] = children[n];
            if (children[n] & SHAPE_LEAF)
                continue; /* threshold 0: everything passes */
            const struct shape_split *split = &shape->splits[children[n]];
            columns[(k << level) + n] = (uint8_t)split->column;
            thresholds[(k << level) + n] = split->threshold;
            next[2 * n] = split->fail;
            next[2 * n + 1] = split->pass;
        }
        columns += 2 * table_bytes(level);
    }
    for (uint32_t leaf = 0; leaf < 1u << group->depth; leaf++)
        put_value(tile, group, k, leaf, shape->values[level_children[group->depth % 2][leaf] & ~SHAPE_LEAF]);
}

static int make(struct tile *tile, const struct forest *forest)
{
    struct shape shape;
    tile->groups = prepared_alloc(((size_t)tile->order->count / TILE_TREES + forest->outputs) * sizeof *tile->groups);
    tile->group_end = prepared_alloc(forest->outputs * sizeof *tile->group_end);
    if (!tile->groups || !tile->group_end)
        return -1;
    plan_groups(tile);
    tile->tests = prepared_alloc(tile->test_bytes);
    tile->values = prepared_alloc(tile->value_count * number_type_bytes(forest->sum_type) + 64); /* a plane is read as 64 bytes */
    bool enough = shape_make(forest, &shape) == 0 && tile->tests && tile->values;
    for (uint32_t g = 0; enough && g < tile->group_count; g++) {
        for (uint32_t k = 0; k < tile->groups[g].trees; k++) {
            shape_read(&shape, tile->ranks, tile->order->tree[tile->groups[g].first_tree + k]);
            put_tree(tile, &tile->groups[g], k, &shape);
        }
    }
    shape_free(&shape);
    return enough ? 0 : -1;
}

enum status tile_make(const struct ranks *ranks, const struct tree_order *order, struct tile **out, struct error *err)
{
    const struct forest *forest = ranks->inputs->forest;
    if (ranks->count > TILE_COLUMNS_MAX)
        return error_set(err, STATUS_UNSUPPORTED, "%u columns of ranks, more than %d", ranks->count, TILE_COLUMNS_MAX);
    for (uint32_t t = 0; t < forest->tree_count; t++) {
        if (forest->trees[t].depth > TILE_DEPTH_MAX)
            return error_set(err, STATUS_UNSUPPORTED, "tree %u is %u deep, more than %d", t, forest->trees[t].depth, TILE_DEPTH_MAX);
    }
    struct tile *tile = calloc(1, sizeof *tile);
    if (tile) {
        tile->ranks = ranks;
        tile->order = order;
        tile->columns = 16;
        while (tile->columns < ranks->count)
            tile->columns *= 2;
        if (make(tile, forest) == 0) {
            *out = tile;
            return STATUS_OK;
        }
    }
    tile_free(tile);
    return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

void tile_free(struct tile *tile)
{
    if (!tile)
        return;
    free(tile->groups);
    free(tile->group_end);
    free(tile->tests);
    free(tile->values);
    free(tile);
}

size_t tile_bytes(const struct tile *tile)
{
    return tile->test_bytes + tile->value_count * number_type_bytes(tile->ranks->inputs->forest->sum_type) +
           tile->group_count * sizeof *tile->groups;
}

/* --- computing -------------------------------------------------------------------------------------------------------- */

static void rank(const struct many *many, const struct rows *rows, const uint32_t *slots, uint32_t n, uint8_t *out)
{
    const struct tile *tile = many->layout;
    for (uint32_t i = 0; i < n; i++)
        many->kernels->rank_row(tile->ranks, (const char *)rows->base + (size_t)slots[i] * rows->stride, out + (size_t)i * tile->columns);
}

static uint32_t cache_block(const struct many *many, uint32_t from, uint32_t end)
{
    const struct tile *tile = many->layout;
    size_t value_bytes = number_type_bytes(many->forest->sum_type);
    const struct tile_group *first = &tile->groups[from], *g = first;
    for (; g + 1 < tile->groups + end; g++) {
        if (g[1].tests - first->tests + (g[1].first_value - first->first_value) * value_bytes >= MANY_CACHE_BYTES)
            break;
    }
    return (uint32_t)(g - tile->groups) + 1;
}

static void add(const struct many *many, const uint8_t *ranks, uint32_t from, uint32_t to, uint32_t n, void *sums)
{
    many->kernels->tile_block(many->layout, ranks, from, to, n, sums);
}

void tile_margins(const struct tile *tile, const struct cpu_kernels *kernels, const struct rows *rows, const uint32_t *slots, uint32_t n,
                  double *margins)
{
    const struct many many = {
        .forest = tile->ranks->inputs->forest,
        .kernels = kernels,
        .layout = tile,
        .group_end = tile->group_end,
        .rank_bytes = (size_t)tile->columns * 64,
        .rank = rank,
        .cache_block = cache_block,
        .add = add,
    };
    many_margins(&many, rows, slots, n, margins);
}
