/* Functions of one number and of two, column by column, with the broadcasting of ONNX. */
#include <math.h>
#include <string.h>

#include "model/import/onnx_network.h"

/* The same function with its operands the other way round. */
static enum network_function reversed(enum network_function function)
{
    switch (function) {
    case NETWORK_FN_SUB:
        return NETWORK_FN_SUB_FROM;
    case NETWORK_FN_DIV:
        return NETWORK_FN_DIV_INTO;
    case NETWORK_FN_LESS:
        return NETWORK_FN_MORE;
    case NETWORK_FN_LESS_EQUAL:
        return NETWORK_FN_MORE_EQUAL;
    case NETWORK_FN_MORE:
        return NETWORK_FN_LESS;
    case NETWORK_FN_MORE_EQUAL:
        return NETWORK_FN_LESS_EQUAL;
    default:
        return function;
    }
}

static bool is_comparison(enum network_function function)
{
    return function >= NETWORK_FN_EQUAL && function <= NETWORK_FN_MORE_EQUAL;
}

/* --- broadcasting ----------------------------------------------------------------------------------------------------- */

/* Where the columns of an operand begin among its dimensions: behind the batch. A constant has none, or a 1 there. */
static bool columns_from(const struct onnx_term *term, uint32_t rank, uint32_t *from)
{
    *from = term->rank == rank ? 1 : 0;
    if (term->held == ONNX_COLUMNS)
        return term->rank == rank;
    return term->rank < rank || (term->rank == rank && (rank == 0 || term->dims[0] == 1));
}

/* The common shape of the operands: of columns. Fails where an operand would be stretched over the batch. */
static bool broadcast(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *const *terms, uint32_t count,
                      struct onnx_term *out)
{
    *out = (struct onnx_term){.held = ONNX_COLUMNS, .type = ONNX_UNDEFINED};
    for (uint32_t t = 0; t < count; t++) {
        out->rank = terms[t]->rank > out->rank ? terms[t]->rank : out->rank;
        if (out->type == ONNX_UNDEFINED && terms[t]->held == ONNX_COLUMNS)
            out->type = terms[t]->type;
    }
    for (uint32_t i = 0; i < out->rank; i++)
        out->dims[i] = i == 0 ? ONNX_BATCH : 1;
    for (uint32_t t = 0; t < count; t++) {
        uint32_t from;
        if (!columns_from(terms[t], out->rank, &from))
            return onnx_unsupported(n, node, "its operands do not lie along the same batch: one row would see another");
        for (uint32_t i = from; i < terms[t]->rank; i++) {
            int64_t *dim = &out->dims[out->rank - terms[t]->rank + i], own = terms[t]->dims[i];
            if (own != 1 && *dim != 1 && own != *dim)
                return onnx_fail_node(n->g, node, STATUS_INVALID, "its operands have %lld and %lld columns", (long long)*dim,
                                      (long long)own);
            *dim = own == 1 ? *dim : own;
        }
    }
    return true;
}

static bool view_in(const struct onnx_term *term, const struct onnx_term *shape, struct onnx_view *view)
{
    uint32_t from;
    return columns_from(term, shape->rank, &from) && onnx_stretch(term, from, shape->rank - 1, shape->dims + 1, view);
}

/* The operand as a wire of the shape. */
static uint32_t wire_in(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *term,
                        const struct onnx_term *shape)
{
    struct onnx_view view;
    return view_in(term, shape, &view) ? onnx_view_wire(n, node, term, &view) : 0;
}

/* The constant operand's numbers in the shape, appended to the network's; false: failed. */
static bool numbers_in(struct onnx_network *n, const struct onnx_node *node, uint32_t input, const struct onnx_term *shape,
                       uint32_t *first, uint32_t *width, bool *all_one)
{
    struct f64s own, placed = {0};
    struct onnx_view view;
    const struct onnx_term *term = onnx_term_of(n, node, input);
    bool done = term && view_in(term, shape, &view) && onnx_numbers_of(n, node, input, &own);
    if (!done)
        return false;
    done = onnx_view_numbers(n, node, &own, &view, &placed);
    *width = (uint32_t)placed.size;
    float *numbers = done ? network_builder_numbers(&n->builder, placed.size, first) : NULL;
    *all_one = true;
    for (size_t i = 0; numbers && i < placed.size; i++) {
        numbers[i] = (float)placed.items[i];
        *all_one &= numbers[i] == 1.0f;
    }
    onnx_numbers_free(n, &own);
    onnx_numbers_free(n, &placed);
    return numbers || onnx_out_of_memory(n->g);
}

