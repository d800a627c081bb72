/*
 * Every kernel against the reference: forests of all shapes, hostile rows, batches of all sizes, any position, repeated slots.
 * Margins must be equal to the bit.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/plan.h"
#include "kernels/cpu/ranks.h"
#include "kernels/ref/forest_reference.h"
#include "tests/support/forest_make.h"

enum { ROWS = 500, BATCH_MAX = 1000 };
enum { ORDERED_OPS = 1 << FOREST_LT | 1 << FOREST_LE | 1 << FOREST_GT | 1 << FOREST_GE };
enum { ALL_OPS = ORDERED_OPS | 1 << FOREST_EQ | 1 << FOREST_NE | 1 << FOREST_MEMBER };
enum { ALL_MISSING = 15 };

static const struct forest_recipe recipes[] = {
    {.name = "depth 6", .features = 30, .outputs = 1, .trees = 130, .depth = 6, .cuts = 255, .base_first = true},
    {.name = "depth 6, missing either way", .features = 20, .outputs = 1, .trees = 100, .depth = 6, .cuts = 60, .base_first = true,
     .missing_mixed = true},
    {.name = "depth 8", .features = 30, .outputs = 1, .trees = 70, .depth = 8, .cuts = 255, .base_first = true},
    {.name = "depth 7, 100 inputs", .features = 100, .outputs = 1, .trees = 70, .depth = 7, .cuts = 40, .base_first = true},
    {.name = "depth 5, 200 inputs", .features = 200, .outputs = 1, .trees = 70, .depth = 5, .cuts = 40, .base_first = true},
    {.name = "depth 6, 700 inputs", .features = 700, .outputs = 1, .trees = 70, .depth = 6, .cuts = 20, .base_first = true},
    {.name = "depth 1", .features = 3, .outputs = 1, .trees = 1, .depth = 1, .cuts = 2, .base_first = true},
    {.name = "leaves alone", .features = 3, .outputs = 1, .trees = 3, .depth = 1, .leaves = 1, .base_first = true},
    {.name = "63 leaves, float64", .features = 30, .outputs = 1, .trees = 130, .depth = 20, .leaves = 63, .cuts = 255,
     .input_type = NUMBER_F64, .sum_type = NUMBER_F64, .ops = 1 << FOREST_LE, .missing = ALL_MISSING, .missing_mixed = true,
     .tiny_is_zero = true},
    {.name = "255 leaves, float64", .features = 30, .outputs = 1, .trees = 70, .depth = 40, .leaves = 255, .cuts = 250,
     .input_type = NUMBER_F64, .sum_type = NUMBER_F64, .ops = 1 << FOREST_LE, .missing = 1 << FOREST_MISSING_ZERO,
     .missing_mixed = true, .tiny_is_zero = true},
    {.name = "63 leaves, float32", .features = 10, .outputs = 1, .trees = 100, .depth = 30, .leaves = 63, .cuts = 100, .base_first = true},
    {.name = "255 leaves, float32 rows, float64 sums", .features = 10, .outputs = 1, .trees = 70, .depth = 30, .leaves = 255, .cuts = 100,
     .sum_type = NUMBER_F64},
    {.name = "700 leaves", .features = 10, .outputs = 1, .trees = 40, .depth = 30, .leaves = 700, .cuts = 200, .base_first = true},
    {.name = "depth 11", .features = 16, .outputs = 1, .trees = 20, .depth = 11, .cuts = 200, .base_first = true},
    {.name = "depth 200", .features = 5, .outputs = 1, .trees = 3, .depth = 200, .leaves = 400, .cuts = 100, .base_first = true},
    {.name = "more cuts than a byte holds", .features = 4, .outputs = 1, .trees = 60, .depth = 7, .cuts = 0, .base_first = true},
    {.name = "more cuts than a byte holds, float64", .features = 4, .outputs = 1, .trees = 60, .depth = 7, .cuts = 2000,
     .input_type = NUMBER_F64, .sum_type = NUMBER_F64, .ops = 1 << FOREST_LE},
    {.name = "as many cuts as a byte holds", .features = 3, .outputs = 1, .trees = 60, .depth = 6, .cuts = 255, .base_first = true},
    {.name = "far too many cuts", .features = 4, .outputs = 1, .trees = 60, .depth = 12, .leaves = 3000, .cuts = 0, .base_first = true},
    {.name = "all comparisons", .features = 8, .outputs = 1, .trees = 80, .depth = 6, .cuts = 30, .ops = ORDERED_OPS,
     .missing = ALL_MISSING, .missing_mixed = true},
    {.name = "all tests, XGBoost categories", .features = 8, .outputs = 1, .trees = 40, .depth = 6, .cuts = 30, .ops = ALL_OPS,
     .missing = ALL_MISSING, .missing_mixed = true, .base_first = true},
    {.name = "all tests, LightGBM categories", .features = 8, .outputs = 1, .trees = 40, .depth = 12, .leaves = 31, .cuts = 30,
     .ops = ALL_OPS, .missing = ALL_MISSING, .missing_mixed = true, .input_type = NUMBER_F64, .sum_type = NUMBER_F64,
     .tiny_is_zero = true, .category_rule = FOREST_CATEGORY_LIGHTGBM},
    {.name = "5 outputs", .features = 30, .outputs = 5, .trees = 150, .depth = 6, .cuts = 100, .base_first = true},
    {.name = "70 outputs", .features = 9, .outputs = 70, .trees = 150, .depth = 9, .leaves = 31, .cuts = 100},
    {.name = "leaf outputs, all one", .features = 9, .outputs = 3, .trees = 90, .depth = 6, .cuts = 100, .leaf_outputs = true},
    {.name = "several values a leaf", .features = 9, .outputs = 4, .trees = 90, .depth = 6, .cuts = 100, .vector_leaves = true},
    {.name = "linear leaves", .features = 9, .outputs = 2, .trees = 60, .depth = 9, .leaves = 31, .cuts = 100, .linear_leaves = true,
     .input_type = NUMBER_F64, .sum_type = NUMBER_F64, .ops = 1 << FOREST_LE, .tiny_is_zero = true},
};
enum { RECIPES = sizeof recipes / sizeof recipes[0] };

static const uint32_t batches[] = {1, 2, 7, 8, 33, 64, 65, 130, BATCH_MAX};

struct fixture {
    struct forest *forest;
    struct rows rows;
    uint32_t slots[BATCH_MAX];
    double *expected; /* [BATCH_MAX][outputs] of slots */
    double *margins;
};

