#include "kernels/cpu/leaves.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/preorder.h"

static uint32_t leaf_output(const struct forest *forest, const struct forest_tree *tree, const struct forest_node *leaf)
{
    return forest->leaf_outputs && leaf->set == 0 ? forest->leaf_outputs[leaf->yes] : tree->output;
}

/* Whether all leaves of the tree add one number to one output; then *output is it. nodes: room for its nodes. */
static bool tree_is_single(const struct forest *forest, const struct forest_tree *tree, uint32_t *nodes, uint32_t *output)
{
    uint32_t n = forest_preorder(forest, tree->root, nodes);
    bool first = true;
    for (uint32_t i = 0; i < n; i++) {
        const struct forest_node *node = &forest->nodes[nodes[i]];
        if (node->op != FOREST_LEAF)
            continue;
        if (node->set == 0 && node->no != 1)
            return false;
        uint32_t o = leaf_output(forest, tree, node);
        if (!first && o != *output)
            return false;
        *output = o;
        first = false;
    }
    return true;
}

/* Where leaves do not name outputs and all nodes count, trees need no looking into. */
static bool all_leaves_single(const struct forest *forest)
{
    for (uint32_t i = 0; i < forest->node_count; i++) {
        const struct forest_node *node = &forest->nodes[i];
        if (node->op == FOREST_LEAF && node->set == 0 && node->no != 1)
            return false;
    }
    return true;
}

static bool find_outputs(const struct forest *forest, uint32_t *nodes, uint32_t *outputs)
{
    if (!forest->leaf_outputs && forest_all_reached(forest)) {
        for (uint32_t t = 0; t < forest->tree_count; t++)
            outputs[t] = forest->trees[t].output;
        return all_leaves_single(forest);
    }
    for (uint32_t t = 0; t < forest->tree_count; t++) {
        if (!tree_is_single(forest, &forest->trees[t], nodes, &outputs[t]))
            return false;
    }
    return true;
}

/* A counting sort: stable, so that the trees of an output keep their order. */
static void sort_by_output(const struct forest *forest, const uint32_t *outputs, struct tree_order *order)
{
    for (uint32_t t = 0; t < order->count; t++)
        order->output_end[outputs[t]]++;
    uint32_t sum = 0;
    for (uint32_t o = 0; o < forest->outputs; o++) {
        uint32_t trees = order->output_end[o];
        order->output_end[o] = sum; /* where the next tree of this output goes; after the loop below, its end */
        sum += trees;
    }
    for (uint32_t t = 0; t < order->count; t++) {
        uint32_t at = order->output_end[outputs[t]]++;
        order->tree[at] = t;
        order->output[at] = outputs[t];
    }
}

enum status tree_order_make(const struct forest *forest, struct tree_order *out, struct error *err)
{
    *out = (struct tree_order){.count = forest->tree_count};
    out->tree = malloc(forest->tree_count * sizeof *out->tree + 1);
    out->output = calloc(forest->tree_count + 1, sizeof *out->output);
    out->output_end = calloc(forest->outputs + 1, sizeof *out->output_end);
    uint32_t *nodes = malloc(forest_largest_tree(forest) * sizeof *nodes);
    uint32_t *outputs = calloc(forest->tree_count + 1, sizeof *outputs);
    bool enough = out->tree && out->output && out->output_end && nodes && outputs;
    if (enough) {
        out->single = find_outputs(forest, nodes, outputs);
        out->plain = out->single && forest->linear_count == 0;
        if (out->single)
            sort_by_output(forest, outputs, out);
        for (uint32_t t = 0; !out->single && t < forest->tree_count; t++)
            out->tree[t] = t;
    }
    free(nodes);
    free(outputs);
    return enough ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
}

void tree_order_free(struct tree_order *order)
{
    free(order->tree);
    free(order->output);
    free(order->output_end);
    *order = (struct tree_order){0};
}
