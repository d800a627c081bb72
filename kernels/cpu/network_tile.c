#include "kernels/cpu/network_tile.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/plan.h"
#include "model/base/check.h"
#include "model/forest.h"

/* An operation at work on a tile: what it reads and makes. */
struct step {
    const struct network_tile *tile;
    const struct network_op *op;
    const struct network_kernels *kernels;
    const float *numbers;
    const struct network_wire *x_wire, *y_wire;
    const float *x;
    float *y;
};

static const float *x_row(const struct step *s, uint32_t row)
{
    return s->x + (size_t)row * s->x_wire->stride;
}

static float *y_row(const struct step *s, uint32_t row)
{
    return s->y + (size_t)row * s->y_wire->stride;
}

/* All numbers of a wire, and those behind them up to a whole register. */
static size_t span(const struct step *s)
{
    size_t floats = (size_t)s->tile->rows * s->y_wire->stride;
    return (floats + NETWORK_LANES - 1) / NETWORK_LANES * NETWORK_LANES;
}

void network_tile_load(const struct network_tile *tile, const struct rows *rows, const uint32_t *slots)
{
    const struct network_wire *wire = &tile->plan->wires[0];
    float *to = network_tile_wire(tile, 0);
    for (uint32_t r = 0; r < tile->rows; r++, to += wire->stride) {
        const float *from = (const float *)(const void *)((const char *)rows->base + (size_t)slots[r] * rows->stride);
        if (wire->width < NETWORK_LANES)
            memcpy(to, from, wire->width * sizeof *to);
        for (uint32_t i = 0; i + NETWORK_LANES <= wire->stride; i += NETWORK_LANES) /* rows are padded as wires are */
            memcpy(to + i, from + i, NETWORK_LANES * sizeof *to);
    }
}

/* --- dense ------------------------------------------------------------------------------------------------------------ */

static void dense(const struct step *s)
{
    const struct network_op *op = s->op;
    uint32_t groups = op->groups, in = s->x_wire->width / groups, out = op->width / groups, rows = s->tile->rows;
    struct network_dense d = {.panels = s->numbers, .in = in, .out = out, .relu = op->function == NETWORK_FN_RELU};
    if (groups == 1) {
        s->kernels->dense(&d, s->x, s->x_wire->stride, s->y, s->y_wire->stride, rows);
    } else {
        for (uint32_t r = 0; r < rows; r++) /* a row's groups are rows of their own, side by side */
            s->kernels->dense(&d, x_row(s, r), in, y_row(s, r), out, groups);
    }
    if (op->function != NETWORK_FN_RELU && op->function != NETWORK_FN_IDENTITY)
        s->kernels->each(op, s->y, NULL, s->y, span(s));
}

/* s + x w, each rounded; NaN inputs are passed over. For linear models of few outputs. */
static void linear(const struct step *s)
{
    uint32_t in = s->x_wire->width, out = s->op->width;
    const float *bias = s->numbers + (size_t)in * out;
    for (uint32_t r = 0; r < s->tile->rows; r++) {
        const float *x = x_row(s, r);
        float *y = y_row(s, r);
        memcpy(y, bias, out * sizeof *y);
        for (uint32_t i = 0; i < in; i++) {
            for (uint32_t o = 0; o < out; o++) {
                float sum = y[o] + x[i] * s->numbers[(size_t)i * out + o];
                y[o] = isnan(x[i]) ? y[o] : sum;
            }
        }
    }
}

/* --- each number by itself --------------------------------------------------------------------------------------------- */

static void map(const struct step *s)
{
    s->kernels->each(s->op, s->x, NULL, s->y, span(s));
}

static void pair(const struct step *s)
{
    s->kernels->each(s->op, s->x, network_tile_wire(s->tile, s->op->inputs[1]), s->y, span(s));
}

/* Rows of numbers that are the same for every row. Those of a narrow wire go through whole registers on the side. */
static void with_numbers(const struct step *s)
{
    uint32_t width = s->op->width, stride = s->y_wire->stride;
    size_t padded = (width + NETWORK_LANES - 1) / NETWORK_LANES * NETWORK_LANES;
    for (uint32_t r = 0; r < s->tile->rows; r++) {
        float x_narrow[NETWORK_LANES] = {0}, y_narrow[NETWORK_LANES];
        bool is_narrow = width < NETWORK_LANES;
        const float *x = is_narrow ? memcpy(x_narrow, x_row(s, r), width * sizeof *x) : x_row(s, r);
        float *y = is_narrow ? y_narrow : s->y + (size_t)r * stride;
        if (s->op->kind == NETWORK_AFFINE)
            s->kernels->affine(x, s->numbers, s->numbers + padded, y, padded);
        else
            s->kernels->each(s->op, x, s->numbers, y, padded);
        if (is_narrow)
            memcpy(y_row(s, r), y_narrow, width * sizeof *y);
    }
}

