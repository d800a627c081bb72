#if defined(__AVX2__)
#include <immintrin.h>

#include "kernels/cpu/network_kernels.h"

typedef struct {
    __m256 low, high;
} lanes;

static inline lanes lanes_zero(void)
{
    return (lanes){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

static inline lanes lanes_load(const float *p)
{
    return (lanes){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

/* The mask of the first n of 8 lanes. */
static inline __m256i first_lanes(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline lanes lanes_load_some(const float *p, uint32_t n)
{
    return (lanes){_mm256_maskload_ps(p, first_lanes((int)n)), _mm256_maskload_ps(p + 8, first_lanes((int)n - 8))};
}

static inline void lanes_store(float *p, lanes v)
{
    _mm256_storeu_ps(p, v.low);
    _mm256_storeu_ps(p + 8, v.high);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return (lanes){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return (lanes){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

#include "kernels/cpu/network_each.h"

/* 16 registers: 12 sums, so that additions of 4 to 5 cycles keep two units busy, and the rest for weights and an input. */
enum { ROWS_MAX = 6 };

/* Sums stay in registers where the loops over them are gone before the compiler assigns any. */
#define UNROLLED _Pragma("GCC unroll 8")

struct block {
    const float *bias, *weights;
    size_t step; /* floats from one input's weights to the next one's */
    uint32_t in;
    const float *x;
    size_t x_stride;
    float *y;
    size_t y_stride;
    uint32_t count; /* outputs to store */
    bool relu;
};

ALWAYS void store(const struct block *b, float *y, __m256 sum, int from)
{
    if (b->relu) /* as network_at_least: of a NaN, or of two zeros, the instruction gives its second operand */
        sum = _mm256_max_ps(_mm256_setzero_ps(), sum);
    if ((int)b->count >= from + 8)
        _mm256_storeu_ps(y + from, sum);
    else
        _mm256_maskstore_ps(y + from, first_lanes((int)b->count - from), sum);
}

/* `rows` rows x `registers` x 8 outputs. */
ALWAYS void block(const struct block *b, const int rows, const int registers)
{
    __m256 sums[ROWS_MAX][8];
    const float *weights = b->weights, *x[ROWS_MAX];
    UNROLLED for (int r = 0; r < rows; r++) {
        x[r] = b->x + (size_t)r * b->x_stride;
        UNROLLED for (int c = 0; c < registers; c++)
            sums[r][c] = _mm256_load_ps(b->bias + 8 * c);
    }
    for (size_t i = 0; i < b->in; i++, weights += b->step) {
        __m256 w[8];
        UNROLLED for (int c = 0; c < registers; c++)
            w[c] = _mm256_load_ps(weights + 8 * c);
        UNROLLED for (int r = 0; r < rows; r++) {
            __m256 input = _mm256_broadcast_ss(x[r] + i);
            UNROLLED for (int c = 0; c < registers; c++)
                sums[r][c] = _mm256_fmadd_ps(input, w[c], sums[r][c]);
        }
    }
    UNROLLED for (int r = 0; r < rows; r++) {
        UNROLLED for (int c = 0; c < registers; c++)
            store(b, b->y + (size_t)r * b->y_stride, sums[r][c], 8 * c);
    }
}

#define BLOCK(rows, registers)                                                                                                   \
    static void block_##rows##_##registers(const struct block *b)                                                                \
    {                                                                                                                            \
        block(b, rows, registers);                                                                                               \
    }
BLOCK(1, 2) BLOCK(1, 4) BLOCK(1, 6) BLOCK(1, 8)
BLOCK(2, 2) BLOCK(2, 4) BLOCK(3, 2) BLOCK(3, 4)
BLOCK(4, 2) BLOCK(5, 2) BLOCK(6, 2)

/* By rows, then by how many times 16 outputs; the more rows, the fewer outputs fit. */
static void (*const blocks[ROWS_MAX][4])(const struct block *) = {
    {block_1_2, block_1_4, block_1_6, block_1_8}, {block_2_2, block_2_4}, {block_3_2, block_3_4}, {block_4_2}, {block_5_2}, {block_6_2}};
static const uint32_t sixteens_max[ROWS_MAX] = {4, 2, 2, 1, 1, 1};

/* `rows` rows, 6 at most, by one panel of `width` lanes. */
static void panel_block(struct block b, uint32_t width, uint32_t rows)
{
    for (uint32_t at = 0, sixteens; at < width; at += 16 * sixteens) {
        sixteens = (width - at) / 16 < sixteens_max[rows - 1] ? (width - at) / 16 : sixteens_max[rows - 1];
        struct block part = b;
        part.bias += at;
        part.weights += at;
        part.y += at;
        part.count = b.count - at < 16 * sixteens ? b.count - at : 16 * sixteens;
        blocks[rows - 1][sixteens - 1](&part);
    }
}

static void dense(const struct network_dense *d, const float *x, size_t x_stride, float *y, size_t y_stride, uint32_t rows)
{
    const float *panel = d->panels;
    uint32_t heights = (rows + ROWS_MAX - 1) / ROWS_MAX;
    for (uint32_t from = 0; from < d->out; from += NETWORK_PANEL) {
        uint32_t left = d->out - from, width = left >= NETWORK_PANEL ? NETWORK_PANEL : (left + 15) / 16 * 16;
        struct block b = {.bias = panel,
                          .weights = panel + width,
                          .step = width,
                          .in = d->in,
                          .x = x,
                          .x_stride = x_stride,
                          .y = y + from,
                          .y_stride = y_stride,
                          .count = left < width ? left : width,
                          .relu = d->relu};
        for (uint32_t k = 0, todo = rows; k < heights; k++) {
            uint32_t height = (todo + heights - k - 1) / (heights - k); /* nearly the same for all */
            panel_block(b, width, height);
            b.x += height * x_stride;
            b.y += height * y_stride;
            todo -= height;
        }
        panel += (size_t)width * (d->in + 1);
    }
}

const struct network_kernels network_kernels_avx2 = {dense, each, affine, layer_norm, softmax, reduce};
#endif
