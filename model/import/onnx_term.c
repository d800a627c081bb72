/* Terms: what a name of the graph stands for, and views of their elements. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/onnx_network.h"

bool onnx_unsupported(struct onnx_network *n, const struct onnx_node *node, const char *why)
{
    return onnx_fail_node(n->g, node, STATUS_UNSUPPORTED, "%s", why);
}

bool onnx_no_room(struct onnx_network *n, const struct onnx_node *node)
{
    return onnx_fail_node(n->g, node, STATUS_LIMIT,
                          "the network needs more than %d columns, %d operations, or memory of 4 x the file + 64 MB",
                          NETWORK_WIDTH_MAX, NETWORK_OPS_MAX);
}

bool onnx_work(struct onnx_network *n, const struct onnx_node *node, uint64_t items)
{
    enum { FREE = 1 << 28 }; /* a second or so */
    n->work += items;
    return n->work <= FREE + 16 * (uint64_t)n->g->file->len ||
           onnx_fail_node(n->g, node, STATUS_LIMIT, "the graph uses its constants over and over; export it with constant folding");
}

uint64_t onnx_items(const struct onnx_term *term)
{
    uint64_t items = 1;
    for (uint32_t i = term->held == ONNX_COLUMNS ? 1 : 0; i < term->rank; i++)
        items *= (uint64_t)term->dims[i];
    return items;
}

bool onnx_axis(struct onnx_network *n, const struct onnx_node *node, int64_t axis, uint32_t rank, uint32_t *out)
{
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return onnx_fail_node(n->g, node, STATUS_INVALID, "axis %lld does not exist: its input has %u dimensions",
                              (long long)axis, rank);
    *out = (uint32_t)(axis < 0 ? axis + rank : axis);
    return true;
}

const struct onnx_term *onnx_term_of(struct onnx_network *n, const struct onnx_node *node, uint32_t input)
{
    struct span name = onnx_input(n->g, node, input);
    const struct onnx_source *source = name.len > 0 ? onnx_source(n->g, name) : NULL;
    if (!source) {
        (void)onnx_fail_node(n->g, node, STATUS_INVALID, "its input %u is missing", input);
        return NULL;
    }
    const struct onnx_term *term = &n->terms[source - n->g->sources];
    if (term->held != ONNX_NOT_HELD)
        return term;
    (void)onnx_fail_node(n->g, node, STATUS_UNSUPPORTED,
                         "its input '%.*s' is a label or another by-product that is not computed", ONNX_TEXT(name));
    return NULL;
}

const struct onnx_term *onnx_columns_of(struct onnx_network *n, const struct onnx_node *node, uint32_t input)
{
    const struct onnx_term *term = onnx_term_of(n, node, input);
    if (!term || term->held == ONNX_COLUMNS)
        return term;
    (void)onnx_fail_node(n->g, node, STATUS_UNSUPPORTED,
                         "its input '%.*s' is a constant; what comes of the row is expected there",
                         ONNX_TEXT(onnx_input(n->g, node, input)));
    return NULL;
}

bool onnx_number_push(struct onnx_network *n, struct f64s *out, double value)
{
    double *grown = import_grow(n->g->memory, out->items, &out->capacity, out->size + 1, sizeof *grown);
    if (!grown)
        return onnx_out_of_memory(n->g);
    out->items = grown;
    out->items[out->size++] = value;
    return true;
}

void onnx_numbers_free(struct onnx_network *n, struct f64s *numbers)
{
    (void)import_shrink(n->g->memory, numbers->items, &numbers->capacity, 0, sizeof *numbers->items);
    *numbers = (struct f64s){0};
}

static bool copy_numbers(struct onnx_network *n, const struct f64s *from, struct f64s *out)
{
    out->items = import_grow(n->g->memory, NULL, &out->capacity, from->size, sizeof *out->items);
    if (!out->items)
        return onnx_out_of_memory(n->g);
    if (from->size > 0)
        memcpy(out->items, from->items, from->size * sizeof *out->items);
    out->size = from->size;
    return true;
}

bool onnx_numbers_of(struct onnx_network *n, const struct onnx_node *node, uint32_t input, struct f64s *out)
{
    const struct onnx_term *term = onnx_term_of(n, node, input);
    *out = (struct f64s){0};
    if (!term)
        return false;
    if (term->held != ONNX_FIXED)
        return onnx_fail_node(n->g, node, STATUS_UNSUPPORTED, "its input '%.*s' must be a constant",
                              ONNX_TEXT(onnx_input(n->g, node, input)));
    bool read = term->in_file ? onnx_tensor_numbers(n->g, &term->tensor, out) : copy_numbers(n, &term->numbers, out);
    if (read && onnx_work(n, node, out->size))
        return true;
    onnx_numbers_free(n, out);
    return false;
}

bool onnx_whole_of(struct onnx_network *n, const struct onnx_node *node, uint32_t input, int64_t *out)
{
    struct f64s numbers;
    bool read = onnx_numbers_of(n, node, input, &numbers);
    if (read && (numbers.size != 1 || !(fabs(numbers.items[0]) < 0x1p53) || numbers.items[0] != trunc(numbers.items[0])))
        read = onnx_fail_node(n->g, node, STATUS_INVALID, "its input %u must be one whole number", input);
    if (read)
        *out = (int64_t)numbers.items[0];
    onnx_numbers_free(n, &numbers);
    return read;
}

