/*
 * Network kernels against the reference: every kind of operation at hostile rows, dense layers of all shapes, batches of all
 * sizes, any position, repeated slots. Margins must be equal to the bit.
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

#include "kernels/cpu/network_plan.h"
#include "kernels/ref/network_reference.h"
#include "tests/support/forest_make.h"
#include "tests/support/network_make.h"

enum { ROWS = 300, BATCH_MAX = 1000, NETWORKS = 80 };

static const uint32_t batches[] = {1, 2, 3, 6, 7, 8, 16, 23, 64, 65, 130, BATCH_MAX};

struct fixture {
    struct network *network; /* owned, as all here */
    struct rows rows;
    uint32_t slots[BATCH_MAX];
    double *expected; /* [BATCH_MAX][outputs] of slots */
    double *margins;
};

static void setup(struct fixture *f, struct network *network, bool hostile)
{
    uint64_t random = 99;
    f->network = network;
    network_make_rows(network, ROWS, hostile, 8, &f->rows);
    for (uint32_t i = 0; i < BATCH_MAX; i++)
        f->slots[i] = random_below(&random, ROWS);
    size_t size = (size_t)BATCH_MAX * network->outputs * sizeof(double);
    f->expected = malloc(size);
    f->margins = malloc(size);
    assert_non_null(f->expected);
    assert_non_null(f->margins);
    assert_int_equal(network_reference_margins(network, &f->rows, f->slots, BATCH_MAX, f->expected), STATUS_OK);
}

static void teardown(struct fixture *f)
{
    free(f->expected);
    free(f->margins);
    free((void *)(uintptr_t)f->rows.base);
    network_free(f->network);
}

static void describe_ops(const struct network *n, char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, "%u", n->features);
    for (uint32_t i = 0; i < n->op_count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, " %s(%s%s %ux%u)", network_kind_name((enum network_kind)n->ops[i].kind),
                               network_function_name((enum network_function)n->ops[i].function),
                               network_reduce_name((enum network_reduce)n->ops[i].reduce), n->ops[i].groups,
                               n->ops[i].width / n->ops[i].groups);
}

static void check_batch(struct fixture *f, const struct network_plan *plan, const char *what, uint32_t from, uint32_t n)
{
    uint32_t outputs = f->network->outputs;
    memset(f->margins, 0xff, (size_t)n * outputs * sizeof(double));
    assert_int_equal(network_plan_margins(plan, &f->rows, f->slots + from, n, f->margins), STATUS_OK);
    const double *expected = f->expected + (size_t)from * outputs;
    for (size_t i = 0; i < (size_t)n * outputs; i++) {
        if (memcmp(&f->margins[i], &expected[i], sizeof(double)) != 0) {
            char ops[2000];
            describe_ops(f->network, ops, sizeof ops);
            fail_msg("%s: batch of %u from %u, row %zu, output %zu: %a, not %a; %s", what, n, from, i / outputs, i % outputs,
                     f->margins[i], expected[i], ops);
        }
    }
}

static void check_network(struct fixture *f, enum isa isa, const char *what)
{
    struct network_plan *plan = NULL;
    struct error err;
    assert_int_equal(network_plan_make(f->network, isa, &plan, &err), STATUS_OK);
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        for (uint32_t from = 0; from + batches[b] <= BATCH_MAX; from += batches[b] < 64 ? 137 : 300)
            check_batch(f, plan, what, from, batches[b]);
    }
    network_plan_destroy(plan);
}

/* Every number of outputs and inputs around which kernels do something else, and every height of a block of rows. */
static void check_dense(enum isa isa)
{
    static const uint32_t shapes[][4] = {{1, 1, 1, 1},      {2, 3, 4, 5},     {15, 2, 16, 1},    {16, 64, 64, 1},   {17, 65, 31, 2},
                                         {30, 64, 32, 1},   {33, 48, 80, 3},  {64, 256, 128, 4}, {100, 15, 129, 6}, {7, 200, 16, 10},
                                         {128, 17, 112, 1}, {5, 63, 49, 127}, {300, 96, 1, 1},   {40, 1, 33, 47}};
    static const enum network_function functions[] = {NETWORK_FN_RELU, NETWORK_FN_TANH, NETWORK_FN_LEAKY_RELU};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct fixture f;
        char what[100];
        setup(&f, network_make_dense(shapes[s], 4, functions[s % 3], s), s % 2 == 0);
        (void)snprintf(what, sizeof what, "%s, shape %zu", isa_name(isa), s);
        check_network(&f, isa, what);
        teardown(&f);
    }
}