static void select_one(const struct step *s)
{
    const float *z = network_tile_wire(s->tile, s->op->inputs[1]), *c = network_tile_wire(s->tile, s->op->inputs[2]);
    size_t n = (size_t)s->tile->rows * s->y_wire->stride;
    for (size_t i = 0; i < n; i++)
        s->y[i] = c[i] != 0 ? s->x[i] : z[i];
}

/* --- moving ----------------------------------------------------------------------------------------------------------- */

static void copy_piece(const struct step *s, const struct network_piece *piece, uint32_t to)
{
    const struct network_wire *wire = &s->tile->plan->wires[piece->wire];
    const float *x = network_tile_wire(s->tile, piece->wire) + piece->column;
    for (uint32_t r = 0; r < s->tile->rows; r++, x += wire->stride) {
        float *y = y_row(s, r) + to;
        if (piece->step == 1 && piece->count > 8) {
            memcpy(y, x, piece->count * sizeof *y);
            continue;
        }
        for (uint32_t k = 0; k < piece->count; k++)
            y[k] = x[(int64_t)k * piece->step];
    }
}

static void copy(const struct step *s)
{
    const struct network_op *op = s->op;
    for (uint32_t i = op->first, to = 0; i < op->first + op->count; i++) {
        const struct network_piece *piece = &s->tile->plan->network->pieces[i];
        copy_piece(s, piece, to);
        to += piece->count;
    }
}

static void constant(const struct step *s)
{
    for (uint32_t r = 0; r < s->tile->rows; r++)
        memcpy(y_row(s, r), s->numbers, s->op->width * sizeof *s->y);
}

/* The row of the table that x asks for, or NULL. */
static const float *embedding(const struct step *s, float x, uint32_t length)
{
    float index = truncf(x);
    index = index < 0 ? index + (float)s->op->rows : index;
    return index >= 0 && index < (float)s->op->rows ? s->numbers + (size_t)index * length : NULL;
}

/* Tables may be large and their rows far apart: all are asked for before the first is used. */
static void embed(const struct step *s)
{
    uint32_t width = s->x_wire->width, length = s->op->width / width;
    for (uint32_t r = 0; r < s->tile->rows; r++) {
        for (uint32_t i = 0; i < width; i++) {
            const float *found = embedding(s, x_row(s, r)[i], length);
            for (uint32_t k = 0; found && k < length; k += NETWORK_LANES)
                __builtin_prefetch(found + k);
        }
    }
    for (uint32_t r = 0; r < s->tile->rows; r++) {
        float *y = y_row(s, r);
        for (uint32_t i = 0; i < width; i++, y += length) {
            const float *found = embedding(s, x_row(s, r)[i], length);
            for (uint32_t k = 0; k < length; k++)
                y[k] = found ? found[k] : NAN;
        }
    }
}

