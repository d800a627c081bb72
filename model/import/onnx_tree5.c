/*
 * TreeEnsemble, ai.onnx.ml 5: inner nodes and leaves in lists of their own; a branch leads to one or the other.
 *
 *     tree_roots                               inner nodes
 *     nodes_modes                              0 LEQ, 1 LT, 2 GTE, 3 GT, 4 EQ, 5 NEQ, 6 MEMBER
 *     nodes_featureids, nodes_splits
 *     nodes_truenodeids, nodes_trueleafs       the entry, and whether it is one of the leaves; the same for false
 *     leaf_targetids, leaf_weights
 *     membership_values                        the sets of the MEMBER nodes one after the other, each ended by NaN
 *
 * In the forest, inner node i is entry i; leaves, which several branches may share, become a node for each branch.
 *
 * A member is equal to a value of its set, as the standard has it. ONNX Runtime cuts fractions off first where a set
 * has a value outside of 1 .. 32; whole categories fare the same in both. It also takes post_transform 1 for LOGISTIC
 * and 2 for SOFTMAX, the other way round than the standard: models that have one are refused.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/onnx_forest.h"

struct lists5 {
    struct onnx_forest *x;
    struct i32s roots, feature, yes, no, yes_leaf, no_leaf, tracks, target;
    struct f64s mode, split, weight, members;
    int32_t number_type;
    size_t member; /* next one of members */
    uint8_t *seen; /* [nodes] */
    size_t seen_capacity;
};

static bool fail(struct lists5 *l, size_t node, const char *what)
{
    return onnx_fail_node(l->x->g, l->x->node, STATUS_INVALID, "entry %zu: %s", node, what);
}

static bool read_lists(struct lists5 *l)
{
    struct onnx_graph *g = l->x->g;
    const struct onnx_node *n = l->x->node;
    int32_t other;
    if (!onnx_wholes(g, n, "tree_roots", &l->roots) || !onnx_wholes(g, n, "nodes_featureids", &l->feature) ||
        !onnx_wholes(g, n, "nodes_truenodeids", &l->yes) || !onnx_wholes(g, n, "nodes_falsenodeids", &l->no) ||
        !onnx_wholes(g, n, "nodes_trueleafs", &l->yes_leaf) || !onnx_wholes(g, n, "nodes_falseleafs", &l->no_leaf) ||
        !onnx_wholes(g, n, "nodes_missing_value_tracks_true", &l->tracks) ||
        !onnx_wholes(g, n, "leaf_targetids", &l->target) ||
        !onnx_attribute_numbers(g, n, "nodes_modes", &l->mode, &other) ||
        !onnx_attribute_numbers(g, n, "nodes_splits", &l->split, &l->number_type) ||
        !onnx_attribute_numbers(g, n, "leaf_weights", &l->weight, &other) ||
        !onnx_attribute_numbers(g, n, "membership_values", &l->members, &other))
        return false;
    size_t nodes = l->feature.size;
    bool whole = l->yes.size == nodes && l->no.size == nodes && l->yes_leaf.size == nodes && l->no_leaf.size == nodes &&
                 l->mode.size == nodes && l->split.size == nodes && (l->tracks.size == nodes || l->tracks.size == 0);
    if (!whole || nodes == 0 || l->roots.size == 0 || l->weight.size == 0 || l->weight.size != l->target.size)
        return onnx_fail_node(g, n, STATUS_INVALID, "its lists are empty or of different lengths");
    if (l->number_type != (l->x->type == NUMBER_F32 ? ONNX_FLOAT : ONNX_DOUBLE))
        return onnx_fail_node(g, n, STATUS_UNSUPPORTED, "nodes_splits are numbers of type %d, the input's are others",
                              (int)l->number_type);
    return true;
}

/* The set of the MEMBER node that comes next in the file. ONNX compares numbers, so only whole ones are in such a set.
 */
static bool read_set(struct lists5 *l, size_t node, uint32_t *out)
{
    size_t first = l->member;
    double largest = 0;
    for (; l->member < l->members.size && !isnan(l->members.items[l->member]); l->member++) {
        double v = l->members.items[l->member];
        if (!(v >= 0 && v < 16777216 && v == floor(v)))
            return onnx_fail_node(l->x->g, l->x->node, STATUS_UNSUPPORTED,
                                  "entry %zu: the member %g; whole numbers from 0 to 16777215 are supported", node, v);
        largest = v > largest ? v : largest;
    }
    struct forest *f = l->x->builder.forest;
    uint32_t first_word = f->set_word_count, words = (uint32_t)largest / 32 + 1;
    uint32_t *bits = builder_set_words(&l->x->builder, words);
    struct forest_set *set = builder_set(&l->x->builder);
    if (!bits || !set)
        return onnx_out_of_memory(l->x->g);
    for (size_t i = first; i < l->member; i++) {
        uint32_t v = (uint32_t)l->members.items[i];
        bits[v / 32] |= UINT32_C(1) << (v % 32);
    }
    l->member++; /* the NaN that ends it */
    *set = (struct forest_set){.first = first_word, .words = words};
    *out = f->set_count - 1;
    return true;
}