static void check_isa(enum isa isa)
{
    if (isa > isa_best()) {
        print_message("skipped: this processor has no %s\n", isa_name(isa));
        skip();
    }
    check_dense(isa);
    bool seen[NETWORK_KIND_COUNT] = {false};
    for (uint64_t seed = 0; seed < NETWORKS; seed++) {
        struct fixture f;
        char what[100];
        setup(&f, network_make(seed), seed % 2 == 0);
        for (uint32_t i = 0; i < f.network->op_count; i++)
            seen[f.network->ops[i].kind] = true;
        (void)snprintf(what, sizeof what, "%s, seed %u", isa_name(isa), (unsigned)seed);
        check_network(&f, isa, what);
        teardown(&f);
    }
    for (size_t k = 0; k < NETWORK_KIND_COUNT; k++)
        assert_true(seen[k]);
}

/* So wide that a row does not fit the stack that tiles are computed on, and that only a few do. */
static void test_wide(void **state)
{
    (void)state;
    static const uint32_t widths[][3] = {{3, 70000, 2}, {5, 20000, 7}};
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
        uint32_t small[] = {widths[w][0], 1, widths[w][2]};
        struct network *n = network_make_dense(small, 3, NETWORK_FN_RELU, 1);
        /* The middle one is spread by a copy of one column, so that no large weights are needed. */
        n->pieces[0] = (struct network_piece){.wire = 1, .count = widths[w][1]};
        n->piece_count = 1;
        n->ops[2] = n->ops[1];
        n->ops[1] = (struct network_op){.kind = NETWORK_COPY, .groups = 1, .width = widths[w][1], .count = 1};
        n->ops[2].kind = NETWORK_REDUCE;
        n->ops[2].function = 0;
        n->ops[2].inputs[0] = 2;
        n->ops[2].width = n->ops[2].groups = 1;
        n->ops[2].first = n->ops[2].count = 0;
        n->op_count = 3;
        n->outputs = 1;
        assert_int_equal(network_check(n, NULL), STATUS_OK);
        struct fixture f;
        setup(&f, n, false);
        check_network(&f, isa_best(), "wide");
        teardown(&f);
    }
}

/* --- many threads on one plan ------------------------------------------------------------------------------------------ */

struct worker {
    const struct network_plan *plan;
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
        if (network_plan_margins(w->plan, &f->rows, f->slots + from, w->batch, margins) != STATUS_OK ||
            memcmp(margins, f->expected + from, w->batch * sizeof *margins) != 0)
            w->wrong = true;
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static const uint32_t widths[] = {40, 130, 65, 1}, sizes[] = {1, 7, 64, 130};
    enum { WORKERS = 4 };
    struct fixture f;
    struct network_plan *plan;
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    setup(&f, network_make_dense(widths, 4, NETWORK_FN_GELU, 3), false);
    assert_int_equal(network_plan_make(f.network, isa_best(), &plan, NULL), STATUS_OK);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.plan = plan, .fixture = &f, .batch = sizes[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(workers[i].wrong);
    }
    network_plan_destroy(plan);
    teardown(&f);
}

static void test_describe(void **state)
{
    (void)state;
    static const uint32_t widths[] = {30, 64, 1};
    struct network *network = network_make_dense(widths, 3, NETWORK_FN_RELU, 3);
    struct network_plan *plan;
    struct buf text = {0};
    assert_int_equal(network_plan_make(network, isa_best(), &plan, NULL), STATUS_OK);
    network_plan_describe(plan, &text);
    assert_non_null(strstr(buf_text(&text), "kernel: "));
    assert_non_null(strstr(buf_text(&text), isa_name(isa_best())));
    assert_non_null(strstr(buf_text(&text), " us for 1 row, "));
    assert_non_null(strstr(buf_text(&text), " bytes"));
    buf_free(&text);
    network_plan_destroy(plan);
    network_free(network);
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
        cmocka_unit_test(test_scalar),  cmocka_unit_test(test_avx2),    cmocka_unit_test(test_avx512),
        cmocka_unit_test(test_wide),    cmocka_unit_test(test_threads), cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
