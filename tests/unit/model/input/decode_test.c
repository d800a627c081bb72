/* What the decoder takes, what it refuses and why, and where a value ends. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/input/decode.h"

static const struct field fields[] = {
    {.name = "id", .path = "tx_id", .type = FIELD_ID},
    {.name = "time", .path = "ts", .type = FIELD_TIME, .unit = TIME_SECONDS},
    {.name = "card", .path = "customer_id", .type = FIELD_KEY},
    {.name = "amount", .path = "amount", .type = FIELD_NUMBER, .required = true},
    {.name = "online", .path = "online", .type = FIELD_BOOLEAN},
    {.name = "country", .path = "merchant.country", .type = FIELD_CATEGORY},
    {.name = "opened", .path = "merchant.since.opened", .type = FIELD_TIME, .unit = TIME_RFC3339},
};

enum { ID, TIME, CARD, AMOUNT, ONLINE, COUNTRY, OPENED, FIELDS };

static struct schema *schema;
static struct transaction tx;
static struct decode_fault fault;
static size_t consumed;

static int setup(void **state)
{
    (void)state;
    struct error err;
    return schema_create(fields, FIELDS, &schema, &err) != STATUS_OK || transaction_init(&tx, schema, &err) != STATUS_OK;
}

static int teardown(void **state)
{
    (void)state;
    transaction_free(&tx);
    schema_free(schema);
    return 0;
}

/* Decodes a copy without a byte to spare, so that the sanitizer sees any read beyond the end. */
static enum status decode_bytes(const char *text, size_t len)
{
    char *copy = test_malloc(len ? len : 1);
    memcpy(copy, text, len);
    enum status status = decode_transaction(schema, copy, len, &tx, &consumed, &fault);
    test_free(copy);
    return status;
}

static void refused(const char *text, enum decode_reason reason, int field, size_t offset, bool whole)
{
    assert_int_equal(decode_bytes(text, strlen(text)), STATUS_INVALID);
    if (fault.reason != reason || fault.field != field || fault.offset != offset)
        fail_msg("%s: %s, field %d, offset %u; not %s, %d, %zu", text, decode_reason_label(fault.reason), fault.field,
                 fault.offset, decode_reason_label(reason), field, offset);
    assert_int_equal(consumed, whole ? strlen(text) : 0);
}

static void assert_text(size_t field, const char *want)
{
    struct span s = tx.values[field].text;
    if (!span_equal(s, want, strlen(want)))
        fail_msg("'%.*s' is not '%s'", (int)s.len, s.data, want);
}

static void takes_a_transaction(void **state)
{
    (void)state;
    static const char text[] = " {\"extra\":[{\"a\":[1,2e5,\"\\ud83d\\ude00\"]},null,true],\"tx_id\":\"T1\",\"ts\":1522540831.25,"
                               "\"customer_id\":596,\"amount\":57.16,\"online\":true,"
                               "\"merchant\":{\"country\":\"D\\u0045\",\"since\":{\"opened\":\"1970-01-02T00:00:00+01:00\"},\"x\":{}}} tail";
    assert_int_equal(decode_transaction(schema, text, sizeof text - 1, &tx, &consumed, &fault), STATUS_OK);
    assert_int_equal(consumed, sizeof text - 1 - strlen(" tail"));
    assert_text(ID, "T1");
    assert_text(CARD, "596");
    assert_text(COUNTRY, "DE");
    assert_true(tx.time_us == INT64_C(1522540831250000));
    assert_true(tx.values[TIME].number == 1522540831.25);
    assert_true(tx.values[AMOUNT].number == 57.16);
    assert_true(tx.values[ONLINE].number == 1);
    assert_true(tx.values[OPENED].number == 82800);
}

static void leaves_missing_values_missing(void **state)
{
    (void)state;
    static const char text[] = "{\"tx_id\":1,\"ts\":0,\"amount\":-0.0,\"online\":null,\"merchant\":null}";
    assert_int_equal(decode_transaction(schema, text, sizeof text - 1, &tx, &consumed, &fault), STATUS_OK);
    assert_text(ID, "1");
    assert_true(isnan(tx.values[ONLINE].number));
    assert_true(isnan(tx.values[OPENED].number));
    assert_null(tx.values[CARD].text.data);
    assert_null(tx.values[COUNTRY].text.data);
}

