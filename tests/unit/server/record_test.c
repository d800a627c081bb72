/* The bytes of a record: what every sink hands out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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

#define PLAIN ",\"home_country\":\"DE\",\"country\":\"DE\",\"new_device\":true}"

/* A record of one document, whose verdict is set to what the test wants to see. */
static void expect(const char *document, struct verdict verdict, struct record_options options, const char *record)
{
    struct buf out = {0};
    offline_decode(&offline, 0, document, strlen(document));
    offline_score(&offline, 1);
    struct txn *txn = offline.txns[0];
    assert_int_equal(txn->outcome, OUTCOME_SCORED);
    txn->verdict = verdict;
    txn->times = (struct stage_times){.decode = 400, .features = 1250, .score = 3000, .decide = 70};
    record_write(&out, txn, pool_rows(offline.pool), &options);
    offline_finish(&offline, 1);
    assert_string_equal(buf_text(&out), record);
    buf_free(&out);
}

static void fields_come_in_one_order(void **state)
{
    (void)state;
    const struct record_options plain = {.features = false}, timing = {.timing = true};
    const struct verdict approve = {.score = (double)0.0071767257f, .decision = DECISION_APPROVE};
    const char *noon = "{\"tx_id\":\"T1\",\"ts\":1700049600,\"customer_id\":1,\"terminal_id\":2,\"amount\":2" PLAIN;
    expect(noon, approve, plain,
           "{\"transaction_id\":\"T1\",\"score\":0.0071767257,\"decision\":\"approve\",\"reasons\":[],\"model\":\"card-fraud\","
           "\"version\":\"1\",\"state\":\"complete\"}");
    expect(noon, approve, timing,
           "{\"transaction_id\":\"T1\",\"score\":0.0071767257,\"decision\":\"approve\",\"reasons\":[],\"model\":\"card-fraud\","
           "\"version\":\"1\",\"state\":\"complete\",\"timing\":{\"decode_us\":0.4,\"features_us\":1.25,\"wait_us\":0,\"score_us\":3,\"decide_us\":0.07}}");
}

static void reasons_are_listed_by_their_codes(void **state)
{
    (void)state;
    expect("{\"tx_id\":7,\"ts\":1700017200,\"customer_id\":1,\"terminal_id\":2,\"amount\":2,\"channel\":\"web\"" PLAIN,
           (struct verdict){.score = 1, .decision = DECISION_DECLINE}, (struct record_options){.features = false},
           "{\"transaction_id\":\"7\",\"score\":1,\"decision\":\"decline\",\"reasons\":[\"new_device_at_night\",\"tiny_amount_online\"],"
           "\"model\":\"card-fraud\",\"version\":\"1\",\"state\":\"complete\"}");
}

static void ids_are_escaped_and_what_is_no_number_is_null(void **state)
{
    (void)state;
    expect("{\"tx_id\":\"a\\\"b\\\\\\u0001\xc3\xa9\",\"ts\":1700049600,\"customer_id\":1,\"terminal_id\":2,\"amount\":2" PLAIN,
           (struct verdict){.score = NAN, .decision = DECISION_REVIEW}, (struct record_options){.features = false},
           "{\"transaction_id\":\"a\\\"b\\\\\\u0001\xc3\xa9\",\"score\":null,\"decision\":\"review\",\"reasons\":[],"
           "\"model\":\"card-fraud\",\"version\":\"1\",\"state\":\"complete\"}");
}

static void features_are_named_in_the_order_of_the_model(void **state)
{
    (void)state;
    struct buf out = {0};
    float row[64] = {0.1f, -0.0f, 1e30f};
    for (size_t i = 3; i < loaded.bundle->features; i++)
        row[i] = NAN;
    row[3] = INFINITY;
    record_write_features(&out, loaded.bundle, row, NUMBER_F32);
    static const char start[] = "\"features\":{\"amount\":0.1,\"amount_log\":-0,\"hour\":1e+30,\"night\":null,\"weekend\":null,";
    assert_memory_equal(buf_text(&out), start, sizeof start - 1);
    assert_null(strstr(buf_text(&out), "new_device_at_night")); /* reasons are no features */
    buf_free(&out);
}

static void a_fault_says_field_place_and_reason(void **state)
{
    (void)state;
    struct buf out = {0};
    struct decode_fault fault = {.reason = DECODE_TYPE, .field = schema_find(loaded.bundle->schema, "amount"), .offset = 37};
    record_write_fault(&out, loaded.bundle->schema, &fault);
    static const char start[] = "\"detail\":\"field \\\"amount\\\" (offset 37): ";
    static const char end[] = "\",\"reason\":\"type\",\"field\":\"amount\",\"offset\":37";
    const char *text = buf_text(&out);
    assert_memory_equal(text, start, sizeof start - 1);
    assert_string_equal(text + out.len - (sizeof end - 1), end);
    buf_clear(&out);
    fault = (struct decode_fault){.reason = DECODE_SYNTAX, .field = -1, .offset = 2};
    record_write_fault(&out, loaded.bundle->schema, &fault);
    assert_string_equal(buf_text(&out), "\"detail\":\"offset 2: not valid JSON\",\"reason\":\"syntax\",\"offset\":2");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_in_one_order),
        cmocka_unit_test(reasons_are_listed_by_their_codes),
        cmocka_unit_test(ids_are_escaped_and_what_is_no_number_is_null),
        cmocka_unit_test(features_are_named_in_the_order_of_the_model),
        cmocka_unit_test(a_fault_says_field_place_and_reason),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
