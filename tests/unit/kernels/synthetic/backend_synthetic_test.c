/* The synthetic engine: real scores, later, and trouble when it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/synthetic/backend_synthetic.h"
#include "model/base/clock.h"
#include "model/model.h"
#include "server/slot.h"
#include "tests/support/example.h"

enum { ROWS = 4 };

static struct loaded loaded;
static struct pool *pool;
static struct txn *txns[ROWS];
static uint32_t slots[ROWS];

/* One batch and what became of it. */
struct call {
    struct batch batch;
    double margins[ROWS], scores[ROWS];
    enum status status;
    bool done;
};

static void on_done(struct batch *batch, enum status status)
{
    struct call *call = batch->owner;
    call->status = status;
    call->done = true;
}

static enum status submit(struct call *call, const struct engine *engine, const struct prepared *prepared)
{
    *call = (struct call){.done = false};
    call->batch = (struct batch){.rows = pool_rows(pool), .slots = slots, .n = ROWS, .margins = call->margins, .scores = call->scores,
                                 .done = on_done, .owner = call};
    return engine_submit(engine, prepared, &call->batch);
}

static int setup(void **state)
{
    (void)state;
    struct error err;
    example_open(&loaded);
    const struct pool_options options = {.slots = {[SOURCE_FILE] = ROWS}, .columns = (uint32_t)plan_columns(loaded.bundle->plan),
                                         .type = model_info(loaded.bundle->model)->input_type};
    assert_int_equal(model_info(loaded.bundle->model)->margins, 1);
    if (pool_create(loaded.bundle->schema, &options, &pool, &err) != STATUS_OK || pool_take(pool, SOURCE_FILE, txns, ROWS) != ROWS)
        return 1;
    for (uint32_t i = 0; i < ROWS; i++) {
        float *row = pool_row(pool, txns[i]->number);
        for (uint32_t j = 0; j < options.columns && options.type == NUMBER_F32; j++)
            row[j] = (float)(i * 7 + j);
        slots[i] = txns[i]->number;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pool_give(pool, txns, ROWS);
    pool_free(pool);
    loaded_close(&loaded);
    return 0;
}

static void open_with(const char *options, struct engine *engine, struct prepared **prepared)
{
    struct error err;
    assert_int_equal(engine_open(&backend_synthetic, engine, &err), STATUS_OK);
    assert_int_equal(engine_configure(engine, options, &err), STATUS_OK);
    assert_int_equal(engine_prepare(engine, loaded.bundle->model, prepared, &err), STATUS_OK);
}

static void scores_are_the_models_and_come_no_earlier_than_told(void **state)
{
    (void)state;
    struct engine engine;
    struct prepared *prepared;
    struct call want, got, more;
    open_with("fixed_us=2000,row_us=250,streams=1", &engine, &prepared);
    assert_int_equal(engine_due_ns(&engine), INT64_MAX);
    assert_int_equal(submit(&want, &loaded.engine, loaded.prepared), STATUS_OK);
    int64_t start_ns = clock_monotonic_ns();
    assert_int_equal(submit(&got, &engine, prepared), STATUS_OK);
    assert_false(got.done);
    assert_int_equal(submit(&more, &engine, prepared), STATUS_BUSY); /* its one stream is taken */
    assert_true(engine_due_ns(&engine) >= start_ns + 3000000);
    while (!got.done)
        (void)engine_poll(&engine);
    assert_true(clock_monotonic_ns() - start_ns >= 3000000);
    assert_int_equal(got.status, STATUS_OK);
    assert_memory_equal(got.margins, want.margins, sizeof want.margins);
    assert_memory_equal(got.scores, want.scores, sizeof want.scores);
    assert_int_equal(submit(&more, &engine, prepared), STATUS_OK);
    while (!more.done)
        (void)engine_poll(&engine);
    engine_release(&engine, prepared);
    engine_close(&engine);
}

static void it_fails_while_it_is_told_to(void **state)
{
    (void)state;
    struct engine engine;
    struct prepared *prepared;
    struct call call;
    int failed = 0;
    open_with("gpu,factor=10,fail_every_ms=4,fail_ms=2", &engine, &prepared);
    int64_t end_ns = clock_monotonic_ns() + 40000000;
    while (clock_monotonic_ns() < end_ns) {
        assert_int_equal(submit(&call, &engine, prepared), STATUS_OK);
        while (!call.done)
            (void)engine_poll(&engine);
        failed += call.status == STATUS_UNAVAILABLE;
    }
    assert_true(failed > 0);
    engine_release(&engine, prepared);
    engine_close(&engine);
}

static void an_option_that_it_does_not_have_is_said(void **state)
{
    (void)state;
    static const char *const wrong[] = {"speed=3", "fixed_us=", "fixed_us=1x", "streams=9", "jitter=-1", "gpu,tpu"};
    struct engine engine;
    struct error err;
    assert_int_equal(engine_open(&backend_synthetic, &engine, &err), STATUS_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(engine_configure(&engine, wrong[i], &err), STATUS_USAGE);
        assert_non_null(strstr(err.message, "fixed_us="));
    }
    engine_close(&engine);
    assert_int_equal(engine_configure(&loaded.engine, "threads=2", &err), STATUS_USAGE); /* the reference has none at all */
    assert_int_equal(engine_configure(&loaded.engine, "", &err), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_the_models_and_come_no_earlier_than_told),
        cmocka_unit_test(it_fails_while_it_is_told_to),
        cmocka_unit_test(an_option_that_it_does_not_have_is_said),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
