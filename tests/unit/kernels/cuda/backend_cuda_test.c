/* The CUDA engine on devices that are threads: the CPU's bits whatever the batch, and nothing lost whatever the device does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cuda/backend_cuda.h"
#include "model/base/clock.h"
#include "model/model.h"
#include "tests/support/cuda_fake/device_fake.h"

enum { ROWS = 16384, CALLS = 8, BATCH_MOST = 9000, FIGURES_MAX = 64 };

static const int64_t PATIENCE_NS = 60000000000; /* only a test that has failed waits so long */

static struct model *model;
static struct engine cpu;
static struct prepared *cpu_prepared;
static struct rows rows; /* ROWS of them, 64 bytes longer than they need be, as a server's rows are */
static char *memory;

struct call {
    struct batch batch;
    uint32_t slots[BATCH_MOST];
    double *margins, *scores;
    enum status status;
    int done;
};

static struct call calls[CALLS];

/* --- fixture ----------------------------------------------------------------------------------------------------------- */

static void fill(void)
{
    uint64_t random = 7;
    for (uint32_t r = 0; r < ROWS; r++) {
        float *row = (float *)(void *)(memory + r * rows.stride);
        for (uint32_t c = 0; c < rows.columns; c++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            row[c] = (float)((double)(random >> 40) * 0x1p-14) * (c % 3 == 0 ? 1 : 0.01f);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    struct error err;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/config/bundles/card-fraud/model.json", getenv("ASSAY_SOURCE") ? getenv("ASSAY_SOURCE") : ".");
    if (model_load(path, NULL, &model, &err) != STATUS_OK || engine_open(&backend_cpu, &cpu, &err) != STATUS_OK ||
        engine_prepare(&cpu, model, &cpu_prepared, &err) != STATUS_OK)
        return 1;
    const struct model_info *info = model_info(model);
    size_t stride = (info->features * number_type_bytes(info->input_type) + 63) / 64 * 64 + 64;
    memory = aligned_alloc(64, stride * ROWS);
    rows = (struct rows){.base = memory, .stride = stride, .columns = info->features, .type = info->input_type};
    fill();
    for (int i = 0; i < CALLS; i++) {
        calls[i].margins = calloc((size_t)BATCH_MOST * info->margins, sizeof(double));
        calls[i].scores = calloc((size_t)BATCH_MOST * info->scores, sizeof(double));
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        free(calls[i].margins);
        free(calls[i].scores);
    }
    engine_release(&cpu, cpu_prepared);
    engine_close(&cpu);
    model_free(model);
    free(memory);
    return 0;
}

struct gpu {
    struct engine engine;
    struct prepared *prepared;
};

static void open_gpu(struct gpu *g, const char *options)
{
    struct error err = {""};
    assert_int_equal(engine_open(&backend_cuda, &g->engine, &err), STATUS_OK);
    backend_cuda_use(g->engine.context, &fake_module);
    assert_int_equal(engine_configure(&g->engine, options, &err), STATUS_OK);
    enum status status = engine_prepare(&g->engine, model, &g->prepared, &err);
    if (status != STATUS_OK)
        fail_msg("%s", err.message);
}

static void close_gpu(struct gpu *g)
{
    engine_release(&g->engine, g->prepared);
    engine_close(&g->engine);
}

static void fake_options(const char *options)
{
    struct error err;
    assert_int_equal(fake_configure("devices=2,fixed_us=10,row_us=0.03,jitter=0,seed=1,lose_every_ms=0,lose_ms=0", &err), STATUS_OK);
    assert_int_equal(fake_configure(options, &err), STATUS_OK);
    for (uint32_t i = 0; i < 2; i++)
        fake_fault(i, FAKE_HEAL);
}

static void on_done(struct batch *batch, enum status status)
{
    struct call *call = batch->owner;
    call->status = status;
    call->done++;
}

/* Rows first, first + step, … of the fixture. */
static enum status submit(struct gpu *g, struct call *call, uint32_t n, uint32_t first, uint32_t step)
{
    call->done = 0;
    call->batch = (struct batch){.rows = &rows, .slots = call->slots, .n = n, .margins = call->margins, .scores = call->scores,
                                 .done = on_done, .owner = call};
    for (uint32_t i = 0; i < n; i++)
        call->slots[i] = (first + i * step) % ROWS;
    return engine_submit(&g->engine, g->prepared, &call->batch);
}

static void wait_done(struct gpu *g, struct call *call)
{
    int64_t end_ns = clock_monotonic_ns() + PATIENCE_NS;
    while (call->done == 0 && clock_monotonic_ns() < end_ns)
        (void)engine_poll(&g->engine);
    assert_int_equal(call->done, 1);
}

static void ignore(struct batch *batch, enum status status)
{
    (void)batch;
    assert_int_equal(status, STATUS_OK);
}

static void assert_cpus_bits(const struct call *call)
{
    const struct model_info *info = model_info(model);
    size_t margins = (size_t)call->batch.n * info->margins, scores = (size_t)call->batch.n * info->scores;
    struct batch batch = call->batch;
    batch.margins = calloc(margins, sizeof(double));
    batch.scores = calloc(scores, sizeof(double));
    batch.done = ignore;
    assert_int_equal(engine_submit(&cpu, cpu_prepared, &batch), STATUS_OK);
    assert_memory_equal(batch.margins, call->margins, margins * sizeof(double));
    assert_memory_equal(batch.scores, call->scores, scores * sizeof(double));
    free(batch.margins);
    free(batch.scores);
}

static void score(struct gpu *g, uint32_t n, uint32_t first, uint32_t step)
{
    assert_int_equal(submit(g, &calls[0], n, first, step), STATUS_OK);
    wait_done(g, &calls[0]);
    assert_int_equal(calls[0].status, STATUS_OK);
    assert_cpus_bits(&calls[0]);
}

static void wait_up(struct gpu *g, bool up)
{
    struct engine_state state;
    int64_t end_ns = clock_monotonic_ns() + PATIENCE_NS;
    do {
        (void)engine_poll(&g->engine);
        assert_true(engine_state(&g->engine, &state));
    } while (state.up != up && clock_monotonic_ns() < end_ns);
    assert_int_equal(state.up, up);
}

static double figure(struct gpu *g, const char *name, const char *label_value)
{
    struct engine_figure figures[FIGURES_MAX];
    size_t n = engine_figures(&g->engine, figures, FIGURES_MAX);
    assert_true(n > 0 && n <= FIGURES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(figures[i].name, name) == 0 && (!label_value || strcmp(figures[i].label_value, label_value) == 0))
            return figures[i].value;
    }
    fail_msg("no figure %s", name);
    return 0;
}

/* --- batches ----------------------------------------------------------------------------------------------------------- */

static void every_size_and_place_of_rows_gives_the_cpus_bits(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 31, 32, 33, 257, 4096, 4097, BATCH_MOST};
    struct gpu g;
    struct error err;
    fake_options("");
    open_gpu(&g, "");
    for (int attached = 0; attached < 2; attached++) {
        uint64_t reads = fake_counts(0).mapped_reads;
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            score(&g, sizes[i], 3, 1);
            score(&g, sizes[i], 5, 389);
        }
        assert_int_equal(fake_counts(0).mapped_reads > reads, attached); /* rows that are not registered are gathered */
        assert_int_equal(engine_attach(&g.engine, memory, rows.stride * ROWS, &err), STATUS_OK);
    }
    close_gpu(&g);
    assert_int_equal(fake_counts(0).live, 0);
}

