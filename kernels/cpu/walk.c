#include "kernels/cpu/walk.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/memory.h"
#include "kernels/cpu/preorder.h"
#include "kernels/ref/forest_reference.h"
#include "model/base/check.h"

/* limit of a leaf: where leaves are plain, the number of its value (32) or the bits of its value (64); else the number of
 * the forest's node. */
struct walk_node32 {
    int32_t limit;
    uint32_t child, input;
};

struct walk_node64 {
    int64_t limit;
    uint32_t child, input;
};

struct walk {
    const struct inputs *inputs;
    const struct tree_order *order;
    struct walk_node32 *nodes32; /* one of the two, by the forest's input type */
    struct walk_node64 *nodes64;
    uint32_t node_count;
    uint32_t value_count;
    uint32_t *roots;  /* [trees, padded to 8 with a leaf] */
    uint32_t *steps;  /* [trees / 8] of the deepest tree among eight */
    uint32_t *blocks; /* [block_count + 1] first tree of each cache block */
    uint32_t block_count;
    float *values32; /* plain leaves with int32 keys: one of the two, by the sum type */
    double *values64;
};

enum { SCRATCH_BYTES = 40 << 10 }; /* a call's keys */
enum { BLOCK_BYTES = 256 << 10 };  /* nodes that stay in the second-level cache beside the rows */

static const void *rows_at(const struct rows *rows, uint32_t slot)
{
    return (const char *)rows->base + (size_t)slot * rows->stride;
}

/* --- what eight trees' leaves add -------------------------------------------------------------------------------------- */

static inline void add_plain(const struct walk *walk, double *margin, double value)
{
    if (walk->inputs->forest->sum_type == NUMBER_F32)
        *margin = (double)((float)*margin + (float)value);
    else
        *margin += value;
}

static void add_node(const struct walk *walk, uint32_t tree, uint32_t leaf, const void *row, double *margins)
{
    const struct forest *forest = walk->inputs->forest;
    forest_reference_add_leaf(forest, &forest->trees[walk->order->tree[tree]], &forest->nodes[leaf], row, margins);
}

static inline void add32(const struct walk *walk, uint32_t tree, const struct walk_node32 *leaf, const void *row, double *margins)
{
    uint32_t number = (uint32_t)leaf->limit;
    if (walk->values32)
        add_plain(walk, &margins[walk->order->output[tree]], (double)walk->values32[number]);
    else if (walk->values64)
        add_plain(walk, &margins[walk->order->output[tree]], walk->values64[number]);
    else
        add_node(walk, tree, number, row, margins);
}

static inline void add64(const struct walk *walk, uint32_t tree, const struct walk_node64 *leaf, const void *row, double *margins)
{
    if (!walk->order->plain) {
        add_node(walk, tree, (uint32_t)leaf->limit, row, margins);
        return;
    }
    double value;
    memcpy(&value, &leaf->limit, sizeof value);
    add_plain(walk, &margins[walk->order->output[tree]], value);
}

static bool all_at_leaves32(const struct walk *walk, const uint32_t at[8])
{
    bool all = true;
    for (int i = 0; i < 8; i++)
        all = all && walk->nodes32[at[i]].child == at[i];
    return all;
}

static bool all_at_leaves64(const struct walk *walk, const uint32_t at[8])
{
    bool all = true;
    for (int i = 0; i < 8; i++)
        all = all && walk->nodes64[at[i]].child == at[i];
    return all;
}

#define keys32 inputs_keys32
#define keys64 inputs_keys64

#define WALK_KEY int32_t
#define WALK_LOWEST INT32_MIN
#define WALK_NODE walk_node32
#define WALK_NODES nodes32
#define WALK_NAME(name) name##32
#include "kernels/cpu/walk_rows.h"
#undef WALK_KEY
#undef WALK_LOWEST
#undef WALK_NODE
#undef WALK_NODES
#undef WALK_NAME

#define WALK_KEY int64_t
#define WALK_LOWEST INT64_MIN
#define WALK_NODE walk_node64
#define WALK_NODES nodes64
#define WALK_NAME(name) name##64
#include "kernels/cpu/walk_rows.h"

void walk_margins(const struct walk *walk, const struct rows *rows, const uint32_t *slots, uint32_t n, double *margins)
{
    if (walk->nodes32)
        margins32(walk, rows, slots, n, margins);
    else
        margins64(walk, rows, slots, n, margins);
}

/* --- laying out ------------------------------------------------------------------------------------------------------- */

static void set_node(struct walk *walk, uint32_t at, int64_t limit, uint32_t child, uint32_t input)
{
    if (walk->nodes32)
        walk->nodes32[at] = (struct walk_node32){.limit = (int32_t)limit, .child = child, .input = input};
    else
        walk->nodes64[at] = (struct walk_node64){.limit = limit, .child = child, .input = input};
}

static void put_leaf(struct walk *walk, uint32_t at, uint32_t number)
{
    const struct forest *forest = walk->inputs->forest;
    int64_t limit = number;
    if (walk->order->plain) {
        double value = forest->leaf_values[forest->nodes[number].yes];
        if (walk->nodes64)
            memcpy(&limit, &value, sizeof limit);
        else {
            limit = walk->value_count;
            if (walk->values32)
                walk->values32[walk->value_count++] = (float)value;
            else
                walk->values64[walk->value_count++] = value;
        }
    }
    set_node(walk, at, limit, at, walk->inputs->count);
}

