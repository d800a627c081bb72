/*
 * Every CUDA kernel, run by the shim, on forests and networks out of seeds, with the values that no library's model brings
 * together: the bits of the reference, in one launch and in several, on large devices and small ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/ref/forest_reference.h"
#include "kernels/ref/network_reference.h"
#include "model/forest.h"
#include "model/link.h"
#include "model/network.h"
#include "tests/support/cuda_shim/compute.h"
#include "tests/support/cuda_shim/shim.h"
#include "tests/support/forest_make.h"
#include "tests/support/golden.h"
#include "tests/support/network_make.h"

enum { ROWS = SHIM_FINDS_RACES ? 34 : 70, SEEDS = SHIM_FINDS_RACES ? 1 : 2 };

static bool seen[CUDA_KERNEL_COUNT];

static const struct cuda_limits small = {.multiprocessors = 2, .shared_block_bytes = 99 << 10, .shared_multiprocessor_bytes = 100 << 10};

/* want: margins of ROWS rows that lie one after the other. */
static void check_launch(const char *name, const struct cuda_model *model, const struct cuda_launch *launch, const struct rows *rows,
                         const double *want)
{
    uint32_t width = cuda_model_margins(model);
    bool is_f32 = cuda_model_margin_type(model) == NUMBER_F32;
    void *raw = calloc((size_t)ROWS * width, sizeof(double));
    struct error err;
    if (shim_compute(model, launch, rows, NULL, ROWS, raw, &err) != STATUS_OK)
        fail_msg("%s by %s: %s", name, cuda_kernels[launch->kernel].name, err.message);
    for (size_t i = 0; i < (size_t)ROWS * width; i++) {
        double got = is_f32 ? (double)((const float *)raw)[i] : ((const double *)raw)[i];
        if (!golden_same(cuda_model_margin_type(model), got, want[i]))
            fail_msg("%s by %s, %u at a time: margin %zu of row %zu is %a, the reference says %a", name, cuda_kernels[launch->kernel].name,
                     launch->capacity, i % width, i / width, got, want[i]);
    }
    seen[launch->kernel] = true;
    free(raw);
}

static void check_model(const char *name, const struct cuda_model *model, const struct rows *rows, const double *want)
{
    static const uint32_t capacities[] = {ROWS, 33, 500};
    for (size_t c = 0; c < (SHIM_FINDS_RACES ? 1 : sizeof capacities / sizeof capacities[0]); c++) {
        struct cuda_launch launches[CUDA_LAUNCHES_MAX];
        uint32_t n = cuda_model_launches(model, c == 0 ? &shim_limits : &small, capacities[c], launches);
        assert_true(n <= CUDA_LAUNCHES_MAX && (n > 0 || c > 0));
        for (uint32_t i = 0; i < n; i++)
            check_launch(name, model, &launches[i], rows, want);
    }
}

static void check_forest(const struct forest_recipe *recipe, uint64_t seed)
{
    struct forest *forest = forest_make(recipe, seed);
    struct cuda_model *model;
    struct rows rows;
    struct error err;
    uint32_t slots[ROWS];
    if (cuda_model_make_of(forest, NULL, &model, &err) != STATUS_OK)
        fail_msg("%s: %s", recipe->name, err.message);
    forest_make_rows(forest, ROWS, seed, &rows);
    double *want = calloc((size_t)ROWS * forest->outputs, sizeof *want);
    for (uint32_t i = 0; i < ROWS; i++)
        slots[i] = i;
    forest_reference_margins(forest, &rows, slots, ROWS, want);
    check_model(recipe->name, model, &rows, want);
    free(want);
    free((void *)(uintptr_t)rows.base);
    cuda_model_free(model);
    forest_free(forest);
}

#define ORDERS (1u << FOREST_LT | 1u << FOREST_LE | 1u << FOREST_GT | 1u << FOREST_GE)
#define ALL_OPS (ORDERS | 1u << FOREST_EQ | 1u << FOREST_NE | 1u << FOREST_MEMBER)
#define ALL_MISSING \
    (1u << FOREST_MISSING_NAN | 1u << FOREST_MISSING_ZERO | 1u << FOREST_MISSING_AS_ZERO | 1u << FOREST_MISSING_COMPARE)