static float looked_up(const struct network_op *op, const float *keys, float x)
{
    if (isnan(x))
        return op->b;
    uint32_t low = 0, high = op->rows; /* the first key that is not below x lies in low .. high */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (keys[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low < op->rows && keys[low] == x ? keys[op->rows + low] : op->a;
}

static void lookup(const struct step *s)
{
    for (uint32_t r = 0; r < s->tile->rows; r++) {
        for (uint32_t i = 0; i < s->op->width; i++)
            y_row(s, r)[i] = looked_up(s->op, s->numbers, x_row(s, r)[i]);
    }
}

/* --- groups ----------------------------------------------------------------------------------------------------------- */

static void normalize(const struct step *s, const float *x, uint32_t size, float *y)
{
    float by = s->kernels->reduce((enum network_reduce)s->op->reduce, x, size);
    for (uint32_t i = 0; i < size; i++)
        y[i] = by == 0 ? x[i] : x[i] / by;
}

static void groups(const struct step *s)
{
    const struct network_op *op = s->op;
    uint32_t size = s->x_wire->width / op->groups;
    for (uint32_t r = 0; r < s->tile->rows; r++) {
        const float *x = x_row(s, r);
        float *y = y_row(s, r);
        for (uint32_t g = 0; g < op->groups; g++, x += size) {
            if (op->kind == NETWORK_LAYER_NORM)
                s->kernels->layer_norm(x, size, op->a, s->numbers, y + (size_t)g * size);
            else if (op->kind == NETWORK_SOFTMAX)
                s->kernels->softmax(x, size, y + (size_t)g * size);
            else if (op->kind == NETWORK_NORMALIZE)
                normalize(s, x, size, y + (size_t)g * size);
            else
                y[g] = s->kernels->reduce((enum network_reduce)op->reduce, x, size);
        }
    }
}

/* --- forests ---------------------------------------------------------------------------------------------------------- */

/* Fewer rows at a time where their margins are many; importers take up to 1,024 of a row. */
enum { FOREST_MARGINS = 2048, FOREST_ROWS = 64 };

/* The rows as a forest's kernels want them, 64 bytes apart or a multiple. */
static struct rows forest_input(const struct step *s, uint32_t from, uint32_t n, float narrow[FOREST_ROWS][NETWORK_LANES])
{
    struct rows rows = {
        .base = x_row(s, from), .stride = s->x_wire->stride * sizeof *s->x, .columns = s->x_wire->width, .type = NUMBER_F32};
    if (s->x_wire->width >= NETWORK_LANES)
        return rows;
    for (uint32_t i = 0; i < n; i++)
        memcpy(narrow[i], x_row(s, from + i), s->x_wire->width * sizeof *s->x);
    rows.base = narrow;
    rows.stride = NETWORK_LANES * sizeof *s->x;
    return rows;
}

static void forest_rows(const struct step *s, uint32_t from, uint32_t n)
{
    const struct network_tile_plan *plan = s->tile->plan;
    const struct forest *f = plan->network->forests[s->op->forest];
    float narrow[FOREST_ROWS][NETWORK_LANES] __attribute__((aligned(64))) = {{0}};
    const struct rows rows = forest_input(s, from, n, narrow);
    uint32_t slots[FOREST_ROWS];
    double margins[FOREST_MARGINS], scores[FOREST_MARGINS];
    for (uint32_t i = 0; i < n; i++)
        slots[i] = i;
    plan_margins(plan->forests[s->op->forest], &rows, slots, n, margins);
    for (uint32_t i = 0; i < n; i++) {
        link_apply(f->link, f->link_parameter, f->link_divisor, margins + (size_t)i * f->outputs, scores, f->outputs);
        for (uint32_t k = 0; k < s->op->width; k++)
            y_row(s, from + i)[k] = (float)scores[k];
    }
}

static void forest(const struct step *s)
{
    uint32_t outputs = s->tile->plan->network->forests[s->op->forest]->outputs;
    CHECK(outputs <= FOREST_MARGINS);
    uint32_t at_once = FOREST_MARGINS / outputs < FOREST_ROWS ? FOREST_MARGINS / outputs : FOREST_ROWS;
    for (uint32_t r = 0; r < s->tile->rows; r += at_once)
        forest_rows(s, r, s->tile->rows - r < at_once ? s->tile->rows - r : at_once);
}

static void (*const steps[NETWORK_KIND_COUNT])(const struct step *) = {
    [NETWORK_DENSE] = dense,         [NETWORK_LINEAR] = linear,     [NETWORK_MAP] = map,           [NETWORK_PAIR] = pair,
    [NETWORK_WITH] = with_numbers,   [NETWORK_AFFINE] = with_numbers, [NETWORK_SELECT] = select_one, [NETWORK_COPY] = copy,
    [NETWORK_CONSTANT] = constant,   [NETWORK_EMBED] = embed,       [NETWORK_LOOKUP] = lookup,     [NETWORK_LAYER_NORM] = groups,
    [NETWORK_SOFTMAX] = groups,      [NETWORK_NORMALIZE] = groups,  [NETWORK_REDUCE] = groups,     [NETWORK_FOREST] = forest,
};

void network_tile_step(const struct network_tile *tile, uint32_t op)
{
    const struct network_tile_plan *plan = tile->plan;
    const struct network_op *o = &plan->network->ops[op];
    const struct step step = {.tile = tile,
                              .op = o,
                              .kernels = plan->kernels,
                              .numbers = plan->numbers[op],
                              .x_wire = &plan->wires[o->inputs[0]],
                              .y_wire = &plan->wires[op + 1],
                              .x = network_tile_wire(tile, o->inputs[0]),
                              .y = network_tile_wire(tile, op + 1)};
    steps[o->kind](&step);
}
