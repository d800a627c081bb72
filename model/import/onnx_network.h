/*
 * Private to the importer of ONNX graphs that are networks or pipelines: dense layers, the preprocessing of scikit-learn,
 * embeddings, and trees as a stage among them. Node after node becomes operations of the inner network (model/network.h);
 * shapes, axes and broadcasting are settled here.
 *
 *     name ──► term: a constant of the file, or columns of the row: a wire
 *
 *   onnx_network.c   inputs, which nodes the score needs, the score itself; the table of operators
 *   onnx_term.c      terms: reading, making, broadcasting them
 *   onnx_dense.c     Gemm, MatMul, BatchNormalization, LayerNormalization, linear models
 *   onnx_each.c      functions of one number and of two
 *   onnx_group.c     Softmax, Normalizer, Reduce...
 *   onnx_columns.c   what moves columns: Concat, Slice, Gather, Transpose, ...
 *   onnx_shape.c     what changes a shape only: Reshape, Flatten, Cast, ...
 *   onnx_fixed.c     arithmetic on constants
 *   onnx_pipeline.c  ai.onnx.ml: Scaler, Imputer, encoders
 *   onnx_stage.c     tree ensembles as a stage
 */
#pragma once

#include "model/import/network_builder.h"
#include "model/import/onnx_graph.h"

enum onnx_held { ONNX_NOT_HELD, ONNX_FIXED, ONNX_COLUMNS };

/* What a name stands for. */
struct onnx_term {
    enum onnx_held held;
    bool is_pair; /* COLUMNS: two of them, one a class; the second one is the score */
    int32_t type; /* enum onnx_type, as the graph has it; columns are float32 whatever it is */
    uint32_t rank;
    int64_t dims[ONNX_RANK_MAX]; /* COLUMNS: dims[0] is the batch, ONNX_BATCH */
    uint32_t wire;               /* COLUMNS; product of dims[1 ..] wide */
    bool in_file;                /* FIXED: `tensor` says where; else `numbers` are they */
    struct onnx_tensor tensor;
    struct f64s numbers; /* FIXED: owned */
};

/* The size of the batch, in shapes that the graph computes; no arithmetic gives it. */
#define ONNX_BATCH (-2)

struct onnx_network {
    struct onnx_graph *g;
    struct imported *out;
    struct network_builder builder;
    struct onnx_term *terms; /* [g->source_count] */
    size_t term_capacity;
    uint64_t work; /* numbers read and columns counted out; a file may use a constant again and again, within a limit */
};

/* Imports the graph as a network. Failure is in g->status. */
bool onnx_network_import(struct onnx_graph *g, struct imported *out);

/* --- terms (onnx_term.c) ---------------------------------------------------------------------------------------------- */

/* A node's input; fails where it is left out, or not held. Borrowed. */
const struct onnx_term *onnx_term_of(struct onnx_network *n, const struct onnx_node *node, uint32_t input);
/* The same, of columns. */
const struct onnx_term *onnx_columns_of(struct onnx_network *n, const struct onnx_node *node, uint32_t input);
static inline bool onnx_has_input(const struct onnx_network *n, const struct onnx_node *node, uint32_t input)
{
    return onnx_input(n->g, node, input).len > 0;
}
/* The numbers of a constant input; `out` is the caller's to free, with onnx_numbers_free, but after a failure. Fails where it is
 * no constant. */
bool onnx_numbers_of(struct onnx_network *n, const struct onnx_node *node, uint32_t input, struct f64s *out);
/* One whole number out of a constant input. */
bool onnx_whole_of(struct onnx_network *n, const struct onnx_node *node, uint32_t input, int64_t *out);
void onnx_numbers_free(struct onnx_network *n, struct f64s *numbers);
/* Appends a number. */
bool onnx_number_push(struct onnx_network *n, struct f64s *out, double value);
/* The list of an attribute, or, where the node has that input (as later opsets want it), of the input; empty: neither.
 * Freed likewise. */