static void forests_of_every_shape(void **state)
{
    (void)state;
    static const struct forest_recipe recipes[] = {
        {.name = "plain", .features = 12, .outputs = 1, .trees = 75, .depth = 6, .base_first = true},
        {.name = "one tree", .features = 3, .outputs = 1, .trees = 1, .depth = 1},
        {.name = "classes", .features = 20, .outputs = 5, .trees = 100, .depth = 5, .leaves = 12, .ops = ALL_OPS, .missing = ALL_MISSING,
         .missing_mixed = true},
        {.name = "float64", .features = 20, .outputs = 2, .trees = 64, .depth = 7, .leaves = 31, .input_type = NUMBER_F64,
         .sum_type = NUMBER_F64, .tiny_is_zero = true, .category_rule = FOREST_CATEGORY_LIGHTGBM, .ops = ALL_OPS, .missing = ALL_MISSING,
         .missing_mixed = true},
        {.name = "float64 in, float32 sums", .features = 7, .outputs = 1, .trees = 33, .depth = 6, .input_type = NUMBER_F64, .ops = ORDERS},
        {.name = "float32 in, float64 sums", .features = 7, .outputs = 3, .trees = 40, .depth = 6, .sum_type = NUMBER_F64,
         .category_rule = FOREST_CATEGORY_EXACT, .ops = ALL_OPS},
        {.name = "linear leaves", .features = 9, .outputs = 1, .trees = 40, .depth = 4, .input_type = NUMBER_F64, .sum_type = NUMBER_F64,
         .linear_leaves = true, .missing = ALL_MISSING},
        {.name = "several numbers a leaf", .features = 9, .outputs = 3, .trees = 40, .depth = 4, .vector_leaves = true},
        {.name = "several float64 a leaf", .features = 9, .outputs = 3, .trees = 40, .depth = 4, .sum_type = NUMBER_F64, .vector_leaves = true},
        {.name = "several of float64", .features = 9, .outputs = 2, .trees = 40, .depth = 4, .input_type = NUMBER_F64, .vector_leaves = true},
        {.name = "several, float64 all", .features = 9, .outputs = 2, .trees = 40, .depth = 4, .input_type = NUMBER_F64,
         .sum_type = NUMBER_F64, .vector_leaves = true},
        {.name = "outputs by leaf", .features = 9, .outputs = 4, .trees = 44, .depth = 3, .leaf_outputs = true},
        {.name = "deep", .features = 4, .outputs = 1, .trees = 35, .depth = 60, .leaves = 200},
        {.name = "wide", .features = 900, .outputs = 1, .trees = 300, .depth = 6},
    };
    for (size_t r = 0; r < sizeof recipes / sizeof recipes[0]; r++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
            check_forest(&recipes[r], seed);
}

/* More than 2^16 nodes: float32 keys in nodes of 16 bytes. More than 4096 trees: a block adds them in two parts. */
static void large_forests(void **state)
{
    (void)state;
    static const struct forest_recipe recipes[] = {
        {.name = "a large tree", .features = 30, .outputs = 1, .trees = 2, .depth = 40, .leaves = 40000},
        {.name = "a large tree of vectors", .features = 30, .outputs = 2, .trees = 2, .depth = 40, .leaves = 40000, .vector_leaves = true},
        {.name = "5000 trees", .features = 10, .outputs = 2, .trees = 5000, .depth = 2},
    };
    for (size_t r = 0; r < sizeof recipes / sizeof recipes[0]; r++)
        check_forest(&recipes[r], 1);
}

static void check_network(const char *name, struct network *network, bool hostile, uint64_t seed)
{
    struct cuda_model *model;
    struct rows rows;
    struct error err;
    uint32_t slots[ROWS];
    enum status status = cuda_model_make_of(NULL, network, &model, &err);
    if (status != STATUS_OK) {
        assert_int_equal(status, STATUS_UNSUPPORTED);
        (void)printf("SKIPPED %s %llu: %s\n", name, (unsigned long long)seed, err.message);
        return;
    }
    network_make_rows(network, ROWS, hostile, seed, &rows);
    double *want = calloc((size_t)ROWS * network->outputs, sizeof *want);
    for (uint32_t i = 0; i < ROWS; i++)
        slots[i] = i;
    assert_int_equal(network_reference_margins(network, &rows, slots, ROWS, want), STATUS_OK);
    check_model(name, model, &rows, want);
    free(want);
    free((void *)(uintptr_t)rows.base);
    cuda_model_free(model);
}

static void networks_of_every_operation(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20 * SEEDS; seed++) {
        struct network *network = network_make(seed);
        check_network("network", network, seed % 2 == 1, seed);
        network_free(network);
    }
}

static void dense_networks(void **state)
{
    (void)state;
    static const struct {
        uint32_t widths[5], count;
        enum network_function function;
    } shapes[] = {
        {{64, 256, 128, 64, 1}, 5, NETWORK_FN_RELU},  {{13, 5, 1}, 3, NETWORK_FN_GELU},    {{1, 1}, 2, NETWORK_FN_IDENTITY},
        {{7, 900, 3}, 3, NETWORK_FN_TANH},            {{3, 5000, 2}, 3, NETWORK_FN_RELU},  {{400, 33, 17, 9, 5}, 5, NETWORK_FN_SILU},
    };
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct network *network = network_make_dense(shapes[s].widths, shapes[s].count, shapes[s].function, s);
        check_network("dense network", network, false, s);
        network_free(network);
    }
}

static void every_kernel_was_tried(void **state)
{
    (void)state;
    for (int k = 0; k < CUDA_KERNEL_COUNT; k++) {
        if (!seen[k])
            fail_msg("no model came to %s", cuda_kernels[k].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forests_of_every_shape), cmocka_unit_test(large_forests),          cmocka_unit_test(networks_of_every_operation),
        cmocka_unit_test(dense_networks),         cmocka_unit_test(every_kernel_was_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
