/*
 * Private to the importer of ONNX tree ensembles. A graph is taken where one ensemble gives its score:
 *
 *     input ─ (Identity, Cast, Concat of inputs) ─► ensemble ─ (ZipMap, Identity, Sigmoid …) ─► output
 *
 * onnx_forest.c finds the ensemble and what stands around it, onnx_tree.c and onnx_tree5.c read the trees, onnx_post.c
 * says what a classifier's or regressor's sums mean, onnx_tail.c what the operators behind it do to them.
 */
#pragma once

#include "model/import/builder.h"
#include "model/import/onnx_graph.h"

enum onnx_post { ONNX_POST_NONE, ONNX_POST_SOFTMAX, ONNX_POST_LOGISTIC, ONNX_POST_SOFTMAX_ZERO, ONNX_POST_PROBIT };
enum onnx_aggregate { ONNX_AVERAGE, ONNX_SUM, ONNX_MIN, ONNX_MAX };

struct onnx_forest {
    struct onnx_graph *g;
    struct imported *out;
    struct forest_builder builder;
    const struct onnx_node *node; /* the ensemble */
    enum number_type type;        /* of its input: also that of comparisons and sums */
    uint32_t features;            /* 0: the graph does not say */
    bool both_classes; /* of two with weights of their own, keep the first one's score, too */
    uint32_t columns; /* of the file's tensor, where the scores are now; two classes have 2, and one score */

    /* The leaves' weights as the file lists them (not ml 5). */
    struct i32s weight_trees, weight_nodes, weight_ids;
    struct f64s weights, base;
    /* What a weight's id becomes: an output, or UINT32_MAX where nobody asks for it. */
    uint32_t *output_of;
    size_t output_of_capacity, ids;
    bool needed[FOREST_OUTPUTS_MAX]; /* outputs to which every row must bring a weight */
};

#define ONNX_DROPPED UINT32_MAX

/* Imports the forest that gives the graph's score, link and all. Failure is in x->g->status. */
bool onnx_forest_import(struct onnx_graph *g, struct imported *out);
/* True where the graph has a tree ensemble at all. */
bool onnx_forest_found(const struct onnx_graph *g);
/* One ensemble of float32 rows by itself, into out->forest (owned by the caller, also after a failure); columns: of the
 * tensor that it gives; two classes that share one sum have 2, and one score. */
bool onnx_forest_stage(struct onnx_graph *g, const struct onnx_node *node, uint32_t features, struct imported *out,
                       uint32_t *columns);

/* ai.onnx.ml 1 and 3: weights read into x, then the trees. */
bool onnx_read_trees(struct onnx_forest *x);
bool onnx_read_weights(struct onnx_forest *x);
/* ai.onnx.ml 5. */
bool onnx_read_trees5(struct onnx_forest *x);

/* The meaning of the sums: outputs, base, link, and x->output_of. */
bool onnx_classifier(struct onnx_forest *x);
bool onnx_regressor(struct onnx_forest *x);
/* Of `targets` outputs with a base value each, or none. */
bool onnx_targets(struct onnx_forest *x, int64_t targets, enum onnx_post post, enum onnx_aggregate aggregate,
                  size_t trees);
/* base[outputs] of the forest, zero. */
bool onnx_allocate_base(struct onnx_forest *x, uint32_t outputs);

/* What one operator behind the ensemble does. onnx_tail_input: which of its inputs leads to the ensemble; -1: the
 * operator is not known. */
int onnx_tail_input(struct onnx_graph *g, const struct onnx_node *node);
bool onnx_tail_apply(struct onnx_forest *x, const struct onnx_node *node);
