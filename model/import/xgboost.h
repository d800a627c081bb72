/*
 * Private to the XGBoost importer: what is gathered while the document is read, in whatever order its keys come (XGBoost
 * sorts them, so the trees come before the objective, and dart's weights after the trees), and put together at the end.
 */
#pragma once

#include "model/forest.h"
#include "model/import/builder.h"
#include "model/import/document.h"
#include "model/import/import.h"

/* One tree as the file has it, an array a field; reused from tree to tree. */
struct xgboost_tree {
    int64_t node_count, feature_count, leaf_size; /* tree_param; -1: not there */
    struct i32s left, right, feature, default_left, split_type;
    struct f32s condition, leaf_weights;
    const char *base_weights; /* where they stand in the file, or NULL */
    bool leaf_row_is_node;    /* the leaf's row of leaf_weights is its own number */
    struct i32s categories, category_nodes, category_segments, category_sizes;
    /* Made from them: the node's number in the forest, + 1; 0: not reached from the root. */
    uint32_t *number;
    size_t number_capacity;
    /* The node's index + 1 into category_nodes, 0: it has no categories. */
    uint32_t *category_of;
    size_t category_of_capacity;
};

enum xgboost_booster { XGBOOST_NO_BOOSTER, XGBOOST_GBTREE, XGBOOST_DART, XGBOOST_GBLINEAR };

struct xgboost {
    struct document d;
    struct import_memory memory;
    struct imported *out;
    struct error *err;
    struct forest *forest; /* out->forest */
    struct forest_builder builder;
    bool any_vector_leaf;
    struct xgboost_tree tree;

    int32_t version[2]; /* of the writer; the newest where the file does not say */
    enum xgboost_booster booster;
    bool has_learner, has_trees;
    char **names; /* [name_count], owned until they go to `out` */
    size_t name_count, name_capacity;
    char *base_score; /* as text: "5E-1", "[3.3E-1]", "[1E0,2E0]" */
    int64_t features, classes, targets, parallel_trees, declared_trees;
    struct i32s tree_output, first_tree; /* tree_info, iteration_indptr */
    struct f32s weight_drop;
    struct f32s weights; /* gblinear: [features + 1][outputs], the bias last */
};

/* Reads the tree that comes next in x->d and appends it to the forest; failures stick in x->d. */
void xgboost_read_tree(struct xgboost *x);
void xgboost_tree_free(struct xgboost_tree *tree);

/* gblinear: the network of one linear operation; outputs, base values and link are known and in the forest, which goes. */
MUST_USE enum status xgboost_linear(struct xgboost *x);

/* When everything is read: groups, base score, objective, dart's weights, best iteration. */
MUST_USE enum status xgboost_assemble(struct xgboost *x, const struct model_options *options);
