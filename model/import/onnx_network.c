/* From a graph to a network: inputs, the nodes that the score needs, one after the other, and the score. */
#include "model/import/onnx_network.h"

#include <stdlib.h>
#include <string.h>

#include "model/import/document_format.h"

static const struct onnx_operator *find_operator(const struct onnx_node *node)
{
    static const struct onnx_operator *const tables[] = {onnx_dense_operators,   onnx_each_operators,
                                                         onnx_group_operators,   onnx_columns_operators,
                                                         onnx_shape_operators,   onnx_pipeline_operators,
                                                         onnx_stage_operators};
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (const struct onnx_operator *o = tables[t]; o->op; o++) {
            if (onnx_node_is(node, o->domain, o->op))
                return o;
        }
    }
    return NULL;
}

/* --- inputs ----------------------------------------------------------------------------------------------------------- */

static bool check_input(struct onnx_network *n, const struct onnx_value *input)
{
    if (!input->is_tensor || !(input->type == ONNX_FLOAT || input->type == ONNX_DOUBLE || input->type == ONNX_FLOAT16 ||
                               input->type == ONNX_BFLOAT16 || onnx_is_whole(input->type)))
        return onnx_fail(n->g, STATUS_UNSUPPORTED,
                         "the input '%.*s' is not a tensor of numbers; encode texts as features of the bundle, and convert "
                         "the model with float inputs",
                         ONNX_TEXT(input->name));
    for (uint32_t i = 1; i < input->rank; i++) {
        if (input->dims[i] < 0)
            return onnx_fail(n->g, STATUS_UNSUPPORTED,
                             "the input '%.*s' has a dimension of no fixed size beside the batch; export the model with a "
                             "fixed number of features",
                             ONNX_TEXT(input->name));
    }
    if (input->rank == 0 || (input->rank == 1 && input->dims[0] > 1))
        return onnx_fail(n->g, STATUS_UNSUPPORTED,
                         "the input '%.*s' has no batch dimension; export the model with inputs of [batch, features]",
                         ONNX_TEXT(input->name));
    return true;
}

/* The inputs side by side are the row. Also those that the score does not need, as they are features of the caller's. */
static bool measure_inputs(struct onnx_network *n)
{
    uint64_t width = 0;
    bool named = true;
    for (size_t i = 0; i < n->g->input_count; i++) {
        const struct onnx_value *input = &n->g->inputs[i];
        uint64_t columns = 1;
        if (!input->name.data)
            continue;
        if (!check_input(n, input))
            return false;
        for (uint32_t d = 1; d < input->rank && columns <= NETWORK_WIDTH_MAX; d++)
            columns *= (uint64_t)input->dims[d];
        named &= columns == 1;
        width += columns;
        if (width > NETWORK_WIDTH_MAX)
            return onnx_fail(n->g, STATUS_LIMIT, "the inputs have more than %d columns", NETWORK_WIDTH_MAX);
    }
    if (width == 0)
        return onnx_fail(n->g, STATUS_INVALID, "the graph has no inputs");
    n->out->features = n->builder.network->features = (uint32_t)width;
    n->out->feature_names = named ? calloc(width, sizeof *n->out->feature_names) : NULL;
    return !named || n->out->feature_names || onnx_out_of_memory(n->g);
}

static bool name_feature(struct onnx_network *n, const struct onnx_value *input, uint32_t column)
{
    if (!utf8_valid(input->name.data, input->name.len))
        return onnx_fail(n->g, STATUS_INVALID, "the name of input %u is not UTF-8", column);
    n->out->feature_names[column] = import_text(n->g->memory, input->name);
    return n->out->feature_names[column] || onnx_out_of_memory(n->g);
}

