#include "model/network.h"

#include <math.h>
#include <stdlib.h>

#include "model/forest.h"

/* What a kind reads and has; the checks and the listings go by it. */
struct kind {
    const char *name;
    uint32_t inputs;
    enum { WIDTH_FREE, WIDTH_OF_INPUT, WIDTH_OF_INPUTS } width;
    enum { FUNCTION_NONE, FUNCTION_UNARY, FUNCTION_BINARY } function;
    bool grouped;  /* may have more than one group */
    bool reduces;  /* has a `reduce` */
    bool finite;   /* its numbers must be finite */
};

static const struct kind kinds[NETWORK_KIND_COUNT] = {
    [NETWORK_DENSE] = {"dense", 1, WIDTH_FREE, FUNCTION_UNARY, true, false, true},
    [NETWORK_LINEAR] = {"linear", 1, WIDTH_FREE, FUNCTION_NONE, false, false, true},
    [NETWORK_MAP] = {"map", 1, WIDTH_OF_INPUT, FUNCTION_UNARY, false, false, true},
    [NETWORK_PAIR] = {"pair", 2, WIDTH_OF_INPUTS, FUNCTION_BINARY, false, false, true},
    [NETWORK_WITH] = {"with", 1, WIDTH_OF_INPUT, FUNCTION_BINARY, false, false, false},
    [NETWORK_AFFINE] = {"affine", 1, WIDTH_OF_INPUT, FUNCTION_NONE, false, false, true},
    [NETWORK_SELECT] = {"select", 3, WIDTH_OF_INPUTS, FUNCTION_NONE, false, false, true},
    [NETWORK_COPY] = {"copy", 0, WIDTH_FREE, FUNCTION_NONE, false, false, true},
    [NETWORK_CONSTANT] = {"constant", 0, WIDTH_FREE, FUNCTION_NONE, false, false, false},
    [NETWORK_EMBED] = {"embed", 1, WIDTH_FREE, FUNCTION_NONE, false, false, true},
    [NETWORK_LOOKUP] = {"lookup", 1, WIDTH_OF_INPUT, FUNCTION_NONE, false, false, false},
    [NETWORK_LAYER_NORM] = {"layer_norm", 1, WIDTH_OF_INPUT, FUNCTION_NONE, true, false, true},
    [NETWORK_SOFTMAX] = {"softmax", 1, WIDTH_OF_INPUT, FUNCTION_NONE, true, false, true},
    [NETWORK_NORMALIZE] = {"normalize", 1, WIDTH_OF_INPUT, FUNCTION_NONE, true, true, true},
    [NETWORK_REDUCE] = {"reduce", 1, WIDTH_FREE, FUNCTION_NONE, true, true, true},
    [NETWORK_FOREST] = {"forest", 1, WIDTH_FREE, FUNCTION_NONE, false, false, true},
};

static const struct function {
    const char *name;
    bool binary;
} functions[NETWORK_FUNCTION_COUNT] = {
#define NETWORK_UNARY(name, shown, value) {shown, false},
#define NETWORK_BINARY(name, shown, value) {shown, true},
#include "model/network_functions.def"
#undef NETWORK_UNARY
#undef NETWORK_BINARY
};

const char *network_kind_name(enum network_kind kind)
{
    return kinds[kind].name;
}

const char *network_function_name(enum network_function function)
{
    return functions[function].name;
}

bool network_function_is_binary(enum network_function function)
{
    return functions[function].binary;
}

const char *network_reduce_name(enum network_reduce reduce)
{
    static const char *const names[NETWORK_REDUCE_COUNT] = {"sum", "mean", "max", "min", "l1", "l2"};
    return names[reduce];
}

uint32_t network_inputs(const struct network_op *op)
{
    return kinds[op->kind].inputs;
}

size_t network_widths_total(const struct network *network)
{
    size_t total = network->features;
    for (uint32_t i = 0; i < network->op_count; i++)
        total += network->ops[i].width;
    return total;
}