bool onnx_list_of(struct onnx_network *n, const struct onnx_node *node, const char *attribute, uint32_t input, struct f64s *out)
{
    *out = (struct f64s){0};
    if (onnx_has_input(n, node, input))
        return onnx_numbers_of(n, node, input, out);
    struct i32s list = {0};
    bool read = onnx_wholes(n->g, node, attribute, &list);
    for (size_t i = 0; read && i < list.size; i++)
        read = onnx_number_push(n, out, list.items[i]);
    (void)import_shrink(n->g->memory, list.items, &list.capacity, 0, sizeof *list.items);
    if (!read)
        onnx_numbers_free(n, out);
    return read;
}

bool onnx_give(struct onnx_network *n, const struct onnx_node *node, uint32_t output, struct onnx_term term)
{
    struct span name = output < node->outputs ? n->g->names[node->first_output + output] : (struct span){0};
    const struct onnx_source *source = name.len > 0 ? onnx_source(n->g, name) : NULL;
    if (source)
        n->terms[source - n->g->sources] = term;
    else
        onnx_numbers_free(n, &term.numbers);
    return true;
}

bool onnx_give_like(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *like, uint32_t wire)
{
    if (wire == 0)
        return onnx_no_room(n, node);
    struct onnx_term term = *like;
    term.wire = wire;
    return onnx_give(n, node, 0, term);
}

bool onnx_give_row(struct onnx_network *n, const struct onnx_node *node, int32_t type, uint32_t wire)
{
    if (wire == 0)
        return onnx_no_room(n, node);
    return onnx_give(n, node, 0,
                     (struct onnx_term){.held = ONNX_COLUMNS,
                                        .type = type,
                                        .rank = 2,
                                        .dims = {ONNX_BATCH, network_width(n->builder.network, wire)},
                                        .wire = wire});
}

bool onnx_give_fixed(struct onnx_network *n, const struct onnx_node *node, int32_t type, uint32_t rank, const int64_t *dims,
                     struct f64s numbers)
{
    struct onnx_term term = {.held = ONNX_FIXED, .type = type, .rank = rank, .numbers = numbers};
    for (uint32_t i = 0; i < rank; i++)
        term.dims[i] = dims[i];
    return onnx_give(n, node, 0, term);
}

struct onnx_view onnx_view_of(const struct onnx_term *term, uint32_t from)
{
    struct onnx_view view = {.rank = term->rank - from};
    int64_t stride = 1;
    for (uint32_t i = view.rank; i-- > 0;) {
        view.dims[i] = term->dims[from + i];
        view.strides[i] = stride;
        stride *= view.dims[i];
    }
    return view;
}

uint32_t *onnx_positions(struct onnx_network *n, const struct onnx_node *node, const struct onnx_view *view, uint32_t *count)
{
    uint64_t items = 1;
    for (uint32_t i = 0; i < view->rank; i++) {
        items *= (uint64_t)view->dims[i];
        if (items > NETWORK_WIDTH_MAX)
            break;
    }
    if (items == 0 || items > NETWORK_WIDTH_MAX) {
        (void)onnx_fail_node(n->g, node, STATUS_LIMIT, "it gives no columns, or more than %d", NETWORK_WIDTH_MAX);
        return NULL;
    }
    if (!onnx_work(n, node, items))
        return NULL;
    size_t capacity = 0;
    uint32_t *positions = import_grow(n->g->memory, NULL, &capacity, (size_t)items, sizeof *positions);
    int64_t at[ONNX_RANK_MAX] = {0}, position = view->offset;
    for (uint64_t k = 0; positions && k < items; k++) {
        positions[k] = (uint32_t)position;
        for (uint32_t i = view->rank; i-- > 0;) {
            position += view->strides[i];
            if (++at[i] < view->dims[i])
                break;
            position -= at[i] * view->strides[i];
            at[i] = 0;
        }
    }
    *count = (uint32_t)items;
    if (!positions)
        (void)onnx_out_of_memory(n->g);
    return positions ? import_shrink(n->g->memory, positions, &capacity, (size_t)items, sizeof *positions) : NULL;
}

void onnx_positions_free(struct onnx_network *n, uint32_t *positions, uint32_t count)
{
    size_t capacity = count;
    (void)import_shrink(n->g->memory, positions, &capacity, 0, sizeof *positions);
}

bool onnx_stretch(const struct onnx_term *term, uint32_t from, uint32_t rank, const int64_t *dims, struct onnx_view *out)
{
    struct onnx_view own = onnx_view_of(term, from);
    if (own.rank > rank)
        return false;
    *out = (struct onnx_view){.rank = rank};
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t ahead = rank - own.rank;
        bool is_one = i < ahead || own.dims[i - ahead] == 1;
        if (!is_one && own.dims[i - ahead] != dims[i])
            return false;
        out->dims[i] = dims[i];
        out->strides[i] = is_one ? 0 : own.strides[i - ahead];
    }
    return true;
}

uint32_t onnx_view_wire(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *term,
                        const struct onnx_view *view)
{
    uint32_t count, *columns = onnx_positions(n, node, view, &count);
    if (!columns)
        return 0;
    uint32_t wire = network_builder_gather(&n->builder, term->wire, columns, count);
    onnx_positions_free(n, columns, count);
    return wire;
}

bool onnx_view_numbers(struct onnx_network *n, const struct onnx_node *node, const struct f64s *numbers,
                       const struct onnx_view *view, struct f64s *out)
{
    *out = (struct f64s){0};
    uint32_t count, *positions = onnx_positions(n, node, view, &count);
    bool done = positions != NULL;
    for (uint32_t i = 0; done && i < count; i++)
        done = onnx_number_push(n, out, numbers->items[positions[i]]);
    if (positions)
        onnx_positions_free(n, positions, count);
    return done;
}
