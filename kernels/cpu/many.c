#include "kernels/cpu/many.h"

#include "kernels/cpu/kernels.h"

enum { BLOCKS_MAX = 16 }; /* of 64 rows, in a chunk */

/* 64 sums, by the sum type, in the kernels' order. */
union sums {
    float f32[64];
    double f64[64];
};

static void start_sums(union sums *sums, const struct forest *forest, uint32_t output)
{
    double start = forest->base_first ? forest->base[output] : 0;
    for (uint32_t i = 0; i < 64; i++) {
        if (forest->sum_type == NUMBER_F32)
            sums->f32[i] = (float)start;
        else
            sums->f64[i] = start;
    }
}

static void finish_sums(const struct many *many, const union sums *sums, uint32_t output, uint32_t n, double *margins)
{
    const struct forest *forest = many->forest;
    for (uint32_t i = 0; i < n; i++) {
        double *margin = &margins[(size_t)i * forest->outputs + output];
        if (forest->sum_type == NUMBER_F32) {
            float sum = sums->f32[many->kernels->place32[i]];
            *margin = (double)(forest->base_first ? sum : sum + (float)forest->base[output]);
        } else {
            double sum = sums->f64[many->kernels->place64[i]];
            *margin = forest->base_first ? sum : sum + forest->base[output];
        }
    }
}

/* The margins of one output for n rows, n <= 64 * BLOCKS_MAX. */
static void add_output(const struct many *many, const uint8_t *ranks, uint32_t output, uint32_t n, double *margins)
{
    union sums sums[BLOCKS_MAX] __attribute__((aligned(64)));
    uint32_t blocks = (n + 63) / 64, end = many->group_end[output];
    for (uint32_t b = 0; b < blocks; b++)
        start_sums(&sums[b], many->forest, output);
    for (uint32_t from = output > 0 ? many->group_end[output - 1] : 0; from < end;) {
        uint32_t to = many->cache_block(many, from, end);
        for (uint32_t b = 0; b < blocks; b++)
            many->add(many, ranks + b * many->rank_bytes, from, to, n - 64 * b < 64 ? n - 64 * b : 64, &sums[b]);
        from = to;
    }
    for (uint32_t b = 0; b < blocks; b++)
        finish_sums(many, &sums[b], output, n - 64 * b < 64 ? n - 64 * b : 64, margins + (size_t)b * 64 * many->forest->outputs);
}

void many_margins(const struct many *many, const struct rows *rows, const uint32_t *slots, uint32_t n, double *margins)
{
    uint8_t ranks[MANY_RANK_BYTES] __attribute__((aligned(64)));
    uint32_t outputs = many->forest->outputs, fit = (uint32_t)(sizeof ranks / many->rank_bytes);
    uint32_t chunk = 64 * (fit < BLOCKS_MAX ? fit : BLOCKS_MAX);
    for (uint32_t first = 0; first < n; first += chunk) {
        uint32_t count = n - first < chunk ? n - first : chunk;
        for (uint32_t i = 0; i < count; i += 64)
            many->rank(many, rows, slots + first + i, count - i < 64 ? count - i : 64, ranks + i / 64 * many->rank_bytes);
        for (uint32_t o = 0; o < outputs; o++)
            add_output(many, ranks, o, count, margins + (size_t)first * outputs);
    }
}