static void setup(struct fixture *f, const struct forest_recipe *recipe)
{
    uint64_t random = 99;
    f->forest = forest_make(recipe, 7);
    forest_make_rows(f->forest, ROWS, 8, &f->rows);
    for (uint32_t i = 0; i < BATCH_MAX; i++)
        f->slots[i] = random_below(&random, ROWS);
    size_t size = (size_t)BATCH_MAX * recipe->outputs * sizeof(double);
    f->expected = malloc(size);
    f->margins = malloc(size);
    assert_non_null(f->expected);
    assert_non_null(f->margins);
    forest_reference_margins(f->forest, &f->rows, f->slots, BATCH_MAX, f->expected);
}

static void teardown(struct fixture *f)
{
    free(f->expected);
    free(f->margins);
    free((void *)(uintptr_t)f->rows.base);
    forest_free(f->forest);
}

/* NaN has many bit patterns, one meaning. */
static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

static void check_batch(struct fixture *f, const struct plan *plan, const char *what, uint32_t from, uint32_t n)
{
    uint32_t outputs = f->forest->outputs;
    memset(f->margins, 0xff, (size_t)n * outputs * sizeof(double));
    plan_margins(plan, &f->rows, f->slots + from, n, f->margins);
    for (uint32_t i = 0; i < n * outputs; i++) {
        double expected = f->expected[(size_t)from * outputs + i];
        if (!same(f->margins[i], expected))
            fail_msg("%s: batch of %u from %u, row %u, output %u: %a, not %a", what, n, from, i / outputs, i % outputs,
                     f->margins[i], expected);
    }
}

static void check_plan(struct fixture *f, const struct plan *plan, const char *what)
{
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        for (uint32_t from = 0; from + batches[b] <= BATCH_MAX; from += batches[b] < 64 ? 111 : 300)
            check_batch(f, plan, what, from, batches[b]);
    }
}

