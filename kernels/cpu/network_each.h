/*
 * Operations of networks on single numbers and on groups of them, for whichever instruction set includes this: loops of 16
 * that the compiler turns into vectors. The includer has defined
 *
 *     lanes                       16 floats
 *     lanes_zero, lanes_load(p), lanes_load_some(p, n) [0 behind n], lanes_store(p, v), lanes_add(a, b), lanes_fma(a, b, c)
 */
#include <math.h>
#include <string.h>

#include "kernels/cpu/network_kernels.h"
#include "model/network_math.h"

#define ALWAYS static inline __attribute__((always_inline))

/* --- single numbers --------------------------------------------------------------------------------------------------- */

/* A loop for each function, so that the choice is made once. x, z, a, b: what the table's values speak of. */
#define BLOCKS(value)                                                                                                            \
    for (size_t i = 0; i < n; i += NETWORK_LANES) {                                                                              \
        float xs[NETWORK_LANES], zs[NETWORK_LANES], ys[NETWORK_LANES];                                                           \
        memcpy(xs, from + i, sizeof xs);                                                                                         \
        memcpy(zs, with + i, sizeof zs);                                                                                         \
        for (int k = 0; k < NETWORK_LANES; k++) {                                                                                \
            const float x = xs[k], z = zs[k];                                                                                    \
            (void)x, (void)z;                                                                                                    \
            ys[k] = (value);                                                                                                     \
        }                                                                                                                        \
        memcpy(to + i, ys, sizeof ys);                                                                                           \
    }                                                                                                                            \
    break;

static void each(const struct network_op *op, const float *from, const float *with, float *to, size_t n)
{
    const float a = op->a, b = op->b;
    if (!with)
        with = from;
    switch ((enum network_function)op->function) {
#define NETWORK_UNARY(name, shown, value)                                                                                        \
    case NETWORK_FN_##name:                                                                                                      \
        BLOCKS(value)
#define NETWORK_BINARY(name, shown, value) NETWORK_UNARY(name, shown, value)
#include "model/network_functions.def"
#undef NETWORK_UNARY
#undef NETWORK_BINARY
    case NETWORK_FUNCTION_COUNT:
        break;
    }
}
#undef BLOCKS

static void affine(const float *x, const float *scale, const float *shift, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += NETWORK_LANES)
        lanes_store(y + i, lanes_fma(lanes_load(x + i), lanes_load(scale + i), lanes_load(shift + i)));
}

/* --- groups ----------------------------------------------------------------------------------------------------------- */

/* The 16 partial sums of a lane sum, added up: k + 8, then k + 4, k + 2, k + 1. */
ALWAYS float fold(lanes sums)
{
    float partial[NETWORK_LANES];
    lanes_store(partial, sums);
    for (int half = NETWORK_LANES / 2; half > 0; half /= 2) {
        for (int k = 0; k < half; k++)
            partial[k] += partial[k + half];
    }
    return partial[0];
}

ALWAYS float sum(const float *x, uint32_t size)
{
    lanes sums = lanes_zero();
    uint32_t whole = size / NETWORK_LANES * NETWORK_LANES;
    for (uint32_t i = 0; i < whole; i += NETWORK_LANES)
        sums = lanes_add(sums, lanes_load(x + i));
    if (whole < size)
        sums = lanes_add(sums, lanes_load_some(x + whole, size - whole));
    return fold(sums);
}

ALWAYS float sum_of_squares(const float *x, uint32_t size)
{
    lanes sums = lanes_zero();
    uint32_t whole = size / NETWORK_LANES * NETWORK_LANES;
    for (uint32_t i = 0; i < whole; i += NETWORK_LANES)
        sums = lanes_fma(lanes_load(x + i), lanes_load(x + i), sums);
    if (whole < size) {
        lanes rest = lanes_load_some(x + whole, size - whole);
        sums = lanes_fma(rest, rest, sums);
    }
    return fold(sums);
}

ALWAYS float sum_of_magnitudes(const float *x, uint32_t size)
{
    lanes sums = lanes_zero();
    for (uint32_t i = 0; i < size; i += NETWORK_LANES) {
        float magnitudes[NETWORK_LANES] = {0};
        uint32_t count = size - i < NETWORK_LANES ? size - i : NETWORK_LANES;
        for (uint32_t k = 0; k < count; k++)
            magnitudes[k] = network_abs(x[i + k]);
        sums = lanes_add(sums, lanes_load(magnitudes));
    }
    return fold(sums);
}

/* The largest, or the smallest; NaN where there is one; a zero is +0. */
ALWAYS float extreme(const float *x, uint32_t size, bool largest)
{
    float found = x[0];
    bool is_nan = x[0] != x[0];
    for (uint32_t i = 1; i < size; i++) {
        found = (largest ? x[i] > found : x[i] < found) ? x[i] : found;
        is_nan = is_nan || x[i] != x[i];
    }
    return is_nan ? NAN : found + 0.0f;
}

static float reduce(enum network_reduce how, const float *x, uint32_t size)
{
    switch (how) {
    case NETWORK_SUM:
        return sum(x, size);
    case NETWORK_MEAN:
        return sum(x, size) / (float)size;
    case NETWORK_MAX:
        return extreme(x, size, true);
    case NETWORK_MIN:
        return extreme(x, size, false);
    case NETWORK_L1:
        return sum_of_magnitudes(x, size);
    case NETWORK_L2:
        return sqrtf(sum_of_squares(x, size));
    case NETWORK_REDUCE_COUNT:
        break;
    }
    return NAN;
}

static void layer_norm(const float *x, uint32_t size, float epsilon, const float *scale_shift, float *y)
{
    float mean = sum(x, size) / (float)size;
    for (uint32_t i = 0; i < size; i++)
        y[i] = x[i] - mean;
    float variance = sum_of_squares(y, size) / (float)size;
    float r = 1.0f / sqrtf(variance + epsilon);
    for (uint32_t i = 0; i < size; i++)
        y[i] = fmaf(y[i] * r, scale_shift[i], scale_shift[size + i]);
}

static void softmax(const float *x, uint32_t size, float *y)
{
    float largest = extreme(x, size, true);
    for (uint32_t i = 0; i < size; i++)
        y[i] = network_exp(x[i] - largest);
    float total = sum(y, size);
    for (uint32_t i = 0; i < size; i++)
        y[i] /= total;
}
