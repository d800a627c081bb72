/* What changes the shape or the type of a value and, but for casts to whole numbers, no number of it; and constants. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/onnx_network.h"

static bool keep(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    return x && onnx_give_like(n, node, x, x->wire);
}

/* Dropout does nothing when a model is used. */
static bool dropout(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    struct f64s mode = {0};
    bool done = !onnx_has_input(n, node, 2) || onnx_numbers_of(n, node, 2, &mode);
    if (done && mode.size > 0 && mode.items[0] != 0)
        done = onnx_unsupported(n, node, "it is in training mode; call model.eval() before the export");
    onnx_numbers_free(n, &mode);
    return done && keep(n, node, self);
}

static bool cast(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    int64_t to = onnx_whole_or(n->g, node, "to", ONNX_UNDEFINED);
    if (!x)
        return false;
    struct onnx_term out = *x;
    bool real = to == ONNX_FLOAT || to == ONNX_DOUBLE || to == ONNX_FLOAT16 || to == ONNX_BFLOAT16;
    if (!real && to != ONNX_BOOL && !onnx_is_whole((int32_t)to))
        return onnx_unsupported(n, node, "a column can be cast to numbers only, not to text");
    out.type = (int32_t)to;
    if (onnx_is_whole(out.type) && !onnx_is_whole(x->type) && x->type != ONNX_BOOL)
        out.wire = network_builder_map(&n->builder, x->wire, NETWORK_FN_TRUNC, 0, 0);
    for (int i = 0; out.wire > 0 && to == ONNX_BOOL && x->type != ONNX_BOOL && i < 2; i++) /* not not x: 0 or 1 */
        out.wire = network_builder_map(&n->builder, out.wire, NETWORK_FN_NOT, 0, 0);
    return onnx_give_like(n, node, &out, out.wire);
}

/* --- shapes ----------------------------------------------------------------------------------------------------------- */

/* The dimensions that Reshape asks for, behind the batch; *open: which one is to be worked out, 0: none. */
static bool read_shape(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, const struct f64s *shape,
                       struct onnx_term *out, uint32_t *open)
{
    bool zero_copies = onnx_whole_or(n->g, node, "allowzero", 0) == 0;
    *open = 0;
    if (shape->size == 0 || shape->size > ONNX_RANK_MAX)
        return onnx_unsupported(n, node, "its shape is empty, or has more dimensions than are supported");
    out->rank = (uint32_t)shape->size;
    for (uint32_t i = 1; i < out->rank; i++) {
        double dim = shape->items[i];
        if (dim == 0 && zero_copies && i < x->rank)
            dim = (double)x->dims[i];
        if (dim == -1 && *open == 0)
            *open = i;
        else if (!(dim >= 1 && dim <= NETWORK_WIDTH_MAX && dim == trunc(dim)))
            return onnx_fail_node(n->g, node, STATUS_INVALID, "dimension %u of its shape can't be %g", i, dim);
        out->dims[i] = dim == -1 ? 1 : (int64_t)dim;
    }
    return true;
}

/* The batch stays the first dimension, whatever the graph calls it: the rest must be all of the row. */
static bool reshape_to(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, const struct f64s *shape)
{
    struct onnx_term out = *x;
    uint32_t open;
    uint64_t width = onnx_items(x), wanted = 1;
    if (!read_shape(n, node, x, shape, &out, &open))
        return false;
    for (uint32_t i = 1; i < out.rank && wanted <= width; i++)
        wanted *= (uint64_t)out.dims[i];
    if (open > 0 && wanted > 0 && wanted <= width && width % wanted == 0) {
        out.dims[open] = (int64_t)(width / wanted);
        wanted = width;
    }
    double batch = shape->items[0];
    bool is_batch = batch == ONNX_BATCH || batch == 0 || batch == 1 || (batch == -1 && open == 0);
    if (!is_batch || wanted != width)
        return onnx_fail_node(n->g, node, STATUS_UNSUPPORTED,
                              "its shape does not keep a row of %llu columns a row; export the model with a batch of any size",
                              (unsigned long long)width);
    return onnx_give_like(n, node, &out, x->wire);
}