/* Each kernel by itself, then what the trial chooses. */
static const struct variant {
    const char *name;
    enum plan_kernel few, many;
    uint32_t crown_depth;
} variants[] = {
    {"any", PLAN_ANY, PLAN_ANY, 0},
    {"reference", PLAN_REFERENCE, PLAN_REFERENCE, 0},
    {"walk", PLAN_WALK, PLAN_WALK, 0},
    {"crown of 1", PLAN_CROWN, PLAN_CROWN, 1},
    {"crown of 2", PLAN_CROWN, PLAN_CROWN, 2},
    {"crown of 3", PLAN_CROWN, PLAN_CROWN, 3},
    {"crown of 4", PLAN_CROWN, PLAN_CROWN, 4},
    {"crown of 6", PLAN_CROWN, PLAN_CROWN, 6},
    {"blend", PLAN_BLEND, PLAN_BLEND, 0},
    {"tile", PLAN_TILE, PLAN_TILE, 0},
    {"walk and blend", PLAN_WALK, PLAN_BLEND, 0},
};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

static void check_variant(struct fixture *f, const char *recipe, const struct variant *variant, enum isa isa, unsigned *ran)
{
    struct plan_options options = {
        .isa = isa, .few = variant->few, .many = variant->many, .crown_depth = variant->crown_depth};
    struct plan *plan = NULL;
    struct error err;
    enum status status = plan_make(f->forest, &options, &plan, &err);
    if (status == STATUS_UNSUPPORTED && variant->few != PLAN_ANY)
        return;
    assert_int_equal(status, STATUS_OK);
    char what[200];
    (void)snprintf(what, sizeof what, "%s, %s, %s", recipe, variant->name, isa_name(isa));
    check_plan(f, plan, what);
    plan_destroy(plan);
    ++*ran;
}

static void check_isa(enum isa isa)
{
    unsigned ran[VARIANTS] = {0};
    if (isa > isa_best()) {
        print_message("skipped: this processor has no %s\n", isa_name(isa));
        skip();
    }
    for (size_t r = 0; r < RECIPES; r++) {
        struct fixture f;
        setup(&f, &recipes[r]);
        for (size_t v = 0; v < VARIANTS; v++)
            check_variant(&f, recipes[r].name, &variants[v], isa, &ran[v]);
        teardown(&f);
    }
    assert_int_equal(ran[0], RECIPES); /* whatever no fast kernel takes, another does */
    for (size_t v = 0; v < VARIANTS; v++) {
        bool is_vector = variants[v].few == PLAN_CROWN || variants[v].many == PLAN_BLEND;
        if ((isa == ISA_SCALAR && is_vector) || (isa != ISA_AVX512 && variants[v].many == PLAN_TILE))
            assert_int_equal(ran[v], 0);
        else
            assert_true(ran[v] > RECIPES / 3);
    }
}

/* --- many threads on one plan ----------------------------------------------------------------------------------------- */

struct worker {
    const struct plan *plan;
    const struct fixture *fixture;
    uint32_t batch;
    bool wrong;
};

