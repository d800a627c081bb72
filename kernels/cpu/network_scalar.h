/* Networks in plain C, for whichever file includes this: network_scalar.c, and network_fma.c with instructions for fmaf. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/network_kernels.h"

typedef struct {
    float at[NETWORK_LANES];
} lanes;

static inline lanes lanes_zero(void)
{
    return (lanes){{0}};
}

static inline lanes lanes_load_some(const float *p, uint32_t n)
{
    lanes v = {{0}};
    memcpy(v.at, p, n * sizeof *p);
    return v;
}

static inline lanes lanes_load(const float *p)
{
    return lanes_load_some(p, NETWORK_LANES);
}

static inline void lanes_store(float *p, lanes v)
{
    memcpy(p, v.at, sizeof v.at);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    for (int k = 0; k < NETWORK_LANES; k++)
        a.at[k] += b.at[k];
    return a;
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    for (int k = 0; k < NETWORK_LANES; k++)
        c.at[k] = fmaf(a.at[k], b.at[k], c.at[k]);
    return c;
}

#include "kernels/cpu/network_each.h"

/* 16 outputs of one row. weights: [in][step]. */
static void dense_lanes(const float *bias, const float *weights, size_t step, uint32_t in, const float *x, bool relu, float *y,
                        uint32_t count)
{
    lanes sums = lanes_load(bias);
    for (uint32_t i = 0; i < in; i++, weights += step) {
        for (int k = 0; k < NETWORK_LANES; k++)
            sums.at[k] = fmaf(x[i], weights[k], sums.at[k]);
    }
    for (int k = 0; k < NETWORK_LANES && relu; k++)
        sums.at[k] = network_at_least(sums.at[k], 0.0f);
    memcpy(y, sums.at, count * sizeof *y);
}

static void dense(const struct network_dense *d, const float *x, size_t x_stride, float *y, size_t y_stride, uint32_t rows)
{
    const float *panel = d->panels;
    for (uint32_t from = 0; from < d->out; from += NETWORK_PANEL) {
        uint32_t left = (d->out - from + NETWORK_LANES - 1) / NETWORK_LANES * NETWORK_LANES;
        uint32_t width = left < NETWORK_PANEL ? left : NETWORK_PANEL;
        for (uint32_t r = 0; r < rows; r++) {
            for (uint32_t at = 0; at < width; at += NETWORK_LANES) {
                uint32_t count = d->out - from - at < NETWORK_LANES ? d->out - from - at : NETWORK_LANES;
                dense_lanes(panel + at, panel + width + at, width, d->in, x + r * x_stride, d->relu, y + r * y_stride + from + at, count);
            }
        }
        panel += (size_t)width * (d->in + 1);
    }
}