static void finds_keys_written_with_escapes(void **state)
{
    (void)state;
    static const char text[] = "{\"tx\\u005fid\":\"a\",\"ts\":1,\"\\u0061mount\":2}";
    assert_int_equal(decode_transaction(schema, text, sizeof text - 1, &tx, &consumed, &fault), STATUS_OK);
    assert_true(tx.values[AMOUNT].number == 2);
}

static void refuses_broken_json(void **state)
{
    (void)state;
    refused("", DECODE_EMPTY, -1, 0, false);
    refused(" \n", DECODE_EMPTY, -1, 2, false);
    refused("{", DECODE_TRUNCATED, -1, 1, false);
    refused("{\"tx_id\":\"T1", DECODE_TRUNCATED, -1, 12, false);
    refused("{\"tx_id\":\"T\\u00", DECODE_TRUNCATED, -1, 15, false);
    refused("{\"a\":tru", DECODE_TRUNCATED, -1, 8, false);
    refused("{\"a\":-", DECODE_TRUNCATED, -1, 6, false);
    refused("{\"a\":[1,", DECODE_TRUNCATED, -1, 8, false);
    refused("{\"a\":tru}", DECODE_SYNTAX, -1, 5, false);
    refused("{\"a\" 1}", DECODE_SYNTAX, -1, 5, false);
    refused("{\"a\":1,}", DECODE_SYNTAX, -1, 7, false);
    refused("{\"a\":[1,]}", DECODE_SYNTAX, -1, 8, false);
    refused("{a:1}", DECODE_SYNTAX, -1, 1, false);
    refused("{\"a\":01}", DECODE_NUMBER, -1, 5, false);
    refused("{\"a\":1.}", DECODE_NUMBER, -1, 7, false);
    refused("{\"a\":NaN}", DECODE_SYNTAX, -1, 5, false);
    refused("{\"a\":\"\x01\"}", DECODE_SYNTAX, -1, 6, false);
    refused("{\"a\":\"\\x\"}", DECODE_ESCAPE, -1, 6, false);
    refused("{\"a\":\"\\ud800\"}", DECODE_ESCAPE, -1, 6, false);
    refused("{\"a\":\"\\udc00\\ud800\"}", DECODE_ESCAPE, -1, 6, false);
    refused("{\"a\":\"\xff\"}", DECODE_UTF8, -1, 6, false);
    refused("{\"a\":\"\xc0\xaf\"}", DECODE_UTF8, -1, 6, false);         /* overlong */
    refused("{\"a\":\"\xed\xa0\x80\"}", DECODE_UTF8, -1, 6, false);     /* a surrogate */
    refused("{\"a\":\"\xf4\x90\x80\x80\"}", DECODE_UTF8, -1, 6, false); /* above U+10FFFF */
    refused("}", DECODE_SYNTAX, -1, 0, false);
}

static void refuses_what_breaks_the_schema_and_finds_its_end(void **state)
{
    (void)state;
    refused("[1,2]", DECODE_NOT_OBJECT, -1, 0, true);
    refused("\"x\"", DECODE_NOT_OBJECT, -1, 0, true);
    refused("{\"ts\":1,\"amount\":2}", DECODE_MISSING, ID, 0, true);
    refused("{\"tx_id\":\"a\",\"ts\":1,\"amount\":null}", DECODE_MISSING, AMOUNT, 29, true);
    refused("{\"tx_id\":\"a\",\"ts\":1,\"amount\":\"5\"}", DECODE_TYPE, AMOUNT, 29, true);
    refused("{\"tx_id\":\"a\",\"ts\":1,\"amount\":true}", DECODE_TYPE, AMOUNT, 29, true);
    refused("{\"tx_id\":\"a\",\"ts\":1,\"amount\":[1]}", DECODE_TYPE, AMOUNT, 29, true);
    refused("{\"tx_id\":\"a\",\"ts\":1,\"amount\":1e999}", DECODE_NUMBER, AMOUNT, 29, true);
    refused("{\"tx_id\":1.5,\"ts\":1,\"amount\":1}", DECODE_TYPE, ID, 9, true);
    refused("{\"tx_id\":\"\",\"ts\":1,\"amount\":1}", DECODE_TEXT_EMPTY, ID, 9, true);
    refused("{\"tx_id\":1,\"tx_id\":2,\"ts\":1,\"amount\":1}", DECODE_DUPLICATE, ID, 11, true);
    refused("{\"merchant\":{},\"merchant\":{}}", DECODE_DUPLICATE, COUNTRY, 15, true);
    refused("{\"merchant\":5}", DECODE_TYPE, COUNTRY, 12, true);
    refused("{\"tx_id\":1,\"ts\":-1,\"amount\":1}", DECODE_TIME_RANGE, TIME, 16, true);
    refused("{\"tx_id\":1,\"ts\":1e300,\"amount\":1}", DECODE_TIME_RANGE, TIME, 16, true);
    refused("{\"tx_id\":1,\"ts\":\"1970\",\"amount\":1}", DECODE_TYPE, TIME, 16, true);
    refused("{\"merchant\":{\"since\":{\"opened\":\"1970-02-30T00:00:00Z\"}}}", DECODE_TIME_FORMAT, OPENED, 31, true);
}

