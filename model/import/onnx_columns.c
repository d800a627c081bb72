/* What moves columns about, without a change to any number; and tables that a column is an index of. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/onnx_network.h"

static bool not_the_batch(struct onnx_network *n, const struct onnx_node *node)
{
    return onnx_unsupported(n, node, "it works along the batch: one row would see another");
}

/* --- Concat ----------------------------------------------------------------------------------------------------------- */

/* Wires side by side, block after block where the axis is not the first one. */
static bool interleave(struct onnx_network *n, const struct onnx_node *node, uint32_t wire, const uint32_t *widths, uint32_t count,
                       uint32_t blocks, uint32_t *out)
{
    uint32_t total = network_width(n->builder.network, wire), at = 0;
    size_t capacity = 0;
    uint32_t *columns = import_grow(n->g->memory, NULL, &capacity, total, sizeof *columns);
    if (!columns)
        return onnx_out_of_memory(n->g);
    for (uint32_t b = 0; b < blocks; b++) {
        for (uint32_t k = 0, start = 0; k < count; start += widths[k++]) {
            uint32_t part = widths[k] / blocks;
            for (uint32_t i = 0; i < part; i++)
                columns[at++] = start + b * part + i;
        }
    }
    *out = network_builder_gather(&n->builder, wire, columns, total);
    (void)import_shrink(n->g->memory, columns, &capacity, 0, sizeof *columns);
    return *out > 0 || onnx_no_room(n, node);
}

/* The wires of all inputs, and what shape they have together. */
static bool gather_inputs(struct onnx_network *n, const struct onnx_node *node, uint32_t axis, uint32_t *wires, uint32_t *widths,
                          struct onnx_term *out)
{
    for (uint32_t i = 0; i < node->inputs; i++) {
        const struct onnx_term *x = onnx_columns_of(n, node, i);
        if (!x)
            return false;
        if (i == 0) {
            *out = *x;
            out->dims[axis] = 0;
        }
        bool same = x->rank == out->rank;
        for (uint32_t d = 1; same && d < x->rank; d++)
            same = d == axis || x->dims[d] == out->dims[d];
        if (!same)
            return onnx_fail_node(n->g, node, STATUS_INVALID, "its inputs are of different shapes");
        out->dims[axis] += x->dims[axis];
        wires[i] = x->wire;
        widths[i] = network_width(n->builder.network, x->wire);
        if (out->dims[axis] > NETWORK_WIDTH_MAX)
            return onnx_no_room(n, node);
    }
    return true;
}

/* 1 - p and p side by side are the probabilities of two classes. */
static bool is_complement(const struct onnx_network *n, const uint32_t *wires)
{
    const struct network *network = n->builder.network;
    const struct network_op *op = wires[0] > 0 ? &network->ops[wires[0] - 1] : NULL;
    return op && op->width == 1 && op->kind == NETWORK_WITH && op->function == NETWORK_FN_SUB_FROM && op->inputs[0] == wires[1] &&
           network->numbers[op->first] == 1.0f;
}

static bool concat(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    const struct onnx_term *x = node->inputs > 0 ? onnx_columns_of(n, node, 0) : NULL;
    uint32_t axis;
    if (!x)
        return onnx_fail_node(n->g, node, STATUS_INVALID, "it has no inputs");
    if (!onnx_axis(n, node, self->more ? 1 : onnx_whole_or(n->g, node, "axis", 1), x->rank, &axis))
        return false;
    if (axis == 0)
        return not_the_batch(n, node);
    size_t capacity = 0;
    uint32_t *wires = import_grow(n->g->memory, NULL, &capacity, 2 * (size_t)node->inputs, sizeof *wires);
    if (!wires)
        return onnx_out_of_memory(n->g);
    struct onnx_term out;
    uint32_t *widths = wires + node->inputs, blocks = 1;
    bool done = gather_inputs(n, node, axis, wires, widths, &out);
    out.wire = done ? network_builder_concat(&n->builder, wires, node->inputs) : 0;
    for (uint32_t d = 1; done && d < axis; d++)
        blocks *= (uint32_t)out.dims[d];
    if (out.wire > 0 && blocks > 1)
        done = interleave(n, node, out.wire, widths, node->inputs, blocks, &out.wire);
    out.is_pair = done && node->inputs == 2 && is_complement(n, wires);
    (void)import_shrink(n->g->memory, wires, &capacity, 0, sizeof *wires);
    return done && onnx_give_like(n, node, &out, out.wire);
}

