/*
 * The functions of network kernels that exist once for each instruction set. All of them give the bits that model/network.h
 * states; they are thread-safe and allocate nothing.
 *
 * Arrays of activations are [rows][stride] floats: `stride` is the width itself below 16, so that narrow wires lie side by
 * side, and a multiple of 16 otherwise; what lies behind the width in a row has no meaning and may be read and written.
 */
#pragma once

#include "model/network.h"

enum {
    NETWORK_LANES = 16,
    NETWORK_PANEL = 64, /* outputs of a dense operation that are computed together: 4 registers of 16 */
};

/*
 * A dense operation packed for its kernels: outputs in panels of 64, the last one of 16, 32, 48 or 64 lanes, padded with 0.
 * A panel is its biases [lanes], then its weights [in][lanes], so that one row reads the whole operation front to back.
 */
struct network_dense {
    const float *panels; /* aligned to 64 bytes */
    uint32_t in, out;
    bool relu; /* applied as the sums are stored */
};

struct network_kernels {
    /* y[r] = sums of x[r] for r < rows. Strides in floats; with y_stride below the padded width exactly `out` are written. */
    void (*dense)(const struct network_dense *d, const float *x, size_t x_stride, float *y, size_t y_stride, uint32_t rows);
    /* y[i] = f(x[i]), or f(x[i], z[i]), for n numbers, a multiple of 16. y may be x or z. */
    void (*each)(const struct network_op *op, const float *x, const float *z, float *y, size_t n);
    /* y[i] = fma(x[i], scale[i], shift[i]), likewise. */
    void (*affine)(const float *x, const float *scale, const float *shift, float *y, size_t n);
    /* One group of `size` numbers, as NETWORK_LAYER_NORM; y may be x. scale_shift: [2][size]. */
    void (*layer_norm)(const float *x, uint32_t size, float epsilon, const float *scale_shift, float *y);
    void (*softmax)(const float *x, uint32_t size, float *y);
    float (*reduce)(enum network_reduce reduce, const float *x, uint32_t size);
};

/* Scalar: plain C; fma: the same code compiled for processors that have fmaf as an instruction. */
extern const struct network_kernels network_kernels_scalar;
#if defined(__x86_64__)
extern const struct network_kernels network_kernels_fma, network_kernels_avx2, network_kernels_avx512;
#endif