static void batches_in_flight_come_back_once_each_in_any_order(void **state)
{
    (void)state;
    struct gpu g;
    struct backend_limits limits;
    uint64_t random = 1;
    fake_options("fixed_us=50,jitter=5,seed=3");
    open_gpu(&g, "streams=3");
    engine_limits(&g.engine, g.prepared, &limits);
    assert_int_equal(limits.in_flight_max, 3);
    assert_false(limits.synchronous);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < CALLS; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            assert_int_equal(submit(&g, &calls[i], 1 + (uint32_t)(random >> 40) % 300, (uint32_t)(random >> 33), 7), STATUS_OK);
        }
        static struct call more; /* eight are out, and not asked for yet */
        assert_int_equal(submit(&g, &more, 1, 0, 1), STATUS_BUSY);
        for (int i = 0; i < CALLS; i++) {
            wait_done(&g, &calls[i]);
            assert_int_equal(calls[i].status, STATUS_OK);
            assert_cpus_bits(&calls[i]);
        }
    }
    close_gpu(&g);
}

static void nothing_is_allocated_once_it_runs(void **state)
{
    (void)state;
    struct gpu g;
    fake_options("fixed_us=1");
    open_gpu(&g, "");
    struct fake_counts before = fake_counts(0);
    for (uint32_t i = 0; i < 300; i++)
        score(&g, 1 + i, i, 3);
    assert_int_equal(fake_counts(0).allocations, before.allocations);
    assert_int_equal(fake_counts(0).launches, before.launches + 300);
    assert_int_equal(figure(&g, "assay_device_rows_total", NULL), 300 * 301 / 2);
    close_gpu(&g);
}