/* --- Slice, Split, Transpose ------------------------------------------------------------------------------------------ */

/* One axis of a Slice, as numpy counts; false: nothing is left of it, or the step is 0. */
static bool slice_axis(struct onnx_view *view, uint32_t axis, double start, double end, double step)
{
    double size = (double)view->dims[axis];
    if (step == 0 || step != trunc(step) || fabs(step) > NETWORK_WIDTH_MAX)
        return false;
    start = start < 0 ? start + size : start;
    end = end < 0 ? end + size : end;
    start = fmin(fmax(start, 0), step > 0 ? size : size - 1);
    end = fmin(fmax(end, step > 0 ? 0 : -1), size);
    double count = ceil((end - start) / step);
    if (!(count >= 1))
        return false;
    view->offset += (int64_t)start * view->strides[axis];
    view->dims[axis] = (int64_t)count;
    view->strides[axis] *= (int64_t)step;
    return true;
}

static bool apply_slice(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, const struct f64s lists[4],
                        struct onnx_view *view)
{
    const struct f64s *starts = &lists[0], *ends = &lists[1], *axes = &lists[2], *steps = &lists[3];
    if (starts->size != ends->size || (axes->size > 0 && axes->size != starts->size) ||
        (steps->size > 0 && steps->size != starts->size))
        return onnx_fail_node(n->g, node, STATUS_INVALID, "its starts, ends, axes and steps are of different lengths");
    for (size_t i = 0; i < starts->size; i++) {
        double axis = axes->size > 0 ? axes->items[i] : (double)i;
        uint32_t at;
        if (!onnx_axis(n, node, fabs(axis) <= ONNX_RANK_MAX ? (int64_t)axis : ONNX_RANK_MAX, x->rank, &at))
            return false;
        double step = steps->size > 0 ? steps->items[i] : 1;
        if (at == 0 && starts->items[i] == 0 && ends->items[i] >= INT32_MAX && step == 1)
            continue; /* all of the batch */
        if (at == 0)
            return not_the_batch(n, node);
        if (!slice_axis(view, at - 1, starts->items[i], ends->items[i], step))
            return onnx_fail_node(n->g, node, STATUS_INVALID, "nothing is left of axis %u", at);
    }
    return true;
}

static bool slice(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s lists[4] = {{0}};
    bool done = x != NULL;
    for (uint32_t i = 0; done && i < 4; i++)
        done = onnx_list_of(n, node, names[i], i + 1, &lists[i]);
    struct onnx_view view = done ? onnx_view_of(x, 1) : (struct onnx_view){0};
    done = done && apply_slice(n, node, x, lists, &view);
    for (uint32_t i = 0; i < 4; i++)
        onnx_numbers_free(n, &lists[i]);
    if (!done)
        return false;
    struct onnx_term out = *x;
    out.is_pair = false;
    for (uint32_t i = 0; i < view.rank; i++)
        out.dims[i + 1] = view.dims[i];
    return onnx_give_like(n, node, &out, onnx_view_wire(n, node, x, &view));
}

/* Parts of one axis, one an output; sizes: none, then all of one size. */
static bool give_parts(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, uint32_t axis,
                       const struct f64s *sizes)
{
    double whole = (double)x->dims[axis], part = ceil(whole / (double)node->outputs), at = 0;
    for (uint32_t i = 0; i < node->outputs; i++) {
        double size = sizes->size > 0 ? (i < sizes->size ? sizes->items[i] : 0) : fmin(part, whole - at);
        struct onnx_view view = onnx_view_of(x, 1);
        if (!(size >= 1) || at + size > whole || !slice_axis(&view, axis - 1, at, at + size, 1))
            return onnx_fail_node(n->g, node, STATUS_INVALID, "its parts do not fit the %lld columns of its input", (long long)whole);
        struct onnx_term out = *x;
        out.is_pair = false;
        out.dims[axis] = (int64_t)size;
        out.wire = onnx_view_wire(n, node, x, &view);
        if (out.wire == 0 || !onnx_give(n, node, i, out))
            return onnx_no_room(n, node);
        at += size;
    }
    return true;
}

