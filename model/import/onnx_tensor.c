/*
 * Numbers of an ONNX file: lists in attributes, and tensors. A tensor's numbers stand in one of three places: raw_data
 * (little endian), a typed list (packed or not), or a file beside the model (onnx_external.c).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/onnx_graph.h"

static bool push(struct onnx_graph *g, struct f64s *out, double value)
{
    if (out->size == out->capacity) {
        double *grown = import_grow(g->memory, out->items, &out->capacity, out->size + 1, sizeof *grown);
        if (!grown)
            return onnx_out_of_memory(g);
        out->items = grown;
    }
    out->items[out->size++] = value;
    return true;
}

static double float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16: 1 sign, 5 exponent, 10 mantissa bits. */
static double half_of(uint32_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double mantissa = (double)(bits & 1023);
    double value = exponent == 31  ? (mantissa > 0 ? (double)NAN : HUGE_VAL)
                   : exponent == 0 ? ldexp(mantissa, -24)
                                   : ldexp(1024 + mantissa, exponent - 25);
    return bits & 0x8000 ? -value : value;
}

/* A field of whole numbers, as the type they stand for. */
static double whole_of(uint64_t bits, int32_t type)
{
    if (type == ONNX_FLOAT16)
        return half_of((uint32_t)bits & 0xffff);
    if (type == ONNX_BFLOAT16)
        return float_of((uint32_t)bits << 16);
    if (type == ONNX_UINT64)
        return (double)bits;
    return (double)(int64_t)bits;
}

struct list {
    struct span message;
    uint32_t number;         /* of the repeated field */
    enum protobuf_wire wire; /* of one item */
    int32_t type;            /* what VARINTs stand for */
};

/* Items of the field as they come: one a field, or many packed in one. */
static bool read_list(struct onnx_graph *g, const struct list *list, struct f64s *out)
{
    struct protobuf p = protobuf_of_span(list->message);
    struct protobuf_field f;
    while (protobuf_next(&p, &f)) {
        if (f.number != list->number)
            continue;
        if (f.wire == list->wire) {
            double value = f.wire == PROTOBUF_FIXED32   ? float_of((uint32_t)f.value)
                           : f.wire == PROTOBUF_FIXED64 ? double_of(f.value)
                                                        : whole_of(f.value, list->type);
            if (!push(g, out, value))
                return false;
        } else if (f.wire == PROTOBUF_BYTES) {
            struct protobuf packed = protobuf_of_span(f.bytes);
            uint64_t bits = 0;
            uint32_t half = 0;
            while (list->wire == PROTOBUF_FIXED32   ? protobuf_fixed32(&packed, &half)
                   : list->wire == PROTOBUF_FIXED64 ? protobuf_fixed64(&packed, &bits)
                                                    : protobuf_varint(&packed, &bits)) {
                double value = list->wire == PROTOBUF_FIXED32   ? float_of(half)
                               : list->wire == PROTOBUF_FIXED64 ? double_of(bits)
                                                                : whole_of(bits, list->type);
                if (!push(g, out, value))
                    return false;
            }
            if (packed.damaged)
                return onnx_fail(g, STATUS_INVALID, "byte %zu: a list is damaged or cut",
                                 (size_t)(packed.at - g->file->data));
        }
    }
    return true; /* the message itself was walked to its end when the graph was read */
}

bool onnx_reals(struct onnx_graph *g, const struct onnx_node *node, const char *name, struct f64s *out)
{
    const struct onnx_attribute *a = onnx_attribute(g, node, name);
    out->size = 0;
    return !a || read_list(g, &(struct list){.message = a->message, .number = 7, .wire = PROTOBUF_FIXED32}, out);
}

static bool push_whole(struct onnx_graph *g, const struct onnx_node *node, const char *name, uint64_t bits,
                       struct i32s *out)
{
    int64_t value = (int64_t)bits;
    if (value < INT32_MIN || value > INT32_MAX)
        return onnx_fail_node(g, node, STATUS_INVALID, "%s[%zu]: %lld is out of range", name, out->size,
                              (long long)value);
    if (out->size == out->capacity) {
        int32_t *grown = import_grow(g->memory, out->items, &out->capacity, out->size + 1, sizeof *grown);
        if (!grown)
            return onnx_out_of_memory(g);
        out->items = grown;
    }
    out->items[out->size++] = (int32_t)value;
    return true;
}