static bool hold_inputs(struct onnx_network *n)
{
    uint32_t column = 0;
    if (!measure_inputs(n))
        return false;
    for (size_t i = 0; i < n->g->input_count; i++) {
        const struct onnx_value *input = &n->g->inputs[i];
        if (!input->name.data)
            continue;
        if (n->out->feature_names && !name_feature(n, input, column))
            return false;
        struct onnx_term term = {.held = ONNX_COLUMNS, .type = input->type, .rank = input->rank, .dims = {ONNX_BATCH}};
        for (uint32_t d = 1; d < input->rank; d++)
            term.dims[d] = input->dims[d];
        uint32_t width = (uint32_t)onnx_items(&term);
        term.wire = network_builder_input(&n->builder, column, width);
        if (term.wire == 0)
            return onnx_out_of_memory(n->g);
        column += width;
        if (onnx_is_whole(input->type))
            term.wire = network_builder_map(&n->builder, term.wire, NETWORK_FN_TRUNC, 0, 0);
        n->terms[onnx_source(n->g, input->name) - n->g->sources] = term;
    }
    return true;
}

static void hold_initializers(struct onnx_network *n)
{
    size_t numbers = 0;
    for (size_t i = 0; i < n->g->source_count; i++) {
        if (n->g->sources[i].maker != ONNX_BY_INITIALIZER)
            continue;
        const struct onnx_tensor *tensor = &n->g->initializers[n->g->sources[i].index];
        struct onnx_term *term = &n->terms[i];
        *term = (struct onnx_term){.held = ONNX_FIXED, .type = tensor->type, .rank = tensor->rank, .in_file = true, .tensor = *tensor};
        memcpy(term->dims, tensor->dims, sizeof term->dims);
        if (tensor->items <= n->g->file->len)
            numbers += (size_t)tensor->items;
    }
    if (numbers <= n->g->file->len) /* dimensions may lie */
        network_builder_reserve(&n->builder, numbers);
}

/* --- nodes ------------------------------------------------------------------------------------------------------------ */

/* Which nodes lead to the score: [node_count], owned. A node stands behind all that it uses. */
static bool *mark_needed(struct onnx_network *n, const struct onnx_source *score)
{
    const struct onnx_graph *g = n->g;
    bool *needed = calloc(g->node_count ? g->node_count : 1, sizeof *needed);
    if (!needed)
        return NULL;
    if (score->maker == ONNX_BY_NODE)
        needed[score->index] = true;
    for (size_t i = g->node_count; i-- > 0;) {
        for (uint32_t k = 0; needed[i] && k < g->nodes[i].inputs; k++) {
            struct span name = onnx_input(g, &g->nodes[i], k);
            const struct onnx_source *source = name.len > 0 ? onnx_source(g, name) : NULL;
            if (source && source->maker == ONNX_BY_NODE)
                needed[source->index] = true;
        }
    }
    return needed;
}

static bool all_fixed(const struct onnx_network *n, const struct onnx_node *node)
{
    bool any = false;
    for (uint32_t i = 0; i < node->inputs; i++) {
        struct span name = onnx_input(n->g, node, i);
        if (name.len == 0)
            continue;
        if (n->terms[onnx_source(n->g, name) - n->g->sources].held != ONNX_FIXED)
            return false;
        any = true;
    }
    return any;
}

static bool apply_node(struct onnx_network *n, const struct onnx_node *node)
{
    const struct onnx_operator *operator = find_operator(node);
    bool known = true;
    if (!operator)
        return onnx_fail_node(n->g, node, STATUS_UNSUPPORTED,
                              "the operator %.*s%s%.*s is not supported; docs/networks.md lists those that are",
                              (int)(node->domain.len > 0 ? onnx_text_length(node->domain) : 0), onnx_text_data(node->domain),
                              node->domain.len > 0 ? "::" : "", ONNX_TEXT(node->op));
    if (!all_fixed(n, node))
        return operator->apply(n, node, operator);
    return onnx_fixed_apply(n, node, &known) ||
           (!known && onnx_unsupported(n, node, "it computes on constants only; export the model with constant folding"));
}

static bool apply_nodes(struct onnx_network *n, const struct onnx_source *score)
{
    bool *needed = mark_needed(n, score);
    bool applied = needed || onnx_out_of_memory(n->g);
    for (size_t i = 0; applied && i < n->g->node_count; i++)
        applied = !needed[i] || apply_node(n, &n->g->nodes[i]);
    free(needed);
    return applied;
}

