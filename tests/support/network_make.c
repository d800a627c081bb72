#include "tests/support/network_make.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "tests/support/forest_make.h"

enum { OPS_MAX = 24, NUMBERS_MAX = 1 << 18, PIECES_MAX = 256, WIDTH_MAX = 200 };

struct maker {
    struct network *network;
    uint64_t random;
};

static uint32_t below(struct maker *m, uint32_t bound)
{
    return random_below(&m->random, bound);
}

/* Of -1 .. 1 */
static float number(struct maker *m)
{
    return (float)((double)(random_next(&m->random) >> 11) * 0x1p-52 - 1);
}

static uint32_t width_of(const struct maker *m, uint32_t wire)
{
    return network_width(m->network, wire);
}

/* Widths on both sides of registers, panels and what is called narrow. */
static uint32_t some_width(struct maker *m)
{
    static const uint32_t edges[] = {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 80, 127, 129};
    uint32_t k = below(m, 2 * sizeof edges / sizeof edges[0]);
    return k < sizeof edges / sizeof edges[0] ? edges[k] : 1 + below(m, WIDTH_MAX);
}

static struct maker begin(uint64_t seed, uint32_t features)
{
    struct network *n = calloc(1, sizeof *n);
    CHECK(n);
    n->features = features;
    n->ops = calloc(OPS_MAX, sizeof *n->ops);
    n->numbers = calloc(NUMBERS_MAX, sizeof *n->numbers);
    n->pieces = calloc(PIECES_MAX, sizeof *n->pieces);
    n->forests = calloc(OPS_MAX, sizeof *n->forests);
    CHECK(n->ops && n->numbers && n->pieces && n->forests);
    return (struct maker){.network = n, .random = seed};
}

static struct network *end(struct maker *m)
{
    struct error err;
    m->network->outputs = width_of(m, m->network->op_count);
    if (network_check(m->network, &err) != STATUS_OK) {
        (void)fprintf(stderr, "network_make: %s\n", err.message);
        abort();
    }
    return m->network;
}

/* Gives the operation `count` numbers of one size. */
static float *numbers(struct maker *m, struct network_op *op, uint32_t count, float size)
{
    struct network *n = m->network;
    CHECK(n->number_count + count <= NUMBERS_MAX);
    op->first = n->number_count;
    op->count = count;
    for (uint32_t i = 0; i < count; i++)
        n->numbers[n->number_count++] = number(m) * size;
    return n->numbers + op->first;
}

static uint32_t divisor(struct maker *m, uint32_t of)
{
    uint32_t d = 1 + below(m, of < 9 ? of : 9);
    while (of % d != 0)
        d--;
    return d;
}

static enum network_function some_function(struct maker *m, bool binary)
{
    for (;;) {
        enum network_function f = (enum network_function)below(m, NETWORK_FUNCTION_COUNT);
        if (network_function_is_binary(f) == binary)
            return f;
    }
}

static void make_dense(struct maker *m, struct network_op *op)
{
    uint32_t in = width_of(m, op->inputs[0]);
    op->groups = below(m, 4) == 0 ? divisor(m, in) : 1;
    op->width = some_width(m) * op->groups;
    op->function = (uint8_t)some_function(m, false);
    numbers(m, op, (in / op->groups + 1) * (op->width / op->groups), 2.0f / sqrtf((float)in));
}

static void make_linear(struct maker *m, struct network_op *op)
{
    op->width = 1 + below(m, 5);
    numbers(m, op, (width_of(m, op->inputs[0]) + 1) * op->width, 1);
}

static void make_copy(struct maker *m, struct network_op *op)
{
    struct network *n = m->network;
    op->inputs[0] = 0;
    op->first = n->piece_count;
    op->count = 1 + below(m, 5);
    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t wire = below(m, n->op_count + 1), width = width_of(m, wire), column = below(m, width);
        int32_t step = (int32_t)below(m, 4) - 1;
        uint32_t room = step > 0 ? (width - column + (uint32_t)step - 1) / (uint32_t)step : step < 0 ? column + 1 : 20;
        uint32_t count = 1 + below(m, room < 60 ? room : 60);
        n->pieces[n->piece_count++] = (struct network_piece){.wire = wire, .column = column, .count = count, .step = step};
        op->width += count;
    }
}

static void make_lookup(struct maker *m, struct network_op *op)
{
    op->rows = 1 + below(m, 9);
    float *keys = numbers(m, op, 2 * op->rows, 1);
    for (uint32_t i = 0; i < op->rows; i++)
        keys[i] = (float)i - 2;
    op->a = number(m);
    op->b = number(m);
}

static void make_forest(struct maker *m, struct network_op *op)
{
    struct network *n = m->network;
    const struct forest_recipe recipe = {.features = width_of(m, op->inputs[0]), .outputs = 1 + below(m, 3), .trees = 12, .depth = 5,
                                         .cuts = 20, .base_first = true};
    struct forest *forest = forest_make(&recipe, random_next(&m->random));
    op->forest = n->forest_count;
    op->width = link_scores(forest->link, forest->outputs);
    n->forests[n->forest_count++] = forest;
}

/* Another wire of the same width as the operation's first, or that one again. */
static uint32_t like(struct maker *m, const struct network_op *op)
{
    uint32_t wire = below(m, m->network->op_count + 1);
    return width_of(m, wire) == width_of(m, op->inputs[0]) ? wire : op->inputs[0];
}

