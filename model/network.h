/*
 * The inner network: every dense graph, linear model and pipeline that we read becomes this, whatever library wrote it. A
 * row of features is wire 0; each operation reads wires that are there and makes the next one; the last wire is the row's
 * margins, and a link makes the scores of them. Nothing is left to decide: shapes, broadcasting, axes and types were
 * resolved when the file was read, and no operation looks at another row.
 *
 *     wire 0: the row [features] ──► ops[0] ──► wire 1 ──► ops[1] ──► wire 2 ... ──► wire op_count: margins [outputs] ──► link
 *                                     │                      ▲
 *                                     └──────────────────────┘ any earlier wire
 *
 * One arithmetic, and so the same bits on every kernel, in any batch, at any position in it. All numbers are float32; each
 * operation below says what it computes, in which order, and where it rounds. fma is one rounding. Denormals are kept. Which
 * NaN a wire carries may differ; a margin that is NaN is 0x7fc00000. The reference (kernels/ref/network_reference.c) is this
 * text as code.
 *
 * A *lane sum* of n terms t: 16 partial sums start at +0; term i is added to partial i % 16, i ascending; then, for h of 8,
 * 4, 2, 1, partial k takes partial k + h for every k < h; partial 0 is the sum. Vectors of 16, or of 8 in pairs, do it as it
 * stands, and terms of +0 behind the end change nothing.
 *
 * Operations on groups take the wire as `groups` rows of one length, side by side: a wire of 12 with 3 groups is 3 x 4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"
#include "model/link.h"

struct forest;

/* In each: x = wire inputs[0], z = inputs[1], c = inputs[2]; y = the wire it makes, `width` wide; f = the function; n(k) =
 * numbers[op.first + k]. */
enum network_kind {
    /* y[o] = f(s), s = n(in * width' + o) at first, then s = fma(x[i], n(i * width' + o), s) for i ascending, once for each
     * group; in = width of x / groups, width' = width / groups. That is: weights [in][out], then the bias [out]. */
    NETWORK_DENSE,
    /* gblinear: the same layout, one group, no f; multiply, round, add, round: s = s + x[i] * w, and a NaN x[i] is skipped. */
    NETWORK_LINEAR,
    NETWORK_MAP,    /* y[i] = f(x[i]) */
    NETWORK_PAIR,   /* y[i] = f(x[i], z[i]) */
    NETWORK_WITH,   /* y[i] = f(x[i], n(i)) */
    NETWORK_AFFINE, /* y[i] = fma(x[i], n(i), n(width + i)) */
    NETWORK_SELECT, /* y[i] = c[i] != 0 ? x[i] : z[i] */
    NETWORK_COPY,   /* the pieces, one after the other; see network_piece. Reads no inputs but theirs */
    NETWORK_CONSTANT, /* y[i] = n(i). No inputs */
    /* For each x[i], the row t of a table [rows][width / width of x], at n(0); t = trunc(x[i]), + rows where that is
     * negative; no such row (NaN, too large, too small): all NaN, so that the score is none. */
    NETWORK_EMBED,
    /* y[i] = n(rows + k) where n(k) == x[i], k < rows; n(0 .. rows - 1) ascend, none is NaN. None does: a; NaN: b. */
    NETWORK_LOOKUP,
    /* Each group x[size]: mean = S(x) / size; d[i] = x[i] - mean; v = S'(d) / size, terms added as fma(d[i], d[i], partial);
     * r = 1 / sqrt(v + a); y[i] = fma(d[i] * r, n(i), n(size + i)). S, S' are lane sums. */
    NETWORK_LAYER_NORM,
    /* Each group: m = the largest; e[i] = exp(x[i] - m); y[i] = e[i] / (lane sum of e). NaN anywhere: all NaN. */
    NETWORK_SOFTMAX,
    /* Each group: y[i] = x[i] / d, or x[i] where d is 0; d by `reduce`: L1, L2 or MAX. */
    NETWORK_NORMALIZE,
    /* y[g] = `reduce` of group g. */
    NETWORK_REDUCE,
    /* Scores of forests[op.forest], link applied, of the row x; float32 values. */
    NETWORK_FOREST,
    NETWORK_KIND_COUNT
};

