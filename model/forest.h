/*
 * The inner forest: every tree ensemble that we read becomes this, whatever library wrote it. It says exactly what the
 * library computes; nothing in it is rounded, reordered or merged. The reference kernel walks it as it is; the fast ones
 * build their own layouts from it.
 *
 *     trees[t].root ──► nodes[i] ── x op threshold? ── yes ──► nodes[i].yes
 *                                  │                └─ no ───► nodes[i].no
 *                                  └ op == FOREST_LEAF: the leaf's entries are [first, first + count)
 *                                    in leaf_values / leaf_outputs
 *
 * One transaction's margins: margin[o] = base_first ? base[o] : 0; then, tree after tree in order, each entry of the leaf
 * reached is added to margin[its output], in the forest's sum type; then base[o] is added where the base comes last.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/base/number_type.h"
#include "model/link.h"

/* How a node tests its feature. The comparison is done in the forest's input type. */
enum forest_op {
    FOREST_LEAF,
    FOREST_LT,     /* x <  threshold: XGBoost, ONNX BRANCH_LT */
    FOREST_LE,     /* x <= threshold: LightGBM, scikit-learn */
    FOREST_GT,
    FOREST_GE,
    FOREST_EQ,
    FOREST_NE,
    FOREST_MEMBER, /* trunc(x) is in the node's set of categories; see forest_set */
};

/* What counts as missing at a node; a missing x takes the way that FOREST_MISSING_YES says. */
enum forest_missing {
    FOREST_MISSING_NAN,     /* NaN is missing: XGBoost, LightGBM "NaN" */
    FOREST_MISSING_ZERO,    /* NaN and |x| <= 1e-35f are: LightGBM "Zero" */
    FOREST_MISSING_AS_ZERO, /* nothing is; NaN is read as 0: LightGBM "None" */
    FOREST_MISSING_COMPARE, /* nothing is; NaN goes into the comparison: ONNX without tracks_true */
};

struct forest_node {
    double threshold;     /* LT..NE: the threshold, float32 value where the input type is; MEMBER: unused */
    uint32_t yes, no;     /* node numbers. LEAF: yes = first entry, no = number of entries */
    uint32_t feature;     /* LEAF: 0 */
    uint32_t set;         /* MEMBER: index into sets. Linear leaf: 1 + index into linear; else 0 */
    uint8_t op;           /* enum forest_op */
    uint8_t missing;      /* enum forest_missing */
    bool missing_yes;     /* a missing x takes the yes branch */
};

struct forest_tree {
    uint32_t root;
    uint32_t output; /* where all entries of its leaves go, when leaf_outputs is NULL */
    uint32_t depth;  /* edges on the longest path */
    uint32_t leaves;
};

/* Categories as a bitset: value v is in it iff v / 32 < words and bit v % 32 of word v / 32 is set. How a value becomes v:
 * XGBoost: x < 0 or x >= 16777216: not a member; else trunc. LightGBM: trunc first, then negative or >= 2^31: not a
 * member; NaN is never missing there. ONNX compares numbers: what is not whole, or below 0, is not a member.
 * `category_rule` tells which. */
struct forest_set {
    uint32_t first, words; /* in set_words */
};

enum forest_category_rule { FOREST_CATEGORY_XGBOOST, FOREST_CATEGORY_LIGHTGBM, FOREST_CATEGORY_EXACT };

/* A LightGBM linear leaf: constant + sum of coefficient * x in order; any NaN among its x: the leaf's plain value. */
struct forest_linear {
    double constant;
    uint32_t first, count; /* in linear_features and linear_coefficients */
};

struct forest {
    uint32_t features, outputs;
    enum number_type input_type; /* of rows and comparisons */
    enum number_type sum_type;   /* of leaves and margins */
    bool base_first;
    bool tiny_is_zero; /* LightGBM: every |x| <= 1e-35f becomes +0 before anything else */
    enum forest_category_rule category_rule;

    struct forest_node *nodes;
    uint32_t node_count;
    struct forest_tree *trees;
    uint32_t tree_count;

    double *leaf_values;     /* [entry_count] */
    uint32_t *leaf_outputs;  /* [entry_count], or NULL: see forest_tree.output */
    uint32_t entry_count;
    double *base;            /* [outputs] */

    struct forest_set *sets;
    uint32_t set_count;
    uint32_t *set_words;
    uint32_t set_word_count;

    struct forest_linear *linear;
    uint32_t linear_count;
    uint32_t *linear_features;
    double *linear_coefficients;
    uint32_t linear_term_count;

    enum link link;
    double link_parameter, link_divisor;
};

void forest_free(struct forest *forest);
