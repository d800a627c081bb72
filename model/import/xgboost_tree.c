/*
 * One tree of XGBoost. The file keeps an array a field, an entry a node; node 0 is the root. Pruned trees leave dead nodes
 * in the arrays, so only what is reached from the root is looked at, checked and kept, numbered anew in the file's order.
 *
 *     leaf      left == -1; its value is its split_condition, or, for leaves with several outputs, the row of leaf_weights
 *               that its right child names (before 3.1: the row of base_weights with the leaf's own number)
 *     number    x < split_condition goes left
 *     category  a member of the node's set goes RIGHT; its split_condition means nothing (older writers put NaN there)
 */
#include "model/import/xgboost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void xgboost_tree_free(struct xgboost_tree *tree)
{
    struct i32s *const whole[] = {&tree->left,       &tree->right,      &tree->feature,           &tree->default_left,
                                  &tree->split_type, &tree->categories, &tree->category_nodes,    &tree->category_segments,
                                  &tree->category_sizes};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        free(whole[i]->items);
    free(tree->condition.items);
    free(tree->leaf_weights.items);
    free(tree->number);
    free(tree->category_of);
}

static bool refuse(struct xgboost *x, size_t node, const char *what, long long value)
{
    return document_fail(&x->d, STATUS_INVALID, "node %zu: %s %lld is out of range", node, what, value);
}

static void read_param(struct xgboost *x)
{
    struct xgboost_tree *t = &x->tree;
    struct span key, text;
    for (document_object(&x->d); document_key(&x->d, &key);) {
        int64_t *out = span_equal(key, "num_nodes", 9)           ? &t->node_count
                       : span_equal(key, "num_feature", 11)      ? &t->feature_count
                       : span_equal(key, "size_leaf_vector", 16) ? &t->leaf_size
                                                                 : NULL;
        if (!out) {
            (void)document_skip(&x->d);
        } else if (document_text(&x->d, &text)) {
            char copy[24] = "", *end = copy;
            if (text.len > 0 && text.len < sizeof copy)
                memcpy(copy, text.data, text.len);
            *out = strtoll(copy, &end, 10);
            if (end == copy || *end != '\0' || *out < 0 || *out > INT32_MAX)
                (void)document_fail(&x->d, STATUS_INVALID, "a count in quotes is expected");
        }
    }
}

struct field {
    const char *name;
    struct i32s *whole; /* one of the two */
    struct f32s *real;
    bool per_node, optional;
};

enum { FIELDS = 11 };

static void list_fields(struct xgboost_tree *t, struct field out[FIELDS])
{
    const struct field fields[FIELDS] = {
        {.name = "left_children", .whole = &t->left, .per_node = true},
        {.name = "right_children", .whole = &t->right, .per_node = true},
        {.name = "split_indices", .whole = &t->feature, .per_node = true},
        {.name = "default_left", .whole = &t->default_left, .per_node = true},
        {.name = "split_conditions", .real = &t->condition, .per_node = true},
        {.name = "split_type", .whole = &t->split_type, .per_node = true, .optional = true}, /* since 1.3 */
        {.name = "categories", .whole = &t->categories},
        {.name = "categories_nodes", .whole = &t->category_nodes},
        {.name = "categories_segments", .whole = &t->category_segments},
        {.name = "categories_sizes", .whole = &t->category_sizes},
        {.name = "leaf_weights", .real = &t->leaf_weights},
    };
    memcpy(out, fields, sizeof fields);
}

static void read_field(struct xgboost *x, const struct field *fields, struct span key)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (!span_equal(key, fields[i].name, strlen(fields[i].name)))
            continue;
        if (fields[i].whole)
            (void)document_i32s(&x->d, fields[i].whole);
        else
            (void)document_f32s(&x->d, fields[i].real);
        return;
    }
    (void)document_skip(&x->d);
}

static bool check_lengths(struct xgboost *x, const struct field *fields)
{
    struct xgboost_tree *t = &x->tree;
    if (t->node_count < 1)
        return document_fail(&x->d, STATUS_INVALID, "tree_param.num_nodes is missing or 0");
    for (size_t i = 0; i < FIELDS; i++) {
        size_t size = fields[i].whole ? fields[i].whole->size : fields[i].real->size;
        if (!fields[i].per_node || size == (size_t)t->node_count || (size == 0 && fields[i].optional))
            continue;
        return document_fail(&x->d, STATUS_INVALID, "%s has %zu entries, num_nodes is %lld", fields[i].name, size,
                             (long long)t->node_count);
    }
    if (t->category_nodes.size != t->category_segments.size || t->category_nodes.size != t->category_sizes.size)
        return document_fail(&x->d, STATUS_INVALID, "categories_nodes, _segments and _sizes have different lengths");
    return true;
}

static bool is_leaf(const struct xgboost_tree *t, size_t node)
{
    return t->left.items[node] == -1;
}

static bool is_categorical(const struct xgboost_tree *t, size_t node)
{
    return t->split_type.size > 0 && t->split_type.items[node] == 1;
}

