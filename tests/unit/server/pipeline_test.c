/* The path from bytes to decision: outcomes, batches, failures, counts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/clock.h"
#include "server/offline.h"
#include "tests/support/example.h"

static struct loaded loaded;
static struct offline offline;

static int setup(void **state)
{
    (void)state;
    struct error err;
    example_open(&loaded);
    return offline_open(&loaded, &offline, &err) != STATUS_OK;
}

static int teardown(void **state)
{
    (void)state;
    offline_close(&offline);
    loaded_close(&loaded);
    return 0;
}

static uint64_t transactions(enum outcome outcome)
{
    return metrics_value(offline.metrics, METRIC_TRANSACTIONS, SOURCE_FILE * OUTCOME_COUNT + outcome);
}

/* The same bits alone, in a batch, and at any place in it. */
static void a_score_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    enum { N = 100 };
    static char documents[N][EXAMPLE_DOCUMENT_MAX];
    double alone[N];
    uint64_t before = transactions(OUTCOME_SCORED);
    for (unsigned i = 0; i < N; i++) {
        size_t len = example_document(documents[i], i);
        offline_decode(&offline, 0, documents[i], len);
        offline_score(&offline, 1);
        assert_int_equal(offline.txns[0]->outcome, OUTCOME_SCORED);
        alone[i] = offline.txns[0]->verdict.score;
        offline_finish(&offline, 1);
    }
    for (unsigned i = 0; i < N; i++)
        offline_decode(&offline, i, documents[N - 1 - i], strlen(documents[N - 1 - i]));
    offline_score(&offline, N);
    bool varied = false;
    for (unsigned i = 0; i < N; i++) {
        assert_memory_equal(&offline.txns[i]->verdict.score, &alone[N - 1 - i], sizeof(double));
        assert_true(offline.txns[i]->times.features >= 0 && offline.txns[i]->times.decode > 0);
        varied = varied || alone[i] != alone[0];
    }
    assert_true(varied);
    offline_finish(&offline, N);
    assert_int_equal(transactions(OUTCOME_SCORED) - before, 2 * N);
    assert_int_equal(metrics_value(offline.metrics, METRIC_IN_FLIGHT, SOURCE_FILE), 0);
}

static void a_bad_document_is_rejected_with_its_fault(void **state)
{
    (void)state;
    static const char bad[] = "{\"tx_id\":\"T1\",\"ts\":1700000000,\"customer_id\":1,\"terminal_id\":2,\"amount\":\"many\"}";
    uint64_t before = transactions(OUTCOME_REJECTED);
    offline_decode(&offline, 0, bad, sizeof bad - 1);
    assert_int_equal(offline.txns[0]->outcome, OUTCOME_REJECTED);
    assert_int_equal(offline.txns[0]->fault.reason, DECODE_TYPE);
    assert_string_equal(schema_field(loaded.bundle->schema, (size_t)offline.txns[0]->fault.field)->path, "amount");
    offline_finish(&offline, 1);
    assert_int_equal(transactions(OUTCOME_REJECTED) - before, 1);
    assert_int_equal(metrics_value(offline.metrics, METRIC_DECODE_FAULTS, DECODE_TYPE), 1);
}

static void reasons_are_the_conditions_that_hold(void **state)
{
    (void)state;
    /* 03:00 UTC, a new device, two euros online: the first two reasons of the bundle */
    static const char night[] = "{\"tx_id\":\"T1\",\"ts\":1700017200,\"customer_id\":1,\"terminal_id\":2,\"amount\":2,\"channel\":\"web\","
                                "\"country\":\"DE\",\"home_country\":\"DE\",\"new_device\":true}";
    offline_decode(&offline, 0, night, sizeof night - 1);
    offline_score(&offline, 1);
    assert_int_equal(offline.txns[0]->reasons, 3);
    offline_finish(&offline, 1);
}

/* --- engines that misbehave -------------------------------------------------------------------------------------------- */

static enum status fake_open(void **context, struct error *err)
{
    (void)context, (void)err;
    return STATUS_OK;
}

static void fake_close(void *context)
{
    (void)context;
}

static enum status fake_submit(void *context, const struct prepared *prepared, struct batch *batch)
{
    (void)context, (void)prepared;
    batch->done(batch, STATUS_UNAVAILABLE);
    return STATUS_OK;
}

static void synchronous_limits(void *context, const struct prepared *prepared, struct backend_limits *out)
{
    (void)context, (void)prepared;
    *out = (struct backend_limits){.batch_max = 3, .in_flight_max = 1, .synchronous = true};
}

/* Answers when it is polled for the second time, with the reference's scores. */
static struct batch *waiting;
static unsigned polls;

static enum status later_submit(void *context, const struct prepared *prepared, struct batch *batch)
{
    (void)context, (void)prepared;
    assert_null(waiting);
    waiting = batch;
    polls = 0;
    return STATUS_OK;
}

