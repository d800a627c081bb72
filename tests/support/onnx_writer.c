#include "tests/support/onnx_writer.h"

#include <string.h>

static void put_raw_varint(struct buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buf_char(out, (char)(value | 0x80));
    buf_char(out, (char)value);
}

void onnx_put_varint(struct buf *out, uint32_t field, uint64_t value)
{
    put_raw_varint(out, (uint64_t)field << 3);
    put_raw_varint(out, value);
}

void onnx_put_bytes(struct buf *out, uint32_t field, const void *data, size_t len)
{
    put_raw_varint(out, (uint64_t)field << 3 | 2);
    put_raw_varint(out, len);
    if (len > 0)
        buf_append(out, data, len);
}

void onnx_put_text(struct buf *out, uint32_t field, const char *text)
{
    onnx_put_bytes(out, field, text, strlen(text));
}

void onnx_put_float(struct buf *out, uint32_t field, float value)
{
    put_raw_varint(out, (uint64_t)field << 3 | 5);
    buf_append(out, &value, sizeof value);
}

void onnx_put_message(struct buf *out, uint32_t field, struct buf *inner)
{
    onnx_put_bytes(out, field, inner->data, inner->len);
    buf_free(inner);
}

/* Each word of `words` as a text field. */
static void put_words(struct buf *out, uint32_t field, const char *words)
{
    while (*words) {
        size_t len = strcspn(words, " ");
        onnx_put_bytes(out, field, words, len);
        words += len + (words[len] == ' ');
    }
}

struct buf onnx_node_of(const char *domain, const char *op, const char *inputs, const char *outputs)
{
    struct buf node = {0};
    put_words(&node, 1, inputs);
    put_words(&node, 2, outputs);
    onnx_put_text(&node, 3, op);
    onnx_put_text(&node, 4, op);
    onnx_put_text(&node, 7, domain);
    return node;
}

static struct buf attribute_of(const char *name)
{
    struct buf attribute = {0};
    onnx_put_text(&attribute, 1, name);
    return attribute;
}

void onnx_put_whole(struct buf *node, const char *name, int64_t value)
{
    struct buf a = attribute_of(name);
    onnx_put_varint(&a, 3, (uint64_t)value);
    onnx_put_message(node, 5, &a);
}

void onnx_put_real(struct buf *node, const char *name, float value)
{
    struct buf a = attribute_of(name);
    onnx_put_float(&a, 2, value);
    onnx_put_message(node, 5, &a);
}

void onnx_put_string(struct buf *node, const char *name, const char *value)
{
    struct buf a = attribute_of(name);
    onnx_put_text(&a, 4, value);
    onnx_put_message(node, 5, &a);
}

void onnx_put_wholes(struct buf *node, const char *name, size_t n, const int64_t *values)
{
    struct buf a = attribute_of(name);
    for (size_t i = 0; i < n; i++)
        onnx_put_varint(&a, 8, (uint64_t)values[i]);
    onnx_put_message(node, 5, &a);
}

void onnx_put_floats(struct buf *node, const char *name, size_t n, const float *values)
{
    struct buf a = attribute_of(name);
    onnx_put_bytes(&a, 7, values, n * sizeof *values); /* packed */
    onnx_put_message(node, 5, &a);
}

void onnx_put_strings(struct buf *node, const char *name, const char *values)
{
    struct buf a = attribute_of(name);
    put_words(&a, 9, values);
    onnx_put_message(node, 5, &a);
}

struct buf onnx_tensor_of(const char *name, int type, int64_t n, const void *raw, size_t len)
{
    struct buf tensor = {0};
    if (n >= 0)
        onnx_put_varint(&tensor, 1, (uint64_t)n);
    onnx_put_varint(&tensor, 2, (uint64_t)type);
    onnx_put_text(&tensor, 8, name);
    onnx_put_bytes(&tensor, 9, raw, len);
    return tensor;
}

struct buf onnx_tensor_shaped(const char *name, int type, uint32_t rank, const int64_t *dims, const void *raw, size_t len)
{
    struct buf tensor = onnx_tensor_of(name, type, -1, raw, len);
    for (uint32_t i = 0; i < rank; i++)
        onnx_put_varint(&tensor, 1, (uint64_t)dims[i]);
    return tensor;
}

void onnx_put_tensor(struct buf *node, const char *name, int type, size_t n, const void *raw, size_t len)
{
    struct buf a = attribute_of(name), tensor = onnx_tensor_of("", type, (int64_t)n, raw, len);
    onnx_put_message(&a, 5, &tensor);
    onnx_put_message(node, 5, &a);
}

struct buf onnx_value_of(const char *name, int type, int64_t width)
{
    struct buf value = {0}, outer = {0}, tensor = {0}, shape = {0}, any = {0}, known = {0};
    if (width > 0)
        onnx_put_varint(&known, 1, (uint64_t)width);
    onnx_put_message(&shape, 1, &any);
    onnx_put_message(&shape, 1, &known);
    onnx_put_varint(&tensor, 1, (uint64_t)type);
    onnx_put_message(&tensor, 2, &shape);
    onnx_put_message(&outer, 1, &tensor);
    onnx_put_text(&value, 1, name);
    onnx_put_message(&value, 2, &outer);
    return value;
}

struct buf onnx_model_of(struct buf *graph)
{
    struct buf model = {0}, opset = {0};
    onnx_put_varint(&model, 1, 8);
    onnx_put_text(&model, 2, "writer");
    onnx_put_text(&model, 3, "1.2");
    onnx_put_message(&model, 7, graph);
    onnx_put_text(&opset, 1, "");
    onnx_put_varint(&opset, 2, 15);
    onnx_put_message(&model, 8, &opset);
    return model;
}
