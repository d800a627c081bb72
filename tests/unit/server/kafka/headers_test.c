#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/kafka/headers.h"

static void the_source_is_topic_partition_offset(void **state)
{
    (void)state;
    static const struct {
        int32_t partition;
        int64_t offset;
        const char *text;
    } cases[] = {
        {0, 0, "tx/0/0"}, {7, 1234567890123, "tx/7/1234567890123"}, {INT32_MAX, INT64_MAX, "tx/2147483647/9223372036854775807"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[2 + SOURCE_DIGITS + 1] = "";
        size_t len = headers_source(out, "tx", 2, cases[i].partition, cases[i].offset);
        assert_true(len <= 2 + SOURCE_DIGITS);
        out[len] = '\0';
        assert_string_equal(out, cases[i].text);
    }
}

enum { NAMES_MAX = 512 };

/* The names, each with a space behind it; out has NAMES_MAX bytes. */
static void names(const rd_kafka_headers_t *headers, char *out)
{
    const char *name;
    const void *value;
    size_t size;
    out[0] = '\0';
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        assert_true(strlen(out) + strlen(name) + 2 <= NAMES_MAX);
        memcpy(out + strlen(out), name, strlen(name) + 1);
        memcpy(out + strlen(out), " ", 2);
    }
}

static void only_our_headers_are_taken_off(void **state)
{
    (void)state;
    static const char *const all[] = {"assay-model", "traceparent", "assay-source", "assay-source", "assay", "x-assay-model",
                                      "assay-of-another-maker-with-a-name-too-long-to-be-one-of-ours-at-all"};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_int_equal(headers_add(headers, all[i], "v", 1), STATUS_OK);
    headers_strip(headers);
    char left[NAMES_MAX];
    names(headers, left);
    assert_string_equal(left, "traceparent assay x-assay-model assay-of-another-maker-with-a-name-too-long-to-be-one-of-ours-at-all ");
    rd_kafka_headers_destroy(headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_source_is_topic_partition_offset),
        cmocka_unit_test(only_our_headers_are_taken_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
