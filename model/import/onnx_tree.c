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

#include "model/import/onnx_forest.h"

struct lists {
    struct onnx_forest *x;
    struct i32s tree, node, feature, yes, no, tracks;
    struct f64s value;
    uint32_t *order; /* [nodes] entries sorted by tree and node id; NULL where they are listed that way */
    size_t order_capacity;
    uint8_t *seen; /* [nodes] reached from another */
    size_t seen_capacity;
    size_t tree_start; /* where the tree last looked into begins */
    uint32_t *leaf_of; /* [weights] the entry of the leaf; UINT32_MAX: not a leaf, as ONNX Runtime passes over it */
    size_t leaf_of_capacity;
};

static bool fail(struct lists *l, size_t entry, const char *what)
{
    return onnx_fail_node(l->x->g, l->x->node, STATUS_INVALID, "tree %d, node %d: %s", l->tree.items[entry],
                          l->node.items[entry], what);
}

static bool read_values(struct lists *l)
{
    struct onnx_graph *g = l->x->g;
    int32_t type;
    if (!onnx_attribute_numbers(g, l->x->node, "nodes_values_as_tensor", &l->value, &type))
        return false;
    return l->value.size > 0 || onnx_reals(g, l->x->node, "nodes_values", &l->value);
}

static bool read_lists(struct lists *l)
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

static bool before(const struct lists *l, size_t a, size_t b)
{
    const int32_t *tree = l->tree.items, *node = l->node.items;
    return tree[a] < tree[b] || (tree[a] == tree[b] && node[a] < node[b]);
}

/* Heap sort of l->order: in place, and never slower than n log n whatever the file says. */
static void sift(struct lists *l, size_t root, size_t n)
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

static bool sort_entries(struct lists *l)
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

/* The entry of a node; false where there is none. Most files number a tree's nodes in the order in which they list
 * them. */
static bool find(struct lists *l, int32_t tree, int32_t node, uint32_t *out)
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

static bool read_mode(struct lists *l, size_t entry, struct span mode, struct forest_node *out)
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

static bool lead_to(struct lists *l, size_t entry, const char *side, int32_t id, uint32_t *out)
{
    char text[120];
    if (!find(l, l->tree.items[entry], id, out)) {
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

static bool read_node(struct lists *l, size_t i, struct forest_node *out)
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
static bool read_roots(struct lists *l)
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
static bool mark_later_runs(struct lists *l)
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

static bool read_nodes(struct lists *l)
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

/* Which leaf each weight belongs to; counts them in the leaves' `no`. */
static bool place_weights(struct lists *l)
{
    struct onnx_forest *x = l->x;
    size_t n = x->weights.size;
    uint32_t *leaf_of = import_grow(x->g->memory, NULL, &l->leaf_of_capacity, n, sizeof *leaf_of);
    if (!leaf_of)
        return onnx_out_of_memory(x->g);
    l->leaf_of = leaf_of;
    for (size_t i = 0; i < n; i++) {
        int32_t id = x->weight_ids.items[i];
        if (!find(l, x->weight_trees.items[i], x->weight_nodes.items[i], &leaf_of[i]))
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

/* Leaves' entries, together a leaf, in the file's order. A leaf without weights adds nothing: it gets a zero. */
static bool fill_leaves(struct lists *l)
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
    for (uint32_t i = 0; i < f->node_count; i++)
        f->nodes[i].no += f->nodes[i].op == FOREST_LEAF && f->nodes[i].no == 0;
    return true;
}

/*
 * Of two classes, ONNX Runtime takes class 0's sum for class 1's in rows that reach no weight of class 1. That can't
 * happen where some tree has such a weight in each of its leaves, as the converters write them; else the model is
 * refused.
 */
static bool check_second_class(struct lists *l)
{
    struct onnx_forest *x = l->x;
    size_t n = l->tree.size;
    bool second = false;
    memset(l->seen, 0, n);
    for (size_t i = 0; i < x->weights.size; i++) {
        if (x->weight_ids.items[i] != 1 || l->leaf_of[i] == UINT32_MAX)
            continue;
        second = true;
        l->seen[l->leaf_of[i]] = 1;
    }
    if (x->columns != 2 || x->ids != 2 || !onnx_is(x->node->op, "TreeEnsembleClassifier") || !second)
        return true;
    for (size_t i = 0; i < n;) { /* a run of entries with one tree id */
        size_t start = i;
        bool everywhere = true;
        for (; i < n && l->tree.items[i] == l->tree.items[start]; i++)
            everywhere &= x->builder.forest->nodes[i].op != FOREST_LEAF || l->seen[i];
        if (everywhere)
            return true;
    }
    return onnx_fail_node(
        x->g, x->node, STATUS_UNSUPPORTED,
        "no tree has a weight of class 1 in each leaf: ONNX Runtime mixes up the classes of such models");
}

static bool read_weights(struct onnx_forest *x)
{
    bool classes = onnx_is(x->node->op, "TreeEnsembleClassifier");
    struct onnx_graph *g = x->g;
    int32_t type;
    if (!onnx_wholes(g, x->node, classes ? "class_treeids" : "target_treeids", &x->weight_trees) ||
        !onnx_wholes(g, x->node, classes ? "class_nodeids" : "target_nodeids", &x->weight_nodes) ||
        !onnx_wholes(g, x->node, classes ? "class_ids" : "target_ids", &x->weight_ids) ||
        !onnx_attribute_numbers(g, x->node, classes ? "class_weights_as_tensor" : "target_weights_as_tensor",
                                &x->weights, &type))
        return false;
    if (x->weights.size == 0 && !onnx_reals(g, x->node, classes ? "class_weights" : "target_weights", &x->weights))
        return false;
    size_t n = x->weights.size;
    if (n == 0 || x->weight_trees.size != n || x->weight_nodes.size != n || x->weight_ids.size != n)
        return onnx_fail_node(g, x->node, STATUS_INVALID, "its lists of weights are empty or of different lengths");
    return true;
}

bool onnx_read_trees(struct onnx_forest *x)
{
    struct lists l = {.x = x};
    bool read = read_weights(x) && read_lists(&l) && sort_entries(&l) && read_nodes(&l) &&
                (onnx_is(x->node->op, "TreeEnsembleClassifier") ? onnx_classifier(x) : onnx_regressor(x)) &&
                place_weights(&l) && check_second_class(&l) && fill_leaves(&l);
    struct i32s *const whole[] = {&l.tree, &l.node, &l.feature, &l.yes, &l.no, &l.tracks};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        free(whole[i]->items);
    free(l.value.items);
    free(l.order);
    free(l.seen);
    free(l.leaf_of);
    return read;
}
