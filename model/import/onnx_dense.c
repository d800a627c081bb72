/* Products with weights: Gemm, MatMul, linear models; and the normalisations that have weights of their own. */
#include <math.h>
#include <string.h>

#include "model/import/onnx_network.h"

/* Weights for `in` x `out`, and a bias; each number is rounded to float32 once. */
struct weights {
    const double *numbers;
    uint64_t in, out;
    bool by_output; /* [out][in], as PyTorch has them */
    double scale;   /* on the weights */
    const double *bias; /* [out], or one for all (bias_one), or NULL: 0 */
    bool bias_one;
    double bias_scale;
};

static uint32_t dense(struct onnx_network *n, uint32_t wire, const struct weights *w, uint32_t groups)
{
    uint64_t count = (w->in + 1) * w->out;
    uint32_t first;
    if (w->in == 0 || w->out == 0 || w->out > NETWORK_WIDTH_MAX || w->out * groups > NETWORK_WIDTH_MAX || count > UINT32_MAX)
        return 0;
    float *numbers = network_builder_numbers(&n->builder, (size_t)count, &first);
    if (!numbers)
        return 0;
    for (uint64_t i = 0; i < w->in; i++) {
        for (uint64_t o = 0; o < w->out; o++)
            numbers[i * w->out + o] = (float)(w->scale * w->numbers[w->by_output ? o * w->in + i : i * w->out + o]);
    }
    for (uint64_t o = 0; w->bias && o < w->out; o++)
        numbers[w->in * w->out + o] = (float)(w->bias_scale * w->bias[w->bias_one ? 0 : o]);
    return network_builder_op(&n->builder, (struct network_op){.kind = NETWORK_DENSE,
                                                               .inputs = {wire},
                                                               .width = (uint32_t)w->out * groups,
                                                               .groups = groups,
                                                               .first = first,
                                                               .count = (uint32_t)count});
}

/* --- Gemm and MatMul -------------------------------------------------------------------------------------------------- */

/* The constant on the right of a product: its numbers and its two dimensions. */
static bool right_matrix(struct onnx_network *n, const struct onnx_node *node, struct f64s *numbers, int64_t dims[2], bool *vector)
{
    const struct onnx_term *right = onnx_term_of(n, node, 1);
    *numbers = (struct f64s){0};
    if (!right)
        return false;
    if (right->held == ONNX_COLUMNS)
        return onnx_unsupported(n, node, "a product of two things that both come of the row (as in attention) is not supported; "
                                         "the right one must be a constant");
    int64_t ahead = 1;
    for (uint32_t i = 0; i + 2 < right->rank; i++)
        ahead *= right->dims[i];
    *vector = right->rank == 1;
    dims[0] = right->rank >= 2 ? right->dims[right->rank - 2] : right->dims[0];
    dims[1] = right->rank >= 2 ? right->dims[right->rank - 1] : 1;
    if (right->rank == 0 || ahead != 1)
        return onnx_unsupported(n, node, "its right operand must be one matrix");
    return onnx_numbers_of(n, node, 1, numbers);
}

/* C of Gemm: [out] numbers, one, or none; or columns, which are added behind. */
static bool gemm_bias(struct onnx_network *n, const struct onnx_node *node, struct weights *w, struct f64s *numbers)
{
    const struct onnx_term *c = onnx_has_input(n, node, 2) ? onnx_term_of(n, node, 2) : NULL;
    *numbers = (struct f64s){0};
    if (!c)
        return n->g->status == STATUS_OK;
    if (c->held == ONNX_COLUMNS)
        return w->bias_scale == 1 ||
               onnx_unsupported(n, node, "beta is not supported where C comes of the row");
    if (!onnx_numbers_of(n, node, 2, numbers))
        return false;
    if (numbers->size != 1 && numbers->size != w->out)
        return onnx_fail_node(n->g, node, STATUS_INVALID, "its bias has %zu numbers, there are %llu outputs", numbers->size,
                              (unsigned long long)w->out);
    w->bias = numbers->items;
    w->bias_one = numbers->size == 1;
    return true;
}

/* Columns added behind a product: the same width. */
static bool add_columns(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *c, uint32_t *wire)
{
    if (c->rank != 2 || network_width(n->builder.network, c->wire) != network_width(n->builder.network, *wire))
        return onnx_unsupported(n, node, "C must be as wide as the product");
    *wire = network_builder_pair(&n->builder, *wire, c->wire, NETWORK_FN_ADD);
    return *wire > 0 || onnx_no_room(n, node);
}