static bool read_test(struct lists5 *l, size_t i)
{
    static const uint8_t ops[] = {FOREST_LE, FOREST_LT, FOREST_GE, FOREST_GT, FOREST_EQ, FOREST_NE, FOREST_MEMBER};
    struct onnx_forest *x = l->x;
    struct forest_node node = {.missing = FOREST_MISSING_NAN};
    double mode = l->mode.items[i];
    if (!(mode >= 0 && mode <= 6))
        return fail(l, i, "its mode is not known");
    if (l->feature.items[i] < 0 || (x->features > 0 && (uint32_t)l->feature.items[i] >= x->features))
        return fail(l, i, "its feature does not exist in the input");
    node.op = ops[(size_t)mode];
    node.feature = (uint32_t)l->feature.items[i];
    node.missing_yes = node.op == FOREST_NE || (l->tracks.size > 0 && l->tracks.items[i] != 0);
    if (node.op == FOREST_MEMBER) {
        if (!read_set(l, i, &node.set))
            return false;
    } else {
        node.threshold = l->split.items[i];
        if (isnan(node.threshold))
            return fail(l, i, "its split is not a number");
    }
    x->builder.forest->nodes[i] = node;
    return true;
}

/* The node that a branch leads to: an inner one, or a new one for its leaf. */
static bool lead_to(struct lists5 *l, size_t from, int32_t to, bool is_leaf, uint32_t *out)
{
    struct onnx_forest *x = l->x;
    struct forest *f = x->builder.forest;
    if (to < 0 || (size_t)to >= (is_leaf ? l->weight.size : l->feature.size))
        return fail(l, from,
                    is_leaf ? "it leads to a leaf that does not exist" : "it leads to a node that does not exist");
    if (!is_leaf) {
        if (l->seen[to])
            return fail(l, from, "it leads to a node that is reached twice: a cycle, not a tree");
        l->seen[to] = 1;
        *out = (uint32_t)to;
        return true;
    }
    if (!isfinite(l->weight.items[to]))
        return fail(l, from, "the leaf's value is not a finite number");
    if (l->target.items[to] < 0 || (uint32_t)l->target.items[to] >= f->outputs)
        return fail(l, from, "its leaf's target does not exist");
    struct forest_node *leaf = builder_nodes(&x->builder, 1);
    if (!leaf)
        return onnx_out_of_memory(x->g);
    *out = f->node_count - 1;
    *leaf = (struct forest_node){.op = FOREST_LEAF, .yes = f->entry_count, .no = 1};
    bool added = f->outputs > 1 ? builder_value_to(&x->builder, l->weight.items[to], (uint32_t)l->target.items[to])
                                : builder_value(&x->builder, l->weight.items[to]);
    return added || onnx_out_of_memory(x->g);
}

static bool read_nodes(struct lists5 *l)
{
    struct onnx_forest *x = l->x;
    struct forest *f = x->builder.forest;
    size_t n = l->feature.size;
    uint8_t *seen = import_grow(x->g->memory, NULL, &l->seen_capacity, n, 1);
    l->seen = seen;
    if (!seen || !builder_nodes(&x->builder, n))
        return onnx_out_of_memory(x->g);
    memset(seen, 0, n);
    for (size_t i = 0; i < l->roots.size; i++) {
        int32_t root = l->roots.items[i];
        if (root < 0 || (size_t)root >= n || seen[root])
            return onnx_fail_node(x->g, x->node, STATUS_INVALID,
                                  "tree_roots[%zu]: node %d does not exist, or is a root twice", i, root);
        seen[root] = 1;
        struct forest_tree *tree = builder_tree(&x->builder);
        if (!tree)
            return onnx_out_of_memory(x->g);
        tree->root = (uint32_t)root;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t yes = 0, no = 0;
        if (!read_test(l, i) || !lead_to(l, i, l->yes.items[i], l->yes_leaf.items[i] != 0, &yes) ||
            !lead_to(l, i, l->no.items[i], l->no_leaf.items[i] != 0, &no))
            return false;
        f->nodes[i].yes = yes;
        f->nodes[i].no = no;
    }
    return true;
}

bool onnx_read_trees5(struct onnx_forest *x)
{
    struct lists5 l = {.x = x};
    int64_t post = onnx_whole_or(x->g, x->node, "post_transform", ONNX_POST_NONE);
    int64_t aggregate = onnx_whole_or(x->g, x->node, "aggregate_function", ONNX_SUM);
    x->out->output_type = x->type;
    x->builder.forest->category_rule = FOREST_CATEGORY_EXACT;
    bool read = read_lists(&l);
    if (read && (aggregate < 0 || aggregate > ONNX_MAX))
        read = onnx_fail_node(x->g, x->node, STATUS_INVALID, "its aggregate_function is not known");
    if (read && post != ONNX_POST_NONE)
        read = onnx_fail_node(
            x->g, x->node, STATUS_UNSUPPORTED,
            "post_transform %lld: ONNX Runtime and the standard differ in what it means; put an operator "
            "such as Softmax or Sigmoid behind it instead",
            (long long)post);
    read = read &&
           onnx_targets(x, onnx_whole_or(x->g, x->node, "n_targets", 1), (enum onnx_post)post,
                        (enum onnx_aggregate)aggregate, l.roots.size) &&
           read_nodes(&l);
    struct i32s *const whole[] = {&l.roots, &l.feature, &l.yes, &l.no, &l.yes_leaf, &l.no_leaf, &l.tracks, &l.target};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        free(whole[i]->items);
    struct f64s *const real[] = {&l.mode, &l.split, &l.weight, &l.members};
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++)
        free(real[i]->items);
    free(l.seen);
    return read;
}
