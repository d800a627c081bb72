/*
 * One tree of LightGBM: num_leaves - 1 inner nodes and num_leaves leaves, an array a key. A child >= 0 is an inner
 * node, a child c < 0 is leaf ~c; node 0 is the root, except in a tree of one leaf, which has no nodes. In the forest
 * the inner nodes come first, in the file's order, then the leaves.
 *
 *     decision_type   bit 0: by category; bit 1: missing goes left; bits 2-3: what is missing (0 None, 1 Zero, 2 NaN)
 *     number          x <= threshold goes left
 *     category        threshold is the number of a set of categories; its members go left, all else right
 *     linear leaf     leaf_const + coefficients * features, or leaf_value where one of these is NaN
 *
 * Shrinkage, dart's weights and the initial score are in the leaves already.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/lightgbm.h"

void lightgbm_tree_free(struct lightgbm_tree *t)
{
    struct i32s *const whole[] = {&t->feature,       &t->decision,  &t->left,
                                  &t->right,         &t->set_start, &t->leaf_feature_count,
                                  &t->leaf_features, &t->set_words, &t->reached_from};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        free(whole[i]->items);
    struct f64s *const real[] = {&t->threshold, &t->leaf_value, &t->leaf_constant, &t->leaf_coefficients};
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++)
        free(real[i]->items);
}

enum per { PER_NODE, PER_LEAF, PER_OTHER };

struct field {
    const char *key;
    struct i32s *whole; /* one of the two */
    struct f64s *real;
    enum per per;
    bool linear; /* only trees with linear leaves have it */
};

enum { FIELDS = 12 };

static void list_fields(struct lightgbm_tree *t, struct field out[FIELDS])
{
    const struct field fields[FIELDS] = {
        {.key = "split_feature", .whole = &t->feature, .per = PER_NODE},
        {.key = "threshold", .real = &t->threshold, .per = PER_NODE},
        {.key = "decision_type", .whole = &t->decision, .per = PER_NODE},
        {.key = "left_child", .whole = &t->left, .per = PER_NODE},
        {.key = "right_child", .whole = &t->right, .per = PER_NODE},
        {.key = "leaf_value", .real = &t->leaf_value, .per = PER_LEAF},
        {.key = "leaf_const", .real = &t->leaf_constant, .per = PER_LEAF, .linear = true},
        {.key = "num_features", .whole = &t->leaf_feature_count, .per = PER_LEAF, .linear = true},
        {.key = "leaf_features", .whole = &t->leaf_features, .per = PER_OTHER, .linear = true},
        {.key = "leaf_coeff", .real = &t->leaf_coefficients, .per = PER_OTHER, .linear = true},
        {.key = "cat_boundaries", .whole = &t->set_start, .per = PER_OTHER},
        {.key = "cat_threshold", .whole = &t->set_words, .per = PER_OTHER},
    };
    memcpy(out, fields, sizeof fields);
}

static bool read_field(struct lightgbm *l, const struct field *fields, struct span key, struct span value)
{
    struct lightgbm_tree *t = &l->tree;
    if (span_equal(key, "num_leaves", 10)) {
        t->has_leaf_count = true;
        return lightgbm_whole(l, "num_leaves", value, 1, INT32_MAX, &t->leaf_count);
    }
    if (span_equal(key, "num_cat", 7))
        return lightgbm_whole(l, "num_cat", value, 0, INT32_MAX, &t->set_count);
    if (span_equal(key, "is_linear", 9)) {
        int64_t flag = 0;
        bool read = lightgbm_whole(l, "is_linear", value, 0, 1, &flag);
        t->is_linear = flag == 1;
        return read;
    }
    for (size_t i = 0; i < FIELDS; i++) {
        if (!span_equal(key, fields[i].key, strlen(fields[i].key)))
            continue;
        if (fields[i].real)
            return lightgbm_reals(l, fields[i].key, value, fields[i].real);
        if (fields[i].whole == &t->set_words)
            return lightgbm_words(l, fields[i].key, value, fields[i].whole);
        return lightgbm_wholes(l, fields[i].key, value, fields[i].whole);
    }
    return true; /* gains, counts, weights: nothing that a score depends on */
}

static size_t field_size(const struct field *field)
{
    return field->whole ? field->whole->size : field->real->size;
}

static bool check_lengths(struct lightgbm *l, const struct field *fields)
{
    const struct lightgbm_tree *t = &l->tree;
    if (!t->has_leaf_count)
        return lightgbm_fail(l, STATUS_INVALID, "the tree has no num_leaves");
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].per == PER_OTHER || (fields[i].linear && !t->is_linear))
            continue;
        size_t wanted = (size_t)t->leaf_count - (fields[i].per == PER_NODE);
        if (field_size(&fields[i]) != wanted)
            return lightgbm_fail(l, STATUS_INVALID, "%s has %zu entries, num_leaves=%lld wants %zu", fields[i].key,
                                 field_size(&fields[i]), (long long)t->leaf_count, wanted);
    }
    if (t->is_linear && t->leaf_features.size != t->leaf_coefficients.size)
        return lightgbm_fail(l, STATUS_INVALID, "leaf_features has %zu entries, leaf_coeff %zu", t->leaf_features.size,
                             t->leaf_coefficients.size);
    return true;
}