/* Puts a tree's nodes breadth first. queue: room for its nodes: the forest's number of what is put at first + i. */
static void put_tree(struct walk *walk, uint32_t root, uint32_t *queue)
{
    const struct forest *forest = walk->inputs->forest;
    uint32_t first = walk->node_count, end = 1;
    queue[0] = root;
    for (uint32_t i = 0; i < end; i++) {
        const struct forest_node *node = &forest->nodes[queue[i]];
        if (node->op == FOREST_LEAF) {
            put_leaf(walk, first + i, queue[i]);
            continue;
        }
        struct inputs_test test = inputs_test_of(walk->inputs, node);
        set_node(walk, first + i, test.limit, first + end, test.input);
        queue[end++] = test.pass_is_yes ? node->no : node->yes;
        queue[end++] = test.pass_is_yes ? node->yes : node->no;
    }
    walk->node_count += end;
}

static size_t node_bytes(const struct walk *walk)
{
    return walk->nodes32 ? sizeof *walk->nodes32 : sizeof *walk->nodes64;
}

static void put_trees(struct walk *walk, uint32_t *queue)
{
    const struct forest *forest = walk->inputs->forest;
    uint32_t count = walk->order->count, block_start = 0;
    for (uint32_t t = 0; t < count; t++) {
        const struct forest_tree *tree = &forest->trees[walk->order->tree[t]];
        bool full = (size_t)(walk->node_count - block_start) * node_bytes(walk) >= BLOCK_BYTES;
        if (t % 8 == 0 && (t == 0 || full)) {
            walk->blocks[walk->block_count++] = t;
            block_start = walk->node_count;
        }
        walk->roots[t] = walk->node_count;
        put_tree(walk, tree->root, queue);
        walk->steps[t / 8] = tree->depth > walk->steps[t / 8] ? tree->depth : walk->steps[t / 8];
    }
    walk->blocks[walk->block_count] = count;
    set_node(walk, walk->node_count, 0, walk->node_count, walk->inputs->count); /* the leaf of the padding */
    for (uint32_t t = count; t % 8 != 0; t++)
        walk->roots[t] = walk->node_count;
}

static int make(struct walk *walk)
{
    const struct forest *forest = walk->inputs->forest;
    size_t nodes = 1, leaves = 0, groups = ((size_t)walk->order->count + 7) / 8;
    for (uint32_t t = 0; t < forest->tree_count; t++) {
        nodes += 2 * (size_t)forest->trees[t].leaves - 1;
        leaves += forest->trees[t].leaves;
    }
    bool is_f32 = forest->input_type == NUMBER_F32;
    if (is_f32)
        walk->nodes32 = prepared_alloc(nodes * sizeof *walk->nodes32);
    else
        walk->nodes64 = prepared_alloc(nodes * sizeof *walk->nodes64);
    if (is_f32 && walk->order->plain && forest->sum_type == NUMBER_F32)
        walk->values32 = prepared_alloc(leaves * sizeof *walk->values32);
    if (is_f32 && walk->order->plain && forest->sum_type == NUMBER_F64)
        walk->values64 = prepared_alloc(leaves * sizeof *walk->values64);
    walk->roots = prepared_alloc(groups * 8 * sizeof *walk->roots);
    walk->steps = prepared_alloc(groups * sizeof *walk->steps);
    walk->blocks = prepared_alloc((groups + 1) * sizeof *walk->blocks);
    uint32_t *queue = malloc(forest_largest_tree(forest) * sizeof *queue);
    bool values = !is_f32 || !walk->order->plain || walk->values32 || walk->values64;
    bool enough = (walk->nodes32 || walk->nodes64) && values && walk->roots && walk->steps && walk->blocks && queue;
    if (enough)
        put_trees(walk, queue);
    free(queue);
    return enough ? 0 : -1;
}

enum status walk_make(const struct inputs *inputs, const struct tree_order *order, struct walk **out, struct error *err)
{
    if (((size_t)inputs->count + 1) * number_type_bytes(inputs->forest->input_type) > SCRATCH_BYTES)
        return error_set(err, STATUS_UNSUPPORTED, "%u inputs are too many for this kernel", inputs->count);
    struct walk *walk = calloc(1, sizeof *walk);
    if (walk) {
        walk->inputs = inputs;
        walk->order = order;
        if (make(walk) == 0) {
            *out = walk;
            return STATUS_OK;
        }
    }
    walk_free(walk);
    return error_set(err, STATUS_NO_MEMORY, "out of memory");
}

void walk_free(struct walk *walk)
{
    if (!walk)
        return;
    free(walk->nodes32);
    free(walk->nodes64);
    free(walk->roots);
    free(walk->steps);
    free(walk->blocks);
    free(walk->values32);
    free(walk->values64);
    free(walk);
}

size_t walk_bytes(const struct walk *walk)
{
    size_t values = walk->values32 ? sizeof(float) : walk->values64 ? sizeof(double) : 0;
    return walk->node_count * node_bytes(walk) + walk->value_count * values + walk->order->count * sizeof *walk->roots;
}