/* --- two operands ----------------------------------------------------------------------------------------------------- */

/* f(columns, constant). */
static uint32_t with(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *columns, uint32_t input,
                     const struct onnx_term *shape, enum network_function function)
{
    uint32_t first, width, wire = wire_in(n, node, columns, shape);
    bool all_one;
    if (wire == 0 || !numbers_in(n, node, input, shape, &first, &width, &all_one))
        return 0;
    if (all_one && (function == NETWORK_FN_MUL || function == NETWORK_FN_DIV))
        return wire;
    return network_builder_op(&n->builder, (struct network_op){.kind = NETWORK_WITH,
                                                               .function = (uint8_t)function,
                                                               .inputs = {wire},
                                                               .width = width,
                                                               .first = first,
                                                               .count = width});
}

/* f(left, input of the node). */
static bool combine(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *left, uint32_t left_input,
                    uint32_t right_input, enum network_function function, struct onnx_term *out)
{
    const struct onnx_term *right = onnx_term_of(n, node, right_input);
    if (!right || !broadcast(n, node, (const struct onnx_term *const[]){left, right}, 2, out))
        return false;
    if (left->held == ONNX_FIXED) {
        out->wire = with(n, node, right, left_input, out, reversed(function));
    } else if (right->held == ONNX_FIXED) {
        out->wire = with(n, node, left, right_input, out, function);
    } else {
        uint32_t x = wire_in(n, node, left, out), z = wire_in(n, node, right, out);
        out->wire = x && z ? network_builder_pair(&n->builder, x, z, function) : 0;
    }
    if (out->wire > 0 && function == NETWORK_FN_DIV && onnx_is_whole(out->type))
        out->wire = network_builder_map(&n->builder, out->wire, NETWORK_FN_TRUNC, 0, 0);
    out->is_pair = (left->is_pair || right->is_pair) && onnx_items(out) == 2 && !is_comparison(function);
    if (is_comparison(function))
        out->type = ONNX_BOOL;
    return out->wire > 0 || onnx_no_room(n, node);
}

static bool binary(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    const struct onnx_term *left = self->code == NETWORK_FN_PRELU ? onnx_columns_of(n, node, 0) : onnx_term_of(n, node, 0);
    struct onnx_term out;
    return left && combine(n, node, left, 0, 1, (enum network_function)self->code, &out) && onnx_give(n, node, 0, out);
}

/* Sum, Mean, Max, Min: any number of operands, from the left. The first columns come first. */
static bool chain(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    uint32_t start = 0;
    while (start < node->inputs) {
        const struct onnx_term *term = onnx_term_of(n, node, start);
        if (!term)
            return false;
        if (term->held == ONNX_COLUMNS)
            break;
        start++;
    }
    const struct onnx_term *first = onnx_columns_of(n, node, start);
    if (!first)
        return false;
    struct onnx_term sum = *first;
    for (uint32_t i = 0; i < node->inputs; i++) {
        struct onnx_term next;
        if (i == start)
            continue;
        if (!combine(n, node, &sum, start, i, (enum network_function)self->code, &next))
            return false;
        sum = next;
    }
    if (self->more)
        sum.wire = network_builder_with(&n->builder, sum.wire, NETWORK_FN_DIV, (float)node->inputs);
    return onnx_give_like(n, node, &sum, sum.wire);
}

/* Powers that have a function of their own. */
static uint32_t power_of(struct onnx_network *n, uint32_t wire, double exponent)
{
    struct network_builder *b = &n->builder;
    if (exponent == 1)
        return wire;
    if (exponent == 2 || exponent == 3) {
        uint32_t square = network_builder_map(b, wire, NETWORK_FN_SQUARE, 0, 0);
        return exponent == 2 || square == 0 ? square : network_builder_pair(b, square, wire, NETWORK_FN_MUL);
    }
    return network_builder_map(b, wire, exponent == 0.5 ? NETWORK_FN_SQRT : NETWORK_FN_RECIPROCAL, 0, 0);
}

