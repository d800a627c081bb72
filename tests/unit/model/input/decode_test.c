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
    return schema_create(fields, FIELDS, &schema, &err) != STATUS_OK || transaction_init(&tx, schema, 0, &err) != STATUS_OK;
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
    refused("{\"merchant\":5}", DECODE_PARENT, COUNTRY, 12, true);
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

static void takes_integers_as_the_keys_they_spell(void **state)
{
    (void)state;
    static const char text[] = "{\"tx_id\":-0,\"ts\":1,\"customer_id\":-12345678901234567890123,\"amount\":1}";
    assert_int_equal(decode_transaction(schema, text, sizeof text - 1, &tx, &consumed, &fault), STATUS_OK);
    assert_text(ID, "0");
    assert_text(CARD, "-12345678901234567890123");
}

/* Items of an array: a bad one says where it ends, so the good ones after it are read. */
static void walks_an_array_past_bad_items(void **state)
{
    (void)state;
    static const char text[] = "[ {\"tx_id\":1,\"ts\":1,\"amount\":1} , {\"tx_id\":2,\"ts\":-1,\"x\":[{}]},7,\n"
                               "{\"tx_id\":3,\"amount\":3,\"ts\":1e0}]";
    static const enum decode_reason want[] = {DECODE_NONE, DECODE_TIME_RANGE, DECODE_NOT_OBJECT, DECODE_NONE};
    size_t at = 1, len = sizeof text - 1, items = 0;
    while (text[at - 1] != ']') {
        (void)!decode_transaction(schema, text + at, len - at, &tx, &consumed, &fault);
        assert_true(items < 4 && consumed > 0);
        assert_int_equal(fault.reason, want[items++]);
        at += consumed;
        at += decode_skip_space(text + at, len - at) + 1; /* the comma or the bracket */
    }
    assert_int_equal(items, 4);
    assert_int_equal(at, len);
    assert_text(ID, "3");
}

/* All texts as long as they may be and escaped: the arena holds them side by side. */
static void holds_the_longest_texts_unescaped(void **state)
{
    (void)state;
    struct buf b = {0};
    static const char *const before[] = {"{\"tx_id\":\"", "\",\"customer_id\":\"", "\",\"merchant\":{\"country\":\""};
    static const char *const escapes[] = {"\\u0061", "\\n", "\\\\"};
    for (size_t i = 0; i < 3; i++) {
        buf_string(&b, before[i]);
        for (int k = 0; k < TEXT_BYTES_MAX; k++)
            buf_string(&b, escapes[i]);
    }
    buf_string(&b, "\"},\"ts\":1,\"amount\":1}");
    assert_int_equal(decode_bytes(buf_text(&b), b.len), STATUS_OK);
    static const int where[] = {ID, CARD, COUNTRY};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tx.values[where[i]].text.len, TEXT_BYTES_MAX);
        for (int k = 0; k < TEXT_BYTES_MAX; k++)
            assert_int_equal(tx.values[where[i]].text.data[k], "a\n\\"[i]);
    }
    buf_clear(&b);
    buf_string(&b, before[0]);
    for (int k = 0; k <= TEXT_BYTES_MAX; k++)
        buf_string(&b, escapes[0]);
    buf_string(&b, "\"}");
    refused(buf_text(&b), DECODE_TEXT_TOO_LONG, ID, 9, true);
    buf_free(&b);
}

/* Broken JSON outweighs a broken rule before it: nothing of such a document can be trusted. */
static void reports_broken_json_over_a_broken_rule(void **state)
{
    (void)state;
    refused("{\"tx_id\":\"\",\"ts\":1,\"amount\":1", DECODE_TRUNCATED, -1, 29, false);
    refused("{\"tx_id\":\"\",\"ts\":x}", DECODE_SYNTAX, -1, 17, false);
    refused("{\"amount\":1e999,\"ts\":01}", DECODE_NUMBER, -1, 21, false);
}

static void names_each_reason_once(void **state)
{
    (void)state;
    for (int a = 0; a < DECODE_REASON_COUNT; a++) {
        for (int b = 0; b < a; b++)
            assert_string_not_equal(decode_reason_label((enum decode_reason)a), decode_reason_label((enum decode_reason)b));
    }
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
        cmocka_unit_test(takes_integers_as_the_keys_they_spell),
        cmocka_unit_test(walks_an_array_past_bad_items),
        cmocka_unit_test(holds_the_longest_texts_unescaped),
        cmocka_unit_test(reports_broken_json_over_a_broken_rule),
        cmocka_unit_test(names_each_reason_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
