/*
 * The pull reader over both formats: what is read, what is refused, and where the message says it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/document.h"

#define BYTES(text) text, sizeof text - 1

struct reader {
    struct document d;
    struct import_memory memory;
    struct error err;
};

static void open_bytes(struct reader *r, const struct document_format *format, const void *data, size_t len)
{
    r->memory = import_memory_of(len);
    document_open(&r->d, format, data, len, &r->memory, &r->err);
}

static void open_json(struct reader *r, const char *text)
{
    open_bytes(r, &document_json, text, strlen(text));
}

static void assert_refused(struct reader *r, const char *words)
{
    assert_int_not_equal(document_finish(&r->d), STATUS_OK);
    if (!strstr(r->err.message, words))
        fail_msg("'%s' is not in: %s", words, r->err.message);
}

/* Skips the whole of a document, and says whether it is well formed. */
static bool skips(const struct document_format *format, const void *data, size_t len)
{
    struct reader r;
    open_bytes(&r, format, data, len);
    (void)document_skip(&r.d);
    return document_finish(&r.d) == STATUS_OK;
}

static void reads_json(void **state)
{
    (void)state;
    struct reader r;
    struct span key, text;
    struct f32s floats = {0};
    struct i32s whole = {0};
    int64_t number = 0;
    double wide = 0;
    open_json(&r, " {\"a\" : [1.5, -0E0,NaN,\n-Infinity] ,\"b\\u0041\":\"x\\\"\\ud83d\\ude00\\n\",\"c\":[true,false,-7],\"d\":-12,\"e\":0.1,"
                  "\"f\":{\"g\":[{},[],null]}}\n");
    assert_true(document_object(&r.d) && document_key(&r.d, &key) && span_equal(key, "a", 1));
    assert_true(document_f32s(&r.d, &floats) && floats.size == 4);
    assert_true(floats.items[0] == 1.5f && signbit(floats.items[1]) && isnan(floats.items[2]) && floats.items[3] == -INFINITY);
    assert_true(document_key(&r.d, &key) && span_equal(key, "bA", 2));
    assert_true(document_text(&r.d, &text) && span_equal(text, "x\"\xf0\x9f\x98\x80\n", 7));
    assert_true(document_key(&r.d, &key) && document_i32s(&r.d, &whole) && whole.size == 3);
    assert_true(whole.items[0] == 1 && whole.items[1] == 0 && whole.items[2] == -7);
    assert_true(document_key(&r.d, &key) && document_i64(&r.d, &number) && number == -12);
    assert_true(document_key(&r.d, &key) && document_f64(&r.d, &wide) && wide == 0.1);
    assert_true(document_key(&r.d, &key) && document_skip(&r.d));
    assert_false(document_key(&r.d, &key));
    assert_int_equal(document_finish(&r.d), STATUS_OK);
    free(floats.items);
    free(whole.items);
}

static void rounds_once_to_float32(void **state)
{
    (void)state;
    struct reader r;
    float value = 0;
    /* Just above half way between two floats; as a double it is half way exactly, and would round to even, down. */
    open_json(&r, "1.000000059604644775390626");
    assert_true(document_f32(&r.d, &value));
    assert_true(value == 1.0f + 0x1p-23f);
    assert_int_equal(document_finish(&r.d), STATUS_OK);
}

static void refuses_broken_json(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",       "{",         "[1,]",      "[1 2]",  "{\"a\":1,}", "{\"a\" 1}", "{a:1}",       "[1]]",  "\"\x01\"", "\"abc",
        "\"\\",   "nul",       "nulls",     "truex",  "+1",         "NaNx",      "[1,2",        "{\"a\"", "{\"a\":", "[,1]",
        "1 2",    "[1}",       "{\"a\":1]", "--",     "{,}",        "]",         "\"a\\\"",     ":",      "1.5.x",   "'a'",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        if (skips(&document_json, broken[i], strlen(broken[i])))
            fail_msg("accepted: %s", broken[i]);
    }
    assert_true(skips(&document_json, BYTES("[{\"a\":[]},NaN,-1.5e3,\"\\u00e9\"]  ")));
}

static void refuses_broken_texts(void **state)
{
    (void)state;
    static const char *const broken[] = {"\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\xc0\x80\"",
                                         "\"\xed\xa0\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xe2\x82\"", "\"\xff\""};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct reader r;
        struct span text;
        open_json(&r, broken[i]);
        if (document_text(&r.d, &text))
            fail_msg("accepted: %s", broken[i]);
        assert_int_not_equal(document_finish(&r.d), STATUS_OK);
    }
}

static void names_the_place(void **state)
{
    (void)state;
    struct reader r;
    struct span key;
    struct i32s whole = {0};
    open_json(&r, "{\"trees\":[[1],[1,2,1.5]]}");
    assert_true(document_object(&r.d) && document_key(&r.d, &key) && document_array(&r.d));
    while (document_item(&r.d))
        (void)document_i32s(&r.d, &whole);
    free(whole.items);
    assert_refused(&r, "trees[1][2], byte 19: a whole number is expected");
    open_json(&r, "[3000000000]");
    whole = (struct i32s){0};
    assert_false(document_i32s(&r.d, &whole));
    free(whole.items);
    assert_refused(&r, "3000000000 is out of range");
}

