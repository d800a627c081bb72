#include "kernels/ref/network_reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/ref/forest_reference.h"
#include "kernels/ref/network_function.h"
#include "model/base/check.h"
#include "model/network_math.h"

enum { LANES = 16 };

struct walk {
    const struct network *network;
    float *tape;   /* all wires, side by side */
    size_t *wires; /* [op_count + 1] where each begins */
    double *scores; /* of a forest: [its outputs] */
};

static float *wire(const struct walk *w, uint32_t number)
{
    return w->tape + w->wires[number];
}

/* --- sums over a group ------------------------------------------------------------------------------------------------ */

enum term { TERM_PLAIN, TERM_ABS, TERM_SQUARE };

static float lane_sum(const float *x, uint32_t n, enum term term)
{
    float partial[LANES] = {0};
    for (uint32_t i = 0; i < n; i++) {
        float *p = &partial[i % LANES];
        *p = term == TERM_SQUARE ? fmaf(x[i], x[i], *p) : *p + (term == TERM_ABS ? fabsf(x[i]) : x[i]);
    }
    for (uint32_t half = LANES / 2; half > 0; half /= 2) {
        for (uint32_t k = 0; k < half; k++)
            partial[k] += partial[k + half];
    }
    return partial[0];
}

/* The largest, or the smallest; NaN where there is one; a zero is +0. */
static float extreme(const float *x, uint32_t n, bool largest)
{
    float found = x[0];
    for (uint32_t i = 1; i < n; i++) {
        if (isnan(x[i]) || (largest ? x[i] > found : x[i] < found))
            found = x[i];
        if (isnan(found))
            break;
    }
    return found + 0.0f;
}

static float reduced(enum network_reduce reduce, const float *x, uint32_t n)
{
    switch (reduce) {
    case NETWORK_SUM:
        return lane_sum(x, n, TERM_PLAIN);
    case NETWORK_MEAN:
        return lane_sum(x, n, TERM_PLAIN) / (float)n;
    case NETWORK_MAX:
        return extreme(x, n, true);
    case NETWORK_MIN:
        return extreme(x, n, false);
    case NETWORK_L1:
        return lane_sum(x, n, TERM_ABS);
    case NETWORK_L2:
        return sqrtf(lane_sum(x, n, TERM_SQUARE));
    case NETWORK_REDUCE_COUNT:
        break;
    }
    CHECK(0 && "a reduction that is not known");
    return NAN;
}

static void layer_norm(const float *x, uint32_t size, float epsilon, const float *scale, float *y)
{
    float mean = lane_sum(x, size, TERM_PLAIN) / (float)size;
    for (uint32_t i = 0; i < size; i++)
        y[i] = x[i] - mean;
    float variance = lane_sum(y, size, TERM_SQUARE) / (float)size;
    float r = 1.0f / sqrtf(variance + epsilon);
    for (uint32_t i = 0; i < size; i++)
        y[i] = fmaf(y[i] * r, scale[i], scale[size + i]);
}

static void softmax(const float *x, uint32_t size, float *y)
{
    float largest = extreme(x, size, true);
    for (uint32_t i = 0; i < size; i++)
        y[i] = network_exp(x[i] - largest);
    float sum = lane_sum(y, size, TERM_PLAIN);
    for (uint32_t i = 0; i < size; i++)
        y[i] /= sum;
}

static void normalize(enum network_reduce reduce, const float *x, uint32_t size, float *y)
{
    float by = reduced(reduce, x, size);
    for (uint32_t i = 0; i < size; i++)
        y[i] = by == 0 ? x[i] : x[i] / by;
}

static void group(const struct walk *w, const struct network_op *op, const float *x, float *y)
{
    uint32_t size = network_width(w->network, op->inputs[0]) / op->groups;
    for (uint32_t g = 0; g < op->groups; g++) {
        const float *from = x + (size_t)g * size;
        float *to = y + (size_t)g * size;
        if (op->kind == NETWORK_LAYER_NORM)
            layer_norm(from, size, op->a, w->network->numbers + op->first, to);
        else if (op->kind == NETWORK_SOFTMAX)
            softmax(from, size, to);
        else if (op->kind == NETWORK_NORMALIZE)
            normalize((enum network_reduce)op->reduce, from, size, to);
        else
            y[g] = reduced((enum network_reduce)op->reduce, from, size);
    }
}

