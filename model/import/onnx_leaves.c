/* Weights to leaves: each belongs to a tree and a node, in any order; in the forest those of a leaf stand together. */
#include <math.h>

#include "model/import/onnx_tree.h"

/* Which leaf each weight belongs to; counts them in the leaves' `no`. */
static bool place_weights(struct onnx_lists *l)
{
    struct onnx_forest *x = l->x;
    size_t n = x->weights.size;
    uint32_t *leaf_of = import_grow(x->g->memory, NULL, &l->leaf_of_capacity, n, sizeof *leaf_of);
    if (!leaf_of)
        return onnx_out_of_memory(x->g);
    l->leaf_of = leaf_of;
    for (size_t i = 0; i < n; i++) {
        int32_t id = x->weight_ids.items[i];
        if (!onnx_find_entry(l, x->weight_trees.items[i], x->weight_nodes.items[i], &leaf_of[i]))
            return onnx_fail_node(x->g, x->node, STATUS_INVALID,
                                  "weight %zu belongs to tree %d, node %d, which does not exist", i,
                                  x->weight_trees.items[i], x->weight_nodes.items[i]);
        if (id < 0 || (size_t)id >= x->ids)
            return onnx_fail_node(x->g, x->node, STATUS_INVALID, "weight %zu: class or target %d does not exist", i,
                                  id);
        if (!isfinite(x->weights.items[i]))
            return onnx_fail_node(x->g, x->node, STATUS_INVALID, "weight %zu: the leaf's value is not a finite number",
                                  i);
        struct forest_node *leaf = &x->builder.forest->nodes[leaf_of[i]];
        if (leaf->op != FOREST_LEAF)
            leaf_of[i] = UINT32_MAX;
        else if (x->output_of[id] != ONNX_DROPPED)
            leaf->no++;
    }
    return true;
}

/* Room for the leaves' entries, together a leaf. A leaf without weights adds nothing: it gets a zero. */
static bool place_leaves(struct onnx_lists *l)
{
    struct onnx_forest *x = l->x;
    struct forest *f = x->builder.forest;
    for (uint32_t i = 0; i < f->node_count; i++) {
        struct forest_node *leaf = &f->nodes[i];
        if (leaf->op != FOREST_LEAF)
            continue;
        uint32_t count = leaf->no ? leaf->no : 1;
        leaf->yes = f->entry_count;
        leaf->no = 0;
        for (uint32_t k = 0; k < count; k++) {
            if (!(f->outputs > 1 ? builder_value_to(&x->builder, 0, 0) : builder_value(&x->builder, 0)))
                return onnx_out_of_memory(x->g);
        }
    }
    return true;
}

/* The entries themselves, in the file's order. */
static void fill_leaves(struct onnx_lists *l)
{
    struct onnx_forest *x = l->x;
    struct forest *f = x->builder.forest;
    for (size_t i = 0; i < x->weights.size; i++) {
        uint32_t output = x->output_of[x->weight_ids.items[i]];
        if (l->leaf_of[i] == UINT32_MAX || output == ONNX_DROPPED)
            continue;
        struct forest_node *leaf = &f->nodes[l->leaf_of[i]];
        uint32_t entry = leaf->yes + leaf->no++;
        f->leaf_values[entry] = x->weights.items[i];
        if (f->leaf_outputs)
            f->leaf_outputs[entry] = output;
    }
}

/* Which outputs have a weight in each leaf of the tree of entries [first, end), in the order of trees. */
static void mark_weighted(const struct onnx_lists *l, size_t first, size_t end, bool weighted[FOREST_OUTPUTS_MAX])
{
    const struct forest *f = l->x->builder.forest;
    size_t leaves = 0, count[FOREST_OUTPUTS_MAX] = {0}, counted_at[FOREST_OUTPUTS_MAX] = {0};
    for (size_t i = first; i < end; i++)
        leaves += f->nodes[l->order ? l->order[i] : i].op == FOREST_LEAF;
    for (size_t i = first; i < end; i++) {
        const struct forest_node *leaf = &f->nodes[l->order ? l->order[i] : i];
        for (uint32_t e = leaf->yes; leaf->op == FOREST_LEAF && e < leaf->yes + leaf->no; e++) {
            uint32_t output = f->leaf_outputs ? f->leaf_outputs[e] : 0;
            if (counted_at[output] == i + 1)
                continue; /* a second weight of this leaf */
            counted_at[output] = i + 1;
            weighted[output] |= ++count[output] == leaves;
        }
    }
}

/*
 * For an output that no weight reached, ONNX Runtime does not add up as the standard has it: it leaves the base value
 * out, and of two classes it takes the one for the other. That can't happen where some tree has a weight of the output
 * in each of its leaves, as the converters write them; else the model is refused.
 */
static bool check_weighted(struct onnx_lists *l)
{
    struct onnx_forest *x = l->x;
    bool weighted[FOREST_OUTPUTS_MAX] = {false}, any = false;
    for (uint32_t o = 0; o < x->builder.forest->outputs; o++)
        any |= x->needed[o];
    for (size_t first = 0, end = 0, n = l->tree.size; any && first < n; first = end) {
        int32_t tree = l->tree.items[l->order ? l->order[first] : first];
        while (end < n && l->tree.items[l->order ? l->order[end] : end] == tree)
            end++;
        mark_weighted(l, first, end, weighted);
    }
    for (uint32_t o = 0; o < x->builder.forest->outputs; o++) {
        if (x->needed[o] && !weighted[o])
            return onnx_fail_node(
                x->g, x->node, STATUS_UNSUPPORTED,
                "no tree has a weight of each class or target in all of its leaves: ONNX Runtime adds up "
                "such models otherwise than the standard");
    }
    return true;
}

static void finish_leaves(struct onnx_lists *l)
{
    struct forest *f = l->x->builder.forest;
    for (uint32_t i = 0; i < f->node_count; i++)
        f->nodes[i].no += f->nodes[i].op == FOREST_LEAF && f->nodes[i].no == 0;
}

bool onnx_read_leaves(struct onnx_lists *l)
{
    if (!place_weights(l) || !place_leaves(l))
        return false;
    fill_leaves(l);
    if (!check_weighted(l))
        return false;
    finish_leaves(l);
    return true;
}
