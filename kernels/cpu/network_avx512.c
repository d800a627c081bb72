#if defined(__AVX512F__)
#include <immintrin.h>

typedef __m512 lanes;

static inline lanes lanes_zero(void)
{
    return _mm512_setzero_ps();
}

static inline lanes lanes_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline lanes lanes_load_some(const float *p, unsigned n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

static inline void lanes_store(float *p, lanes v)
{
    _mm512_storeu_ps(p, v);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_ps(a, b);
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}

#include "kernels/cpu/network_each.h"

/* --- dense: outputs in lanes ------------------------------------------------------------------------------------------ */

enum {
    ROWS_MAX = 6, /* x 4 registers of outputs: 24 sums, 4 weights, 1 input */
};

/* x < floor ? floor : x, as network_at_least: of a NaN, or of two zeros, the instruction gives its second operand. A floor of
 * -infinity changes nothing. */
ALWAYS __m512 at_least(__m512 x, __m512 floor)
{
    return _mm512_max_ps(floor, x);
}

static __m512 floor_of(const struct network_dense *d)
{
    return _mm512_set1_ps(d->relu ? 0.0f : -INFINITY);
}

/* Sums stay in registers where the loops over them are gone before the compiler assigns any. */
#define UNROLLED _Pragma("GCC unroll 8")

struct block {
    const float *panel; /* biases, then weights */
    uint32_t in;
    const float *x;
    size_t x_stride;
    float *y;
    size_t y_stride;
    __mmask16 last; /* lanes of the last register to store */
    __m512 floor;   /* of what is stored */
};

/* `rows` rows x `registers` x 16 outputs. */
ALWAYS void block(const struct block *b, const int rows, const int registers)
{
    __m512 sums[ROWS_MAX][4];
    const float *weights = b->panel, *x[ROWS_MAX];
    UNROLLED for (int r = 0; r < rows; r++) {
        x[r] = b->x + (size_t)r * b->x_stride;
        UNROLLED for (int c = 0; c < registers; c++)
            sums[r][c] = _mm512_load_ps(weights + 16 * c);
    }
    weights += 16 * registers;
    for (size_t i = 0; i < b->in; i++, weights += 16 * registers) {
        __m512 w[4];
        UNROLLED for (int c = 0; c < registers; c++)
            w[c] = _mm512_load_ps(weights + 16 * c);
        UNROLLED for (int r = 0; r < rows; r++) {
            __m512 input = _mm512_set1_ps(x[r][i]);
            UNROLLED for (int c = 0; c < registers; c++)
                sums[r][c] = _mm512_fmadd_ps(input, w[c], sums[r][c]);
        }
    }
    const __m512 floor = b->floor;
    const __mmask16 last = b->last;
    float *y = b->y;
    const size_t y_stride = b->y_stride;
    UNROLLED for (int r = 0; r < rows; r++) {
        UNROLLED for (int c = 0; c < registers; c++) {
            __mmask16 stored = c == registers - 1 ? last : (__mmask16)0xffff;
            _mm512_mask_storeu_ps(y + (size_t)r * y_stride + 16 * c, stored, at_least(sums[r][c], floor));
        }
    }
}

#define BLOCK(rows, registers)                                                                                                   \
    static void block_##rows##_##registers(const struct block *b)                                                                \
    {                                                                                                                            \
        block(b, rows, registers);                                                                                               \
    }
#define BLOCKS_OF(rows) BLOCK(rows, 1) BLOCK(rows, 2) BLOCK(rows, 3) BLOCK(rows, 4)
BLOCKS_OF(1) BLOCKS_OF(2) BLOCKS_OF(3) BLOCKS_OF(4) BLOCKS_OF(5) BLOCKS_OF(6)

#define NAMES_OF(rows) {block_##rows##_1, block_##rows##_2, block_##rows##_3, block_##rows##_4}
static void (*const blocks[ROWS_MAX][4])(const struct block *) = {NAMES_OF(1), NAMES_OF(2), NAMES_OF(3),
                                                                   NAMES_OF(4), NAMES_OF(5), NAMES_OF(6)};

/* All rows by one panel, in blocks of nearly the same height. */
static void panel_rows(struct block *b, uint32_t rows, uint32_t registers)
{
    uint32_t count = (rows + ROWS_MAX - 1) / ROWS_MAX;
    for (uint32_t k = 0, left = rows; k < count; k++) {
        uint32_t height = (left + count - k - 1) / (count - k);
        blocks[height - 1][registers - 1](b);
        b->x += height * b->x_stride;
        b->y += height * b->y_stride;
        left -= height;
    }
}

/* --- dense: rows in lanes, for layers of few outputs ------------------------------------------------------------------- */

enum { NARROW = 4 /* outputs */, NARROW_FROM = 8 /* rows */ };

/* 16 x 16 numbers turned around. */
ALWAYS void turn(__m512 r[16])
{
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) { /* r[i + j]: column 4q + j of rows i .. i + 3 in quarter q */
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int j = 0; j < 4; j++) { /* quarters 0 and 2, then 1 and 3, of the upper and of the lower eight rows */
        t[j] = _mm512_shuffle_f32x4(r[j], r[j + 4], 0x88);
        t[j + 4] = _mm512_shuffle_f32x4(r[j], r[j + 4], 0xdd);
        t[j + 8] = _mm512_shuffle_f32x4(r[j + 8], r[j + 12], 0x88);
        t[j + 12] = _mm512_shuffle_f32x4(r[j + 8], r[j + 12], 0xdd);
    }
    for (int j = 0; j < 4; j++) {
        r[j] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0x88);
        r[j + 8] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0xdd);
        r[j + 4] = _mm512_shuffle_f32x4(t[j + 4], t[j + 12], 0x88);
        r[j + 12] = _mm512_shuffle_f32x4(t[j + 4], t[j + 12], 0xdd);
    }
}

