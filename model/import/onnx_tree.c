/*
 * TreeEnsembleClassifier and TreeEnsembleRegressor, ai.onnx.ml 1 and 3: one list a property, all trees one after the
 * other. A node is named by its tree's id and its own; the first node listed of a tree is its root. In the forest, node
 * i is entry i of the lists.
 *
 *     nodes_treeids, nodes_nodeids               who the node is
 *     nodes_modes                                BRANCH_LEQ …, or LEAF
 *     nodes_featureids, nodes_values             what is compared with what (values: _as_tensor where they are doubles)
 *     nodes_truenodeids, nodes_falsenodeids      node ids within the tree
 *     nodes_missing_value_tracks_true            NaN takes the true branch; else NaN compares, so that only "not equal"
 * holds class_* or target_*                        treeids, nodeids, ids, weights: any number of weights a leaf
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/onnx_tree.h"

static bool fail(struct onnx_lists *l, size_t entry, const char *what)
{
    return onnx_fail_node(l->x->g, l->x->node, STATUS_INVALID, "tree %d, node %d: %s", l->tree.items[entry],
                          l->node.items[entry], what);
}

static bool read_values(struct onnx_lists *l)
{
    struct onnx_graph *g = l->x->g;
    int32_t type;
    if (!onnx_attribute_numbers(g, l->x->node, "nodes_values_as_tensor", &l->value, &type))
        return false;
    return l->value.size > 0 || onnx_reals(g, l->x->node, "nodes_values", &l->value);
}

static bool read_lists(struct onnx_lists *l)
{
    struct onnx_graph *g = l->x->g;
    const struct onnx_node *n = l->x->node;
    if (!onnx_wholes(g, n, "nodes_treeids", &l->tree) || !onnx_wholes(g, n, "nodes_nodeids", &l->node) ||
        !onnx_wholes(g, n, "nodes_featureids", &l->feature) || !onnx_wholes(g, n, "nodes_truenodeids", &l->yes) ||
        !onnx_wholes(g, n, "nodes_falsenodeids", &l->no) ||
        !onnx_wholes(g, n, "nodes_missing_value_tracks_true", &l->tracks) || !read_values(l))
        return false;
    const struct {
        const char *name;
        size_t size;
    } sizes[] = {
        {"nodes_nodeids", l->node.size},
        {"nodes_featureids", l->feature.size},
        {"nodes_truenodeids", l->yes.size},
        {"nodes_falsenodeids", l->no.size},
        {"nodes_values", l->value.size},
        {"nodes_missing_value_tracks_true", l->tracks.size ? l->tracks.size : l->tree.size},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i].size != l->tree.size)
            return onnx_fail_node(g, n, STATUS_INVALID, "%s has %zu entries, nodes_treeids %zu", sizes[i].name,
                                  sizes[i].size, l->tree.size);
    }
    return l->tree.size > 0 || onnx_fail_node(g, n, STATUS_INVALID, "it has no nodes");
}

static bool before(const struct onnx_lists *l, size_t a, size_t b)
{
    const int32_t *tree = l->tree.items, *node = l->node.items;
    return tree[a] < tree[b] || (tree[a] == tree[b] && node[a] < node[b]);
}

/* Heap sort of l->order: in place, and never slower than n log n whatever the file says. */
static void sift(struct onnx_lists *l, size_t root, size_t n)
{
    for (size_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
        if (child + 1 < n && before(l, l->order[child], l->order[child + 1]))
            child++;
        if (!before(l, l->order[root], l->order[child]))
            return;
        uint32_t entry = l->order[root];
        l->order[root] = l->order[child];
        l->order[child] = entry;
        root = child;
    }
}

static bool sort_entries(struct onnx_lists *l)
{
    size_t n = l->tree.size;
    bool sorted = true;
    for (size_t i = 1; i < n && sorted; i++)
        sorted = before(l, i - 1, i);
    if (sorted)
        return true;
    uint32_t *order = import_grow(l->x->g->memory, NULL, &l->order_capacity, n, sizeof *order);
    if (!order)
        return onnx_out_of_memory(l->x->g);
    l->order = order;
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n / 2; i-- > 0;)
        sift(l, i, n);
    for (size_t last = n - 1; last > 0; last--) {
        uint32_t entry = order[0];
        order[0] = order[last];
        order[last] = entry;
        sift(l, 0, last);
    }
    for (size_t i = 1; i < n; i++) {
        if (!before(l, order[i - 1], order[i]))
            return fail(l, order[i], "is listed twice");
    }
    return true;
}