bool onnx_wholes(struct onnx_graph *g, const struct onnx_node *node, const char *name, struct i32s *out)
{
    const struct onnx_attribute *a = onnx_attribute(g, node, name);
    out->size = 0;
    if (!a)
        return true;
    struct protobuf p = protobuf_of_span(a->message);
    struct protobuf_field f;
    while (protobuf_next(&p, &f)) {
        if (f.number != 8)
            continue;
        if (f.wire == PROTOBUF_VARINT) {
            if (!push_whole(g, node, name, f.value, out))
                return false;
        } else if (f.wire == PROTOBUF_BYTES) {
            struct protobuf packed = protobuf_of_span(f.bytes);
            uint64_t bits;
            while (protobuf_varint(&packed, &bits)) {
                if (!push_whole(g, node, name, bits, out))
                    return false;
            }
            if (packed.damaged)
                return onnx_fail_node(g, node, STATUS_INVALID, "%s is damaged or cut", name);
        }
    }
    return true;
}

struct protobuf onnx_texts(const struct onnx_attribute *attribute)
{
    return attribute ? protobuf_of_span(attribute->message) : (struct protobuf){0};
}

bool onnx_next_text(struct protobuf *texts, struct span *out)
{
    struct protobuf_field f;
    while (protobuf_next(texts, &f)) {
        if (f.number == 9 && f.wire == PROTOBUF_BYTES) {
            *out = f.bytes;
            return true;
        }
    }
    return false;
}

static bool add_dimension(struct onnx_graph *g, struct onnx_tensor *out, uint64_t value)
{
    if (out->rank == ONNX_RANK_MAX || (int64_t)value < 0 || (value > 0 && out->items > UINT32_MAX / value))
        return onnx_fail(g, STATUS_UNSUPPORTED, "tensor '%.*s' has more than %d dimensions or more than %u numbers",
                         ONNX_TEXT(out->name), ONNX_RANK_MAX, UINT32_MAX);
    out->dims[out->rank++] = (int64_t)value;
    out->items *= value;
    return true;
}

bool onnx_tensor_read(struct onnx_graph *g, struct span message, struct onnx_tensor *out)
{
    *out = (struct onnx_tensor){.message = message, .items = 1};
    struct protobuf p = protobuf_of_span(message);
    struct protobuf_field f;
    bool external = false;
    while (protobuf_next(&p, &f)) {
        bool read = true;
        if (f.number == 1 && f.wire == PROTOBUF_VARINT) {
            read = add_dimension(g, out, f.value);
        } else if (f.number == 1 && f.wire == PROTOBUF_BYTES) {
            struct protobuf packed = protobuf_of_span(f.bytes);
            uint64_t value;
            while (read && protobuf_varint(&packed, &value))
                read = add_dimension(g, out, value);
        } else if (f.number == 2 && f.wire == PROTOBUF_VARINT) {
            out->type = (int32_t)f.value;
        } else if (f.number == 8 && f.wire == PROTOBUF_BYTES) {
            out->name = f.bytes;
        } else if (f.number == 13 && f.wire == PROTOBUF_BYTES) {
            external = true;
            read = onnx_external_entry(g, f.bytes, out);
        } else if (f.number == 14 && f.wire == PROTOBUF_VARINT) {
            external |= f.value == 1;
        }
        if (!read)
            return false;
    }
    if (p.damaged)
        return onnx_fail(g, STATUS_INVALID, "byte %zu: a tensor is damaged or cut", (size_t)(p.at - g->file->data));
    return !external || onnx_external_check(g, out);
}

