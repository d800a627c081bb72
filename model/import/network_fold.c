/*
 * Merging operations of a network, once, when it is read.
 *
 *   no bit changes:  dense, then a function                        the function goes into the dense operation
 *                    a copy of a copy, or of all of a wire         one copy, or none
 *                    x * sigmoid(x)                                silu
 *   a sum starts otherwise, or is rounded less often:
 *                    dense without bias, then + constant           the constant becomes the bias, with which the sum starts
 *                    dense, then * scale + shift (BatchNormalization)  weights and bias are scaled in double, rounded once
 *                    x / 2 * (1 + erf(x / sqrt 2)), spelt out      gelu
 *
 * Nothing else is merged. A scaler before a dense operation, for one, stays: (x - mean) / deviation would become a difference
 * of two large products. An operation takes the place of the last one of those that it stands for; the others are left
 * unread, for network_builder_finish to drop.
 */
#include <math.h>
#include <string.h>

#include "model/import/network_builder.h"

struct fold {
    struct network *n;
    uint32_t *uses;
};

/* The operation that makes a wire; NULL: the row itself. */
static struct network_op *maker(const struct fold *f, uint32_t wire)
{
    return wire == 0 ? NULL : &f->n->ops[wire - 1];
}

static struct network_op *made_by(const struct fold *f, uint32_t wire, enum network_kind kind)
{
    struct network_op *op = maker(f, wire);
    return op && op->kind == kind ? op : NULL;
}

/* The dense operation of which `op` is the only reader, its sums as they are. */
static struct network_op *plain_dense(const struct fold *f, const struct network_op *op)
{
    struct network_op *dense = made_by(f, op->inputs[0], NETWORK_DENSE);
    bool plain = dense && dense->function == NETWORK_FN_IDENTITY && f->uses[op->inputs[0]] == 1;
    return plain ? dense : NULL;
}

/* Puts `with` in the place of op, whose wire stays; `from` is read by nobody any more. */
static void replace(const struct fold *f, struct network_op *op, struct network_op with, uint32_t from)
{
    f->uses[from] = 0;
    *op = with;
}

static bool merge_function(const struct fold *f, struct network_op *op)
{
    const struct network_op *dense = op->kind == NETWORK_MAP ? plain_dense(f, op) : NULL;
    if (!dense)
        return false;
    struct network_op merged = *dense;
    merged.function = op->function;
    merged.a = op->a;
    merged.b = op->b;
    replace(f, op, merged, op->inputs[0]);
    return true;
}

static float *bias_of(const struct fold *f, const struct network_op *dense)
{
    return f->n->numbers + dense->first + dense->count - dense->width;
}

static bool merge_bias(const struct fold *f, struct network_op *op)
{
    bool adds = op->kind == NETWORK_WITH && op->function == NETWORK_FN_ADD;
    const struct network_op *dense = adds ? plain_dense(f, op) : NULL;
    if (!dense || dense->groups != 1)
        return false;
    float *bias = bias_of(f, dense);
    for (uint32_t i = 0; i < dense->width; i++) {
        if (bias[i] != 0 || !isfinite(f->n->numbers[op->first + i]))
            return false;
    }
    memcpy(bias, f->n->numbers + op->first, dense->width * sizeof *bias);
    replace(f, op, *dense, op->inputs[0]);
    return true;
}

/* Weights that would leave the range of float32 stay as they are. */
static bool merge_scale(const struct fold *f, struct network_op *op)
{
    const struct network_op *dense = op->kind == NETWORK_AFFINE ? plain_dense(f, op) : NULL;
    if (!dense || dense->groups != 1)
        return false;
    const float *scale = f->n->numbers + op->first, *shift = scale + op->width;
    float *weights = f->n->numbers + dense->first, *bias = bias_of(f, dense);
    uint32_t rows = dense->count / dense->width - 1;
    for (uint32_t o = 0; o < op->width; o++) {
        for (uint32_t i = 0; i < rows; i++) {
            if (!isfinite((float)((double)weights[(size_t)i * op->width + o] * (double)scale[o])))
                return false;
        }
        if (!isfinite((float)((double)bias[o] * (double)scale[o] + (double)shift[o])))
            return false;
    }
    for (uint32_t o = 0; o < op->width; o++) {
        for (uint32_t i = 0; i < rows; i++) {
            float *w = &weights[(size_t)i * op->width + o];
            *w = (float)((double)*w * (double)scale[o]);
        }
        bias[o] = (float)((double)bias[o] * (double)scale[o] + (double)shift[o]);
    }
    replace(f, op, *dense, op->inputs[0]);
    return true;
}

/* Where a piece lies within one piece of another copy, it is read from there. */
static void shorten(const struct fold *f, struct network_piece *piece)
{
    const struct network_op *copy = made_by(f, piece->wire, NETWORK_COPY);
    int64_t start = 0, first = piece->column, last = first + (int64_t)(piece->count - 1) * piece->step;
    for (uint32_t i = 0; copy && i < copy->count; i++) {
        const struct network_piece *under = &f->n->pieces[copy->first + i];
        int64_t end = start + under->count;
        if (first >= start && first < end && last >= start && last < end) {
            int64_t step = (int64_t)piece->step * under->step;
            if (step < INT32_MIN || step > INT32_MAX)
                return;
            f->uses[piece->wire]--;
            f->uses[under->wire]++;
            *piece = (struct network_piece){under->wire, (uint32_t)((int64_t)under->column + (first - start) * under->step),
                                            piece->count, (int32_t)step};
            return;
        }
        start = end;
    }
}