/* --- the score -------------------------------------------------------------------------------------------------------- */

/* Labels are whole numbers or texts; scores are real numbers, or ZipMap's maps of them. */
static bool may_be_score(const struct onnx_value *output)
{
    return !output->is_tensor || output->type == ONNX_FLOAT || output->type == ONNX_DOUBLE || output->type == ONNX_FLOAT16 ||
           output->type == ONNX_BFLOAT16 || output->type == ONNX_UNDEFINED;
}

static const struct onnx_source *find_score(struct onnx_network *n, bool *has_label)
{
    const struct onnx_value *found = NULL;
    *has_label = false;
    for (size_t i = 0; i < n->g->output_count; i++) {
        const struct onnx_value *output = &n->g->outputs[i];
        if (!may_be_score(output))
            *has_label = true;
        else if (!found)
            found = output;
    }
    const struct onnx_source *source = found ? onnx_source(n->g, found->name) : NULL;
    if (!found)
        (void)onnx_fail(n->g, STATUS_UNSUPPORTED, "the graph has no output of real numbers, so no score");
    else if (!source)
        (void)onnx_fail(n->g, STATUS_INVALID, "the output '%.*s' is made by nobody", ONNX_TEXT(found->name));
    return source;
}

/* Of two classes the score is the probability of the second one. Two columns are two classes where they were made as such,
 * or where the graph gives a label beside them. */
static bool take_score(struct onnx_network *n, const struct onnx_source *score, bool has_label)
{
    const struct onnx_term *term = &n->terms[score - n->g->sources];
    if (term->held != ONNX_COLUMNS || onnx_is_whole(term->type) || term->type == ONNX_BOOL)
        return onnx_fail(n->g, STATUS_UNSUPPORTED, "the output '%.*s' is a label or a constant, not a score", ONNX_TEXT(score->name));
    uint32_t wire = term->wire, width = network_width(n->builder.network, wire), second = 1;
    if (width > FOREST_OUTPUTS_MAX)
        return onnx_fail(n->g, STATUS_LIMIT, "%u scores; 1 to %d are supported", width, FOREST_OUTPUTS_MAX);
    if (width == 2 && (term->is_pair || has_label))
        wire = network_builder_gather(&n->builder, wire, &second, 1);
    return (wire > 0 && network_builder_finish(&n->builder, wire)) || onnx_out_of_memory(n->g);
}

static bool describe(struct onnx_network *n, const struct onnx_source *score)
{
    struct imported *out = n->out;
    struct network *network = n->builder.network;
    out->input_type = out->output_type = NUMBER_F32;
    out->best_iteration = -1;
    network->link = LINK_IDENTITY;
    network->link_parameter = 1;
    out->objective = import_text(n->g->memory, score->maker == ONNX_BY_NODE ? n->g->nodes[score->index].op : score->name);
    return out->objective || onnx_out_of_memory(n->g);
}

bool onnx_network_import(struct onnx_graph *g, struct imported *out)
{
    struct onnx_network n = {.g = g, .out = out};
    bool has_label;
    const struct onnx_source *score = find_score(&n, &has_label);
    if (!score)
        return false;
    n.terms = import_grow(g->memory, NULL, &n.term_capacity, g->source_count, sizeof *n.terms);
    out->network = calloc(1, sizeof *out->network);
    n.builder = (struct network_builder){.network = out->network, .memory = g->memory};
    if (!n.terms || !out->network) {
        (void)import_shrink(g->memory, n.terms, &n.term_capacity, 0, sizeof *n.terms);
        return onnx_out_of_memory(g);
    }
    memset(n.terms, 0, g->source_count * sizeof *n.terms);
    hold_initializers(&n);
    bool imported = hold_inputs(&n) && apply_nodes(&n, score) && take_score(&n, score, has_label) && describe(&n, score);
    for (size_t i = 0; i < g->source_count; i++)
        onnx_numbers_free(&n, &n.terms[i].numbers);
    (void)import_shrink(g->memory, n.terms, &n.term_capacity, 0, sizeof *n.terms);
    return imported;
}