static void reads_ubj(void **state)
{
    (void)state;
    static const char data[] = "{"
                               "i\1a[$d#i\2\x3f\xc0\0\0\x7f\xc0\0\0"       /* 1.5, NaN */
                               "i\1b[#U\3i\xffI\1\0T"                       /* -1, 256, true */
                               "i\1cSi\2hi"                                 /* a text */
                               "i\1d[l\0\0\0\7N]"                           /* uncounted, with a filler */
                               "i\1eD\x3f\xb9\x99\x99\x99\x99\x99\x9a"      /* 0.1 */
                               "i\1f[$L#i\1\0\0\0\0\0\0\0\5"                /* skipped */
                               "i\1g{i\1hZi\1iHi\3" "1e9}"                  /* skipped */
                               "}";
    struct reader r;
    struct span key, text;
    struct f32s floats = {0};
    struct i32s whole = {0};
    double wide = 0;
    open_bytes(&r, &document_ubj, data, sizeof data - 1);
    assert_true(document_object(&r.d) && document_key(&r.d, &key) && span_equal(key, "a", 1));
    assert_true(document_f32s(&r.d, &floats) && floats.size == 2 && floats.items[0] == 1.5f && isnan(floats.items[1]));
    assert_true(document_key(&r.d, &key) && document_i32s(&r.d, &whole) && whole.size == 3);
    assert_true(whole.items[0] == -1 && whole.items[1] == 256 && whole.items[2] == 1);
    assert_true(document_key(&r.d, &key) && document_text(&r.d, &text) && span_equal(text, "hi", 2));
    assert_true(document_key(&r.d, &key) && document_f32s(&r.d, &floats) && floats.size == 1 && floats.items[0] == 7);
    assert_true(document_key(&r.d, &key) && document_f64(&r.d, &wide) && wide == 0.1);
    assert_true(document_key(&r.d, &key) && document_skip(&r.d));
    assert_true(document_key(&r.d, &key) && span_equal(key, "g", 1) && document_skip(&r.d));
    assert_false(document_key(&r.d, &key));
    assert_int_equal(document_finish(&r.d), STATUS_OK);
    free(floats.items);
    free(whole.items);
    for (size_t len = 0; len < sizeof data - 1; len++)
        assert_false(skips(&document_ubj, data, len)); /* cut anywhere */
    assert_true(skips(&document_ubj, data, sizeof data - 1));
}

static void reads_doubles_of_both(void **state)
{
    (void)state;
    struct reader r;
    struct f64s doubles = {0};
    open_json(&r, "[0.1,NaN]");
    assert_true(document_f64s(&r.d, &doubles) && doubles.size == 2 && doubles.items[0] == 0.1 && isnan(doubles.items[1]));
    assert_int_equal(document_finish(&r.d), STATUS_OK);
    open_bytes(&r, &document_ubj, BYTES("[$D#i\1\x3f\xb9\x99\x99\x99\x99\x99\x9a"));
    assert_true(document_f64s(&r.d, &doubles) && doubles.size == 1 && doubles.items[0] == 0.1);
    assert_int_equal(document_finish(&r.d), STATUS_OK);
    free(doubles.items);
}

static void bounds_ubj_lengths(void **state)
{
    (void)state;
    assert_false(skips(&document_ubj, BYTES("[$d#L\x10\0\0\0\0\0\0\0\0\0\0\0")));
    assert_false(skips(&document_ubj, BYTES("[$d#i\2\0\0\0\0\0\0\0")));  /* 8 bytes wanted, 7 there */
    assert_false(skips(&document_ubj, BYTES("[$Z#L\x10\0\0\0\0\0\0\0"))); /* items without a byte: endless */
    assert_false(skips(&document_ubj, BYTES("[#L\x7f\xff\xff\xff\xff\xff\xff\xffZ")));
    assert_false(skips(&document_ubj, BYTES("[#i\xff")));                 /* a negative count */
    assert_false(skips(&document_ubj, BYTES("SL\xff\xff\xff\xff\xff\xff\xff\xff")));
    assert_false(skips(&document_ubj, BYTES("{#i\1i\1aZ")));              /* counted objects: not supported */
    assert_false(skips(&document_ubj, BYTES("[$d")));
    assert_true(skips(&document_ubj, BYTES("[$d#i\1\0\0\0\0")));
}

static void charges_arrays_to_the_account(void **state)
{
    (void)state;
    struct import_memory memory = {.used = 0, .limit = 1000};
    size_t capacity = 0;
    char *array = import_grow(&memory, NULL, &capacity, 900, 1);
    assert_true(array && capacity >= 900 && memory.used == capacity);
    assert_null(import_grow(&memory, array, &capacity, 1001, 1)); /* the array stays as it was */
    array = import_grow(&memory, array, &capacity, 1000, 1);
    assert_true(array && memory.used == 1000);
    array = import_shrink(&memory, array, &capacity, 10, 1);
    assert_true(array && capacity == 10 && memory.used == 10);
    array = import_shrink(&memory, array, &capacity, 0, 1);
    assert_true(!array && memory.used == 0);
    assert_int_equal(import_memory_of(SIZE_MAX / 2).limit, SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_json),
        cmocka_unit_test(rounds_once_to_float32),
        cmocka_unit_test(refuses_broken_json),
        cmocka_unit_test(refuses_broken_texts),
        cmocka_unit_test(names_the_place),
        cmocka_unit_test(reads_ubj),
        cmocka_unit_test(reads_doubles_of_both),
        cmocka_unit_test(bounds_ubj_lengths),
        cmocka_unit_test(charges_arrays_to_the_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