/* --- the other operations --------------------------------------------------------------------------------------------- */

static void dense(const struct network *n, const struct network_op *op, const float *x, float *y)
{
    uint32_t in = network_width(n, op->inputs[0]) / op->groups, out = op->width / op->groups;
    const float *weights = n->numbers + op->first, *bias = weights + (size_t)in * out;
    for (uint32_t g = 0; g < op->groups; g++, x += in, y += out) {
        memcpy(y, bias, out * sizeof *y);
        for (uint32_t i = 0; i < in; i++) {
            for (uint32_t o = 0; o < out; o++)
                y[o] = fmaf(x[i], weights[(size_t)i * out + o], y[o]);
        }
        for (uint32_t o = 0; o < out; o++)
            y[o] = network_function_of((enum network_function)op->function, op->a, op->b, y[o], 0.0f);
    }
}

static void linear(const struct network *n, const struct network_op *op, const float *x, float *y)
{
    uint32_t in = network_width(n, op->inputs[0]);
    const float *weights = n->numbers + op->first, *bias = weights + (size_t)in * op->width;
    for (uint32_t o = 0; o < op->width; o++) {
        float sum = bias[o];
        for (uint32_t i = 0; i < in; i++) {
            float product = x[i] * weights[(size_t)i * op->width + o];
            sum = isnan(x[i]) ? sum : sum + product;
        }
        y[o] = sum;
    }
}

static void copy(const struct walk *w, const struct network_op *op, float *y)
{
    for (uint32_t i = op->first; i < op->first + op->count; i++) {
        const struct network_piece *p = &w->network->pieces[i];
        const float *x = wire(w, p->wire);
        for (uint32_t k = 0; k < p->count; k++)
            *y++ = x[(int64_t)p->column + (int64_t)k * p->step];
    }
}

static void embed(const struct network *n, const struct network_op *op, const float *x, float *y)
{
    uint32_t width = network_width(n, op->inputs[0]), length = op->width / width;
    for (uint32_t i = 0; i < width; i++, y += length) {
        float index = truncf(x[i]);
        index = index < 0 ? index + (float)op->rows : index;
        bool exists = index >= 0 && index < (float)op->rows;
        const float *row = n->numbers + op->first + (exists ? (size_t)index * length : 0);
        for (uint32_t k = 0; k < length; k++)
            y[k] = exists ? row[k] : NAN;
    }
}

static void lookup(const struct network *n, const struct network_op *op, const float *x, float *y)
{
    const float *keys = op->rows ? n->numbers + op->first : NULL;
    for (uint32_t i = 0; i < op->width; i++) {
        uint32_t low = 0, high = op->rows; /* the first key that is not below x lies in low .. high */
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (keys[middle] < x[i])
                low = middle + 1;
            else
                high = middle;
        }
        bool found = low < op->rows && keys[low] == x[i];
        y[i] = isnan(x[i]) ? op->b : found ? keys[op->rows + low] : op->a;
    }
}

static void forest(const struct walk *w, const struct network_op *op, const float *x, float *y)
{
    const struct forest *f = w->network->forests[op->forest];
    const struct rows row = {.base = x, .columns = network_width(w->network, op->inputs[0]), .type = NUMBER_F32};
    const uint32_t slot = 0;
    forest_reference_margins(f, &row, &slot, 1, w->scores);
    link_apply(f->link, f->link_parameter, f->link_divisor, w->scores, w->scores, f->outputs);
    for (uint32_t i = 0; i < op->width; i++)
        y[i] = (float)w->scores[i];
}