bool onnx_list_of(struct onnx_network *n, const struct onnx_node *node, const char *attribute, uint32_t input,
                  struct f64s *out);

/* What the node gives: output `output` is this term. Takes its numbers, also on failure. */
bool onnx_give(struct onnx_network *n, const struct onnx_node *node, uint32_t output, struct onnx_term term);
/* Columns of the shape of `like`, or of [batch, width]; wire 0 out of the builder stands for a failure of it. */
bool onnx_give_like(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *like, uint32_t wire);
bool onnx_give_row(struct onnx_network *n, const struct onnx_node *node, int32_t type, uint32_t wire);
bool onnx_give_fixed(struct onnx_network *n, const struct onnx_node *node, int32_t type, uint32_t rank, const int64_t *dims,
                     struct f64s numbers);

/* Columns per row of a shape (dims[1 ..]); items of all of it where it is constant. */
uint64_t onnx_items(const struct onnx_term *term);
/* An axis attribute in 0 .. rank - 1. */
bool onnx_axis(struct onnx_network *n, const struct onnx_node *node, int64_t axis, uint32_t rank, uint32_t *out);
bool onnx_unsupported(struct onnx_network *n, const struct onnx_node *node, const char *why);
/* Counts work that no operation of the network accounts for; fails where it is out of proportion. */
bool onnx_work(struct onnx_network *n, const struct onnx_node *node, uint64_t items);
/* The builder gave a wire of 0. */
bool onnx_no_room(struct onnx_network *n, const struct onnx_node *node);
static inline bool onnx_is_whole(int32_t type)
{
    return type == ONNX_INT64 || type == ONNX_INT32 || type == ONNX_INT16 || type == ONNX_INT8 || type == ONNX_UINT8 ||
           type == ONNX_UINT16 || type == ONNX_UINT32 || type == ONNX_UINT64;
}

/* --- columns: index arithmetic (onnx_term.c) -------------------------------------------------------------------------- */

/* A walk through a shape: element (i0, i1, ...) lies at offset + i0 * strides[0] + ... */
struct onnx_view {
    uint32_t rank;
    int64_t dims[ONNX_RANK_MAX], strides[ONNX_RANK_MAX], offset;
};

/* The view of a shape as it stands, of dims[from ..]. */
struct onnx_view onnx_view_of(const struct onnx_term *term, uint32_t from);
/* The elements' positions, in order; owned by the caller: onnx_positions_free. count: how many. NULL: failed. */
uint32_t *onnx_positions(struct onnx_network *n, const struct onnx_node *node, const struct onnx_view *view, uint32_t *count);
void onnx_positions_free(struct onnx_network *n, uint32_t *positions, uint32_t count);
/* Stretches a shape of dims[from ..] to `rank` dims, as ONNX broadcasts: missing and 1 become any number. */
bool onnx_stretch(const struct onnx_term *term, uint32_t from, uint32_t rank, const int64_t *dims, struct onnx_view *out);
/* A view of a term's columns as a new wire, and of a constant as new numbers. */
uint32_t onnx_view_wire(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *term,
                        const struct onnx_view *view);
bool onnx_view_numbers(struct onnx_network *n, const struct onnx_node *node, const struct f64s *numbers,
                       const struct onnx_view *view, struct f64s *out);

/* --- operators -------------------------------------------------------------------------------------------------------- */

struct onnx_operator {
    const char *domain, *op;
    bool (*apply)(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self);
    int code, more; /* for apply: which of several */
};

/* Tables of the files above; each ends with an op of NULL. */
extern const struct onnx_operator onnx_dense_operators[], onnx_each_operators[], onnx_group_operators[],
    onnx_columns_operators[], onnx_shape_operators[], onnx_pipeline_operators[], onnx_stage_operators[];

/* Arithmetic on constants: the node's inputs are all fixed. False: failed, or not one of these; then *known is false. */
bool onnx_fixed_apply(struct onnx_network *n, const struct onnx_node *node, bool *known);