/* weights: [inputs][16], of which `outputs` count. */
ALWAYS void add_turned(const __m512 columns[16], uint32_t inputs, const float *weights, const int outputs, __m512 sums[NARROW])
{
    for (uint32_t k = 0; k < inputs; k++) {
        for (int o = 0; o < outputs; o++)
            sums[o] = _mm512_fmadd_ps(columns[k], _mm512_set1_ps(weights[16 * k + (uint32_t)o]), sums[o]);
    }
}

/* Up to 16 rows. */
ALWAYS void narrow(const struct network_dense *d, const float *x, size_t x_stride, float *y, size_t y_stride, uint32_t rows,
                   const int outputs)
{
    const float *weights = d->panels + 16;
    __m512 sums[NARROW], columns[16];
    for (int o = 0; o < outputs; o++)
        sums[o] = _mm512_set1_ps(d->panels[o]);
    for (uint32_t i = 0; i < d->in; i += 16, weights += 16 * 16) {
        uint32_t inputs = d->in - i < 16 ? d->in - i : 16;
        for (uint32_t r = 0; r < 16; r++)
            columns[r] = lanes_load_some(x + (r < rows ? r : rows - 1) * x_stride + i, inputs);
        turn(columns);
        if (inputs == 16)
            add_turned(columns, 16, weights, outputs, sums);
        else
            add_turned(columns, inputs, weights, outputs, sums);
    }
    for (int o = 0; o < outputs; o++) {
        float values[16];
        lanes_store(values, at_least(sums[o], floor_of(d)));
        for (uint32_t r = 0; r < rows; r++)
            y[r * y_stride + (uint32_t)o] = values[r];
    }
}

static void narrow_rows(const struct network_dense *d, const float *x, size_t x_stride, float *y, size_t y_stride, uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r += 16, x += 16 * x_stride, y += 16 * y_stride) {
        uint32_t count = rows - r < 16 ? rows - r : 16;
        if (d->out == 1)
            narrow(d, x, x_stride, y, y_stride, count, 1);
        else if (d->out == 2)
            narrow(d, x, x_stride, y, y_stride, count, 2);
        else if (d->out == 3)
            narrow(d, x, x_stride, y, y_stride, count, 3);
        else
            narrow(d, x, x_stride, y, y_stride, count, 4);
    }
}

static void dense(const struct network_dense *d, const float *x, size_t x_stride, float *y, size_t y_stride, uint32_t rows)
{
    if (d->out <= NARROW && rows >= NARROW_FROM) {
        narrow_rows(d, x, x_stride, y, y_stride, rows);
        return;
    }
    const float *panel = d->panels;
    for (uint32_t from = 0; from < d->out; from += NETWORK_PANEL) {
        uint32_t left = d->out - from, registers = left >= NETWORK_PANEL ? 4 : (left + 15) / 16;
        uint32_t in_last = left >= registers * 16 ? 16 : left - (registers - 1) * 16;
        struct block b = {.panel = panel,
                          .in = d->in,
                          .x = x,
                          .x_stride = x_stride,
                          .y = y + from,
                          .y_stride = y_stride,
                          .last = (__mmask16)((1u << in_last) - 1),
                          .floor = floor_of(d)};
        panel_rows(&b, rows, registers);
        panel += (size_t)registers * 16 * (d->in + 1);
    }
}

const struct network_kernels network_kernels_avx512 = {dense, each, affine, layer_norm, softmax, reduce};
#endif