static unsigned later_poll(void *context)
{
    (void)context;
    struct batch *batch = waiting;
    if (++polls < 2)
        return 0;
    waiting = NULL;
    assert_int_equal(engine_submit(&loaded.engine, loaded.prepared, batch), STATUS_OK);
    return 1;
}

static void later_limits(void *context, const struct prepared *prepared, struct backend_limits *out)
{
    synchronous_limits(context, prepared, out);
    out->synchronous = false;
}

static const struct backend failing = {.name = "failing", .open = fake_open, .close = fake_close, .submit = fake_submit, .limits = synchronous_limits};
static const struct backend later = {.name = "later", .open = fake_open, .close = fake_close, .submit = later_submit, .poll = later_poll, .limits = later_limits};

static struct pipeline_options options_with(const struct engine *engine)
{
    return (struct pipeline_options){.bundle = loaded.bundle, .engine = engine, .prepared = loaded.prepared, .pool = offline.pool,
                                     .metrics = offline.metrics};
}

static unsigned delivered;

static void count_delivery(void *owner, struct txn *const *txns, uint32_t n)
{
    (void)owner;
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(txns[i]->outcome, OUTCOME_FAILED);
    delivered += n;
}

static void an_engine_that_fails_fails_its_transactions(void **state)
{
    (void)state;
    const struct engine engine = {.backend = &failing};
    const struct pipeline_options options = options_with(&engine);
    struct pipeline *pipeline = NULL;
    struct worker *worker = NULL;
    struct error err;
    char document[EXAMPLE_DOCUMENT_MAX];
    size_t len = example_document(document, 1), consumed;
    assert_int_equal(pipeline_create(&options, &pipeline, &err), STATUS_OK);
    assert_int_equal(worker_create(pipeline, SOURCE_FILE, 10, &worker, &err), STATUS_OK);
    uint64_t before = transactions(OUTCOME_FAILED);
    for (int i = 0; i < 10; i++)
        assert_int_equal(pipeline_decode(worker, offline.txns[i], document, len, clock_monotonic_ns(), &consumed), STATUS_OK);
    pipeline_score(worker, offline.txns, 10, count_delivery, NULL);
    for (int i = 0; i < 10; i++)
        pipeline_finish(worker, offline.txns[i], clock_monotonic_ns());
    assert_int_equal(delivered, 10);
    assert_int_equal(transactions(OUTCOME_FAILED) - before, 10);
    worker_free(worker);
    pipeline_free(pipeline);
}

/* Scores documents 0..n), n <= 64, through an engine, and compares with what the offline pipeline makes of them. */
static void scores_are_the_same(const struct engine *engine, unsigned n)
{
    static char documents[64][EXAMPLE_DOCUMENT_MAX];
    const struct pipeline_options options = options_with(engine);
    struct pipeline *pipeline = NULL;
    struct worker *worker = NULL;
    struct error err;
    double whole[64];
    size_t consumed;
    for (unsigned i = 0; i < n; i++)
        offline_decode(&offline, i, documents[i], example_document(documents[i], i));
    offline_score(&offline, n);
    for (unsigned i = 0; i < n; i++)
        whole[i] = offline.txns[i]->verdict.score;
    offline_finish(&offline, n);
    assert_int_equal(pipeline_create(&options, &pipeline, &err), STATUS_OK);
    assert_int_equal(worker_create(pipeline, SOURCE_FILE, n, &worker, &err), STATUS_OK);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(pipeline_decode(worker, offline.txns[i], documents[i], strlen(documents[i]), 0, &consumed), STATUS_OK);
    pipeline_score(worker, offline.txns, n, NULL, NULL);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(offline.txns[i]->outcome, OUTCOME_SCORED);
        assert_true(offline.txns[i]->verdict.score == whole[i]);
        pipeline_finish(worker, offline.txns[i], clock_monotonic_ns());
    }
    worker_free(worker);
    pipeline_free(pipeline);
}

static void an_engine_that_answers_later_is_waited_for(void **state)
{
    (void)state;
    const struct engine engine = {.backend = &later};
    scores_are_the_same(&engine, 8);
    assert_int_equal(polls, 2);
    assert_null(waiting);
}

/* More rows than the engine takes at once go in parts, with the same scores. */
static void small_limits(void *context, const struct prepared *prepared, struct backend_limits *out)
{
    loaded.engine.backend->limits(context, prepared, out);
    out->batch_max = 7;
}

static void a_batch_larger_than_the_engine_takes_is_cut(void **state)
{
    (void)state;
    struct backend narrow = *loaded.engine.backend;
    narrow.limits = small_limits;
    const struct engine engine = {.backend = &narrow, .context = loaded.engine.context};
    scores_are_the_same(&engine, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_score_does_not_depend_on_its_batch),
        cmocka_unit_test(a_bad_document_is_rejected_with_its_fault),
        cmocka_unit_test(reasons_are_the_conditions_that_hold),
        cmocka_unit_test(an_engine_that_fails_fails_its_transactions),
        cmocka_unit_test(an_engine_that_answers_later_is_waited_for),
        cmocka_unit_test(a_batch_larger_than_the_engine_takes_is_cut),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
