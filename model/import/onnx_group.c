/* What looks at several columns of a row together: Softmax, norms, sums. */
#include <float.h>
#include <string.h>

#include "model/import/onnx_network.h"

/* The columns reordered so that those of the chosen axes come last, together; and the way back. */
struct grouping {
    uint32_t groups, size;
    struct onnx_view there; /* from the term's order to the grouped one */
    struct onnx_view back;  /* from the grouped order to the term's */
};

/* taken[i]: dimension i is inside a group. */
static struct grouping group(const struct onnx_term *x, const bool *taken)
{
    struct onnx_view own = onnx_view_of(x, 1);
    struct grouping g = {.groups = 1, .size = 1, .there = {.rank = own.rank}, .back = {.rank = own.rank}};
    uint32_t at = 0, order[ONNX_RANK_MAX];
    for (uint32_t inside = 0; inside < 2; inside++) {
        for (uint32_t i = 0; i < own.rank; i++) {
            if (taken[i + 1] != (inside == 1))
                continue;
            *(inside ? &g.size : &g.groups) *= (uint32_t)own.dims[i];
            g.there.dims[at] = own.dims[i];
            g.there.strides[at] = own.strides[i];
            order[at++] = i;
        }
    }
    int64_t stride = 1;
    for (uint32_t k = own.rank; k-- > 0;) {
        g.back.dims[order[k]] = own.dims[order[k]];
        g.back.strides[order[k]] = stride;
        stride *= own.dims[order[k]];
    }
    return g;
}

/* An operation on groups along the taken axes that keeps the shape. */
static bool along(struct onnx_network *n, const struct onnx_node *node, const bool *taken, struct network_op op)
{
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct grouping g = group(x, taken);
    uint32_t wire = onnx_view_wire(n, node, x, &g.there);
    op.inputs[0] = wire;
    op.width = (uint32_t)onnx_items(x);
    op.groups = g.groups;
    struct onnx_term out = *x;
    out.wire = wire ? network_builder_op(&n->builder, op) : 0;
    if (out.wire == 0)
        return onnx_no_room(n, node);
    out.is_pair = op.width == 2 && g.groups == 1;
    return onnx_give_like(n, node, &out, onnx_view_wire(n, node, &out, &g.back));
}

static bool take_axis(struct onnx_network *n, const struct onnx_node *node, int64_t axis, bool *taken)
{
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    uint32_t at;
    if (!x || !onnx_axis(n, node, axis, x->rank, &at))
        return false;
    if (at == 0)
        return onnx_unsupported(n, node, "it goes over the batch: one row would see another");
    taken[at] = true;
    return true;
}

/* Before opset 13 the axis meant all from there on. */
static bool softmax_axes(struct onnx_network *n, const struct onnx_node *node, bool *taken)
{
    bool old = n->g->opset < 13;
    if (!take_axis(n, node, onnx_whole_or(n->g, node, "axis", old ? 1 : -1), taken))
        return false;
    for (uint32_t i = 1; old && i < ONNX_RANK_MAX; i++)
        taken[i] |= taken[i - 1];
    return true;
}

static bool softmax(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    bool taken[ONNX_RANK_MAX] = {false};
    return softmax_axes(n, node, taken) && along(n, node, taken, (struct network_op){.kind = NETWORK_SOFTMAX});
}

static bool normalizer(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_attribute *a = onnx_attribute(n->g, node, "norm");
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    bool taken[ONNX_RANK_MAX] = {false};
    if (!x || !take_axis(n, node, -1, taken))
        return false;
    enum network_reduce by = a && onnx_is(a->text, "L1") ? NETWORK_L1 : a && onnx_is(a->text, "L2") ? NETWORK_L2 : NETWORK_MAX;
    return along(n, node, taken, (struct network_op){.kind = NETWORK_NORMALIZE, .reduce = (uint8_t)by});
}

static bool lp_normalization(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    bool taken[ONNX_RANK_MAX] = {false};
    bool plain = onnx_whole_or(n->g, node, "p", 2) == 1;
    return take_axis(n, node, onnx_whole_or(n->g, node, "axis", -1), taken) &&
           along(n, node, taken, (struct network_op){.kind = NETWORK_NORMALIZE, .reduce = plain ? NETWORK_L1 : NETWORK_L2});
}

/* The axes of a Reduce...; none stand for all, but the batch is none of ours. */
static bool read_axes(struct onnx_network *n, const struct onnx_node *node, bool *taken)
{
    struct f64s axes;
    bool done = onnx_list_of(n, node, "axes", 1, &axes);
    if (done && axes.size == 0)
        done = onnx_unsupported(n, node, "without axes it goes over the batch: one row would see another");
    for (size_t i = 0; done && i < axes.size; i++)
        done = axes.items[i] >= -ONNX_RANK_MAX && axes.items[i] <= ONNX_RANK_MAX
                   ? take_axis(n, node, (int64_t)axes.items[i], taken)
                   : onnx_fail_node(n->g, node, STATUS_INVALID, "axis %g does not exist", axes.items[i]);
    onnx_numbers_free(n, &axes);
    return done;
}

/* A Reduce... under way. */
struct reduction {
    struct grouping g;
    bool taken[ONNX_RANK_MAX];
    uint32_t wire; /* the columns in the grouped order */
};

static bool begin_reduction(struct onnx_network *n, const struct onnx_node *node, struct reduction *r)
{
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    *r = (struct reduction){.wire = 0};
    if (!x || !read_axes(n, node, r->taken))
        return false;
    r->g = group(x, r->taken);
    r->wire = onnx_view_wire(n, node, x, &r->g.there);
    return r->wire > 0 || onnx_no_room(n, node);
}