/* What is particular to a kind; width is that of the first input unless it is set here. */
static void make_kind(struct maker *m, struct network_op *op)
{
    uint32_t in = width_of(m, op->inputs[0]);
    switch ((enum network_kind)op->kind) {
    case NETWORK_DENSE:
        make_dense(m, op);
        break;
    case NETWORK_LINEAR:
        make_linear(m, op);
        break;
    case NETWORK_MAP:
        op->function = (uint8_t)some_function(m, false);
        break;
    case NETWORK_PAIR:
        op->inputs[1] = like(m, op);
        op->function = (uint8_t)some_function(m, true);
        break;
    case NETWORK_WITH:
        op->function = (uint8_t)some_function(m, true);
        numbers(m, op, in, 2)[below(m, in)] = below(m, 2) ? NAN : INFINITY;
        break;
    case NETWORK_AFFINE:
        numbers(m, op, 2 * in, 2);
        break;
    case NETWORK_SELECT:
        op->inputs[1] = like(m, op);
        op->inputs[2] = like(m, op);
        break;
    case NETWORK_COPY:
        make_copy(m, op);
        break;
    case NETWORK_CONSTANT:
        op->inputs[0] = 0;
        op->width = some_width(m);
        numbers(m, op, op->width, 2);
        break;
    case NETWORK_EMBED:
        op->rows = 1 + below(m, 7);
        op->width = in * (1 + below(m, in > 40 ? 3 : 20));
        numbers(m, op, op->width / in * op->rows, 1);
        break;
    case NETWORK_LOOKUP:
        make_lookup(m, op);
        break;
    case NETWORK_LAYER_NORM:
        op->groups = divisor(m, in);
        op->a = 1e-5f;
        numbers(m, op, 2 * (in / op->groups), 1);
        break;
    case NETWORK_REDUCE:
        op->groups = divisor(m, in);
        op->width = op->groups;
        op->reduce = (uint8_t)below(m, NETWORK_REDUCE_COUNT);
        break;
    case NETWORK_SOFTMAX:
        op->groups = divisor(m, in);
        break;
    case NETWORK_NORMALIZE:
        op->groups = divisor(m, in);
        op->reduce = (uint8_t)(below(m, 3) == 0 ? NETWORK_MAX : below(m, 2) ? NETWORK_L1 : NETWORK_L2);
        break;
    case NETWORK_FOREST:
        make_forest(m, op);
        break;
    case NETWORK_KIND_COUNT:
        break;
    }
    op->width = op->width ? op->width : in;
}

static void add_op(struct maker *m)
{
    struct network *n = m->network;
    /* Half of the networks are made of layers, as real ones are; the others of anything. */
    bool is_dense = below(m, 3) == 0;
    uint32_t last = n->op_count, behind = below(m, 3) ? 0 : below(m, last + 1);
    struct network_op op = {.kind = (uint8_t)(is_dense ? NETWORK_DENSE : below(m, NETWORK_KIND_COUNT)),
                            .groups = 1,
                            .inputs = {last - behind},
                            .a = number(m),
                            .b = 1 + number(m) * 0.5f};
    make_kind(m, &op);
    n->ops[n->op_count++] = op;
}

struct network *network_make(uint64_t seed)
{
    struct maker m = begin(seed, 1);
    m.network->features = some_width(&m);
    for (uint32_t ops = 1 + below(&m, 9); ops > 0 && m.network->number_count < NUMBERS_MAX / 2; ops--) {
        add_op(&m);
        if (width_of(&m, m.network->op_count) > 2 * WIDTH_MAX)
            break; /* an embedding of many */
    }
    return end(&m);
}

struct network *network_make_dense(const uint32_t *widths, uint32_t count, enum network_function function, uint64_t seed)
{
    struct maker m = begin(seed, widths[0]);
    CHECK(count >= 2 && count <= OPS_MAX);
    for (uint32_t i = 0; i + 1 < count; i++) {
        struct network_op op = {.kind = NETWORK_DENSE,
                                .function = (uint8_t)(i + 2 < count ? function : NETWORK_FN_IDENTITY),
                                .a = 0.1f,
                                .groups = 1,
                                .inputs = {i},
                                .width = widths[i + 1]};
        numbers(&m, &op, (widths[i] + 1) * widths[i + 1], 2.0f / sqrtf((float)widths[i]));
        m.network->ops[m.network->op_count++] = op;
    }
    return end(&m);
}

void network_make_rows(const struct network *network, uint32_t count, bool hostile, uint64_t seed, struct rows *out)
{
    static const float special[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 0x1p-149f, -0x1p-130f, 3e38f, -3e38f, 1e30f, 88.7f, -103.5f};
    struct maker m = {.random = seed};
    size_t stride = (network->features * sizeof(float) + 63) / 64 * 64;
    char *base = aligned_alloc(64, stride * count);
    CHECK(base);
    memset(base, 0, stride * count);
    for (uint32_t r = 0; r < count; r++) {
        float *row = (float *)(void *)(base + r * stride);
        for (uint32_t i = 0; i < network->features; i++) {
            row[i] = number(&m) * (below(&m, 4) == 0 ? 6 : 2);
            if (hostile && r % 4 == 3 && below(&m, 8) == 0)
                row[i] = special[below(&m, sizeof special / sizeof special[0])];
        }
    }
    *out = (struct rows){.base = base, .stride = stride, .columns = network->features, .type = NUMBER_F32};
}