static bool split(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s sizes;
    uint32_t axis;
    if (!x || !onnx_axis(n, node, onnx_whole_or(n->g, node, "axis", 0), x->rank, &axis))
        return false;
    if (axis == 0)
        return not_the_batch(n, node);
    bool done = onnx_list_of(n, node, "split", 1, &sizes) && give_parts(n, node, x, axis, &sizes);
    onnx_numbers_free(n, &sizes);
    return done;
}

static bool transpose(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct i32s perm = {0};
    if (!x)
        return false;
    bool seen[ONNX_RANK_MAX] = {false};
    bool done = onnx_wholes(n->g, node, "perm", &perm) && perm.size == x->rank && perm.items[0] == 0;
    struct onnx_view own = onnx_view_of(x, 1), view = own;
    struct onnx_term out = *x;
    for (uint32_t i = 1; done && i < x->rank; i++) {
        int32_t from = perm.items[i];
        done = from > 0 && from < (int32_t)x->rank && !seen[from];
        if (!done)
            break;
        seen[from] = true;
        out.dims[i] = view.dims[i - 1] = own.dims[from - 1];
        view.strides[i - 1] = own.strides[from - 1];
    }
    (void)import_shrink(n->g->memory, perm.items, &perm.capacity, 0, sizeof *perm.items);
    if (!done)
        return onnx_unsupported(n, node, "its perm must keep the batch first and name each other dimension once");
    return onnx_give_like(n, node, &out, onnx_view_wire(n, node, x, &view));
}

/* --- Gather ----------------------------------------------------------------------------------------------------------- */

/* Chosen entries of an axis; the indices' own shape takes the axis' place. Takes the positions' memory. */
static bool take_columns(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, uint32_t axis,
                         const struct f64s *indices, const struct onnx_term *shape)
{
    struct onnx_view own = onnx_view_of(x, 1), block = own;
    struct onnx_term out = {.held = ONNX_COLUMNS, .type = x->type};
    uint64_t blocks = 1, inner = (uint64_t)own.strides[axis - 1], total;
    if (x->rank - 1 + shape->rank > ONNX_RANK_MAX)
        return onnx_unsupported(n, node, "it gives more dimensions than are supported");
    for (uint32_t i = 0; i < axis; i++)
        out.dims[out.rank++] = x->dims[i];
    for (uint32_t i = 0; i < shape->rank; i++)
        out.dims[out.rank++] = shape->dims[i];
    for (uint32_t i = axis + 1; i < x->rank; i++)
        out.dims[out.rank++] = x->dims[i];
    for (uint32_t i = 1; i < axis; i++)
        blocks *= (uint64_t)block.dims[i - 1];
    total = blocks * inner * indices->size;
    size_t capacity = 0, at = 0;
    if (!onnx_work(n, node, total))
        return false;
    uint32_t *columns =
        total > 0 && total <= NETWORK_WIDTH_MAX ? import_grow(n->g->memory, NULL, &capacity, (size_t)total, sizeof *columns) : NULL;
    if (!columns)
        return onnx_no_room(n, node);
    bool done = true;
    for (uint64_t b = 0; done && b < blocks; b++) {
        for (size_t k = 0; done && k < indices->size; k++) {
            double size = (double)x->dims[axis], index = indices->items[k] < 0 ? indices->items[k] + size : indices->items[k];
            done = index >= 0 && index < size && index == trunc(index);
            for (uint64_t i = 0; done && i < inner; i++)
                columns[at++] = (uint32_t)((b * (uint64_t)size + (uint64_t)index) * inner + i);
        }
    }
    uint32_t wire = done ? network_builder_gather(&n->builder, x->wire, columns, (uint32_t)total) : 0;
    (void)import_shrink(n->g->memory, columns, &capacity, 0, sizeof *columns);
    if (!done)
        return onnx_fail_node(n->g, node, STATUS_INVALID, "an index is out of range: axis %u has %lld entries", axis,
                              (long long)x->dims[axis]);
    return onnx_give_like(n, node, &out, wire);
}

