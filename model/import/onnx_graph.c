/* From the bytes of an ONNX file to the arrays of onnx_graph.h. */
#include "model/import/onnx_graph.h"

#include <stdlib.h>
#include <string.h>

static bool damaged(struct onnx_graph *g, const char *at, const char *what)
{
    return onnx_fail(g, STATUS_INVALID, "byte %zu: %s is damaged or cut", (size_t)(at - g->file->data), what);
}

void *onnx_append(struct onnx_graph *g, void **array, size_t *count, size_t *capacity, size_t bytes)
{
    char *grown = import_grow(g->memory, *array, capacity, *count + 1, bytes);
    if (!grown) {
        (void)onnx_out_of_memory(g);
        return NULL;
    }
    *array = grown;
    return memset(grown + (*count)++ * bytes, 0, bytes);
}

static bool append_name(struct onnx_graph *g, struct span name)
{
    void *array = g->names;
    struct span *out = onnx_append(g, &array, &g->name_count, &g->name_capacity, sizeof *out);
    g->names = array;
    if (out)
        *out = name;
    return out != NULL;
}

static bool read_attribute(struct onnx_graph *g, struct span message)
{
    void *array = g->attributes;
    struct onnx_attribute *a = onnx_append(g, &array, &g->attribute_count, &g->attribute_capacity, sizeof *a);
    g->attributes = array;
    if (!a)
        return false;
    a->message = message;
    struct protobuf p = protobuf_of_span(message);
    struct protobuf_field f;
    while (protobuf_next(&p, &f)) {
        if (f.number == 1 && f.wire == PROTOBUF_BYTES) {
            a->name = f.bytes;
        } else if (f.number == 2 && f.wire == PROTOBUF_FIXED32) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&a->real, &bits, sizeof a->real);
        } else if (f.number == 3 && f.wire == PROTOBUF_VARINT) {
            a->whole = (int64_t)f.value;
        } else if (f.number == 4 && f.wire == PROTOBUF_BYTES) {
            a->text = f.bytes;
        } else if (f.number == 5 && f.wire == PROTOBUF_BYTES) {
            a->tensor = f.bytes;
        }
    }
    return !p.damaged || damaged(g, p.at, "an attribute");
}

/* A node's outputs follow its inputs in the names, so the message is gone through once for each. */
static bool read_names(struct onnx_graph *g, struct span message, uint32_t number, uint32_t *first, uint32_t *count)
{
    struct protobuf p = protobuf_of_span(message);
    struct protobuf_field f;
    *first = (uint32_t)g->name_count;
    while (protobuf_next(&p, &f)) {
        if (f.number == number && f.wire == PROTOBUF_BYTES && !append_name(g, f.bytes))
            return false;
    }
    *count = (uint32_t)g->name_count - *first;
    return true;
}

static bool read_node(struct onnx_graph *g, struct span message)
{
    struct onnx_node node = {.first_attribute = (uint32_t)g->attribute_count};
    struct protobuf p = protobuf_of_span(message);
    struct protobuf_field f;
    while (protobuf_next(&p, &f)) {
        if (f.wire != PROTOBUF_BYTES)
            continue;
        if (f.number == 3)
            node.name = f.bytes;
        else if (f.number == 4)
            node.op = f.bytes;
        else if (f.number == 7)
            node.domain = f.bytes;
        else if (f.number == 5 && !read_attribute(g, f.bytes))
            return false;
    }
    if (p.damaged)
        return damaged(g, p.at, "a node");
    node.attributes = (uint32_t)g->attribute_count - node.first_attribute;
    if (!read_names(g, message, 1, &node.first_input, &node.inputs) ||
        !read_names(g, message, 2, &node.first_output, &node.outputs))
        return false;
    void *array = g->nodes;
    struct onnx_node *out = onnx_append(g, &array, &g->node_count, &g->node_capacity, sizeof *out);
    g->nodes = array;
    if (out)
        *out = node;
    return out != NULL;
}

/* TypeProto.Tensor: element type and shape. */
static bool read_tensor_type(struct onnx_graph *g, struct span message, struct onnx_value *value)
{
    struct protobuf p = protobuf_of_span(message);
    struct protobuf_field f, d, s;
    while (protobuf_next(&p, &f)) {
        if (f.number == 1 && f.wire == PROTOBUF_VARINT)
            value->type = (int32_t)f.value;
        if (f.number != 2 || f.wire != PROTOBUF_BYTES)
            continue;
        struct protobuf shape = protobuf_of_span(f.bytes);
        while (protobuf_next(&shape, &d)) {
            if (d.number != 1 || d.wire != PROTOBUF_BYTES)
                continue;
            if (value->rank == ONNX_RANK_MAX)
                return onnx_fail(g, STATUS_UNSUPPORTED, "'%.*s' has more than %d dimensions", ONNX_TEXT(value->name),
                                 ONNX_RANK_MAX);
            value->dims[value->rank] = -1;
            struct protobuf dimension = protobuf_of_span(d.bytes);
            while (protobuf_next(&dimension, &s)) {
                if (s.number == 1 && s.wire == PROTOBUF_VARINT && s.value > 0 && s.value <= INT32_MAX)
                    value->dims[value->rank] = (int64_t)s.value;
            }
            value->rank++;
            if (dimension.damaged)
                return damaged(g, dimension.at, "a dimension");
        }
        if (shape.damaged)
            return damaged(g, shape.at, "a shape");
    }
    return !p.damaged || damaged(g, p.at, "a tensor type");
}