uint64_t network_flops(const struct network *network, const struct network_op *op)
{
    uint64_t width = op->width, in = op->kind == NETWORK_COPY ? 0 : network_width(network, op->inputs[0]);
    switch ((enum network_kind)op->kind) {
    case NETWORK_DENSE:
        return 2 * in / op->groups * width + (op->function == NETWORK_FN_IDENTITY ? 0 : width);
    case NETWORK_LINEAR:
        return 2 * in * width;
    case NETWORK_AFFINE:
        return 2 * width;
    case NETWORK_MAP:
    case NETWORK_PAIR:
    case NETWORK_WITH:
        return width;
    case NETWORK_LAYER_NORM:
        return 7 * width; /* a sum, a difference, a square and its sum, a product, a scale and a shift */
    case NETWORK_SOFTMAX:
        return 4 * width;
    case NETWORK_NORMALIZE:
        return 2 * width;
    case NETWORK_REDUCE:
        return in;
    default:
        return 0;
    }
}

void network_free(struct network *network)
{
    if (!network)
        return;
    for (uint32_t i = 0; network->forests && i < network->forest_count; i++)
        forest_free(network->forests[i]);
    free(network->forests);
    free(network->ops);
    free(network->numbers);
    free(network->pieces);
    free(network);
}

struct checker {
    const struct network *network;
    const struct network_op *op;
    struct error *err;
};

static enum status refuse(const struct checker *c, const char *what)
{
    return error_set(c->err, STATUS_INVALID, "operation %zu (%s): %s", (size_t)(c->op - c->network->ops),
                     c->op->kind < NETWORK_KIND_COUNT ? kinds[c->op->kind].name : "?", what);
}

/* The wire that an operation makes is the one after those that it may read. */
static uint32_t made(const struct checker *c)
{
    return (uint32_t)(c->op - c->network->ops) + 1;
}

static enum status check_inputs(const struct checker *c)
{
    const struct kind *kind = &kinds[c->op->kind];
    for (uint32_t i = 0; i < kind->inputs; i++) {
        if (c->op->inputs[i] >= made(c))
            return refuse(c, "it reads a wire that is not made before it");
        if ((kind->width == WIDTH_OF_INPUTS || (kind->width == WIDTH_OF_INPUT && i == 0)) &&
            network_width(c->network, c->op->inputs[i]) != c->op->width)
            return refuse(c, "its width is not that of its input");
    }
    return STATUS_OK;
}

static enum status check_pieces(const struct checker *c)
{
    const struct network *n = c->network;
    uint64_t width = 0;
    if (c->op->first > n->piece_count || c->op->count > n->piece_count - c->op->first)
        return refuse(c, "its pieces do not exist");
    for (uint32_t i = c->op->first; i < c->op->first + c->op->count; i++) {
        const struct network_piece *p = &n->pieces[i];
        if (p->wire >= made(c))
            return refuse(c, "it reads a wire that is not made before it");
        if (p->count == 0 || p->count > NETWORK_WIDTH_MAX)
            return refuse(c, "a piece is empty or too wide");
        int64_t last = (int64_t)p->column + (int64_t)(p->count - 1) * p->step;
        uint32_t end = network_width(n, p->wire);
        if (p->column >= end || last < 0 || last >= (int64_t)end)
            return refuse(c, "a piece has columns that its wire has not");
        width += p->count;
    }
    return width == c->op->width ? STATUS_OK : refuse(c, "its pieces are not as wide as it is");
}

/* How many numbers the operation must have. */
static uint64_t numbers_wanted(const struct checker *c)
{
    const struct network_op *op = c->op;
    uint64_t in = op->kind == NETWORK_CONSTANT ? 0 : network_width(c->network, op->inputs[0]);
    switch ((enum network_kind)op->kind) {
    case NETWORK_DENSE:
    case NETWORK_LINEAR:
        return (in / op->groups + 1) * (op->width / op->groups);
    case NETWORK_WITH:
    case NETWORK_CONSTANT:
        return op->width;
    case NETWORK_AFFINE:
        return 2 * (uint64_t)op->width;
    case NETWORK_LAYER_NORM:
        return 2 * (uint64_t)(op->width / op->groups);
    case NETWORK_EMBED:
        return op->width / in * op->rows;
    case NETWORK_LOOKUP:
        return 2 * (uint64_t)op->rows;
    default:
        return 0;
    }
}