/* wire: one column a group. */
static bool give_reduced(struct onnx_network *n, const struct onnx_node *node, const struct reduction *r, uint32_t wire)
{
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    bool keep = onnx_whole_or(n->g, node, "keepdims", 1) != 0;
    struct onnx_term out = {.held = ONNX_COLUMNS, .type = x->type};
    for (uint32_t i = 0; i < x->rank; i++) {
        if (keep || !r->taken[i])
            out.dims[out.rank++] = r->taken[i] ? 1 : x->dims[i];
    }
    return onnx_give_like(n, node, &out, wire);
}

/* One column a group out of columns in the grouped order; 0 of 0. */
static uint32_t reduced(struct onnx_network *n, const struct grouping *g, enum network_reduce by, uint32_t wire)
{
    struct network_op op = {
        .kind = NETWORK_REDUCE, .reduce = (uint8_t)by, .inputs = {wire}, .width = g->groups, .groups = g->groups};
    return wire ? network_builder_op(&n->builder, op) : 0;
}

static uint32_t mapped(struct onnx_network *n, uint32_t wire, enum network_function function)
{
    return wire ? network_builder_map(&n->builder, wire, function, 0, 0) : 0;
}

static bool reduce(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    struct reduction r;
    return begin_reduction(n, node, &r) && give_reduced(n, node, &r, reduced(n, &r.g, (enum network_reduce)self->code, r.wire));
}

static bool reduce_squares(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    struct reduction r;
    return begin_reduction(n, node, &r) &&
           give_reduced(n, node, &r, reduced(n, &r.g, (enum network_reduce)self->code, mapped(n, r.wire, NETWORK_FN_SQUARE)));
}

/* --- logarithms of sums of exponentials ------------------------------------------------------------------------------- */

/* A column a group, repeated for each of the group's columns. */
static uint32_t spread(struct onnx_network *n, const struct onnx_node *node, const struct grouping *g, uint32_t wire)
{
    struct onnx_term term = {.held = ONNX_COLUMNS, .rank = 2, .dims = {ONNX_BATCH, g->groups}, .wire = wire};
    struct onnx_view view = {.rank = 2, .dims = {g->groups, g->size}, .strides = {1, 0}};
    return wire ? onnx_view_wire(n, node, &term, &view) : 0;
}

/* log(sum exp(x)) = m + log(sum exp(x - m)), m the group's largest number, brought among the finite ones, so that infinite x
 * come out as they should: no exponential is too large then. Leaves x - m, and what is to be added to m. */
static uint32_t log_sum_exp(struct onnx_network *n, const struct onnx_node *node, const struct grouping *g, uint32_t wire,
                            uint32_t *largest, uint32_t *less)
{
    uint32_t top = reduced(n, g, NETWORK_MAX, wire);
    *largest = top ? network_builder_map(&n->builder, top, NETWORK_FN_CLIP, -FLT_MAX, FLT_MAX) : 0;
    uint32_t tops = spread(n, node, g, *largest);
    *less = tops ? network_builder_pair(&n->builder, wire, tops, NETWORK_FN_SUB) : 0;
    return mapped(n, reduced(n, g, NETWORK_SUM, mapped(n, *less, NETWORK_FN_EXP)), NETWORK_FN_LOG);
}

static bool reduce_log_sum_exp(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    struct reduction r;
    uint32_t largest, less;
    if (!begin_reduction(n, node, &r))
        return false;
    uint32_t wire = log_sum_exp(n, node, &r.g, r.wire, &largest, &less);
    return give_reduced(n, node, &r, wire ? network_builder_pair(&n->builder, wire, largest, NETWORK_FN_ADD) : 0);
}

static bool log_softmax(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    bool taken[ONNX_RANK_MAX] = {false};
    uint32_t largest, less;
    if (!softmax_axes(n, node, taken))
        return false;
    struct onnx_term out = *onnx_columns_of(n, node, 0);
    struct grouping g = group(&out, taken);
    uint32_t wire = onnx_view_wire(n, node, &out, &g.there);
    wire = spread(n, node, &g, wire ? log_sum_exp(n, node, &g, wire, &largest, &less) : 0);
    out.wire = wire ? network_builder_pair(&n->builder, less, wire, NETWORK_FN_SUB) : 0;
    if (out.wire == 0)
        return onnx_no_room(n, node);
    out.is_pair = g.groups == 1 && g.size == 2;
    return onnx_give_like(n, node, &out, onnx_view_wire(n, node, &out, &g.back));
}

const struct onnx_operator onnx_group_operators[] = {
    {"", "Softmax", softmax, 0, 0},
    {"", "LogSoftmax", log_softmax, 0, 0},
    {"", "LpNormalization", lp_normalization, 0, 0},
    {"ai.onnx.ml", "Normalizer", normalizer, 0, 0},
    {"", "ReduceSum", reduce, NETWORK_SUM, 0},
    {"", "ReduceMean", reduce, NETWORK_MEAN, 0},
    {"", "ReduceMax", reduce, NETWORK_MAX, 0},
    {"", "ReduceMin", reduce, NETWORK_MIN, 0},
    {"", "ReduceL1", reduce, NETWORK_L1, 0},
    {"", "ReduceL2", reduce, NETWORK_L2, 0},
    {"", "ReduceSumSquare", reduce_squares, NETWORK_SUM, 0},
    {"", "ReduceLogSumExp", reduce_log_sum_exp, 0, 0},
    {NULL, NULL, NULL, 0, 0},
};