/* Sets of categories: set i is the words cat_boundaries[i] .. cat_boundaries[i + 1] of cat_threshold. */
static bool add_sets(struct lightgbm *l)
{
    struct lightgbm_tree *t = &l->tree;
    struct forest *f = l->builder.forest;
    if (t->set_count == 0)
        return true;
    if (t->set_start.size != (size_t)t->set_count + 1)
        return lightgbm_fail(l, STATUS_INVALID, "cat_boundaries has %zu entries, num_cat=%lld wants %lld",
                             t->set_start.size, (long long)t->set_count, (long long)t->set_count + 1);
    uint32_t first_word = f->set_word_count;
    uint32_t *words = builder_set_words(&l->builder, t->set_words.size);
    if (!words)
        return lightgbm_out_of_memory(l);
    for (size_t i = 0; i < t->set_words.size; i++)
        words[i] = (uint32_t)t->set_words.items[i];
    for (size_t i = 0; i < (size_t)t->set_count; i++) {
        int32_t start = t->set_start.items[i], stop = t->set_start.items[i + 1];
        if (start < 0 || stop < start || (size_t)stop > t->set_words.size)
            return lightgbm_fail(l, STATUS_INVALID,
                                 "cat_boundaries[%zu]: %d .. %d lies outside of cat_threshold (%zu words)", i, start,
                                 stop, t->set_words.size);
        struct forest_set *set = builder_set(&l->builder);
        if (!set)
            return lightgbm_out_of_memory(l);
        *set = (struct forest_set){.first = first_word + (uint32_t)start, .words = (uint32_t)(stop - start)};
    }
    return true;
}

/* The place of a child in the tree's nodes; refused where there is none, or where another node led to it before. */
static bool place_child(struct lightgbm *l, size_t node, const char *side, int32_t child, uint32_t *place)
{
    struct lightgbm_tree *t = &l->tree;
    int64_t inner = t->leaf_count - 1;
    if (child >= inner || (int64_t)~child >= t->leaf_count)
        return lightgbm_fail(l, STATUS_INVALID, "%s[%zu]: child %d does not exist, the tree has %lld leaves", side,
                             node, child, (long long)t->leaf_count);
    *place = child >= 0 ? (uint32_t)child : (uint32_t)(inner + ~child);
    if (*place == 0 || t->reached_from.items[*place])
        return lightgbm_fail(l, STATUS_INVALID, "%s[%zu]: child %d is reached twice: a cycle, not a tree", side, node,
                             child);
    t->reached_from.items[*place] = 1;
    return true;
}

static bool read_test(struct lightgbm *l, size_t i, uint32_t first_set, struct forest_node *node)
{
    static const uint8_t missing[] = {FOREST_MISSING_AS_ZERO, FOREST_MISSING_ZERO, FOREST_MISSING_NAN};
    const struct lightgbm_tree *t = &l->tree;
    int32_t type = t->decision.items[i];
    double threshold = t->threshold.items[i];
    if (type < 0 || type > 11)
        return lightgbm_fail(l, STATUS_INVALID, "decision_type[%zu]: %d is out of range", i, type);
    if (t->feature.items[i] < 0 || t->feature.items[i] >= l->features)
        return lightgbm_fail(l, STATUS_INVALID,
                             "split_feature[%zu]: feature %d does not exist, max_feature_idx is %lld", i,
                             t->feature.items[i], (long long)l->features - 1);
    node->feature = (uint32_t)t->feature.items[i];
    if (type & 1) {
        if (!(threshold >= 0 && threshold < (double)t->set_count && threshold == floor(threshold)))
            return lightgbm_fail(l, STATUS_INVALID, "threshold[%zu]: %g is no set of categories, num_cat is %lld", i,
                                 threshold, (long long)t->set_count);
        node->op = FOREST_MEMBER;
        node->missing = FOREST_MISSING_COMPARE; /* NaN is never a member, whatever the type says */
        node->set = first_set + (uint32_t)threshold;
        return true;
    }
    if (isnan(threshold))
        return lightgbm_fail(l, STATUS_INVALID, "threshold[%zu] is not a number", i);
    node->op = FOREST_LE;
    node->threshold = threshold;
    node->missing = missing[type >> 2];
    node->missing_yes = (type & 2) != 0;
    return true;
}