/* Marks node i as reached, once. */
static bool reach(struct xgboost *x, size_t from, const char *side, int32_t child)
{
    struct xgboost_tree *t = &x->tree;
    if (child < 0 || child >= t->node_count)
        return document_fail(&x->d, STATUS_INVALID, "node %zu: %s child %d does not exist, the tree has %lld nodes", from, side,
                             child, (long long)t->node_count);
    if (t->number[child])
        return document_fail(&x->d, STATUS_INVALID, "node %zu: %s child %d is reached twice: a cycle, not a tree", from, side,
                             child);
    t->number[child] = 1;
    return true;
}

/* Walks the tree from its root, depth first; marks in t->number what is reached. */
static bool mark_reachable(struct xgboost *x)
{
    struct xgboost_tree *t = &x->tree;
    uint32_t stack[FOREST_DEPTH_MAX + 2];
    size_t n = 0;
    memset(t->number, 0, (size_t)t->node_count * sizeof *t->number);
    t->number[0] = 1;
    stack[n++] = 0;
    while (n > 0) {
        size_t node = stack[--n];
        if (is_leaf(t, node))
            continue;
        /* Both children wait at most once a level, so the stack outgrows the depth limit only in deeper trees. */
        if (n + 2 > sizeof stack / sizeof stack[0])
            return document_fail(&x->d, STATUS_UNSUPPORTED, "the tree is deeper than %d", FOREST_DEPTH_MAX);
        if (!reach(x, node, "left", t->left.items[node]) || !reach(x, node, "right", t->right.items[node]))
            return false;
        stack[n++] = (uint32_t)t->right.items[node];
        stack[n++] = (uint32_t)t->left.items[node];
    }
    return true;
}

/* The nodes' new numbers, + 1, in the file's order; how many there are, and how many of them are leaves. */
static uint32_t number_nodes(struct xgboost *x, uint32_t *leaves)
{
    struct xgboost_tree *t = &x->tree;
    uint32_t first = x->forest->node_count, next = first;
    *leaves = 0;
    for (size_t i = 0; i < (size_t)t->node_count; i++) {
        if (!t->number[i])
            continue;
        t->number[i] = ++next;
        *leaves += is_leaf(t, i);
    }
    return next - first;
}

/* Which categories each node has: category_of[node]. */
static bool index_categories(struct xgboost *x)
{
    struct xgboost_tree *t = &x->tree;
    size_t n = (size_t)t->node_count;
    if (t->category_nodes.size == 0 && t->split_type.size == 0)
        return true;
    uint32_t *of = import_grow(&x->memory, t->category_of, &t->category_of_capacity, n, sizeof *of);
    if (!of)
        return document_out_of_memory(&x->d);
    t->category_of = of;
    memset(of, 0, n * sizeof *of);
    for (size_t i = 0; i < t->category_nodes.size; i++) {
        int32_t node = t->category_nodes.items[i];
        int64_t first = t->category_segments.items[i], size = t->category_sizes.items[i];
        if (node < 0 || node >= t->node_count)
            return document_fail(&x->d, STATUS_INVALID, "categories_nodes[%zu]: node %d does not exist", i, node);
        if (of[node])
            return document_fail(&x->d, STATUS_INVALID, "categories_nodes names node %d twice", node);
        if (first < 0 || size < 0 || first + size > (int64_t)t->categories.size)
            return document_fail(&x->d, STATUS_INVALID, "the categories of node %d are outside of the array", node);
        of[node] = (uint32_t)i + 1;
    }
    return true;
}

/* The node's set of categories as a bitset of the forest. */
static bool add_set(struct xgboost *x, size_t node, uint32_t *out)
{
    struct xgboost_tree *t = &x->tree;
    struct forest *f = x->forest;
    uint32_t position = t->category_of[node];
    if (position == 0)
        return document_fail(&x->d, STATUS_INVALID, "node %zu splits by category, but categories_nodes does not name it", node);
    size_t n = (size_t)t->category_sizes.items[position - 1];
    const int32_t *members = n > 0 ? &t->categories.items[t->category_segments.items[position - 1]] : NULL;
    int32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        if (members[i] < 0 || members[i] >= 1 << 24)
            return refuse(x, node, "category", members[i]);
        largest = members[i] > largest ? members[i] : largest;
    }
    uint32_t words = (uint32_t)largest / 32 + 1, first = f->set_word_count;
    struct forest_set *set = builder_set(&x->builder);
    uint32_t *bits = builder_set_words(&x->builder, words);
    if (!set || !bits)
        return document_out_of_memory(&x->d);
    for (size_t i = 0; i < n; i++)
        bits[members[i] / 32] |= UINT32_C(1) << (members[i] % 32);
    *set = (struct forest_set){.first = first, .words = words};
    *out = f->set_count - 1;
    return true;
}

