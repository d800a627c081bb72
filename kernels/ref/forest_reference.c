#include "kernels/ref/forest_reference.h"

#include <math.h>
#include <string.h>

#include "model/base/check.h"

/* LightGBM's kZeroThreshold: the float 1e-35f, widened. */
static const double tiny = (double)1e-35f;

static double feature_value(const struct forest *forest, const void *row, uint32_t feature)
{
    double x = forest->input_type == NUMBER_F32 ? (double)((const float *)row)[feature] : ((const double *)row)[feature];
    return forest->tiny_is_zero && fabs(x) <= tiny ? 0.0 : x;
}

static bool in_set(const struct forest *forest, const struct forest_node *node, double x)
{
    const struct forest_set *set = &forest->sets[node->set];
    if (forest->category_rule == FOREST_CATEGORY_XGBOOST) {
        if (!(x >= 0 && x < 16777216))
            return false;
    } else if (!(x > -1 && x < 2147483648.0)) { /* truncated first: -0.5 is category 0 */
        return false;
    }
    uint32_t v = (uint32_t)(int32_t)x;
    if (forest->category_rule == FOREST_CATEGORY_EXACT && (x < 0 || x != (double)v))
        return false;
    return v / 32 < set->words && (forest->set_words[set->first + v / 32] >> (v % 32) & 1);
}

static bool is_missing(const struct forest_node *node, double x)
{
    switch ((enum forest_missing)node->missing) {
    case FOREST_MISSING_NAN:
        return isnan(x);
    case FOREST_MISSING_ZERO:
        return isnan(x) || fabs(x) <= tiny;
    case FOREST_MISSING_AS_ZERO:
    case FOREST_MISSING_COMPARE:
        return false;
    }
    return false;
}

bool forest_reference_takes_yes(const struct forest *forest, const struct forest_node *node, const void *row)
{
    double x = feature_value(forest, row, node->feature);
    if (is_missing(node, x))
        return node->missing_yes;
    if (node->missing == FOREST_MISSING_AS_ZERO && isnan(x))
        x = 0;
    switch ((enum forest_op)node->op) {
    case FOREST_LT:
        return x < node->threshold;
    case FOREST_LE:
        return x <= node->threshold;
    case FOREST_GT:
        return x > node->threshold;
    case FOREST_GE:
        return x >= node->threshold;
    case FOREST_EQ:
        return x == node->threshold;
    case FOREST_NE:
        return x != node->threshold;
    case FOREST_MEMBER:
        return in_set(forest, node, x);
    case FOREST_LEAF:
        break;
    }
    CHECK(0 && "a leaf has no test");
    return false;
}

static const struct forest_node *walk(const struct forest *forest, uint32_t root, const void *row)
{
    const struct forest_node *node = &forest->nodes[root];
    while (node->op != FOREST_LEAF)
        node = &forest->nodes[forest_reference_takes_yes(forest, node, row) ? node->yes : node->no];
    return node;
}

/* A linear leaf in LightGBM's order: multiply, then add; any NaN among its features gives the plain leaf value. */
static double linear_value(const struct forest *forest, const struct forest_node *leaf, const void *row)
{
    const struct forest_linear *linear = &forest->linear[leaf->set - 1];
    double sum = linear->constant;
    for (uint32_t i = linear->first; i < linear->first + linear->count; i++) {
        double x = feature_value(forest, row, forest->linear_features[i]);
        if (isnan(x))
            return forest->leaf_values[leaf->yes];
        double product = forest->linear_coefficients[i] * x;
        sum += product;
    }
    return sum;
}

static void add(const struct forest *forest, double *margin, double value)
{
    if (forest->sum_type == NUMBER_F32)
        *margin = (double)((float)*margin + (float)value);
    else
        *margin += value;
}

void forest_reference_add_leaf(const struct forest *forest, const struct forest_tree *tree, const struct forest_node *leaf,
                               const void *row, double *margins)
{
    if (leaf->set) {
        add(forest, &margins[tree->output], linear_value(forest, leaf, row));
        return;
    }
    for (uint32_t e = leaf->yes; e < leaf->yes + leaf->no; e++)
        add(forest, &margins[forest->leaf_outputs ? forest->leaf_outputs[e] : tree->output], forest->leaf_values[e]);
}

void forest_reference_start(const struct forest *forest, double *margins)
{
    for (uint32_t o = 0; o < forest->outputs; o++)
        margins[o] = forest->base_first ? forest->base[o] : 0.0;
}

void forest_reference_finish(const struct forest *forest, double *margins)
{
    if (forest->base_first)
        return;
    for (uint32_t o = 0; o < forest->outputs; o++)
        add(forest, &margins[o], forest->base[o]);
}

static void row_margins(const struct forest *forest, const void *row, double *margins)
{
    forest_reference_start(forest, margins);
    for (uint32_t t = 0; t < forest->tree_count; t++) {
        const struct forest_tree *tree = &forest->trees[t];
        forest_reference_add_leaf(forest, tree, walk(forest, tree->root, row), row, margins);
    }
    forest_reference_finish(forest, margins);
}

void forest_reference_margins(const struct forest *forest, const struct rows *rows, const uint32_t *slots, uint32_t n,
                              double *margins)
{
    CHECK(rows->type == forest->input_type && rows->columns >= forest->features);
    for (uint32_t i = 0; i < n; i++)
        row_margins(forest, (const char *)rows->base + (size_t)slots[i] * rows->stride, margins + (size_t)i * forest->outputs);
}
