/*
 * kernel_speed: microseconds of each kernel on forests made from a seed, interleaved, median of many.
 *
 *     kernel_speed [TREES DEPTH [LEAVES]]        LEAVES: grown leaf by leaf, float64, as LightGBM does
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernels/cpu/plan.h"
#include "tests/support/forest_make.h"

enum { ROWS = 4096, ROUNDS_MAX = 41 };
static const uint32_t batches[] = {1, 8, 64, 512, 1024};
enum { BATCHES = 5 };

struct variant {
    const char *name;
    struct plan_options options;
    struct plan *plan;
    double prepare_ms;
    double samples[BATCHES][ROUNDS_MAX];
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Processor time of this thread: other programs on the machine count less. */
static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double sample(const struct variant *v, const struct rows *rows, const uint32_t *slots, uint32_t n, double *margins)
{
    uint32_t calls = n < 64 ? 512 / n : 1024 / n;
    int64_t start = now_ns();
    for (uint32_t c = 0; c < calls; c++)
        plan_margins(v->plan, rows, slots + (c * n) % (ROWS - n + 1), n, margins);
    return (double)(now_ns() - start) * 1e-3 / calls;
}

int main(int argc, char **argv)
{
    struct variant variants[] = {
        {.name = "walk", .options = {ISA_SCALAR, PLAN_WALK, PLAN_WALK, 0}},
        {.name = "crown avx2", .options = {ISA_AVX2, PLAN_CROWN, PLAN_CROWN, 0}},
        {.name = "crown4 avx512", .options = {ISA_AVX512, PLAN_CROWN, PLAN_CROWN, 4}},
        {.name = "crown5 avx512", .options = {ISA_AVX512, PLAN_CROWN, PLAN_CROWN, 5}},
        {.name = "crown6 avx512", .options = {ISA_AVX512, PLAN_CROWN, PLAN_CROWN, 6}},
        {.name = "blend avx2", .options = {ISA_AVX2, PLAN_BLEND, PLAN_BLEND, 0}},
        {.name = "blend avx512", .options = {ISA_AVX512, PLAN_BLEND, PLAN_BLEND, 0}},
        {.name = "tile avx512", .options = {ISA_AVX512, PLAN_TILE, PLAN_TILE, 0}},
        {.name = "any avx2", .options = {ISA_AVX2, PLAN_ANY, PLAN_ANY, 0}},
        {.name = "any avx512", .options = {ISA_AVX512, PLAN_ANY, PLAN_ANY, 0}},
    };
    const size_t count = sizeof variants / sizeof variants[0];
    struct forest_recipe recipe = {.features = 30, .outputs = 1, .trees = 500, .depth = 6, .cuts = 255, .base_first = true};
    if (argc > 2) {
        recipe.trees = (uint32_t)strtoul(argv[1], NULL, 10);
        recipe.depth = (uint32_t)strtoul(argv[2], NULL, 10);
    }
    if (argc > 3) {
        recipe.leaves = (uint32_t)strtoul(argv[3], NULL, 10);
        recipe.input_type = recipe.sum_type = NUMBER_F64;
        recipe.ops = 1 << FOREST_LE;
        recipe.tiny_is_zero = true;
    }
    struct forest *forest = forest_make(&recipe, 1);
    struct rows rows;
    forest_make_plain_rows(forest, ROWS, 2, &rows);
    static uint32_t slots[ROWS];
    static double margins[1024];
    for (uint32_t i = 0; i < ROWS; i++)
        slots[i] = i;
    uint32_t rounds = recipe.trees >= 2000 ? 3 : ROUNDS_MAX;
    struct error err;
    for (size_t v = 0; v < count; v++) {
        int64_t start = now_ns();
        if (variants[v].options.isa > isa_best() || plan_make(forest, &variants[v].options, &variants[v].plan, &err) != STATUS_OK)
            variants[v].plan = NULL;
        variants[v].prepare_ms = (double)(now_ns() - start) * 1e-6;
    }
    for (uint32_t r = 0; r < rounds; r++) {
        for (size_t b = 0; b < BATCHES; b++) {
            for (size_t v = 0; v < count; v++) {
                if (variants[v].plan)
                    variants[v].samples[b][r] = sample(&variants[v], &rows, slots, batches[b], margins);
            }
        }
    }
    (void)printf("%-16s %9s %9s %9s %9s %9s %9s\n", "us per call", "1", "8", "64", "512", "1024", "prepare ms");
    for (size_t v = 0; v < count; v++) {
        if (!variants[v].plan)
            continue;
        (void)printf("%-16s", variants[v].name);
        for (size_t b = 0; b < BATCHES; b++) {
            qsort(variants[v].samples[b], rounds, sizeof(double), compare);
            (void)printf(" %9.2f", variants[v].samples[b][rounds / 2]);
        }
        (void)printf(" %9.1f", variants[v].prepare_ms);
        struct buf text = {0};
        plan_describe(variants[v].plan, &text);
        (void)printf("   %s\n", count == v + 1 ? buf_text(&text) : "");
        buf_free(&text);
        plan_destroy(variants[v].plan);
    }
    free((void *)(uintptr_t)rows.base);
    forest_free(forest);
    return 0;
}