/* What is done to each number by itself. */
static void each(const struct walk *w, const struct network_op *op, const float *x, float *y)
{
    const float *numbers = op->count ? w->network->numbers + op->first : NULL, *z = wire(w, op->inputs[1]), *c = wire(w, op->inputs[2]);
    enum network_function f = (enum network_function)op->function;
    for (uint32_t i = 0; i < op->width; i++) {
        if (op->kind == NETWORK_MAP)
            y[i] = network_function_of(f, op->a, op->b, x[i], 0.0f);
        else if (op->kind == NETWORK_AFFINE)
            y[i] = fmaf(x[i], numbers[i], numbers[op->width + i]);
        else if (op->kind == NETWORK_CONSTANT)
            y[i] = numbers[i];
        else if (op->kind == NETWORK_SELECT)
            y[i] = c[i] != 0 ? x[i] : z[i];
        else
            y[i] = network_function_of(f, op->a, op->b, x[i], op->kind == NETWORK_PAIR ? z[i] : numbers[i]);
    }
}

static void compute(const struct walk *w, const struct network_op *op, float *y)
{
    const float *x = wire(w, op->inputs[0]);
    switch ((enum network_kind)op->kind) {
    case NETWORK_DENSE:
        dense(w->network, op, x, y);
        return;
    case NETWORK_LINEAR:
        linear(w->network, op, x, y);
        return;
    case NETWORK_COPY:
        copy(w, op, y);
        return;
    case NETWORK_EMBED:
        embed(w->network, op, x, y);
        return;
    case NETWORK_LOOKUP:
        lookup(w->network, op, x, y);
        return;
    case NETWORK_FOREST:
        forest(w, op, x, y);
        return;
    case NETWORK_LAYER_NORM:
    case NETWORK_SOFTMAX:
    case NETWORK_NORMALIZE:
    case NETWORK_REDUCE:
        group(w, op, x, y);
        return;
    case NETWORK_MAP:
    case NETWORK_PAIR:
    case NETWORK_WITH:
    case NETWORK_AFFINE:
    case NETWORK_SELECT:
    case NETWORK_CONSTANT:
        each(w, op, x, y);
        return;
    case NETWORK_KIND_COUNT:
        break;
    }
    CHECK(0 && "an operation of unknown kind");
}

static void row_margins(const struct walk *w, const void *row, double *margins)
{
    const struct network *n = w->network;
    memcpy(w->tape, row, n->features * sizeof *w->tape);
    for (uint32_t i = 0; i < n->op_count; i++)
        compute(w, &n->ops[i], wire(w, i + 1));
    const float *last = wire(w, n->op_count);
    for (uint32_t o = 0; o < n->outputs; o++)
        margins[o] = (double)network_one_nan(last[o]);
}

static bool walk_open(struct walk *w, const struct network *network)
{
    uint32_t scores = 1;
    for (uint32_t i = 0; i < network->forest_count; i++)
        scores = network->forests[i]->outputs > scores ? network->forests[i]->outputs : scores;
    *w = (struct walk){.network = network,
                       .tape = calloc(network_widths_total(network), sizeof *w->tape),
                       .wires = calloc(network->op_count + 1u, sizeof *w->wires),
                       .scores = calloc(scores, sizeof *w->scores)};
    if (!w->tape || !w->wires || !w->scores)
        return false;
    for (uint32_t i = 0; i < network->op_count; i++)
        w->wires[i + 1] = w->wires[i] + network_width(network, i);
    return true;
}

static void walk_close(struct walk *w)
{
    free(w->tape);
    free(w->wires);
    free(w->scores);
}

enum status network_reference_margins(const struct network *network, const struct rows *rows, const uint32_t *slots, uint32_t n,
                                      double *margins)
{
    struct walk w;
    CHECK(rows->type == NUMBER_F32 && rows->columns >= network->features);
    bool opened = walk_open(&w, network);
    for (uint32_t i = 0; opened && i < n; i++)
        row_margins(&w, (const char *)rows->base + (size_t)slots[i] * rows->stride, margins + (size_t)i * network->outputs);
    walk_close(&w);
    return opened ? STATUS_OK : STATUS_NO_MEMORY;
}

void network_reference_answer(const struct network *network, struct batch *batch)
{
    uint32_t scores = link_scores(network->link, network->outputs);
    enum status status = network_reference_margins(network, batch->rows, batch->slots, batch->n, batch->margins);
    for (uint32_t i = 0; status == STATUS_OK && i < batch->n; i++)
        link_apply(network->link, network->link_parameter, 1, batch->margins + (size_t)i * network->outputs,
                   batch->scores + (size_t)i * scores, network->outputs);
    batch->done(batch, status);
}