static bool power(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *base = onnx_term_of(n, node, 0), *exponent = onnx_term_of(n, node, 1);
    struct f64s numbers;
    if (!base || !exponent)
        return false;
    bool fixed_base = base->held == ONNX_FIXED;
    if (!onnx_numbers_of(n, node, fixed_base ? 0 : 1, &numbers))
        return false;
    double number = numbers.size == 1 ? numbers.items[0] : (double)NAN;
    onnx_numbers_free(n, &numbers);
    if (fixed_base && number > 0) { /* a^x = e^(x ln a) */
        uint32_t scaled = network_builder_with(&n->builder, exponent->wire, NETWORK_FN_MUL, (float)log(number));
        return onnx_give_like(n, node, exponent, scaled ? network_builder_map(&n->builder, scaled, NETWORK_FN_EXP, 0, 0) : 0);
    }
    if (fixed_base || !(number == 1 || number == 2 || number == 3 || number == 0.5 || number == -1))
        return onnx_unsupported(n, node, "powers of 1, 2, 3, 0.5 and -1, and a positive constant to any power, are supported");
    return onnx_give_like(n, node, base, power_of(n, base->wire, number));
}

static bool exclusive(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    const struct onnx_term *left = onnx_term_of(n, node, 0);
    struct onnx_term out;
    return left && combine(n, node, left, 0, 1, (enum network_function)self->code, &out) &&
           onnx_give_like(n, node, &out, network_builder_map(&n->builder, out.wire, NETWORK_FN_NOT, 0, 0));
}

/* An operand of Where as a wire, also where it is a constant. */
static uint32_t choice(struct onnx_network *n, const struct onnx_node *node, uint32_t input, const struct onnx_term *shape)
{
    const struct onnx_term *term = onnx_term_of(n, node, input);
    uint32_t first, width;
    bool all_one;
    if (term->held == ONNX_COLUMNS)
        return wire_in(n, node, term, shape);
    if (!numbers_in(n, node, input, shape, &first, &width, &all_one))
        return 0;
    return network_builder_op(&n->builder,
                              (struct network_op){.kind = NETWORK_CONSTANT, .width = width, .first = first, .count = width});
}

static bool where(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *terms[3];
    struct onnx_term shape;
    uint32_t wires[3];
    for (uint32_t i = 0; i < 3; i++) {
        terms[i] = onnx_term_of(n, node, i);
        if (!terms[i])
            return false;
    }
    if (!broadcast(n, node, terms, 3, &shape))
        return false;
    shape.type = terms[1]->type;
    for (uint32_t i = 0; i < 3; i++) {
        wires[i] = choice(n, node, i, &shape);
        if (wires[i] == 0)
            return onnx_no_room(n, node);
    }
    return onnx_give_like(n, node, &shape,
                          network_builder_op(&n->builder, (struct network_op){.kind = NETWORK_SELECT,
                                                                             .inputs = {wires[1], wires[2], wires[0]},
                                                                             .width = network_width(n->builder.network, wires[1])}));
}

/* --- one operand ------------------------------------------------------------------------------------------------------ */

static bool give_map(struct onnx_network *n, const struct onnx_node *node, enum network_function function, float a, float b)
{
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    if (!x)
        return false;
    struct onnx_term out = *x;
    out.is_pair = false;
    if (function == NETWORK_FN_IS_NAN || function == NETWORK_FN_NOT)
        out.type = ONNX_BOOL;
    return onnx_give_like(n, node, &out, network_builder_map(&n->builder, x->wire, function, a, b));
}

static bool unary(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    return give_map(n, node, (enum network_function)self->code, 0, 0);
}

static bool leaky_relu(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    return give_map(n, node, (enum network_function)self->code, onnx_real_or(n->g, node, "alpha", 0.01f), 0);
}

static bool elu(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    return give_map(n, node, (enum network_function)self->code, onnx_real_or(n->g, node, "alpha", 1.0f), 0);
}

static bool selu(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    return give_map(n, node, (enum network_function)self->code, onnx_real_or(n->g, node, "alpha", 1.67326319217681884765625f),
                    onnx_real_or(n->g, node, "gamma", 1.05070102214813232421875f));
}