static void count_wakes(void *owner)
{
    (void)__atomic_add_fetch((int *)owner, 1, __ATOMIC_SEQ_CST);
}

static void the_caller_is_woken_and_need_not_ask(void **state)
{
    (void)state;
    struct gpu g;
    int wakes = 0;
    fake_options("fixed_us=300");
    open_gpu(&g, "spin_us=0");
    assert_int_equal(engine_due_ns(&g.engine), INT64_MAX);
    assert_int_equal(submit(&g, &calls[0], 10, 0, 1), STATUS_OK);
    assert_int_equal(engine_due_ns(&g.engine), 0); /* nobody listens: it has to be polled */
    wait_done(&g, &calls[0]);
    assert_true(engine_notify(&g.engine, count_wakes, &wakes));
    assert_int_equal(submit(&g, &calls[0], 10, 0, 1), STATUS_OK);
    assert_true(engine_due_ns(&g.engine) != 0);
    int64_t end_ns = clock_monotonic_ns() + PATIENCE_NS;
    while (__atomic_load_n(&wakes, __ATOMIC_SEQ_CST) == 0 && clock_monotonic_ns() < end_ns)
        continue;
    assert_int_equal(engine_due_ns(&g.engine), 1);
    assert_int_equal(engine_poll(&g.engine), 1);
    assert_int_equal(calls[0].done, 1);
    assert_cpus_bits(&calls[0]);
    assert_true(engine_notify(&g.engine, NULL, NULL));
    close_gpu(&g);
}

static void two_devices_are_two_engines(void **state)
{
    (void)state;
    struct gpu a, b;
    struct engine_state there;
    fake_options("");
    open_gpu(&a, "device=0");
    open_gpu(&b, "device=1");
    score(&a, 64, 0, 3);
    score(&b, 64, 0, 3);
    fake_fault(0, FAKE_ABSENT);
    assert_int_equal(submit(&a, &calls[0], 64, 0, 3), STATUS_OK);
    wait_done(&a, &calls[0]);
    assert_int_equal(calls[0].status, STATUS_UNAVAILABLE);
    score(&b, 64, 0, 3);
    assert_true(engine_state(&b.engine, &there));
    assert_true(there.up);
    fake_fault(0, FAKE_HEAL);
    wait_up(&a, true);
    score(&a, 64, 0, 3);
    close_gpu(&a);
    close_gpu(&b);
}

/* --- faults ------------------------------------------------------------------------------------------------------------ */