/* Bytes of one number in raw data; 0: not supported. */
static size_t item_bytes(int32_t type)
{
    switch (type) {
    case ONNX_FLOAT:
    case ONNX_INT32:
    case ONNX_UINT32:
        return 4;
    case ONNX_DOUBLE:
    case ONNX_INT64:
    case ONNX_UINT64:
        return 8;
    case ONNX_FLOAT16:
    case ONNX_BFLOAT16:
    case ONNX_INT16:
    case ONNX_UINT16:
        return 2;
    case ONNX_UINT8:
    case ONNX_INT8:
    case ONNX_BOOL:
        return 1;
    default:
        return 0;
    }
}

static double raw_item(const char *at, int32_t type)
{
    uint64_t bits = 0;
    size_t bytes = item_bytes(type);
    for (size_t i = 0; i < bytes; i++)
        bits |= (uint64_t)(unsigned char)at[i] << (8 * i);
    switch (type) {
    case ONNX_FLOAT:
        return float_of((uint32_t)bits);
    case ONNX_DOUBLE:
        return double_of(bits);
    case ONNX_INT8:
        return (double)(int8_t)bits;
    case ONNX_INT16:
        return (double)(int16_t)bits;
    case ONNX_INT32:
        return (double)(int32_t)bits;
    default:
        return whole_of(bits, type);
    }
}

static bool read_raw(struct onnx_graph *g, const struct onnx_tensor *t, struct span raw, struct f64s *out)
{
    size_t bytes = item_bytes(t->type);
    if (bytes == 0 || raw.len != t->items * bytes)
        return onnx_fail(g, STATUS_INVALID, "tensor '%.*s': %u bytes of data, its shape and type %d want %llu",
                         ONNX_TEXT(t->name), raw.len, (int)t->type, (unsigned long long)(t->items * bytes));
    for (uint64_t i = 0; i < t->items; i++) {
        if (!push(g, out, raw_item(raw.data + i * bytes, t->type)))
            return false;
    }
    return true;
}

bool onnx_tensor_numbers(struct onnx_graph *g, const struct onnx_tensor *t, struct f64s *out)
{
    out->size = 0;
    if (item_bytes(t->type) == 0)
        return onnx_fail(g, STATUS_UNSUPPORTED, "tensor '%.*s': numbers of type %d are not supported",
                         ONNX_TEXT(t->name), (int)t->type);
    if (t->location.data) {
        struct span data;
        return onnx_external_read(g, t, t->items * item_bytes(t->type), &data) && read_raw(g, t, data, out);
    }
    struct protobuf p = protobuf_of_span(t->message);
    struct protobuf_field f;
    while (protobuf_next(&p, &f)) {
        if (f.number == 9 && f.wire == PROTOBUF_BYTES)
            return read_raw(g, t, f.bytes, out);
    }
    struct list list = {.message = t->message, .number = 5, .wire = PROTOBUF_VARINT, .type = t->type};
    if (t->type == ONNX_FLOAT)
        list = (struct list){.message = t->message, .number = 4, .wire = PROTOBUF_FIXED32};
    else if (t->type == ONNX_DOUBLE)
        list = (struct list){.message = t->message, .number = 10, .wire = PROTOBUF_FIXED64};
    else if (t->type == ONNX_INT64)
        list.number = 7;
    else if (t->type == ONNX_UINT32 || t->type == ONNX_UINT64)
        list.number = 11;
    if (!read_list(g, &list, out))
        return false;
    return out->size == t->items || onnx_fail(g, STATUS_INVALID, "tensor '%.*s' has %zu numbers, its shape wants %llu",
                                              ONNX_TEXT(t->name), out->size, (unsigned long long)t->items);
}

bool onnx_attribute_numbers(struct onnx_graph *g, const struct onnx_node *node, const char *name, struct f64s *out,
                            int32_t *type)
{
    const struct onnx_attribute *a = onnx_attribute(g, node, name);
    struct onnx_tensor tensor;
    out->size = 0;
    *type = ONNX_UNDEFINED;
    if (!a || !a->tensor.data)
        return true;
    if (!onnx_tensor_read(g, a->tensor, &tensor) || !onnx_tensor_numbers(g, &tensor, out))
        return false;
    *type = tensor.type;
    return true;
}