static bool gemm(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s matrix = {0}, bias = {0};
    int64_t dims[2];
    bool vector, swapped = onnx_whole_or(n->g, node, "transB", 0) != 0;
    if (!x)
        return false;
    if (x->rank != 2 || onnx_whole_or(n->g, node, "transA", 0) != 0)
        return onnx_unsupported(n, node, "its left operand must be a row, [batch, columns], and not transposed");
    bool done = right_matrix(n, node, &matrix, dims, &vector);
    struct weights w = {.numbers = matrix.items,
                        .in = done ? (uint64_t)dims[swapped ? 1 : 0] : 0,
                        .out = done ? (uint64_t)dims[swapped ? 0 : 1] : 0,
                        .by_output = swapped,
                        .scale = (double)onnx_real_or(n->g, node, "alpha", 1.0f),
                        .bias_scale = (double)onnx_real_or(n->g, node, "beta", 1.0f)};
    if (done && w.in != (uint64_t)x->dims[1])
        done = onnx_fail_node(n->g, node, STATUS_INVALID, "its weights want %llu columns, there are %lld", (unsigned long long)w.in,
                              (long long)x->dims[1]);
    done = done && gemm_bias(n, node, &w, &bias);
    uint32_t wire = done ? dense(n, x->wire, &w, 1) : 0;
    onnx_numbers_free(n, &matrix);
    onnx_numbers_free(n, &bias);
    const struct onnx_term *c = done && onnx_has_input(n, node, 2) ? onnx_term_of(n, node, 2) : NULL;
    if (wire > 0 && c && c->held == ONNX_COLUMNS && !add_columns(n, node, c, &wire))
        return false;
    return done && onnx_give_row(n, node, x->type, wire);
}

static bool matmul(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s matrix = {0};
    int64_t dims[2];
    bool vector;
    if (!x)
        return false;
    if (x->rank < 2)
        return onnx_unsupported(n, node, "its left operand must be a row, [batch, columns]");
    bool done = right_matrix(n, node, &matrix, dims, &vector);
    if (done && dims[0] != x->dims[x->rank - 1])
        done = onnx_fail_node(n->g, node, STATUS_INVALID, "its weights want %lld columns, there are %lld", (long long)dims[0],
                              (long long)x->dims[x->rank - 1]);
    struct onnx_term out = *x;
    uint32_t wire = 0;
    if (done && onnx_items(x) > 0) {
        struct weights w = {.numbers = matrix.items, .in = (uint64_t)dims[0], .out = (uint64_t)dims[1], .scale = 1};
        wire = dense(n, x->wire, &w, (uint32_t)(onnx_items(x) / w.in));
        out.dims[out.rank - 1] = dims[1];
        out.rank -= vector;
        out.is_pair = false;
    }
    onnx_numbers_free(n, &matrix);
    return done && onnx_give_like(n, node, &out, wire);
}

/* --- linear models ---------------------------------------------------------------------------------------------------- */

static bool read_linear(struct onnx_network *n, const struct onnx_node *node, struct f64s *coefficients, struct f64s *intercepts)
{
    *coefficients = *intercepts = (struct f64s){0};
    return onnx_reals(n->g, node, "coefficients", coefficients) && onnx_reals(n->g, node, "intercepts", intercepts);
}

/* [outputs][columns] coefficients on a row. 0: failed. */
static uint32_t linear(struct onnx_network *n, const struct onnx_node *node, const struct onnx_term *x, const struct f64s *coefficients,
                       const struct f64s *intercepts, uint64_t outputs)
{
    uint64_t columns = onnx_items(x);
    if (outputs == 0 || coefficients->size != outputs * columns || (intercepts->size != 0 && intercepts->size != outputs)) {
        (void)onnx_fail_node(n->g, node, STATUS_INVALID,
                             "%zu coefficients and %zu intercepts for %llu outputs of %llu columns", coefficients->size,
                             intercepts->size, (unsigned long long)outputs, (unsigned long long)columns);
        return 0;
    }
    struct weights w = {.numbers = coefficients->items,
                        .in = columns,
                        .out = outputs,
                        .by_output = true,
                        .scale = 1,
                        .bias = intercepts->size ? intercepts->items : NULL,
                        .bias_scale = 1};
    uint32_t wire = dense(n, x->wire, &w, 1);
    if (wire == 0)
        (void)onnx_no_room(n, node);
    return wire;
}

