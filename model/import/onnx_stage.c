/* A tree ensemble as a stage of a network: it takes columns, and its scores are columns again. */
#include <stdlib.h>

#include "model/forest.h"
#include "model/import/onnx_forest.h"
#include "model/import/onnx_network.h"

/* The scores of the file's tensor out of those of the forest: of two classes that share one sum, [1 - p, p]. */
static bool give_scores(struct onnx_network *n, const struct onnx_node *node, uint32_t columns, uint32_t wire)
{
    bool classes = onnx_is(node->op, "TreeEnsembleClassifier");
    if (wire > 0 && columns == 2 && network_width(n->builder.network, wire) == 1) {
        uint32_t other = network_builder_with(&n->builder, wire, NETWORK_FN_SUB_FROM, 1.0f);
        wire = other ? network_builder_concat(&n->builder, (const uint32_t[]){other, wire}, 2) : 0;
    }
    if (wire == 0)
        return onnx_no_room(n, node);
    return onnx_give(n, node, classes ? 1 : 0,
                     (struct onnx_term){.held = ONNX_COLUMNS,
                                        .is_pair = classes && columns == 2,
                                        .type = ONNX_FLOAT,
                                        .rank = 2,
                                        .dims = {ONNX_BATCH, columns},
                                        .wire = wire});
}

static bool ensemble(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct imported stage = {0};
    uint32_t columns;
    if (!x)
        return false;
    bool done = onnx_forest_stage(n->g, node, network_width(n->builder.network, x->wire), &stage, &columns);
    struct forest *forest = stage.forest;
    stage.forest = NULL;
    imported_free(&stage);
    if (!done) {
        forest_free(forest);
        return false;
    }
    return give_scores(n, node, columns, network_builder_forest(&n->builder, x->wire, forest));
}

const struct onnx_operator onnx_stage_operators[] = {
    {"ai.onnx.ml", "TreeEnsembleClassifier", ensemble, 0, 0},
    {"ai.onnx.ml", "TreeEnsembleRegressor", ensemble, 0, 0},
    {"ai.onnx.ml", "TreeEnsemble", ensemble, 0, 0},
    {NULL, NULL, NULL, 0, 0},
};