static bool hard_sigmoid(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    return give_map(n, node, (enum network_function)self->code, onnx_real_or(n->g, node, "alpha", 0.2f),
                    onnx_real_or(n->g, node, "beta", 0.5f));
}

static bool gelu(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    const struct onnx_attribute *a = onnx_attribute(n->g, node, "approximate");
    if (a && !onnx_is(a->text, "none") && !onnx_is(a->text, "tanh"))
        return onnx_fail_node(n->g, node, STATUS_UNSUPPORTED, "approximate '%.*s' is not known; none and tanh are",
                              ONNX_TEXT(a->text));
    return give_map(n, node, a && onnx_is(a->text, "tanh") ? NETWORK_FN_GELU_TANH : (enum network_function)self->code, 0, 0);
}

/* A bound out of an attribute (before opset 11) or an input. */
static bool bound(struct onnx_network *n, const struct onnx_node *node, const char *name, uint32_t input, float *inout)
{
    struct f64s numbers;
    *inout = onnx_real_or(n->g, node, name, *inout);
    if (!onnx_has_input(n, node, input))
        return true;
    bool read = onnx_numbers_of(n, node, input, &numbers);
    if (read && numbers.size != 1)
        read = onnx_fail_node(n->g, node, STATUS_INVALID, "its bound %s must be one number", name);
    if (read)
        *inout = (float)numbers.items[0];
    onnx_numbers_free(n, &numbers);
    return read;
}

static bool clip(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    float low = -INFINITY, high = INFINITY;
    return bound(n, node, "min", 1, &low) && bound(n, node, "max", 2, &high) &&
           give_map(n, node, (enum network_function)self->code, low, high);
}

#define UNARY(op, function) {"", op, unary, NETWORK_FN_##function, 0}
#define BINARY(op, function) {"", op, binary, NETWORK_FN_##function, 0}

const struct onnx_operator onnx_each_operators[] = {
    UNARY("Relu", RELU), UNARY("Tanh", TANH), UNARY("Sigmoid", SIGMOID), UNARY("Softplus", SOFTPLUS),
    UNARY("Softsign", SOFTSIGN), UNARY("HardSwish", HARD_SWISH), UNARY("Mish", MISH), UNARY("Exp", EXP), UNARY("Log", LOG),
    UNARY("Erf", ERF), UNARY("Sqrt", SQRT), UNARY("Reciprocal", RECIPROCAL), UNARY("Abs", ABS), UNARY("Neg", NEG),
    UNARY("Floor", FLOOR), UNARY("Ceil", CEIL), UNARY("Round", ROUND), UNARY("Sign", SIGN), UNARY("IsNaN", IS_NAN),
    UNARY("Not", NOT),
    {"", "LeakyRelu", leaky_relu, NETWORK_FN_LEAKY_RELU, 0},
    {"", "ThresholdedRelu", elu, NETWORK_FN_THRESHOLD, 0}, /* alpha is 1 by default in both */
    {"", "Elu", elu, NETWORK_FN_ELU, 0},
    {"", "Selu", selu, NETWORK_FN_SELU, 0},
    {"", "HardSigmoid", hard_sigmoid, NETWORK_FN_HARD_SIGMOID, 0},
    {"", "Gelu", gelu, NETWORK_FN_GELU, 0},
    {"", "Clip", clip, NETWORK_FN_CLIP, 0},
    BINARY("Add", ADD), BINARY("Sub", SUB), BINARY("Mul", MUL), BINARY("Div", DIV), BINARY("PRelu", PRELU),
    BINARY("Equal", EQUAL), BINARY("Less", LESS), BINARY("LessOrEqual", LESS_EQUAL), BINARY("Greater", MORE),
    BINARY("GreaterOrEqual", MORE_EQUAL), BINARY("And", MIN), BINARY("Or", MAX),
    {"", "Xor", exclusive, NETWORK_FN_EQUAL, 0},
    {"", "Pow", power, 0, 0},
    {"", "Where", where, 0, 0},
    {"", "Sum", chain, NETWORK_FN_ADD, 0},
    {"", "Mean", chain, NETWORK_FN_ADD, 1},
    {"", "Max", chain, NETWORK_FN_MAX, 0},
    {"", "Min", chain, NETWORK_FN_MIN, 0},
    {NULL, NULL, NULL, 0, 0},
};
