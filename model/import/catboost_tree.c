/* One symmetric tree of CatBoost, written out as a whole binary tree: see catboost.c. */
#include <math.h>

#include "model/import/catboost.h"

enum { DEPTH_MAX = 16 }; /* CatBoost's own limit */

struct split {
    float border;
    uint32_t feature; /* number among the float features */
};

static void read_split(struct catboost *c, struct split *out)
{
    struct span key, type;
    int64_t feature = -1;
    bool has_border = false;
    for (document_object(&c->d); document_key(&c->d, &key);) {
        if (catboost_is(key, "border")) {
            has_border = document_f32(&c->d, &out->border);
        } else if (catboost_is(key, "float_feature_index")) {
            (void)document_i64(&c->d, &feature);
        } else if (catboost_is(key, "split_type")) {
            if (document_text(&c->d, &type) && !catboost_is(type, "FloatFeature"))
                (void)document_fail(&c->d, STATUS_UNSUPPORTED,
                                    "CatBoost splits of type %.*s are not supported, FloatFeature is",
                                    type.len > 30 ? 30 : (int)type.len, type.data);
        } else {
            (void)document_skip(&c->d);
        }
    }
    if (!has_border || !isfinite(out->border) || feature < 0 || feature >= FOREST_FEATURES_MAX)
        (void)document_fail(&c->d, STATUS_INVALID, "a finite border and a feature of at most %d are expected",
                            FOREST_FEATURES_MAX);
    out->feature = (uint32_t)feature;
}

static size_t read_splits(struct catboost *c, struct split splits[DEPTH_MAX])
{
    size_t count = 0;
    for (document_array(&c->d); document_item(&c->d); count++) {
        if (count == DEPTH_MAX) {
            (void)document_fail(&c->d, STATUS_UNSUPPORTED, "a tree with more than %d splits", DEPTH_MAX);
            break;
        }
        read_split(c, &splits[count]);
    }
    return count;
}

/* A node of the leaf: its values, one an output. */
static bool add_leaf(struct catboost *c, size_t leaf, struct forest_node *out)
{
    *out = (struct forest_node){.op = FOREST_LEAF, .yes = c->builder.forest->entry_count, .no = c->outputs};
    for (uint32_t o = 0; o < c->outputs; o++) {
        double value = c->leaf_values.items[leaf * c->outputs + o];
        if (!isfinite(value))
            return document_fail(&c->d, STATUS_INVALID, "leaf_values: the leaf's value is not a finite number");
        if (!(c->outputs > 1 ? builder_value_to(&c->builder, value, o) : builder_value(&c->builder, value)))
            return document_out_of_memory(&c->d);
    }
    return true;
}

/* Nodes of a whole binary tree in levels: node i leads to 2 i + 1 (no) and 2 i + 2 (yes); level k asks split depth - 1
 * - k. */
static bool add_tree(struct catboost *c, const struct split *splits, size_t depth)
{
    struct forest *f = c->builder.forest;
    size_t leaves = (size_t)1 << depth, values = c->leaf_values.size;
    if (values == 0 || values % leaves != 0 || values / leaves > FOREST_OUTPUTS_MAX ||
        (c->outputs > 0 && values != leaves * c->outputs))
        return document_fail(&c->d, STATUS_INVALID, "%zu leaf_values for %zu splits", values, depth);
    c->outputs = (uint32_t)(values / leaves);
    uint32_t root = f->node_count;
    struct forest_node *nodes = builder_nodes(&c->builder, 2 * leaves - 1);
    struct forest_tree *tree = builder_tree(&c->builder);
    if (!nodes || !tree)
        return document_out_of_memory(&c->d);
    tree->root = root;
    size_t node = 0;
    for (size_t level = 0; level < depth; level++) {
        const struct split *split = &splits[depth - 1 - level];
        for (size_t i = 0; i < (size_t)1 << level; i++, node++)
            nodes[node] = (struct forest_node){.op = FOREST_GT,
                                               .threshold = (double)split->border,
                                               .feature = split->feature,
                                               .missing = FOREST_MISSING_NAN,
                                               .no = root + (uint32_t)(2 * node + 1),
                                               .yes = root + (uint32_t)(2 * node + 2)};
    }
    for (size_t leaf = 0; leaf < leaves; leaf++, node++) {
        if (!add_leaf(c, leaf, &nodes[node]))
            return false;
    }
    return true;
}

void catboost_read_tree(struct catboost *c)
{
    struct split splits[DEPTH_MAX];
    size_t depth = 0;
    struct span key;
    c->leaf_values.size = 0;
    for (document_object(&c->d); document_key(&c->d, &key);) {
        if (catboost_is(key, "splits"))
            depth = read_splits(c, splits);
        else if (catboost_is(key, "leaf_values"))
            (void)document_f64s(&c->d, &c->leaf_values);
        else
            (void)document_skip(&c->d);
    }
    if (c->d.status == STATUS_OK)
        (void)add_tree(c, splits, depth);
}