static void *work(void *argument)
{
    struct worker *w = argument;
    const struct fixture *f = w->fixture;
    double margins[130];
    for (uint32_t from = 0; from + w->batch <= BATCH_MAX; from += w->batch) {
        plan_margins(w->plan, &f->rows, f->slots + from, w->batch, margins);
        for (uint32_t i = 0; i < w->batch; i++)
            w->wrong = w->wrong || !same(margins[i], f->expected[from + i]);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 7, 64, 130};
    enum { WORKERS = 4 };
    for (size_t r = 0; r < RECIPES; r++) {
        if (recipes[r].outputs != 1)
            continue;
        struct fixture f;
        struct plan_options options = {.isa = isa_best()};
        struct plan *plan;
        struct worker workers[WORKERS];
        pthread_t threads[WORKERS];
        setup(&f, &recipes[r]);
        assert_int_equal(plan_make(f.forest, &options, &plan, NULL), STATUS_OK);
        for (int i = 0; i < WORKERS; i++) {
            workers[i] = (struct worker){.plan = plan, .fixture = &f, .batch = sizes[i]};
            assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        for (int i = 0; i < WORKERS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_false(workers[i].wrong);
        }
        plan_destroy(plan);
        teardown(&f);
    }
}

static void test_describe(void **state)
{
    (void)state;
    struct forest *forest = forest_make(&recipes[0], 7);
    struct plan_options options = {.isa = isa_best()};
    struct plan *plan;
    struct buf text = {0};
    assert_int_equal(plan_make(forest, &options, &plan, NULL), STATUS_OK);
    plan_describe(plan, &text);
    assert_non_null(strstr(buf_text(&text), "kernel (1 row): "));
    assert_non_null(strstr(buf_text(&text), "kernel (64 rows): "));
    assert_non_null(strstr(buf_text(&text), " us for 1 row, "));
    assert_non_null(strstr(buf_text(&text), " of layouts, "));
    buf_free(&text);
    plan_destroy(plan);
    forest_free(forest);
}

/* --- memory ----------------------------------------------------------------------------------------------------------- */

/* The numbers of the line "prepared: %zu bytes of layouts, %.1f a node; %zu of limits". */
static void read_bytes(const struct plan *plan, double *layouts, double *limits)
{
    struct buf text = {0};
    plan_describe(plan, &text);
    const char *prepared = strstr(buf_text(&text), "prepared: ");
    assert_non_null(prepared);
    const char *semicolon = strchr(prepared, ';');
    assert_non_null(semicolon);
    *layouts = strtod(prepared + strlen("prepared: "), NULL);
    *limits = strtod(semicolon + 1, NULL);
    buf_free(&text);
}

static void check_bytes(const struct forest_recipe *recipe, const struct forest *forest, const struct plan_options *options)
{
    struct plan *plan;
    double layouts, limits;
    enum status status = plan_make(forest, options, &plan, NULL);
    if (status == STATUS_UNSUPPORTED)
        return;
    assert_int_equal(status, STATUS_OK);
    read_bytes(plan, &layouts, &limits);
    double limits_max = recipe->features * (RANKS_PER_COLUMN + 1 + 16 + 6) * (double)number_type_bytes(recipe->input_type);
    if (layouts > 16.0 * forest->node_count || limits > limits_max)
        fail_msg("%s, %s, crown of %u, kernel %d for many: %.1f bytes a node, %.0f of limits", recipe->name, isa_name(options->isa),
                 options->crown_depth, (int)options->many, layouts / forest->node_count, limits);
    plan_destroy(plan);
}

/* Whatever pair of layouts a trial may choose for forests as the libraries write them takes 16 bytes a node at most: which
 * pair that is hangs on the machine and its load, so each is made. */
static void test_bytes(void **state)
{
    (void)state;
#define GROWN(n)                                                                                                                 \
    {                                                                                                                            \
        .name = #n " leaves", .features = 30, .outputs = 1, .trees = 500, .depth = 40, .leaves = n, .cuts = 255,                 \
        .input_type = NUMBER_F64, .sum_type = NUMBER_F64, .ops = 1 << FOREST_LE, .tiny_is_zero = true                            \
    }
#define FULL(n)                                                                                                                  \
    {                                                                                                                            \
        .name = "depth " #n, .features = 30, .outputs = 1, .trees = 500, .depth = n, .cuts = 255, .base_first = true             \
    }
    static const struct forest_recipe forests[] = {FULL(3), FULL(6), FULL(8), GROWN(15), GROWN(31), GROWN(63), GROWN(255)};
    static const enum plan_kernel many[] = {PLAN_CROWN, PLAN_TILE, PLAN_BLEND};
    for (size_t r = 0; r < sizeof forests / sizeof forests[0]; r++) {
        struct forest *forest = forest_make(&forests[r], 7);
        for (enum isa isa = ISA_AVX2; isa <= isa_best(); isa++) {
            for (uint32_t depth = 4; depth <= 6; depth++) {
                for (size_t k = 0; k < sizeof many / sizeof many[0]; k++) {
                    const struct plan_options options = {.isa = isa, .few = PLAN_CROWN, .many = many[k], .crown_depth = depth};
                    check_bytes(&forests[r], forest, &options);
                }
            }
        }
        forest_free(forest);
    }
}

static void test_scalar(void **state)
{
    (void)state;
    check_isa(ISA_SCALAR);
}

static void test_avx2(void **state)
{
    (void)state;
    check_isa(ISA_AVX2);
}

static void test_avx512(void **state)
{
    (void)state;
    check_isa(ISA_AVX512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalar),
        cmocka_unit_test(test_avx2),
        cmocka_unit_test(test_avx512),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