/* Every batch in flight comes back, and either with the CPU's bits or with word that it has none. */
static void lose_and_recover(enum fake_fault fault, const char *options, const char *reason)
{
    struct gpu g;
    struct engine_state told;
    struct error err;
    fake_options("fixed_us=2000");
    open_gpu(&g, options);
    assert_int_equal(engine_attach(&g.engine, memory, rows.stride * ROWS, &err), STATUS_OK);
    uint64_t live = fake_counts(0).live;
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(submit(&g, &calls[i], 100, (uint32_t)i, 3), STATUS_OK);
    fake_fault(0, fault);
    int failed = 0;
    for (int i = 0; i < CALLS; i++) {
        wait_done(&g, &calls[i]);
        failed += calls[i].status != STATUS_OK;
        assert_true(calls[i].status == STATUS_OK || calls[i].status == STATUS_UNAVAILABLE);
        if (calls[i].status == STATUS_OK)
            assert_cpus_bits(&calls[i]);
    }
    assert_true(failed > 0);
    if (reason) {
        wait_up(&g, false);
        assert_int_equal(submit(&g, &calls[0], 1, 0, 1), STATUS_UNAVAILABLE);
        assert_true(engine_state(&g.engine, &told));
        assert_non_null(strstr(told.reason, reason));
    }
    fake_fault(0, FAKE_HEAL);
    wait_up(&g, true);
    score(&g, 1000, 0, 3);
    assert_int_equal(fake_counts(0).live, live); /* everything was made anew, and nothing twice */
    assert_true(figure(&g, "assay_device_faults_total", NULL) >= 1);
    assert_true(figure(&g, "assay_device_recoveries_total", NULL) >= 1);
    close_gpu(&g);
    assert_int_equal(fake_counts(0).live, 0);
}

static void a_device_that_is_lost_and_away_is_tried_until_it_is_back(void **state)
{
    (void)state;
    lose_and_recover(FAKE_ABSENT, "", "fake device");
}

static void kernels_without_an_answer_take_the_device_down(void **state)
{
    (void)state;
    lose_and_recover(FAKE_MUTE, "", NULL);
}

static void a_kernel_that_hangs_takes_the_device_down(void **state)
{
    (void)state;
    lose_and_recover(FAKE_HANG, "hang_ms=50", NULL);
}

static void a_driver_that_hangs_holds_up_nobody(void **state)
{
    (void)state;
    struct gpu g;
    fake_options("");
    open_gpu(&g, "hang_ms=50");
    fake_fault(0, FAKE_STALL);
    assert_int_equal(submit(&g, &calls[0], 100, 0, 3), STATUS_OK);
    wait_done(&g, &calls[0]); /* the launch has not returned */
    assert_int_equal(calls[0].status, STATUS_UNAVAILABLE);
    assert_int_equal(figure(&g, "assay_device_abandoned_batches_total", NULL), 1);
    fake_fault(0, FAKE_HEAL);
    int64_t end_ns = clock_monotonic_ns() + PATIENCE_NS;
    while (figure(&g, "assay_device_recoveries_total", NULL) < 1 && clock_monotonic_ns() < end_ns)
        (void)engine_poll(&g.engine);
    wait_up(&g, true);
    score(&g, 100, 0, 3);
    close_gpu(&g);
}

static void a_device_that_computes_something_else_is_not_trusted(void **state)
{
    (void)state;
    struct gpu g;
    struct engine_state told;
    fake_options("");
    open_gpu(&g, "");
    fake_fault(0, FAKE_WRONG);
    fake_fault(0, FAKE_LOSE);
    assert_int_equal(submit(&g, &calls[0], 100, 0, 3), STATUS_OK);
    wait_done(&g, &calls[0]);
    assert_int_equal(calls[0].status, STATUS_UNAVAILABLE);
    int64_t end_ns = clock_monotonic_ns() + PATIENCE_NS;
    do { /* it can be opened again, and is not taken */
        assert_true(engine_state(&g.engine, &told));
    } while (!strstr(told.reason, "computes other margins") && clock_monotonic_ns() < end_ns);
    assert_non_null(strstr(told.reason, "computes other margins"));
    assert_false(told.up);
    fake_fault(0, FAKE_HEAL);
    wait_up(&g, true);
    score(&g, 100, 0, 3);
    close_gpu(&g);
}