/* 0: failed. */
static uint32_t post_transform(struct onnx_network *n, const struct onnx_node *node, uint32_t wire)
{
    const struct onnx_attribute *a = onnx_attribute(n->g, node, "post_transform");
    uint32_t out = 0;
    if (!a || onnx_is(a->text, "NONE"))
        return wire;
    if (onnx_is(a->text, "LOGISTIC"))
        out = network_builder_map(&n->builder, wire, NETWORK_FN_SIGMOID, 0, 0);
    else if (onnx_is(a->text, "SOFTMAX"))
        out = network_builder_op(&n->builder, (struct network_op){.kind = NETWORK_SOFTMAX,
                                                                  .inputs = {wire},
                                                                  .width = network_width(n->builder.network, wire)});
    else
        (void)onnx_fail_node(n->g, node, STATUS_UNSUPPORTED,
                             "post_transform %.*s is not supported; NONE, LOGISTIC and SOFTMAX are", ONNX_TEXT(a->text));
    if (out == 0)
        (void)onnx_no_room(n, node);
    return out;
}

static uint64_t count_labels(struct onnx_network *n, const struct onnx_node *node)
{
    struct i32s numbers = {0};
    uint64_t count = onnx_wholes(n->g, node, "classlabels_ints", &numbers) ? numbers.size : 0;
    (void)import_shrink(n->g->memory, numbers.items, &numbers.capacity, 0, sizeof *numbers.items);
    struct protobuf texts = onnx_texts(onnx_attribute(n->g, node, "classlabels_strings"));
    struct span text;
    while (onnx_next_text(&texts, &text))
        count++;
    return count;
}

static bool linear_classifier(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s coefficients, intercepts;
    if (!x)
        return false;
    uint64_t labels = count_labels(n, node);
    bool done = read_linear(n, node, &coefficients, &intercepts);
    if (done && labels == 2 && coefficients.size == onnx_items(x))
        done = onnx_unsupported(n, node, "one row of coefficients for two classes: the standard does not say what the other "
                                         "class gets; write one row a class");
    uint32_t wire = done ? linear(n, node, x, &coefficients, &intercepts, labels) : 0;
    onnx_numbers_free(n, &coefficients);
    onnx_numbers_free(n, &intercepts);
    wire = wire ? post_transform(n, node, wire) : 0;
    if (wire == 0)
        return false;
    return onnx_give(n, node, 1,
                     (struct onnx_term){.held = ONNX_COLUMNS,
                                        .is_pair = labels == 2,
                                        .type = ONNX_FLOAT,
                                        .rank = 2,
                                        .dims = {ONNX_BATCH, (int64_t)labels},
                                        .wire = wire});
}

static bool linear_regressor(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s coefficients, intercepts;
    int64_t targets = onnx_whole_or(n->g, node, "targets", 1);
    if (!x)
        return false;
    bool done = read_linear(n, node, &coefficients, &intercepts);
    uint32_t wire = done && targets > 0 ? linear(n, node, x, &coefficients, &intercepts, (uint64_t)targets) : 0;
    onnx_numbers_free(n, &coefficients);
    onnx_numbers_free(n, &intercepts);
    wire = wire ? post_transform(n, node, wire) : 0;
    return wire > 0 ? onnx_give_row(n, node, ONNX_FLOAT, wire)
                    : onnx_fail_node(n->g, node, STATUS_INVALID, "%lld targets", (long long)targets);
}

/* --- normalisation ---------------------------------------------------------------------------------------------------- */

/* Per channel, repeated over what lies behind it: x * scale + shift. */
static uint32_t affine(struct onnx_network *n, const struct onnx_term *x, const struct f64s in[4], double epsilon)
{
    uint32_t width = (uint32_t)onnx_items(x), first, channels = (uint32_t)x->dims[1];
    float *numbers = network_builder_numbers(&n->builder, 2 * (size_t)width, &first);
    if (!numbers)
        return 0;
    for (uint32_t i = 0; i < width; i++) {
        uint32_t c = i / (width / channels);
        double scale = in[0].items[c] / sqrt(in[3].items[c] + epsilon);
        numbers[i] = (float)scale;
        numbers[width + i] = (float)(in[1].items[c] - in[2].items[c] * scale);
    }
    return network_builder_op(&n->builder, (struct network_op){.kind = NETWORK_AFFINE,
                                                               .inputs = {x->wire},
                                                               .width = width,
                                                               .first = first,
                                                               .count = 2 * width});
}