/* What REDUCE and NORMALIZE make of a group. NaN in it gives NaN. MAX, MIN: a zero is +0. */
enum network_reduce {
    NETWORK_SUM,  /* lane sum */
    NETWORK_MEAN, /* lane sum / size */
    NETWORK_MAX,
    NETWORK_MIN,
    NETWORK_L1, /* lane sum of |x| */
    NETWORK_L2, /* sqrt of the lane sum with terms added as fma(x[i], x[i], partial) */
    NETWORK_REDUCE_COUNT
};

enum network_function {
#define NETWORK_UNARY(name, shown, value) NETWORK_FN_##name,
#define NETWORK_BINARY(name, shown, value) NETWORK_FN_##name,
#include "model/network_functions.def"
#undef NETWORK_UNARY
#undef NETWORK_BINARY
    NETWORK_FUNCTION_COUNT
};

/* Columns column, column + step, ... (count of them) of a wire. A step of 0 repeats one column. */
struct network_piece {
    uint32_t wire, column, count;
    int32_t step;
};

struct network_op {
    uint8_t kind;     /* enum network_kind */
    uint8_t function; /* enum network_function: DENSE and MAP one of one number, PAIR and WITH one of two; else 0 */
    uint8_t reduce;   /* enum network_reduce; else 0 */
    float a, b;       /* the function's parameters; LAYER_NORM: a = epsilon; LOOKUP: see there */
    uint32_t inputs[3]; /* wires made before this one; unused ones are 0 */
    uint32_t width;
    uint32_t groups;  /* 1 where the operation knows no groups */
    uint32_t rows;    /* EMBED: of the table; LOOKUP: keys */
    uint32_t first;   /* in numbers; COPY: in pieces; else 0 */
    uint32_t count;   /* how many numbers, or pieces, it has there */
    uint32_t forest;  /* FOREST: in forests */
};

struct network {
    uint32_t features; /* width of wire 0 */
    uint32_t outputs;  /* width of the last wire */
    struct network_op *ops;
    uint32_t op_count;
    float *numbers; /* all finite but those of WITH, CONSTANT and LOOKUP */
    uint32_t number_count;
    struct network_piece *pieces;
    uint32_t piece_count;
    struct forest **forests; /* owned; of float32 rows */
    uint32_t forest_count;
    enum link link; /* on the margins; its divisor is 1 */
    double link_parameter;
};

/* Widths are bounded, so that a small file can't ask for a large row: of one wire, and of all together. */
enum { NETWORK_WIDTH_MAX = 1 << 20, NETWORK_WIDTHS_MAX = 1 << 22, NETWORK_OPS_MAX = 1 << 16 };

void network_free(struct network *network);

/* What every importer promises and every kernel trusts: wires made before they are read, widths that agree, numbers and
 * pieces where they are said to be, finite weights, and the limits above. Forests were checked by forest_check. */
MUST_USE enum status network_check(const struct network *network, struct error *err);

static inline uint32_t network_width(const struct network *network, uint32_t wire)
{
    return wire == 0 ? network->features : network->ops[wire - 1].width;
}

/* Of all wires together, in floats. */
size_t network_widths_total(const struct network *network);
/* How many wires an operation reads by `inputs`. */
uint32_t network_inputs(const struct network_op *op);
/* Floating-point operations of a row: a fused multiply-add counts 2, a function 1; forests count none. */
uint64_t network_flops(const struct network *network, const struct network_op *op);
/* "dense", "layer_norm"; "relu", "" for IDENTITY; "sum". All static. */
const char *network_kind_name(enum network_kind kind);
const char *network_function_name(enum network_function function);
const char *network_reduce_name(enum network_reduce reduce);
bool network_function_is_binary(enum network_function function);
