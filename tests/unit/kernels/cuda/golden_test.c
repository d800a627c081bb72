/*
 * Every CUDA kernel, run by the shim, on every golden model that it takes, at every batch size: the margins and scores of the
 * reference, bit for bit. Rows are taken in random order, with repeats, so that neither batch nor position can matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "kernels/ref/backend_reference.h"
#include "tests/support/cuda_shim/compute.h"
#include "tests/support/cuda_shim/shim.h"
#include "tests/support/golden.h"

enum { ROWS = 257 };

static const uint32_t sizes[] = {1, 2, 31, 32, 33, ROWS};

struct seen {
    int combinations, skipped;
    bool kernels[CUDA_KERNEL_COUNT];
};

struct answers {
    double *margins, *scores; /* [ROWS][those of the model] */
};

static struct answers answers_make(const struct model_info *info)
{
    struct answers a = {calloc((size_t)ROWS * info->margins, sizeof(double)), calloc((size_t)ROWS * info->scores, sizeof(double))};
    assert_true(a.margins && a.scores);
    return a;
}

static void answers_free(struct answers a)
{
    free(a.margins);
    free(a.scores);
}

static void on_done(struct batch *batch, enum status status)
{
    (void)batch;
    assert_int_equal(status, STATUS_OK);
}

static void compute_reference(const struct golden_case *c, const uint32_t *slots, struct answers out)
{
    struct engine engine;
    struct prepared *prepared;
    struct error err;
    struct batch batch = {.rows = &c->rows, .slots = slots, .n = ROWS, .done = on_done, .margins = out.margins, .scores = out.scores};
    assert_int_equal(engine_open(&backend_reference, &engine, &err), STATUS_OK);
    assert_int_equal(engine_prepare(&engine, c->model, &prepared, &err), STATUS_OK);
    assert_int_equal(engine_submit(&engine, prepared, &batch), STATUS_OK);
    engine_release(&engine, prepared);
    engine_close(&engine);
}

static void check_same(const struct golden_case *c, const char *kernel, uint32_t n, const char *what, const double *got, const double *want,
                       uint32_t width)
{
    for (size_t i = 0; i < (size_t)n * width; i++) {
        if (!golden_same(c->info->output_type, got[i], want[i]))
            fail_msg("%s on %s, %u rows: %s of row %zu is %a, the reference says %a", c->name, kernel, n, what, i / width, got[i], want[i]);
    }
}

static void check_launch(const struct golden_case *c, const struct cuda_model *model, const struct cuda_launch *launch, const uint32_t *slots,
                         uint32_t n, struct answers want)
{
    struct answers got = answers_make(c->info);
    struct error err;
    void *raw = calloc((size_t)n * c->info->margins, sizeof(double));
    const char *kernel = cuda_kernels[launch->kernel].name;
    if (shim_compute(model, launch, &c->rows, slots, n, raw, &err) != STATUS_OK)
        fail_msg("%s on %s, %u rows: %s", c->name, kernel, n, err.message);
    cuda_model_scores(model, raw, n, got.margins, got.scores);
    check_same(c, kernel, n, "margin", got.margins, want.margins, c->info->margins);
    check_same(c, kernel, n, "score", got.scores, want.scores, c->info->scores);
    free(raw);
    answers_free(got);
}

static void check_case(const struct golden_case *c, void *arg)
{
    struct seen *seen = arg;
    struct cuda_model *model;
    struct error err;
    uint32_t slots[ROWS], random = 12345;
    enum status status = cuda_model_make(c->model, &model, &err);
    if (status != STATUS_OK) {
        assert_int_equal(status, STATUS_UNSUPPORTED);
        (void)printf("SKIPPED %s: %s\n", c->name, err.message);
        seen->skipped++;
        return;
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        random = random * 1664525 + 1013904223;
        slots[i] = (random >> 8) % c->row_count;
    }
    struct answers want = answers_make(c->info);
    compute_reference(c, slots, want);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        if (SHIM_FINDS_RACES && sizes[s] != 2)
            continue;
        struct cuda_launch launches[CUDA_LAUNCHES_MAX];
        uint32_t n = cuda_model_launches(model, &shim_limits, sizes[s], launches);
        assert_true(n > 0);
        for (uint32_t i = 0; i < n; i++) {
            check_launch(c, model, &launches[i], slots, sizes[s], want);
            seen->kernels[launches[i].kernel] = true;
            seen->combinations++;
        }
    }
    answers_free(want);
    cuda_model_free(model);
}

static void every_kernel_gives_the_bits_of_the_reference(void **state)
{
    (void)state;
    struct golden_counts counts;
    struct seen seen = {0};
    golden_visit(check_case, &seen, &counts);
    if (SHIM_FINDS_RACES)
        (void)printf("SKIPPED all batches but those of 2 rows: under ThreadSanitizer the shim is slow\n");
    (void)printf("%d golden models, %d not taken, %d launches and batch sizes on the others%s\n", counts.cases, seen.skipped, seen.combinations,
                 counts.shared ? "" : "; SKIPPED the shared models: they are not here");
    for (int k = 0; k < CUDA_KERNEL_COUNT; k++) {
        if (!seen.kernels[k])
            (void)printf("no golden model came to %s\n", cuda_kernels[k].name);
    }
    assert_true(counts.cases >= 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_kernel_gives_the_bits_of_the_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