static bool batch_normalization(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    struct f64s in[4] = {{0}}; /* scale, shift, mean, variance */
    if (!x)
        return false;
    if (x->rank < 2 || onnx_whole_or(n->g, node, "training_mode", 0) != 0)
        return onnx_unsupported(n, node, "it must work on [batch, channels, ...], and not be in training mode; call model.eval() "
                                         "before the export");
    bool done = true;
    for (uint32_t i = 0; done && i < 4; i++) {
        done = onnx_numbers_of(n, node, i + 1, &in[i]);
        if (done && in[i].size != (uint64_t)x->dims[1])
            done = onnx_fail_node(n->g, node, STATUS_INVALID, "its input %u has %zu numbers, there are %lld channels", i + 1,
                                  in[i].size, (long long)x->dims[1]);
    }
    uint32_t wire = done ? affine(n, x, in, (double)onnx_real_or(n->g, node, "epsilon", 1e-5f)) : 0;
    for (uint32_t i = 0; i < 4; i++)
        onnx_numbers_free(n, &in[i]);
    return done && onnx_give_like(n, node, x, wire);
}

/* Scale or shift of a layer normalisation: one a column of the group, or one for all. */
static bool fill_norm(struct onnx_network *n, const struct onnx_node *node, uint32_t input, uint32_t size, float absent, float *out)
{
    struct f64s numbers = {0};
    bool done = !onnx_has_input(n, node, input) || onnx_numbers_of(n, node, input, &numbers);
    if (done && numbers.size > 1 && numbers.size != size)
        done = onnx_fail_node(n->g, node, STATUS_INVALID, "its input %u has %zu numbers, a group has %u", input, numbers.size, size);
    for (uint32_t i = 0; done && i < size; i++)
        out[i] = numbers.size ? (float)numbers.items[numbers.size == 1 ? 0 : i] : absent;
    onnx_numbers_free(n, &numbers);
    return done;
}

static bool layer_normalization(struct onnx_network *n, const struct onnx_node *node, const struct onnx_operator *self)
{
    (void)self;
    const struct onnx_term *x = onnx_columns_of(n, node, 0);
    uint32_t axis, first, size = 1;
    if (!x || !onnx_axis(n, node, onnx_whole_or(n->g, node, "axis", -1), x->rank, &axis))
        return false;
    if (axis == 0)
        return onnx_unsupported(n, node, "it goes over the batch: one row would see another");
    for (uint32_t i = axis; i < x->rank; i++)
        size *= (uint32_t)x->dims[i];
    uint32_t width = (uint32_t)onnx_items(x);
    if (!network_builder_numbers(&n->builder, 2 * (size_t)size, &first))
        return onnx_out_of_memory(n->g);
    /* Reading a constant draws on the same memory, but leaves the network's numbers where they are. */
    float *numbers = n->builder.network->numbers + first;
    if (!fill_norm(n, node, 1, size, 1.0f, numbers) || !fill_norm(n, node, 2, size, 0.0f, numbers + size))
        return false;
    return onnx_give_like(n, node, x,
                          network_builder_op(&n->builder, (struct network_op){.kind = NETWORK_LAYER_NORM,
                                                                             .a = onnx_real_or(n->g, node, "epsilon", 1e-5f),
                                                                             .inputs = {x->wire},
                                                                             .width = width,
                                                                             .groups = width / size,
                                                                             .first = first,
                                                                             .count = 2 * size}));
}

const struct onnx_operator onnx_dense_operators[] = {
    {"", "Gemm", gemm, 0, 0},
    {"", "MatMul", matmul, 0, 0},
    {"", "BatchNormalization", batch_normalization, 0, 0},
    {"", "LayerNormalization", layer_normalization, 0, 0},
    {"ai.onnx.ml", "LinearClassifier", linear_classifier, 0, 0},
    {"ai.onnx.ml", "LinearRegressor", linear_regressor, 0, 0},
    {NULL, NULL, NULL, 0, 0},
};