static bool gather_columns(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, int64_t axis)
{
    const struct onnx_term *shape = onnx_term_of(n, node, 1);
    struct f64s indices;
    uint32_t at;
    if (!onnx_axis(n, node, axis, x->rank, &at) || !onnx_numbers_of(n, node, 1, &indices))
        return false;
    bool done = at == 0 ? not_the_batch(n, node) : take_columns(n, node, x, at, &indices, shape);
    onnx_numbers_free(n, &indices);
    return done;
}

/* Columns as indices of a constant table's first axis: an embedding. */
static bool embed(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *table, const struct onnx_term *indices)
{
    struct f64s numbers;
    uint32_t first, tokens = (uint32_t)onnx_items(indices);
    if (onnx_whole_or(n->g, node, "axis", 0) != 0 || table->rank == 0 || indices->rank + table->rank - 1 > ONNX_RANK_MAX)
        return onnx_unsupported(n, node, "a table is indexed along its first axis only");
    if (!onnx_numbers_of(n, node, 0, &numbers))
        return false;
    uint64_t rows = (uint64_t)table->dims[0], length = rows ? numbers.size / rows : 0;
    bool fits = rows > 0 && rows < 1 << 24 && length > 0 && length * tokens <= NETWORK_WIDTH_MAX;
    float *to = fits ? network_builder_numbers(&n->builder, numbers.size, &first) : NULL;
    for (size_t i = 0; to && i < numbers.size; i++)
        to[i] = (float)numbers.items[i];
    uint32_t count = (uint32_t)numbers.size;
    onnx_numbers_free(n, &numbers);
    if (!to)
        return onnx_fail_node(n->g, node, STATUS_LIMIT,
                              "its table has no rows, 2^24 of them or more, gives more than %d columns, or needs more memory than "
                              "4 x the file + 64 MB",
                              NETWORK_WIDTH_MAX);
    struct onnx_term out = *indices;
    out.type = table->type;
    out.is_pair = false;
    for (uint32_t i = 1; i < table->rank; i++)
        out.dims[out.rank++] = table->dims[i];
    return onnx_give_like(n, node, &out,
                          network_builder_op(&n->builder, (struct network_op){.kind = NETWORK_EMBED,
                                                                             .inputs = {indices->wire},
                                                                             .width = (uint32_t)length * tokens,
                                                                             .rows = (uint32_t)rows,
                                                                             .first = first,
                                                                             .count = count}));
}

static bool gather(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *data = onnx_term_of(n, node, 0), *indices = data ? onnx_term_of(n, node, 1) : NULL;
    if (!indices)
        return false;
    if (data->held == ONNX_FIXED)
        return embed(n, node, data, indices);
    if (indices->held == ONNX_FIXED)
        return gather_columns(n, node, data, onnx_whole_or(n->g, node, "axis", 0));
    return onnx_unsupported(n, node, "its data and its indices both come of the row");
}

/* Of the last axis; the indices are a plain list whatever their shape. */
static bool extract(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s indices;
    if (!x || !onnx_numbers_of(n, node, 1, &indices))
        return false;
    const struct onnx_term list = {.held = ONNX_FIXED, .rank = 1, .dims = {(int64_t)indices.size}};
    bool done = x->rank < 2 ? onnx_unsupported(n, node, "its input has no columns")
                            : take_columns(n, node, x, x->rank - 1, &indices, &list);
    onnx_numbers_free(n, &indices);
    return done;
}

const struct onnx_operator onnx_columns_operators[] = {
    {"", "Concat", concat, 0, 0},
    {"ai.onnx.ml", "FeatureVectorizer", concat, 0, 1},
    {"", "Slice", slice, 0, 0},
    {"", "Split", split, 0, 0},
    {"", "Transpose", transpose, 0, 0},
    {"", "Gather", gather, 0, 0},
    {"ai.onnx.ml", "ArrayFeatureExtractor", extract, 0, 0},
    {NULL, NULL, NULL, 0, 0},
};
