#include "model/import/onnx_forest.h"

#include <stdlib.h>
#include <string.h>

#include "model/import/document_format.h"

enum { CHAIN_MAX = 16 }; /* operators before or behind the ensemble */

static bool is_ensemble(const struct onnx_node *node)
{
    return onnx_node_is(node, "ai.onnx.ml", "TreeEnsembleClassifier") ||
           onnx_node_is(node, "ai.onnx.ml", "TreeEnsembleRegressor") ||
           onnx_node_is(node, "ai.onnx.ml", "TreeEnsemble");
}

bool onnx_forest_found(const struct onnx_graph *g)
{
    for (size_t i = 0; i < g->node_count; i++) {
        if (is_ensemble(&g->nodes[i]))
            return true;
    }
    return false;
}

/* The operators from the ensemble to an output, last first. */
struct chain {
    const struct onnx_node *nodes[CHAIN_MAX];
    size_t count;
    const struct onnx_node *ensemble;
};

static bool follow_back(struct onnx_graph *g, struct span output, struct chain *out)
{
    struct span name = output;
    *out = (struct chain){0};
    for (;;) {
        const struct onnx_source *source = onnx_source(g, name);
        if (!source || source->maker != ONNX_BY_NODE)
            return onnx_fail(g, STATUS_UNSUPPORTED, "the output '%.*s' does not come from a tree ensemble",
                             ONNX_TEXT(output));
        const struct onnx_node *node = &g->nodes[source->index];
        if (is_ensemble(node)) {
            bool is_label = onnx_is(node->op, "TreeEnsembleClassifier") && source->output == 0;
            out->ensemble = node;
            return !is_label ||
                   onnx_fail(g, STATUS_UNSUPPORTED, "the output '%.*s' is a label, not a score", ONNX_TEXT(output));
        }
        int input = onnx_tail_input(g, node);
        if (input < 0)
            return onnx_fail_node(g, node, STATUS_UNSUPPORTED, "this operator is not supported behind a tree ensemble");
        if (out->count == CHAIN_MAX)
            return onnx_fail_node(g, node, STATUS_UNSUPPORTED, "more than %d operators behind the tree ensemble",
                                  CHAIN_MAX);
        out->nodes[out->count++] = node;
        name = onnx_input(g, node, (uint32_t)input);
    }
}

/* Labels are whole numbers or texts; scores are real numbers, or ZipMap's maps of them. */
static bool may_be_score(const struct onnx_value *output)
{
    return !output->is_tensor || output->type == ONNX_FLOAT || output->type == ONNX_DOUBLE ||
           output->type == ONNX_UNDEFINED;
}

static bool find_score(struct onnx_graph *g, struct chain *out)
{
    for (size_t i = 0; i < g->output_count; i++) {
        if (may_be_score(&g->outputs[i]))
            return follow_back(g, g->outputs[i].name, out);
    }
    return onnx_fail(g, STATUS_UNSUPPORTED, "the graph has no output of real numbers, so no score");
}

/* One graph input that feeds the ensemble, maybe through Identity and Cast. */
static bool find_input(struct onnx_forest *x, struct span name, const struct onnx_value **out, bool *narrowed)
{
    struct onnx_graph *g = x->g;
    for (size_t i = 0; i <= CHAIN_MAX; i++) {
        const struct onnx_source *source = onnx_source(g, name);
        if (source && source->maker == ONNX_BY_INPUT) {
            *out = &g->inputs[source->index];
            return true;
        }
        if (!source || source->maker != ONNX_BY_NODE)
            return onnx_fail_node(g, x->node, STATUS_UNSUPPORTED, "its input '%.*s' is no input of the graph",
                                  ONNX_TEXT(name));
        const struct onnx_node *node = &g->nodes[source->index];
        bool is_cast = onnx_node_is(node, "", "Cast");
        if (is_cast && onnx_whole_or(g, node, "to", 0) == ONNX_FLOAT)
            *narrowed = true;
        else if (!onnx_node_is(node, "", "Identity") && !(is_cast && onnx_whole_or(g, node, "to", 0) == ONNX_DOUBLE))
            return onnx_fail_node(
                g, node, STATUS_UNSUPPORTED,
                "a step before the trees is not supported; the trees must take the graph's inputs as they are");
        name = onnx_input(g, node, 0);
    }
    return onnx_fail_node(g, x->node, STATUS_UNSUPPORTED, "more than %d operators before it", CHAIN_MAX);
}

/* Adds the columns of one graph input. */
static bool add_input(struct onnx_forest *x, struct span name, bool *first)
{
    const struct onnx_value *input = NULL;
    bool narrowed = false;
    if (!find_input(x, name, &input, &narrowed))
        return false;
    if (!input->is_tensor || (input->type != ONNX_FLOAT && input->type != ONNX_DOUBLE))
        return onnx_fail(x->g, STATUS_UNSUPPORTED,
                         "the input '%.*s' is not of type float or double; convert the model with such inputs",
                         ONNX_TEXT(input->name));
    enum number_type type = input->type == ONNX_FLOAT || narrowed ? NUMBER_F32 : NUMBER_F64;
    if (!*first && type != x->type)
        return onnx_fail_node(x->g, x->node, STATUS_UNSUPPORTED, "its inputs are of different types");
    x->type = type;
    *first = false;
    int64_t width = input->rank == 0 ? -1 : input->dims[input->rank - 1];
    if (input->rank > 2 || width > FOREST_FEATURES_MAX)
        return onnx_fail(x->g, STATUS_UNSUPPORTED, "the input '%.*s' is not one row of at most %d features",
                         ONNX_TEXT(input->name), FOREST_FEATURES_MAX);
    if (width > 0)
        x->features += (uint32_t)width;
    return true;
}

