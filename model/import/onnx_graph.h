/*
 * An ONNX file as a graph: nodes in an order in which every value is made before it is used, and who makes each value.
 * Texts, attributes and tensors stay where they are in the file; numbers are read when somebody asks for them.
 *
 *     ModelProto ── graph ── node[]         operator, names of inputs and outputs, attributes
 *                         ├─ initializer[]  tensors with a name
 *                         └─ input[], output[]
 *
 * Importers of trees (onnx_forest.c) and of other models read the same graph. Failure sticks in graph->status.
 *
 * Source: onnx.proto of ONNX 1.16 (field numbers); docs/IR.md of ONNX (what makes a graph valid).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/span.h"
#include "model/base/status.h"
#include "model/import/document.h"
#include "model/import/import.h"
#include "model/import/memory.h"
#include "model/import/protobuf.h"

/* TensorProto.DataType */
enum onnx_type {
    ONNX_UNDEFINED = 0,
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_UINT16 = 4,
    ONNX_INT16 = 5,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_STRING = 8,
    ONNX_BOOL = 9,
    ONNX_FLOAT16 = 10,
    ONNX_DOUBLE = 11,
    ONNX_UINT32 = 12,
    ONNX_UINT64 = 13,
    ONNX_BFLOAT16 = 16,
};

enum { ONNX_RANK_MAX = 8 };

struct onnx_tensor {
    struct span name, message; /* message: the whole TensorProto */
    struct span location;      /* external data: the file it lies in, else absent */
    uint64_t offset, length;   /* in that file; length 0: to its end */
    int64_t dims[ONNX_RANK_MAX];
    uint64_t items; /* product of dims; 1 for a scalar */
    uint32_t rank;
    int32_t type; /* enum onnx_type, or what the file says instead */
};

struct onnx_attribute {
    struct span name, message; /* message: the whole AttributeProto */
    struct span text, tensor;  /* `s`, `t`; absent where not set */
    int64_t whole;             /* `i` */
    float real;                /* `f` */
};

struct onnx_node {
    struct span name, op, domain;
    uint32_t first_input, inputs, first_output, outputs; /* in graph->names */
    uint32_t first_attribute, attributes;
};

/* A graph input or output. */
struct onnx_value {
    struct span name;
    bool is_tensor;
    int32_t type;
    uint32_t rank;
    int64_t dims[ONNX_RANK_MAX]; /* -1: any */
};

enum onnx_maker { ONNX_BY_INPUT, ONNX_BY_INITIALIZER, ONNX_BY_NODE };

/* Who makes the value of a name. */
struct onnx_source {
    struct span name;
    enum onnx_maker maker;
    uint32_t index;  /* of the input, initializer or node */
    uint32_t output; /* BY_NODE: which of its outputs */
};

/* A file beside the model, read whole when the first tensor asks for it. */
struct onnx_beside {
    struct span name; /* in the model file */
    char *data;       /* [len], owned */
    size_t len;
};

struct onnx_graph {
    const struct import_file *file; /* borrowed */
    const struct model_options *options; /* borrowed: size limit, and who sees the bytes; NULL: none */
    struct import_memory *memory;   /* borrowed */
    struct error *err;              /* borrowed */
    enum status status;
    struct span producer, producer_version;
    int64_t ir_version, opset, opset_ml; /* 0: not named */
    struct onnx_node *nodes;
    struct span *names;
    struct onnx_attribute *attributes;
    struct onnx_tensor *initializers;
    struct onnx_value *inputs, *outputs; /* inputs: without those that an initializer fills */
    struct onnx_source *sources;         /* sorted by name */
    struct onnx_beside *besides;
    size_t beside_count, beside_capacity;
    size_t node_count, name_count, attribute_count, initializer_count, input_count, output_count, source_count;
    size_t node_capacity, name_capacity, attribute_capacity, initializer_capacity, input_capacity, output_capacity,
        source_capacity;
};

/* Reads the file's structure and checks it. The graph borrows file, options, memory and err; free it also after a failure. */
MUST_USE enum status onnx_graph_read(struct onnx_graph *g, const struct import_file *file, const struct model_options *options,
                                     struct import_memory *memory, struct error *err);