static void losses_in_the_midst_of_it_lose_no_batch(void **state)
{
    (void)state;
    struct gpu g;
    int ok = 0, failed = 0;
    fake_options("fixed_us=100,jitter=3");
    open_gpu(&g, "");
    for (int i = 0; i < 300; i++) {
        int64_t end_ns = clock_monotonic_ns() + PATIENCE_NS;
        while (submit(&g, &calls[0], 1 + (uint32_t)i, (uint32_t)i, 5) != STATUS_OK && clock_monotonic_ns() < end_ns)
            (void)engine_poll(&g.engine);
        if (i % 60 == 30)
            fake_fault(0, FAKE_LOSE);
        wait_done(&g, &calls[0]);
        if (calls[0].status == STATUS_OK)
            assert_cpus_bits(&calls[0]);
        ok += calls[0].status == STATUS_OK;
        failed += calls[0].status == STATUS_UNAVAILABLE;
    }
    assert_int_equal(ok + failed, 300);
    assert_true(ok >= 290);
    close_gpu(&g);
}

/* --- what can't be had ------------------------------------------------------------------------------------------------- */

static void refuse(const char *fake, const char *options, enum fake_fault fault, enum status want, const char *words)
{
    struct engine engine;
    struct prepared *prepared;
    struct error err = {""};
    fake_options(fake);
    fake_fault(0, fault);
    assert_int_equal(engine_open(&backend_cuda, &engine, &err), STATUS_OK);
    backend_cuda_use(engine.context, &fake_module);
    assert_int_equal(engine_configure(&engine, options, &err), STATUS_OK);
    assert_int_equal(engine_prepare(&engine, model, &prepared, &err), want);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not say '%s'", err.message, words);
    engine_close(&engine);
    fake_fault(0, FAKE_HEAL);
    assert_int_equal(fake_counts(0).live, 0);
}

static void what_cannot_be_had_is_said(void **state)
{
    (void)state;
    refuse("devices=0", "", FAKE_HEAL, STATUS_UNSUPPORTED, "no driver");
    refuse("", "device=7", FAKE_HEAL, STATUS_UNSUPPORTED, "there are 2");
    refuse("", "", FAKE_ABSENT, STATUS_UNSUPPORTED, "away");
    refuse("", "", FAKE_FULL, STATUS_NO_MEMORY, "out of memory");
    refuse("", "", FAKE_WRONG, STATUS_MISMATCH, "computes other margins");
    refuse("", "", FAKE_MUTE, STATUS_UNAVAILABLE, "without an answer");
}

static void options_and_modules_are_checked(void **state)
{
    (void)state;
    static const char *const wrong[] = {"streams=0", "streams=5", "streams=1.5", "spin=3", "device", "batch_max=x", "module="};
    struct engine engine;
    struct prepared *prepared;
    struct error err = {""};
    assert_int_equal(engine_open(&backend_cuda, &engine, &err), STATUS_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(engine_configure(&engine, wrong[i], &err), STATUS_USAGE);
    assert_non_null(strstr(err.message, "module="));
    assert_int_equal(engine_configure(&engine, "module=/nowhere/libassay-cuda.so", &err), STATUS_OK);
    assert_int_equal(engine_prepare(&engine, model, &prepared, &err), STATUS_UNSUPPORTED);
    assert_non_null(strstr(err.message, "/nowhere/libassay-cuda.so"));
    engine_close(&engine);
    assert_int_equal(backend_devices(&backend_cuda, "module=/nowhere/libassay-cuda.so", &err), 0);
    assert_non_null(strstr(err.message, "/nowhere/libassay-cuda.so"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_and_place_of_rows_gives_the_cpus_bits),
        cmocka_unit_test(batches_in_flight_come_back_once_each_in_any_order),
        cmocka_unit_test(nothing_is_allocated_once_it_runs),
        cmocka_unit_test(the_caller_is_woken_and_need_not_ask),
        cmocka_unit_test(two_devices_are_two_engines),
        cmocka_unit_test(a_device_that_is_lost_and_away_is_tried_until_it_is_back),
        cmocka_unit_test(kernels_without_an_answer_take_the_device_down),
        cmocka_unit_test(a_kernel_that_hangs_takes_the_device_down),
        cmocka_unit_test(a_driver_that_hangs_holds_up_nobody),
        cmocka_unit_test(a_device_that_computes_something_else_is_not_trusted),
        cmocka_unit_test(losses_in_the_midst_of_it_lose_no_batch),
        cmocka_unit_test(what_cannot_be_had_is_said),
        cmocka_unit_test(options_and_modules_are_checked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