/* Inputs side by side: the width of each must be known; one of width 1 is a feature with a name. */
static bool read_columns(struct onnx_forest *x, const struct onnx_node *concat)
{
    struct onnx_graph *g = x->g;
    int64_t axis = onnx_whole_or(g, concat, "axis", 0);
    bool first = true, named = true;
    if (axis != 1 && axis != -1)
        return onnx_fail_node(g, concat, STATUS_UNSUPPORTED, "inputs are put together along the row only");
    for (uint32_t i = 0; i < concat->inputs; i++) {
        uint32_t before = x->features;
        if (!add_input(x, onnx_input(g, concat, i), &first))
            return false;
        if (x->features == before || x->features > FOREST_FEATURES_MAX)
            return onnx_fail_node(g, concat, STATUS_UNSUPPORTED,
                                  "its input %u has no fixed width, or there are too many", i);
        named &= x->features == before + 1;
    }
    if (!named || x->features == 0)
        return true;
    x->out->features = x->features;
    x->out->feature_names = calloc(x->features, sizeof *x->out->feature_names);
    if (!x->out->feature_names)
        return onnx_out_of_memory(g);
    for (uint32_t i = 0; i < concat->inputs; i++) {
        const struct onnx_value *input = NULL;
        bool narrowed;
        if (!find_input(x, onnx_input(g, concat, i), &input, &narrowed))
            return false;
        if (!utf8_valid(input->name.data, input->name.len))
            return onnx_fail(g, STATUS_INVALID, "the name of input %u is not UTF-8", i);
        x->out->feature_names[i] = import_text(g->memory, input->name);
        if (!x->out->feature_names[i])
            return onnx_out_of_memory(g);
    }
    return true;
}

static bool read_input(struct onnx_forest *x)
{
    struct onnx_graph *g = x->g;
    struct span name = onnx_input(g, x->node, 0);
    const struct onnx_source *source = onnx_source(g, name);
    bool first = true;
    if (source && source->maker == ONNX_BY_NODE && onnx_node_is(&g->nodes[source->index], "", "Concat"))
        return read_columns(x, &g->nodes[source->index]);
    return add_input(x, name, &first);
}

/* Where the graph leaves the width of its input open, the features are those that some node asks for. */
static void count_features(struct onnx_forest *x)
{
    struct forest *f = x->builder.forest;
    for (uint32_t i = 0; x->features == 0 && i < f->node_count; i++) {
        if (f->nodes[i].op != FOREST_LEAF && f->nodes[i].feature >= f->features)
            f->features = f->nodes[i].feature + 1;
    }
    if (x->features > 0)
        f->features = x->features;
    x->out->features = f->features;
}

/* The ensemble's trees and what its sums mean; its input's type is known. */
static bool read_ensemble(struct onnx_forest *x)
{
    struct forest *f = x->builder.forest;
    x->out->input_type = f->input_type = f->sum_type = x->type;
    x->out->output_type = NUMBER_F32;
    x->out->best_iteration = -1;
    f->link_parameter = f->link_divisor = 1;
    return onnx_is(x->node->op, "TreeEnsemble") ? onnx_read_trees5(x) : onnx_read_trees(x);
}

static bool import(struct onnx_forest *x, const struct chain *chain)
{
    struct imported *out = x->out;
    if (!read_input(x) || !read_ensemble(x))
        return false;
    for (size_t i = chain->count; i-- > 0;) {
        if (!onnx_tail_apply(x, chain->nodes[i]))
            return false;
    }
    count_features(x);
    builder_finish(&x->builder);
    out->objective = import_text(x->g->memory, x->node->op);
    return out->objective || onnx_out_of_memory(x->g);
}

static bool forest_open(struct onnx_forest *x)
{
    x->out->forest = calloc(1, sizeof *x->out->forest);
    x->builder = (struct forest_builder){.forest = x->out->forest, .memory = x->g->memory};
    return x->out->forest || onnx_out_of_memory(x->g);
}

static void forest_close(struct onnx_forest *x)
{
    free(x->weight_trees.items);
    free(x->weight_nodes.items);
    free(x->weight_ids.items);
    free(x->weights.items);
    free(x->base.items);
    free(x->output_of);
}

bool onnx_forest_import(struct onnx_graph *g, struct imported *out)
{
    struct chain chain = {0};
    if (!find_score(g, &chain))
        return false;
    struct onnx_forest x = {.g = g, .out = out, .node = chain.ensemble};
    bool imported = forest_open(&x) && import(&x, &chain);
    forest_close(&x);
    return imported;
}

bool onnx_forest_stage(struct onnx_graph *g, const struct onnx_node *node, uint32_t features, struct imported *out,
                       uint32_t *columns)
{
    struct onnx_forest x = {.g = g, .out = out, .node = node, .type = NUMBER_F32, .features = features, .both_classes = true};
    bool read = forest_open(&x) && read_ensemble(&x);
    if (read) {
        count_features(&x);
        builder_finish(&x.builder);
        *columns = x.columns;
    }
    forest_close(&x);
    return read;
}