static void limits_length_and_depth(void **state)
{
    (void)state;
    char text[4096];
    int at = snprintf(text, sizeof text, "{\"tx_id\":\"");
    memset(text + at, 'x', 257);
    memcpy(text + at + 257, "\"}", 3);
    refused(text, DECODE_TEXT_TOO_LONG, ID, 9, true);
    memcpy(text + at + 256, "\",\"ts\":1,\"amount\":1}", 21);
    assert_int_equal(decode_bytes(text, strlen(text)), STATUS_OK);
    for (int depth = 62; depth <= 66; depth++) {
        at = snprintf(text, sizeof text, "{\"tx_id\":1,\"ts\":1,\"amount\":1,\"deep\":");
        memset(text + at, '[', (size_t)depth);
        memset(text + at + depth, ']', (size_t)depth);
        memcpy(text + at + 2 * depth, "}", 2);
        assert_int_equal(decode_bytes(text, strlen(text)), depth + 1 <= DECODE_DEPTH_MAX ? STATUS_OK : STATUS_INVALID);
        if (depth + 1 > DECODE_DEPTH_MAX)
            assert_int_equal(fault.reason, DECODE_DEPTH);
    }
}

static void describes_a_fault_without_the_value(void **state)
{
    (void)state;
    static const char text[] = "{\"tx_id\":\"a\",\"ts\":1,\"amount\":\"4929123456781234\"}";
    assert_int_equal(decode_transaction(schema, text, sizeof text - 1, &tx, &consumed, &fault), STATUS_INVALID);
    struct buf out = {0};
    decode_fault_describe(schema, &fault, &out);
    assert_string_equal(buf_text(&out), "field \"amount\" (offset 29): the value has the wrong type, a number is needed");
    buf_free(&out);
}

static void refuses_bad_schemas(void **state)
{
    (void)state;
    struct schema *none = NULL;
    struct error err;
    struct field bad[3] = {fields[ID], fields[TIME], fields[AMOUNT]};
    assert_int_equal(schema_create(bad + 1, 2, &none, &err), STATUS_INVALID); /* no id */
    assert_int_equal(schema_create(bad, 1, &none, &err), STATUS_INVALID);     /* no time */
    bad[2].path = "ts.x";
    assert_int_equal(schema_create(bad, 3, &none, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "exclude each other"));
    bad[2].path = "ts";
    assert_int_equal(schema_create(bad, 3, &none, &err), STATUS_INVALID);
    bad[2].path = "a..b";
    assert_int_equal(schema_create(bad, 3, &none, &err), STATUS_INVALID);
    bad[2].path = "x";
    bad[2].name = "id";
    assert_int_equal(schema_create(bad, 3, &none, &err), STATUS_INVALID);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_transaction),
        cmocka_unit_test(leaves_missing_values_missing),
        cmocka_unit_test(finds_keys_written_with_escapes),
        cmocka_unit_test(refuses_broken_json),
        cmocka_unit_test(refuses_what_breaks_the_schema_and_finds_its_end),
        cmocka_unit_test(limits_length_and_depth),
        cmocka_unit_test(describes_a_fault_without_the_value),
        cmocka_unit_test(refuses_bad_schemas),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