/* Most files number a tree's nodes in the order in which they list them: that is tried first. */
bool onnx_find_entry(struct onnx_lists *l, int32_t tree, int32_t node, uint32_t *out)
{
    size_t n = l->tree.size, low = 0, high = n;
    if (l->tree.items[l->tree_start] == tree && node >= 0 && (size_t)node < n - l->tree_start) {
        size_t guess = l->tree_start + (size_t)node;
        if (l->tree.items[guess] == tree && l->node.items[guess] == node) {
            *out = (uint32_t)guess;
            return true;
        }
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2, entry = l->order ? l->order[middle] : middle;
        int32_t t = l->tree.items[entry], i = l->node.items[entry];
        if (t == tree && i == node) {
            *out = (uint32_t)entry;
            if ((size_t)node <= entry && l->tree.items[entry - (size_t)node] == tree)
                l->tree_start = entry - (size_t)node;
            return true;
        }
        if (t < tree || (t == tree && i < node))
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool read_mode(struct onnx_lists *l, size_t entry, struct span mode, struct forest_node *out)
{
    static const struct {
        const char *name;
        uint8_t op;
    } modes[] = {
        {"LEAF", FOREST_LEAF},    {"BRANCH_LEQ", FOREST_LE}, {"BRANCH_LT", FOREST_LT},  {"BRANCH_GTE", FOREST_GE},
        {"BRANCH_GT", FOREST_GT}, {"BRANCH_EQ", FOREST_EQ},  {"BRANCH_NEQ", FOREST_NE},
    };
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (onnx_is(mode, modes[i].name)) {
            out->op = modes[i].op;
            return true;
        }
    }
    return fail(l, entry, "its mode is not known");
}

static bool lead_to(struct onnx_lists *l, size_t entry, const char *side, int32_t id, uint32_t *out)
{
    char text[120];
    if (!onnx_find_entry(l, l->tree.items[entry], id, out)) {
        (void)snprintf(text, sizeof text, "its %s branch leads to node %d, which does not exist", side, id);
        return fail(l, entry, text);
    }
    if (l->seen[*out]) {
        (void)snprintf(text, sizeof text, "its %s branch leads to node %d, which is reached twice: a cycle, not a tree",
                       side, id);
        return fail(l, entry, text);
    }
    l->seen[*out] = 1;
    return true;
}

static bool read_node(struct onnx_lists *l, size_t i, struct forest_node *out)
{
    if (out->op == FOREST_LEAF)
        return true;
    if (l->feature.items[i] < 0 || (l->x->features > 0 && (uint32_t)l->feature.items[i] >= l->x->features))
        return fail(l, i, "its feature does not exist in the input");
    if (isnan(l->value.items[i]))
        return fail(l, i, "its value is not a number");
    out->feature = (uint32_t)l->feature.items[i];
    out->threshold = l->value.items[i];
    out->missing = FOREST_MISSING_NAN; /* a comparison with NaN holds for "not equal" alone */
    out->missing_yes = out->op == FOREST_NE || (l->tracks.size > 0 && l->tracks.items[i] != 0);
    return lead_to(l, i, "true", l->yes.items[i], &out->yes) && lead_to(l, i, "false", l->no.items[i], &out->no);
}

/* Each tree's root is the first entry with its id. Entries of a tree need not stand together. */
static bool read_roots(struct onnx_lists *l)
{
    size_t n = l->tree.size;
    for (size_t i = 0; i < n; i++) {
        bool first = i == 0 || l->tree.items[i] != l->tree.items[i - 1];
        if (!first || l->seen[i] == 2)
            continue;
        struct forest_tree *tree = builder_tree(&l->x->builder);
        if (!tree)
            return onnx_out_of_memory(l->x->g);
        tree->root = (uint32_t)i;
        l->seen[i] = 1; /* nothing may lead back to it */
    }
    return true;
}

/* Marks with 2 the entries that begin a run of a tree which was listed before: they are no roots. */
static bool mark_later_runs(struct onnx_lists *l)
{
    size_t n = l->tree.size;
    if (!l->order)
        return true; /* sorted by tree: one run each */
    for (size_t i = 0; i < n;) {
        int32_t tree = l->tree.items[l->order[i]];
        uint32_t first = UINT32_MAX;
        size_t end = i;
        for (; end < n && l->tree.items[l->order[end]] == tree; end++)
            first = l->order[end] < first ? l->order[end] : first;
        for (; i < end; i++)
            l->seen[l->order[i]] = l->order[i] == first ? 0 : 2;
    }
    return true;
}

static bool read_nodes(struct onnx_lists *l)
{
    struct onnx_graph *g = l->x->g;
    size_t n = l->tree.size, i = 0;
    uint8_t *seen = import_grow(g->memory, NULL, &l->seen_capacity, n, 1);
    struct forest_node *nodes = builder_nodes(&l->x->builder, n);
    l->seen = seen;
    if (!seen || !nodes)
        return onnx_out_of_memory(g);
    memset(seen, 0, n);
    struct protobuf texts = onnx_texts(onnx_attribute(g, l->x->node, "nodes_modes"));
    struct span mode;
    for (; onnx_next_text(&texts, &mode); i++) {
        if (i == n || !read_mode(l, i, mode, &nodes[i]))
            break;
    }
    if (i != n)
        return onnx_fail_node(g, l->x->node, STATUS_INVALID,
                              "nodes_modes has not as many entries as nodes_treeids: %zu", n);
    if (!mark_later_runs(l) || !read_roots(l))
        return false;
    for (i = 0; i < n; i++) {
        if (seen[i] == 2)
            seen[i] = 0;
    }
    for (i = 0; i < n; i++) {
        if (i == 0 || l->tree.items[i] != l->tree.items[i - 1])
            l->tree_start = i;
        if (!read_node(l, i, &nodes[i]))
            return false;
    }
    return true;
}

bool onnx_read_trees(struct onnx_forest *x)
{
    struct onnx_lists l = {.x = x};
    bool read = onnx_read_weights(x) && read_lists(&l) && sort_entries(&l) && read_nodes(&l) &&
                (onnx_is(x->node->op, "TreeEnsembleClassifier") ? onnx_classifier(x) : onnx_regressor(x)) &&
                onnx_read_leaves(&l);
    struct i32s *const whole[] = {&l.tree, &l.node, &l.feature, &l.yes, &l.no, &l.tracks};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        free(whole[i]->items);
    free(l.value.items);
    free(l.order);
    free(l.seen);
    free(l.leaf_of);
    return read;
}