static bool reshape(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s shape;
    bool done = x && onnx_list_of(n, node, "shape", 1, &shape) && reshape_to(n, node, x, &shape);
    if (x)
        onnx_numbers_free(n, &shape);
    return done;
}

static bool flatten(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    if (!x)
        return false;
    int64_t axis = onnx_whole_or(n->g, node, "axis", 1);
    if (axis != 1 && axis != 1 - (int64_t)x->rank)
        return onnx_unsupported(n, node, "its axis must be 1: a row stays a row");
    struct onnx_term out = *x;
    out.rank = 2;
    out.dims[1] = (int64_t)onnx_items(x);
    return onnx_give_like(n, node, &out, x->wire);
}

/* Axes of Squeeze or Unsqueeze into marks; `rank` is that of the longer shape. */
static bool mark_axes(struct onnx_network *n, const struct onnx_node *node, uint32_t rank, bool *marked, size_t *count)
{
    struct f64s axes;
    bool done = onnx_list_of(n, node, "axes", 1, &axes);
    *count = done ? axes.size : 0;
    for (size_t i = 0; done && i < axes.size; i++) {
        uint32_t at = 0;
        done = onnx_axis(n, node, fabs(axes.items[i]) <= ONNX_RANK_MAX ? (int64_t)axes.items[i] : ONNX_RANK_MAX + 1, rank, &at);
        if (done && (at == 0 || marked[at]))
            done = onnx_unsupported(n, node, "the batch must stay the first dimension, and each axis be named once");
        marked[at] = true;
    }
    onnx_numbers_free(n, &axes);
    return done;
}

static bool squeeze(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    bool marked[ONNX_RANK_MAX] = {false};
    size_t count;
    if (!x || !mark_axes(n, node, x->rank, marked, &count))
        return false;
    struct onnx_term out = *x;
    out.rank = 0;
    for (uint32_t i = 0; i < x->rank; i++) {
        bool goes = i > 0 && x->dims[i] == 1 && (count == 0 || marked[i]);
        if (marked[i] && !goes)
            return onnx_fail_node(n->g, node, STATUS_INVALID, "axis %u has %lld entries, not 1", i, (long long)x->dims[i]);
        if (!goes)
            out.dims[out.rank++] = x->dims[i];
    }
    return onnx_give_like(n, node, &out, x->wire);
}

static bool unsqueeze(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s axes;
    bool marked[ONNX_RANK_MAX] = {false};
    size_t count = 0;
    if (!x || !onnx_list_of(n, node, "axes", 1, &axes))
        return false;
    uint32_t rank = axes.size > ONNX_RANK_MAX ? ONNX_RANK_MAX + 1 : x->rank + (uint32_t)axes.size;
    onnx_numbers_free(n, &axes);
    if (rank > ONNX_RANK_MAX)
        return onnx_unsupported(n, node, "it gives more dimensions than are supported");
    if (!mark_axes(n, node, rank, marked, &count))
        return false;
    struct onnx_term out = *x;
    for (uint32_t i = 0, from = 0; i < rank; i++)
        out.dims[i] = marked[i] ? 1 : x->dims[from++];
    out.rank = rank;
    return onnx_give_like(n, node, &out, x->wire);
}

/* The shape as numbers that the graph may compute with; the batch is not known. */
static bool shape_of(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s numbers = {0};
    bool done = x != NULL;
    if (done && (onnx_attribute(n->g, node, "start") || onnx_attribute(n->g, node, "end")))
        done = onnx_unsupported(n, node, "a part of a shape is not supported");
    for (uint32_t i = 0; done && i < x->rank; i++)
        done = onnx_number_push(n, &numbers, i == 0 ? ONNX_BATCH : (double)x->dims[i]);
    if (done)
        return onnx_give_fixed(n, node, ONNX_INT64, 1, (const int64_t[]){(int64_t)numbers.size}, numbers);
    onnx_numbers_free(n, &numbers);
    return false;
}

