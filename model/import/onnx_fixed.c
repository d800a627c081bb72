/*
 * Nodes that compute on constants alone: what exporters leave of shapes and of unfolded weights. Numbers are held as doubles
 * and rounded to the graph's type after each step; +, -, *, / and the root of float32 numbers come out as in float32 itself.
 */
#include <math.h>
#include <string.h>

#include "model/import/onnx_network.h"

static double rounded(int32_t type, double x)
{
    if (type == ONNX_DOUBLE)
        return x;
    return onnx_is_whole(type) ? trunc(x) : (double)(float)x;
}

static const struct onnx_term *first(struct onnx_network *n, const struct onnx_node *node, struct f64s *numbers)
{
    const struct onnx_term *x = onnx_term_of(n, node, 0);
    *numbers = (struct f64s){0};
    return x && onnx_numbers_of(n, node, 0, numbers) ? x : NULL;
}

/* Gives up on a node: what it has gathered goes. */
static bool drop(struct onnx_network *n, struct f64s *numbers)
{
    onnx_numbers_free(n, numbers);
    return false;
}

/* Numbers in a shape, of the type of x. Takes the numbers, also on failure. */
static bool give_as(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, struct f64s *numbers, uint32_t rank,
                    const int64_t *dims)
{
    uint64_t items = 1;
    for (uint32_t i = 0; i < rank; i++)
        items = dims[i] < 0 || (dims[i] > 0 && items > UINT32_MAX / (uint64_t)dims[i]) ? UINT64_MAX / 2 : items * (uint64_t)dims[i];
    if (items == numbers->size)
        return onnx_give_fixed(n, node, x->type, rank, dims, *numbers);
    (void)onnx_fail_node(n->g, node, STATUS_INVALID, "its shape does not want the %zu numbers that there are", numbers->size);
    return drop(n, numbers);
}

static bool keep(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    struct f64s numbers;
    const struct onnx_term *x = first(n, node, &numbers);
    return x && give_as(n, node, x, &numbers, x->rank, x->dims);
}

static bool cast(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    struct f64s numbers;
    const struct onnx_term *x = first(n, node, &numbers);
    if (!x)
        return false;
    struct onnx_term out = *x;
    out.type = (int32_t)onnx_whole_or(n->g, node, "to", ONNX_UNDEFINED);
    for (size_t i = 0; i < numbers.size; i++)
        numbers.items[i] = out.type == ONNX_BOOL ? numbers.items[i] != 0 : rounded(out.type, numbers.items[i]);
    return give_as(n, node, &out, &numbers, x->rank, x->dims);
}

/* Reshape: 0 copies, -1 is worked out. Flatten, Squeeze, Unsqueeze of constants do not occur in files of the exporters. */
static bool reshape(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    struct f64s numbers, shape;
    const struct onnx_term *x = first(n, node, &numbers);
    int64_t dims[ONNX_RANK_MAX] = {0}, known = 1, open = -1;
    bool done = x && onnx_list_of(n, node, "shape", 1, &shape);
    if (!done) {
        onnx_numbers_free(n, &numbers);
        return false;
    }
    size_t rank = shape.size;
    for (size_t i = 0; done && i < rank; i++) {
        double dim = i < ONNX_RANK_MAX ? shape.items[i] : (double)NAN;
        if (dim == 0 && i < x->rank)
            dim = (double)x->dims[i];
        done = (dim == -1 && open < 0) || (dim >= 1 && dim <= UINT32_MAX && known <= UINT32_MAX);
        if (done && dim == -1)
            open = (int64_t)i;
        else if (done)
            known *= dims[i] = (int64_t)dim;
    }
    onnx_numbers_free(n, &shape);
    if (done && open >= 0)
        dims[open] = (int64_t)numbers.size / known;
    if (done)
        return give_as(n, node, x, &numbers, (uint32_t)rank, dims);
    (void)onnx_fail_node(n->g, node, STATUS_INVALID, "its shape is no shape");
    return drop(n, &numbers);
}

/* Squeeze and Unsqueeze of short lists, as in arithmetic on shapes: a scalar becomes [1], [1] a scalar. */
static bool resize(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    struct f64s numbers;
    const struct onnx_term *x = first(n, node, &numbers);
    if (!x)
        return false;
    bool fits = self->code ? x->rank == 0 : x->rank == 1 && numbers.size == 1;
    if (fits)
        return give_as(n, node, x, &numbers, self->code ? 1 : 0, (const int64_t[]){1});
    (void)onnx_unsupported(n, node, "on constants it is supported between a number and a list of one");
    return drop(n, &numbers);
}

static bool transpose(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    struct f64s numbers, out = {0};
    const struct onnx_term *x = first(n, node, &numbers);
    if (!x)
        return false;
    if (x->rank != 2) {
        (void)onnx_unsupported(n, node, "of constants a matrix can be transposed");
        return drop(n, &numbers);
    }
    uint64_t rows = (uint64_t)x->dims[0], columns = (uint64_t)x->dims[1];
    bool done = true;
    for (uint64_t i = 0; done && i < numbers.size; i++)
        done = onnx_number_push(n, &out, numbers.items[i % rows * columns + i / rows]);
    onnx_numbers_free(n, &numbers);
    return done ? give_as(n, node, x, &out, 2, (const int64_t[]){x->dims[1], x->dims[0]}) : drop(n, &out);
}

