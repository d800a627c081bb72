/*
 * Every backend on every golden model at every batch size: the bits of the reference, and those of the library that wrote
 * the model. Rows are taken in random order, with repeats, so that neither batch nor position can matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "kernels/ref/backend_reference.h"
#include "tests/support/backends.h"
#include "tests/support/golden.h"

enum { ROWS = 1000 };

static void on_done(struct batch *batch, enum status status)
{
    *(enum status *)batch->owner = status;
}

struct answers {
    double *margins, *scores; /* [n][those of the model] */
};

static struct answers answers_make(const struct model_info *info, uint32_t n)
{
    struct answers a = {calloc((size_t)n * info->margins, sizeof(double)), calloc((size_t)n * info->scores, sizeof(double))};
    assert_true(a.margins && a.scores);
    return a;
}

static void answers_free(struct answers a)
{
    free(a.margins);
    free(a.scores);
}

struct machine {
    struct engine engine;
    struct prepared *prepared;
};

/* False: the backend does not take the model. */
static bool machine_open(struct machine *m, const struct backend *backend, const struct golden_case *c)
{
    struct error err;
    assert_int_equal(engine_open(backend, &m->engine, &err), STATUS_OK);
    enum status status = engine_prepare(&m->engine, c->model, &m->prepared, &err);
    if (status == STATUS_OK)
        return true;
    engine_close(&m->engine);
    if (status != STATUS_UNSUPPORTED)
        fail_msg("%s on %s: %s", c->name, backend->name, err.message);
    return false;
}

static void machine_close(struct machine *m)
{
    engine_release(&m->engine, m->prepared);
    engine_close(&m->engine);
}

/* Scores the rows of slots[0..n) in batches of so many. */
static void compute(const struct machine *m, const struct golden_case *c, const uint32_t *slots, uint32_t n, uint32_t size, struct answers out)
{
    for (uint32_t at = 0; at < n; at += size) {
        enum status status = STATUS_COUNT;
        uint32_t part = n - at < size ? n - at : size;
        struct batch batch = {.rows = &c->rows, .slots = slots + at, .n = part, .done = on_done, .owner = &status,
                              .margins = out.margins + (size_t)at * c->info->margins, .scores = out.scores + (size_t)at * c->info->scores};
        assert_int_equal(engine_submit(&m->engine, m->prepared, &batch), STATUS_OK);
        while (status == STATUS_COUNT)
            (void)engine_poll(&m->engine);
        assert_int_equal(status, STATUS_OK);
    }
}

static void compute_reference(const struct golden_case *c, const uint32_t *slots, uint32_t n, uint32_t size, struct answers out)
{
    struct machine m;
    assert_true(machine_open(&m, &backend_reference, c));
    compute(&m, c, slots, n, size, out);
    machine_close(&m);
}

static void check_library(const struct golden_case *c)
{
    const struct model_info *info = c->info;
    struct answers got = answers_make(info, c->row_count);
    uint32_t *slots = calloc(c->row_count, sizeof *slots);
    for (uint32_t i = 0; i < c->row_count; i++)
        slots[i] = i;
    compute_reference(c, slots, c->row_count, c->row_count, got);
    for (size_t i = 0; c->margins && i < (size_t)c->row_count * info->margins; i++) {
        if (!golden_near(info->output_type, got.margins[i], c->margins[i], c->margin_ulps, 0, 0))
            fail_msg("%s: margin %zu is %a, the library says %a", c->name, i, got.margins[i], c->margins[i]);
    }
    for (size_t i = 0; i < (size_t)c->row_count * info->scores; i++) {
        if (!golden_near(info->output_type, got.scores[i], c->scores[i], c->score_ulps, c->score_abs, c->score_rel))
            fail_msg("%s: score %zu is %a, the library says %a", c->name, i, got.scores[i], c->scores[i]);
    }
    free(slots);
    answers_free(got);
}

static void check_same(const struct golden_case *c, const char *backend, uint32_t rows, uint32_t size, const char *what,
                       const double *got, const double *want, uint32_t width)
{
    for (size_t i = 0; i < (size_t)rows * width; i++) {
        if (!golden_same(c->info->output_type, got[i], want[i]))
            fail_msg("%s on %s, batches of %u: %s of row %zu is %a, the reference says %a", c->name, backend, size, what, i / width,
                     got[i], want[i]);
    }
}

static void check_backends(const struct golden_case *c, int *combinations)
{
    static const uint32_t sizes[] = {1, 2, 7, 64, 1000};
    uint32_t slots[ROWS], random = 12345;
    struct answers want = answers_make(c->info, ROWS), got = answers_make(c->info, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        random = random * 1664525 + 1013904223;
        slots[i] = (random >> 8) % c->row_count;
    }
    compute_reference(c, slots, ROWS, 1, want);
    for (const struct backend *const *b = backends_under_test(); *b; b++) {
        struct machine m;
        if (!machine_open(&m, *b, c))
            continue;
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            uint32_t rows = sizes[s] < 64 ? 200 : ROWS; /* small batches do not need as many, and sanitizers are slow */
            compute(&m, c, slots, rows, sizes[s], got);
            check_same(c, (*b)->name, rows, sizes[s], "margin", got.margins, want.margins, c->info->margins);
            check_same(c, (*b)->name, rows, sizes[s], "score", got.scores, want.scores, c->info->scores);
            ++*combinations;
        }
        machine_close(&m);
    }
    answers_free(want);
    answers_free(got);
}

static void check_case(const struct golden_case *c, void *arg)
{
    check_library(c);
    check_backends(c, arg);
}

static void every_backend_gives_the_bits_of_the_library(void **state)
{
    (void)state;
    struct golden_counts counts;
    int combinations = 0;
    golden_visit(check_case, &combinations, &counts);
    (void)printf("%d golden models, %d backends and batch sizes on them, %d refused%s\n", counts.cases, combinations, counts.refused,
                 counts.shared ? "" : "; SKIPPED the shared models: they are not here");
    assert_true(counts.cases >= 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_backend_gives_the_bits_of_the_library)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