/* Past copies of the whole of a wire. */
static uint32_t original(const struct fold *f, uint32_t wire)
{
    const struct network_op *copy = made_by(f, wire, NETWORK_COPY);
    while (copy && copy->count == 1) {
        const struct network_piece *p = &f->n->pieces[copy->first];
        if (p->column != 0 || p->step != 1 || p->count != network_width(f->n, p->wire))
            break;
        f->uses[wire]--;
        wire = p->wire;
        f->uses[wire]++;
        copy = made_by(f, wire, NETWORK_COPY);
    }
    return wire;
}

/* Is the wire f(x, the same number everywhere), read by nobody else? Then x. */
static bool is_with(const struct fold *f, uint32_t wire, enum network_function function, float number, uint32_t *x)
{
    const struct network_op *op = made_by(f, wire, NETWORK_WITH);
    if (!op || op->function != function || f->uses[wire] != 1)
        return false;
    for (uint32_t i = 0; i < op->width; i++) {
        if (f->n->numbers[op->first + i] != number)
            return false;
    }
    *x = op->inputs[0];
    return true;
}

static bool is_map(const struct fold *f, uint32_t wire, enum network_function function, uint32_t *x)
{
    const struct network_op *op = made_by(f, wire, NETWORK_MAP);
    if (!op || op->function != function || f->uses[wire] != 1)
        return false;
    *x = op->inputs[0];
    return true;
}

/* x * sigmoid(x), in either order. */
static bool merge_silu(const struct fold *f, struct network_op *op)
{
    if (op->kind != NETWORK_PAIR || op->function != NETWORK_FN_MUL)
        return false;
    for (uint32_t side = 0; side < 2; side++) {
        uint32_t x = op->inputs[side], of = 0;
        if (!is_map(f, op->inputs[1 - side], NETWORK_FN_SIGMOID, &of) || of != x)
            continue;
        f->uses[x]--;
        replace(f, op, (struct network_op){.kind = NETWORK_MAP, .function = NETWORK_FN_SILU, .inputs = {x}, .width = op->width, .groups = 1},
                op->inputs[1 - side]);
        return true;
    }
    return false;
}

/* 1 + erf(x / sqrt 2) */
static bool is_twice_share(const struct fold *f, uint32_t wire, uint32_t *x)
{
    const float root = 0x1.6a09e6p0f, inverse = 0x1.6a09e6p-1f;
    uint32_t erf = 0, scaled = 0;
    return is_with(f, wire, NETWORK_FN_ADD, 1.0f, &erf) && is_map(f, erf, NETWORK_FN_ERF, &scaled) &&
           (is_with(f, scaled, NETWORK_FN_DIV, root, x) || is_with(f, scaled, NETWORK_FN_MUL, inverse, x));
}

/* (x * share) * 0.5, (x * 0.5) * share, either product in either order. */
static bool merge_gelu(const struct fold *f, struct network_op *op)
{
    uint32_t product = 0, x = 0, half = 0;
    const struct network_op *pair = op;
    bool halved = is_with(f, (uint32_t)(op - f->n->ops) + 1, NETWORK_FN_MUL, 0.5f, &product);
    if (halved) {
        pair = made_by(f, product, NETWORK_PAIR);
        if (!pair || f->uses[product] != 1)
            return false;
    }
    if (pair->kind != NETWORK_PAIR || pair->function != NETWORK_FN_MUL)
        return false;
    for (uint32_t side = 0; side < 2; side++) {
        uint32_t plain = pair->inputs[side], share = pair->inputs[1 - side];
        if (!is_twice_share(f, share, &x))
            continue;
        if (!(halved ? plain == x : is_with(f, plain, NETWORK_FN_MUL, 0.5f, &half) && half == x))
            continue;
        f->uses[x]--;
        replace(f, op, (struct network_op){.kind = NETWORK_MAP, .function = NETWORK_FN_GELU, .inputs = {x}, .width = op->width, .groups = 1},
                share);
        return true;
    }
    return false;
}

uint32_t network_fold(struct network *network, uint32_t *uses)
{
    const struct fold f = {.n = network, .uses = uses};
    for (uint32_t i = 0; i < network->op_count; i++) {
        struct network_op *op = &network->ops[i];
        if (uses[i + 1] == 0)
            continue;
        for (uint32_t k = 0; k < network_inputs(op); k++)
            op->inputs[k] = original(&f, op->inputs[k]);
        for (uint32_t k = 0; op->kind == NETWORK_COPY && k < op->count; k++)
            shorten(&f, &network->pieces[op->first + k]);
        (void)(merge_silu(&f, op) || merge_gelu(&f, op));
        (void)(merge_bias(&f, op) || merge_scale(&f, op) || merge_function(&f, op));
    }
    uint32_t last = original(&f, network->op_count);
    return last > 0 ? last : network->op_count; /* the row itself is no operation's wire */
}