static bool concat(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    struct f64s all = {0};
    const struct onnx_term *x = NULL;
    bool done = true;
    for (uint32_t i = 0; done && i < node->inputs; i++) {
        struct f64s numbers = {0};
        x = onnx_term_of(n, node, i);
        done = x && (x->rank == 1 || onnx_unsupported(n, node, "of constants lists can be put together")) &&
               onnx_numbers_of(n, node, i, &numbers);
        for (size_t k = 0; done && k < numbers.size; k++)
            done = onnx_number_push(n, &all, numbers.items[k]);
        onnx_numbers_free(n, &numbers);
    }
    return done && x ? give_as(n, node, x, &all, 1, (const int64_t[]){(int64_t)all.size}) : drop(n, &all);
}

/* Entries of a list: Gather by numbers, Slice by one range. */
static bool gather(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    struct f64s numbers, indices, out = {0};
    const struct onnx_term *x = first(n, node, &numbers), *at = x ? onnx_term_of(n, node, 1) : NULL;
    if (!at || !onnx_numbers_of(n, node, 1, &indices))
        return drop(n, &numbers);
    bool done = x->rank == 1 || onnx_unsupported(n, node, "of constants the entries of a list can be taken");
    for (size_t i = 0; done && i < indices.size; i++) {
        double index = indices.items[i] < 0 ? indices.items[i] + (double)numbers.size : indices.items[i];
        done = index >= 0 && index < (double)numbers.size && index == trunc(index)
                   ? onnx_number_push(n, &out, numbers.items[(size_t)index])
                   : onnx_fail_node(n->g, node, STATUS_INVALID, "an index is out of range");
    }
    onnx_numbers_free(n, &numbers);
    onnx_numbers_free(n, &indices);
    return done ? give_as(n, node, x, &out, at->rank, at->dims) : drop(n, &out);
}

static bool slice(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    struct f64s numbers, starts = {0}, ends = {0}, out = {0};
    const struct onnx_term *x = first(n, node, &numbers);
    bool done = x && onnx_list_of(n, node, "starts", 1, &starts) && onnx_list_of(n, node, "ends", 2, &ends);
    if (done && (x->rank != 1 || starts.size != 1 || ends.size != 1 || onnx_has_input(n, node, 4)))
        done = onnx_unsupported(n, node, "of constants a range of a list can be taken");
    double size = (double)numbers.size;
    for (double i = done ? fmax(starts.items[0] < 0 ? starts.items[0] + size : starts.items[0], 0) : size;
         done && i < fmin(ends.items[0] < 0 ? ends.items[0] + size : ends.items[0], size); i++)
        done = onnx_number_push(n, &out, numbers.items[(size_t)i]);
    onnx_numbers_free(n, &numbers);
    onnx_numbers_free(n, &starts);
    onnx_numbers_free(n, &ends);
    return done ? give_as(n, node, x, &out, 1, (const int64_t[]){(int64_t)out.size}) : drop(n, &out);
}

static double computed(char sign, double a, double b)
{
    return sign == '+' ? a + b : sign == '-' ? a - b : sign == '*' ? a * b : a / b;
}

/* Two operands of one shape, or one of them a single number. */
static bool arithmetic(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    struct f64s a, b, out = {0};
    const struct onnx_term *x = first(n, node, &a), *z = x ? onnx_term_of(n, node, 1) : NULL;
    if (!z || !onnx_numbers_of(n, node, 1, &b))
        return drop(n, &a);
    bool same = x->rank == z->rank && memcmp(x->dims, z->dims, x->rank * sizeof *x->dims) == 0;
    bool done = same || a.size == 1 || b.size == 1 ||
                onnx_unsupported(n, node, "constants of two shapes are not combined; export the model with constant folding");
    const struct onnx_term *shape = a.size > 1 || (a.size == 1 && b.size == 1 && x->rank >= z->rank) ? x : z;
    for (size_t i = 0; done && i < (shape == x ? a.size : b.size); i++) {
        double value = computed((char)self->code, a.items[a.size == 1 ? 0 : i], b.items[b.size == 1 ? 0 : i]);
        done = onnx_number_push(n, &out, rounded(x->type, value));
    }
    onnx_numbers_free(n, &a);
    onnx_numbers_free(n, &b);
    return done ? give_as(n, node, shape, &out, shape->rank, shape->dims) : drop(n, &out);
}

static bool single(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    struct f64s numbers;
    const struct onnx_term *x = first(n, node, &numbers);
    if (!x)
        return false;
    for (size_t i = 0; i < numbers.size; i++) {
        double a = numbers.items[i];
        numbers.items[i] = rounded(x->type, self->code == 'n' ? -a : self->code == 'r' ? 1 / a : self->code == 'a' ? fabs(a) : sqrt(a));
    }
    return give_as(n, node, x, &numbers, x->rank, x->dims);
}

static const struct onnx_operator operators[] = {
    {"", "Identity", keep, 0, 0},       {"", "Cast", cast, 0, 0},          {"", "Reshape", reshape, 0, 0},
    {"", "Squeeze", resize, 0, 0},      {"", "Unsqueeze", resize, 1, 0},   {"", "Transpose", transpose, 0, 0},
    {"", "Concat", concat, 0, 0},       {"", "Gather", gather, 0, 0},      {"", "Slice", slice, 0, 0},
    {"", "Add", arithmetic, '+', 0},    {"", "Sub", arithmetic, '-', 0},   {"", "Mul", arithmetic, '*', 0},
    {"", "Div", arithmetic, '/', 0},    {"", "Neg", single, 'n', 0},       {"", "Sqrt", single, 's', 0},
    {"", "Reciprocal", single, 'r', 0}, {"", "Abs", single, 'a', 0},
};

bool onnx_fixed_apply(struct onnx_network *n, const struct onnx_node *node, bool *known)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        *known = onnx_node_is(node, operators[i].domain, operators[i].op);
        if (*known)
            return operators[i].apply(n, node, &operators[i]);
    }
    return false;
}