static enum status check_numbers(const struct checker *c)
{
    const struct network *n = c->network;
    if (c->op->count != numbers_wanted(c) || c->op->first > n->number_count || c->op->count > n->number_count - c->op->first)
        return refuse(c, "its numbers do not exist, or are more or less than its widths want");
    for (uint32_t i = 0; kinds[c->op->kind].finite && i < c->op->count; i++) {
        if (!isfinite(n->numbers[c->op->first + i]))
            return refuse(c, "a weight is not a finite number");
    }
    for (uint32_t i = 0; c->op->kind == NETWORK_LOOKUP && i < c->op->rows; i++) {
        const float *key = &n->numbers[c->op->first + i];
        if (isnan(key[0]) || (i > 0 && !(key[-1] < key[0])))
            return refuse(c, "its keys do not ascend");
    }
    return STATUS_OK;
}

static enum status check_forest(const struct checker *c)
{
    const struct network *n = c->network;
    if (c->op->forest >= n->forest_count)
        return refuse(c, "its forest does not exist");
    const struct forest *f = n->forests[c->op->forest];
    if (f->input_type != NUMBER_F32 || f->features > network_width(n, c->op->inputs[0]))
        return refuse(c, "its forest takes other rows than it gets");
    return c->op->width == link_scores(f->link, f->outputs) ? STATUS_OK : refuse(c, "its forest gives another number of scores");
}

/* Groups must divide what they group. */
static enum status check_groups(const struct checker *c)
{
    const struct network_op *op = c->op;
    const struct kind *kind = &kinds[op->kind];
    if (op->groups == 0 || (op->groups > 1 && !kind->grouped))
        return refuse(c, "it can't have that many groups");
    if (kind->grouped && (network_width(c->network, op->inputs[0]) % op->groups != 0 || op->width % op->groups != 0))
        return refuse(c, "its groups do not divide its width");
    if (op->kind == NETWORK_REDUCE && op->width != op->groups)
        return refuse(c, "it does not give one number for each group");
    if (op->kind == NETWORK_EMBED && (op->rows == 0 || op->width % network_width(c->network, op->inputs[0]) != 0))
        return refuse(c, "its table is empty, or its rows are not all of one length");
    return STATUS_OK;
}

static enum status check_op(const struct checker *c)
{
    const struct network_op *op = c->op;
    if (op->kind >= NETWORK_KIND_COUNT || op->function >= NETWORK_FUNCTION_COUNT || op->reduce >= NETWORK_REDUCE_COUNT)
        return refuse(c, "it is of no known kind");
    const struct kind *kind = &kinds[op->kind];
    if (functions[op->function].binary != (kind->function == FUNCTION_BINARY))
        return refuse(c, "its function takes another number of operands");
    if (op->width == 0 || op->width > NETWORK_WIDTH_MAX)
        return error_set(c->err, STATUS_LIMIT, "operation %u (%s): %u columns; 1 to %d are supported", made(c) - 1, kind->name,
                         op->width, NETWORK_WIDTH_MAX);
    enum status status = check_inputs(c);
    if (status == STATUS_OK)
        status = check_groups(c);
    if (status == STATUS_OK)
        status = op->kind == NETWORK_COPY ? check_pieces(c) : check_numbers(c);
    return status == STATUS_OK && op->kind == NETWORK_FOREST ? check_forest(c) : status;
}

enum status network_check(const struct network *network, struct error *err)
{
    struct checker c = {.network = network, .err = err};
    if (network->features == 0 || network->features > NETWORK_WIDTH_MAX)
        return error_set(err, STATUS_LIMIT, "%u features; 1 to %d are supported", network->features, NETWORK_WIDTH_MAX);
    if (network->op_count == 0 || network->op_count > NETWORK_OPS_MAX)
        return error_set(err, STATUS_LIMIT, "%u operations; 1 to %d are supported", network->op_count, NETWORK_OPS_MAX);
    for (uint32_t i = 0; i < network->op_count; i++) {
        c.op = &network->ops[i];
        enum status status = check_op(&c);
        if (status != STATUS_OK)
            return status;
    }
    if (network_widths_total(network) > NETWORK_WIDTHS_MAX)
        return error_set(err, STATUS_LIMIT, "a row needs %zu numbers on its way through the network; at most %d are supported",
                         network_widths_total(network), NETWORK_WIDTHS_MAX);
    if (network->outputs != network_width(network, network->op_count))
        return error_set(err, STATUS_INVALID, "the last operation does not give the network's outputs");
    return STATUS_OK;
}