static bool add_inner_nodes(struct lightgbm *l, struct forest_node *nodes, uint32_t first, uint32_t first_set)
{
    struct lightgbm_tree *t = &l->tree;
    struct i32s *reached = &t->reached_from;
    size_t inner = (size_t)t->leaf_count - 1, total = inner + (size_t)t->leaf_count;
    int32_t *marks = import_grow(&l->memory, reached->items, &reached->capacity, total, sizeof *marks);
    if (!marks)
        return lightgbm_out_of_memory(l);
    reached->items = marks;
    memset(marks, 0, total * sizeof *marks);
    for (size_t i = 0; i < inner; i++) {
        uint32_t left, right;
        if (!place_child(l, i, "left_child", t->left.items[i], &left) ||
            !place_child(l, i, "right_child", t->right.items[i], &right) || !read_test(l, i, first_set, &nodes[i]))
            return false;
        nodes[i].yes = first + left;
        nodes[i].no = first + right;
    }
    return true;
}

/* The terms of one linear leaf, from t->leaf_features[*term] on. */
static bool add_linear(struct lightgbm *l, size_t leaf, size_t *term, struct forest_node *node)
{
    struct lightgbm_tree *t = &l->tree;
    struct forest *f = l->builder.forest;
    int32_t count = t->leaf_feature_count.items[leaf];
    if (count < 0 || (size_t)count > t->leaf_features.size - *term)
        return lightgbm_fail(l, STATUS_INVALID, "num_features[%zu]: %d terms, but leaf_features has %zu left", leaf,
                             count, t->leaf_features.size - *term);
    struct forest_linear *linear = builder_linear(&l->builder);
    if (!linear)
        return lightgbm_out_of_memory(l);
    *linear = (struct forest_linear){
        .constant = t->leaf_constant.items[leaf], .first = f->linear_term_count, .count = (uint32_t)count};
    node->set = f->linear_count;
    for (int32_t i = 0; i < count; i++, (*term)++) {
        int32_t feature = t->leaf_features.items[*term];
        if (feature < 0 || feature >= l->features)
            return lightgbm_fail(l, STATUS_INVALID,
                                 "leaf_features[%zu]: feature %d does not exist, max_feature_idx is %lld", *term,
                                 feature, (long long)l->features - 1);
        if (!builder_linear_term(&l->builder, (uint32_t)feature, t->leaf_coefficients.items[*term]))
            return lightgbm_out_of_memory(l);
    }
    return true;
}

static bool add_leaves(struct lightgbm *l, struct forest_node *leaves)
{
    struct lightgbm_tree *t = &l->tree;
    size_t term = 0;
    for (size_t i = 0; i < (size_t)t->leaf_count; i++) {
        /* A linear leaf without terms can find no NaN: its constant is all there is. */
        bool plain = !t->is_linear || t->leaf_feature_count.items[i] == 0;
        double value = plain && t->is_linear ? t->leaf_constant.items[i] : t->leaf_value.items[i];
        if (!isfinite(value))
            return lightgbm_fail(l, STATUS_INVALID, "leaf_value[%zu]: the leaf's value is not a finite number", i);
        leaves[i] = (struct forest_node){.op = FOREST_LEAF, .yes = l->builder.forest->entry_count, .no = 1};
        if (!builder_value(&l->builder, value))
            return lightgbm_out_of_memory(l);
        if (!plain && !add_linear(l, i, &term, &leaves[i]))
            return false;
    }
    return true;
}

static bool add_tree(struct lightgbm *l)
{
    struct lightgbm_tree *t = &l->tree;
    struct forest *f = l->builder.forest;
    uint32_t root = f->node_count, first_set = f->set_count;
    size_t inner = (size_t)t->leaf_count - 1;
    if (!add_sets(l))
        return false;
    struct forest_node *nodes = builder_nodes(&l->builder, inner + (size_t)t->leaf_count);
    if (!nodes)
        return lightgbm_out_of_memory(l);
    if (!add_inner_nodes(l, nodes, root, first_set) || !add_leaves(l, nodes + inner))
        return false;
    uint32_t output = (uint32_t)(f->tree_count % l->outputs);
    struct forest_tree *tree = builder_tree(&l->builder);
    if (!tree)
        return lightgbm_out_of_memory(l);
    *tree = (struct forest_tree){.root = root, .output = output, .leaves = (uint32_t)t->leaf_count};
    return true;
}

bool lightgbm_read_tree(struct lightgbm *l)
{
    struct lightgbm_tree *t = &l->tree;
    struct field fields[FIELDS];
    list_fields(t, fields);
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].whole)
            fields[i].whole->size = 0;
        else
            fields[i].real->size = 0;
    }
    t->leaf_count = t->set_count = 0;
    t->is_linear = t->has_leaf_count = false;
    struct span line, key, value;
    size_t first_line = l->line;
    while (lightgbm_line(l, &line) && line.len > 0) {
        if (lightgbm_split(line, &key, &value) && !read_field(l, fields, key, value))
            return false;
    }
    size_t next_line = l->line;
    l->line = first_line; /* what is wrong with the tree as a whole is told of its first line */
    bool added = l->status == STATUS_OK && check_lengths(l, fields) && add_tree(l);
    l->line = added ? next_line : first_line;
    return added;
}