static bool add_split(struct xgboost *x, size_t node, struct forest_node *out)
{
    struct xgboost_tree *t = &x->tree;
    int32_t feature = t->feature.items[node];
    if (feature < 0 || (t->feature_count > 0 && feature >= t->feature_count))
        return document_fail(&x->d, STATUS_INVALID, "node %zu: feature %d does not exist, the tree knows %lld", node, feature,
                             (long long)t->feature_count);
    uint32_t left = t->number[t->left.items[node]] - 1, right = t->number[t->right.items[node]] - 1;
    bool default_left = t->default_left.items[node] != 0;
    *out = (struct forest_node){.feature = (uint32_t)feature, .missing = FOREST_MISSING_NAN};
    if (is_categorical(t, node)) {
        out->op = FOREST_MEMBER;
        out->yes = right;
        out->no = left;
        out->missing_yes = !default_left;
        return add_set(x, node, &out->set);
    }
    if (t->split_type.size > 0 && t->split_type.items[node] != 0)
        return refuse(x, node, "split_type", t->split_type.items[node]);
    if (isnan(t->condition.items[node]))
        return document_fail(&x->d, STATUS_INVALID, "node %zu: its split_condition is not a number", node);
    out->op = FOREST_LT;
    out->threshold = (double)t->condition.items[node];
    out->yes = left;
    out->no = right;
    out->missing_yes = default_left;
    return true;
}

/* The leaf's values: one, or a row of leaf_weights. */
static bool add_leaf(struct xgboost *x, size_t node, struct forest_node *out)
{
    struct xgboost_tree *t = &x->tree;
    size_t count = t->leaf_size > 1 ? (size_t)t->leaf_size : 1;
    const float *values = &t->condition.items[node];
    if (count > 1) {
        int64_t row = t->leaf_row_is_node ? (int64_t)node : t->right.items[node];
        if (row < 0 || (uint64_t)row >= t->leaf_weights.size / count)
            return refuse(x, node, "row of leaf_weights", (long long)row);
        values = &t->leaf_weights.items[(size_t)row * count];
    }
    *out = (struct forest_node){.op = FOREST_LEAF, .yes = x->forest->entry_count, .no = (uint32_t)count};
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return document_fail(&x->d, STATUS_INVALID, "node %zu: the leaf's value is not a finite number", node);
        if (!builder_value(&x->builder, (double)values[i]))
            return document_out_of_memory(&x->d);
    }
    return true;
}

/* Finds the values of leaves with several outputs. */
static bool find_leaf_rows(struct xgboost *x)
{
    struct xgboost_tree *t = &x->tree;
    t->leaf_row_is_node = t->leaf_size > 1 && t->leaf_weights.size == 0;
    x->any_vector_leaf |= t->leaf_size > 1;
    if (!t->leaf_row_is_node)
        return true;
    if (!t->base_weights)
        return document_fail(&x->d, STATUS_INVALID, "neither leaf_weights nor base_weights, for leaves of %lld values", (long long)t->leaf_size);
    return document_f32s_at(&x->d, t->base_weights, &t->leaf_weights);
}

static bool add_nodes(struct xgboost *x, struct forest_node *nodes)
{
    struct xgboost_tree *t = &x->tree;
    for (size_t i = 0; i < (size_t)t->node_count; i++) {
        if (t->number[i] && !(is_leaf(t, i) ? add_leaf(x, i, nodes++) : add_split(x, i, nodes++)))
            return false;
    }
    return true;
}

static bool add_tree(struct xgboost *x)
{
    struct xgboost_tree *t = &x->tree;
    uint32_t *number = import_grow(&x->memory, t->number, &t->number_capacity, (size_t)t->node_count, sizeof *number);
    if (!number)
        return document_out_of_memory(&x->d);
    t->number = number;
    if (!mark_reachable(x) || !index_categories(x) || !find_leaf_rows(x))
        return false;
    if ((uint64_t)x->forest->node_count + (uint64_t)t->node_count >= UINT32_MAX)
        return document_fail(&x->d, STATUS_LIMIT, "more than %u nodes", UINT32_MAX);
    uint32_t leaves, root = x->forest->node_count, count = number_nodes(x, &leaves);
    struct forest_tree *tree = builder_tree(&x->builder);
    struct forest_node *nodes = builder_nodes(&x->builder, count);
    if (!tree || !nodes)
        return document_out_of_memory(&x->d);
    *tree = (struct forest_tree){.root = root, .leaves = leaves};
    return add_nodes(x, nodes);
}

void xgboost_read_tree(struct xgboost *x)
{
    struct xgboost_tree *t = &x->tree;
    struct field fields[FIELDS];
    list_fields(t, fields);
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].whole)
            fields[i].whole->size = 0;
        else
            fields[i].real->size = 0;
    }
    t->node_count = t->feature_count = t->leaf_size = -1;
    t->base_weights = NULL;
    struct span key;
    for (document_object(&x->d); document_key(&x->d, &key);) {
        if (span_equal(key, "base_weights", 12))
            t->base_weights = document_place(&x->d);
        if (span_equal(key, "tree_param", 10))
            read_param(x);
        else
            read_field(x, fields, key);
    }
    if (x->d.status == STATUS_OK && check_lengths(x, fields))
        (void)add_tree(x);
}