void onnx_graph_free(struct onnx_graph *g);

/* Keeps the first failure. Returns false. */
bool onnx_fail(struct onnx_graph *g, enum status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same, led by "node 'name' (operator): ". */
bool onnx_fail_node(struct onnx_graph *g, const struct onnx_node *node, enum status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool onnx_out_of_memory(struct onnx_graph *g);

/* Between the files that make the graph: one more item at the end of an array, zeroed; NULL: no memory, and failed. */
void *onnx_append(struct onnx_graph *g, void **array, size_t *count, size_t *capacity, size_t bytes);
/* Sorts out who makes each value; refuses two makers, and values used before they are made. */
bool onnx_index(struct onnx_graph *g);
bool onnx_check_order(struct onnx_graph *g);

/* Texts of the file for messages: at most 60 bytes, "?" where they are no UTF-8. For "%.*s". */
#define ONNX_TEXT(span) onnx_text_length(span), onnx_text_data(span)
int onnx_text_length(struct span text);
const char *onnx_text_data(struct span text);

bool onnx_is(struct span text, const char *word);
/* Is the node this operator? domain: "" (also written "ai.onnx") or "ai.onnx.ml". */
bool onnx_node_is(const struct onnx_node *node, const char *domain, const char *op);
static inline struct span onnx_input(const struct onnx_graph *g, const struct onnx_node *node, uint32_t i)
{
    return i < node->inputs ? g->names[node->first_input + i] : (struct span){0};
}

/* NULL: no such value. */
const struct onnx_source *onnx_source(const struct onnx_graph *g, struct span name);
/* The initializer, or the Constant node's tensor, that makes a value; false where it is none. */
bool onnx_constant(struct onnx_graph *g, struct span name, struct onnx_tensor *out);

/* NULL: not there. */
const struct onnx_attribute *onnx_attribute(const struct onnx_graph *g, const struct onnx_node *node, const char *name);
float onnx_real_or(const struct onnx_graph *g, const struct onnx_node *node, const char *name, float absent);
int64_t onnx_whole_or(const struct onnx_graph *g, const struct onnx_node *node, const char *name, int64_t absent);

/* Lists of an attribute, packed or not, replacing what out held; an absent attribute is an empty list. A failure names
 * the node and the attribute. Whole numbers must fit 32 bits. */
bool onnx_wholes(struct onnx_graph *g, const struct onnx_node *node, const char *name, struct i32s *out);
bool onnx_reals(struct onnx_graph *g, const struct onnx_node *node, const char *name, struct f64s *out);
/* Iterates over the texts of `strings`: start with onnx_texts. */
struct protobuf onnx_texts(const struct onnx_attribute *attribute);
bool onnx_next_text(struct protobuf *texts, struct span *out);

/* The shape and type of a TensorProto. */
bool onnx_tensor_read(struct onnx_graph *g, struct span message, struct onnx_tensor *out);
/* All numbers of a tensor, as doubles: every type but strings and 64-bit whole numbers beyond 2^53 fits exactly. */
bool onnx_tensor_numbers(struct onnx_graph *g, const struct onnx_tensor *tensor, struct f64s *out);
/* The same for a tensor in an attribute; an absent one gives no numbers, and type ONNX_UNDEFINED. */
bool onnx_attribute_numbers(struct onnx_graph *g, const struct onnx_node *node, const char *name, struct f64s *out,
                            int32_t *type);

/* Between onnx_tensor.c and onnx_external.c. One entry (key and text) of external_data. */
bool onnx_external_entry(struct onnx_graph *g, struct span message, struct onnx_tensor *out);
/* Refuses a location that is no plain file name. */
bool onnx_external_check(struct onnx_graph *g, const struct onnx_tensor *tensor);
/* `bytes` of the tensor's file, which is read whole and once; borrowed from the graph. */
bool onnx_external_read(struct onnx_graph *g, const struct onnx_tensor *tensor, uint64_t bytes, struct span *out);
void onnx_external_free(struct onnx_graph *g);