static bool read_value(struct onnx_graph *g, struct span message, struct onnx_value *value)
{
    struct protobuf p = protobuf_of_span(message);
    struct protobuf_field f, t;
    while (protobuf_next(&p, &f)) {
        if (f.number == 1 && f.wire == PROTOBUF_BYTES)
            value->name = f.bytes;
        if (f.number != 2 || f.wire != PROTOBUF_BYTES)
            continue;
        struct protobuf type = protobuf_of_span(f.bytes);
        while (protobuf_next(&type, &t)) {
            if (t.number != 1 || t.wire != PROTOBUF_BYTES)
                continue;
            value->is_tensor = true;
            if (!read_tensor_type(g, t.bytes, value))
                return false;
        }
        if (type.damaged)
            return damaged(g, type.at, "a type");
    }
    return !p.damaged || damaged(g, p.at, "a value");
}

static bool append_value(struct onnx_graph *g, struct span message, bool is_input)
{
    void *array = is_input ? g->inputs : g->outputs;
    struct onnx_value *value = onnx_append(g, &array, is_input ? &g->input_count : &g->output_count,
                                           is_input ? &g->input_capacity : &g->output_capacity, sizeof *value);
    if (is_input)
        g->inputs = array;
    else
        g->outputs = array;
    return value && read_value(g, message, value);
}

static bool append_initializer(struct onnx_graph *g, struct span message)
{
    void *array = g->initializers;
    struct onnx_tensor *tensor =
        onnx_append(g, &array, &g->initializer_count, &g->initializer_capacity, sizeof *tensor);
    g->initializers = array;
    return tensor && onnx_tensor_read(g, message, tensor);
}

static bool read_graph(struct onnx_graph *g, struct span message)
{
    struct protobuf p = protobuf_of_span(message);
    struct protobuf_field f;
    while (protobuf_next(&p, &f)) {
        if (f.wire != PROTOBUF_BYTES)
            continue;
        bool read = f.number == 1    ? read_node(g, f.bytes)
                    : f.number == 5  ? append_initializer(g, f.bytes)
                    : f.number == 11 ? append_value(g, f.bytes, true)
                    : f.number == 12 ? append_value(g, f.bytes, false)
                                     : true;
        if (!read)
            return false;
        if (f.number == 15)
            return onnx_fail(g, STATUS_UNSUPPORTED, "sparse initializers are not supported");
    }
    return !p.damaged || damaged(g, p.at, "the graph");
}

static bool read_opset(struct onnx_graph *g, struct span message)
{
    struct protobuf p = protobuf_of_span(message);
    struct protobuf_field f;
    struct span domain = {0};
    int64_t version = 0;
    while (protobuf_next(&p, &f)) {
        if (f.number == 1 && f.wire == PROTOBUF_BYTES)
            domain = f.bytes;
        else if (f.number == 2 && f.wire == PROTOBUF_VARINT)
            version = (int64_t)f.value;
    }
    if (domain.len == 0 || onnx_is(domain, "ai.onnx"))
        g->opset = version;
    else if (onnx_is(domain, "ai.onnx.ml"))
        g->opset_ml = version;
    return !p.damaged || damaged(g, p.at, "an operator set");
}

static bool read_model(struct onnx_graph *g)
{
    struct protobuf p = protobuf_of(g->file->data, g->file->len);
    struct protobuf_field f;
    bool has_graph = false;
    while (protobuf_next(&p, &f)) {
        if (f.number == 1 && f.wire == PROTOBUF_VARINT)
            g->ir_version = (int64_t)f.value;
        if (f.wire != PROTOBUF_BYTES)
            continue;
        if (f.number == 2)
            g->producer = f.bytes;
        else if (f.number == 3)
            g->producer_version = f.bytes;
        else if (f.number == 8 && !read_opset(g, f.bytes))
            return false;
        else if (f.number == 7 && has_graph)
            return onnx_fail(g, STATUS_INVALID, "byte %zu: a second graph", (size_t)(p.at - g->file->data));
        else if (f.number == 7 && !read_graph(g, f.bytes))
            return false;
        has_graph |= f.number == 7;
    }
    if (p.damaged)
        return damaged(g, p.at, "the model");
    return has_graph || onnx_fail(g, STATUS_INVALID, "the file has no graph");
}

enum status onnx_graph_read(struct onnx_graph *g, const struct import_file *file, const struct model_options *options,
                            struct import_memory *memory, struct error *err)
{
    *g = (struct onnx_graph){.file = file, .options = options, .memory = memory, .err = err};
    if (read_model(g) && onnx_index(g))
        (void)onnx_check_order(g);
    return g->status;
}

void onnx_graph_free(struct onnx_graph *g)
{
    free(g->nodes);
    free(g->names);
    free(g->attributes);
    free(g->initializers);
    free(g->inputs);
    free(g->outputs);
    free(g->sources);
    onnx_external_free(g);
}