/* Expand to a shape that keeps the batch. */
static bool expand_to(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, const struct f64s *shape)
{
    struct onnx_term out = *x;
    struct onnx_view view;
    bool fits = shape->size > 0 && shape->size <= x->rank;
    uint32_t ahead = fits ? x->rank - (uint32_t)shape->size : 0;
    for (uint32_t i = 0; fits && i < shape->size; i++) {
        double dim = shape->items[i];
        uint32_t at = ahead + i;
        fits = at == 0 ? dim == 1 || dim == ONNX_BATCH
                       : dim >= 1 && dim <= NETWORK_WIDTH_MAX && (dim == 1 || x->dims[at] == 1 || dim == (double)x->dims[at]);
        if (fits && at > 0 && dim > 1)
            out.dims[at] = (int64_t)dim;
    }
    if (!fits || !onnx_stretch(x, 1, x->rank - 1, out.dims + 1, &view))
        return onnx_unsupported(n, node, "its shape must keep the batch and fit its input");
    return onnx_give_like(n, node, &out, onnx_view_wire(n, node, x, &view));
}

static bool expand(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s shape;
    bool done = x && onnx_numbers_of(n, node, 1, &shape) && expand_to(n, node, x, &shape);
    if (x)
        onnx_numbers_free(n, &shape);
    return done;
}

/* --- constants -------------------------------------------------------------------------------------------------------- */

/* value_float, value_int and their lists. */
static bool constant_list(struct onnx_network *n, const struct onnx_node *node)
{
    const struct onnx_attribute *real = onnx_attribute(n->g, node, "value_float"), *whole = onnx_attribute(n->g, node, "value_int");
    struct f64s numbers = {0};
    if (real || whole)
        return onnx_number_push(n, &numbers, real ? (double)real->real : (double)whole->whole) &&
               onnx_give_fixed(n, node, real ? ONNX_FLOAT : ONNX_INT64, 0, NULL, numbers);
    bool reals = onnx_attribute(n->g, node, "value_floats") != NULL;
    if (!reals && !onnx_attribute(n->g, node, "value_ints"))
        return onnx_unsupported(n, node, "it is no constant of numbers");
    if (reals ? onnx_reals(n->g, node, "value_floats", &numbers) : onnx_list_of(n, node, "value_ints", UINT32_MAX, &numbers))
        return onnx_give_fixed(n, node, reals ? ONNX_FLOAT : ONNX_INT64, 1, (const int64_t[]){(int64_t)numbers.size}, numbers);
    onnx_numbers_free(n, &numbers);
    return false;
}

static bool constant(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_attribute *value = onnx_attribute(n->g, node, "value");
    if (!value || !value->tensor.data)
        return constant_list(n, node);
    struct onnx_term term = {.held = ONNX_FIXED, .in_file = true};
    if (!onnx_tensor_read(n->g, value->tensor, &term.tensor))
        return false;
    term.type = term.tensor.type;
    term.rank = term.tensor.rank;
    memcpy(term.dims, term.tensor.dims, sizeof term.dims);
    return onnx_give(n, node, 0, term);
}

const struct onnx_operator onnx_shape_operators[] = {
    {"", "Identity", keep, 0, 0},
    {"ai.onnx.ml", "ZipMap", keep, 0, 0},
    {"", "Dropout", dropout, 0, 0},
    {"", "Cast", cast, 0, 0},
    {"", "Reshape", reshape, 0, 0},
    {"", "Flatten", flatten, 0, 0},
    {"", "Squeeze", squeeze, 0, 0},
    {"", "Unsqueeze", unsqueeze, 0, 0},
    {"", "Shape", shape_of, 0, 0},
    {"", "Expand", expand, 0, 0},
    {"", "Constant", constant, 0, 0},
    {NULL, NULL, NULL, 0, 0},
};
