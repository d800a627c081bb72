#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/load/feed.h"
#include "server/load/field.h"

static void assert_span(struct span span, const char *expected)
{
    assert_non_null(span.data);
    assert_int_equal(span.len, strlen(expected));
    assert_memory_equal(span.data, expected, span.len);
}

static void fields_are_found_as_they_stand(void **state)
{
    (void)state;
    static const char text[] = " { \"a\" : {\"id\":\"inner\"} , \"id\":\"T-1\",\"n\":-1.5e3,\"b\":true,\"l\":[1] }";
    const struct span json = {text, sizeof text - 1};
    assert_span(field_text(json, "id"), "T-1");
    assert_span(field_text(json, "n"), "-1.5e3");
    assert_span(field_text(json, "b"), "true");
    assert_null(field_text(json, "a").data);
    assert_null(field_text(json, "l").data);
    assert_null(field_text(json, "missing").data);
}

static void what_is_no_object_has_no_fields(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "[]", "{", "{\"id\"", "{\"id\":", "{\"id\":\"x", "{\"a\":}", "nonsense", "{\"a\":1 \"id\":2}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_null(field_text((struct span){texts[i], (uint32_t)strlen(texts[i])}, "id").data);
}

static void generated_ids_never_repeat_and_are_those_of_the_documents(void **state)
{
    (void)state;
    struct feed *feed;
    struct feed_item item;
    struct error err;
    assert_int_equal(feed_generated(42, &feed, &err), STATUS_OK);
    for (unsigned i = 1; i < 1000; i++) {
        char expected[32];
        feed_next(feed, &item);
        (void)snprintf(expected, sizeof expected, "42-%010u", i);
        assert_span(item.id, expected);
        assert_span(field_text(item.json, "tx_id"), expected);
        struct span key = field_text(item.json, "customer_id");
        assert_true(span_equal(item.key, key.data, key.len));
    }
    feed_free(feed);
}

static enum status open_text(const char *text, const char *id_field, struct feed **feed, struct error *err)
{
    char path[] = "/tmp/feed-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    enum status status = feed_file(path, id_field, "c", feed, err);
    (void)unlink(path);
    return status;
}

static void a_file_is_sent_again_from_its_top(void **state)
{
    (void)state;
    struct feed *feed;
    struct error err;
    struct buf body = {0};
    assert_int_equal(open_text("{\"id\":1,\"c\":\"x\"}\r\n\n{\"id\":2}", "id", &feed, &err), STATUS_OK);
    feed_body(feed, 1, &body);
    assert_string_equal(buf_text(&body), "{\"id\":1,\"c\":\"x\"}");
    assert_int_equal(feed_repeats(feed), 0);
    buf_clear(&body);
    feed_body(feed, 3, &body);
    assert_string_equal(buf_text(&body), "[{\"id\":2},{\"id\":1,\"c\":\"x\"},{\"id\":2}]");
    assert_int_equal(feed_repeats(feed), 1);
    buf_free(&body);
    feed_free(feed);
}

static void a_file_that_cannot_be_sent_is_refused(void **state)
{
    (void)state;
    struct feed *feed;
    struct error err;
    assert_int_equal(open_text("\n \n", NULL, &feed, &err), STATUS_INVALID);
    assert_int_equal(open_text("{\"id\":1}\n{\"no\":2}\n", "id", &feed, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "line 2"));
    assert_int_equal(feed_file("/nowhere/tx.jsonl", NULL, NULL, &feed, &err), STATUS_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found_as_they_stand),
        cmocka_unit_test(what_is_no_object_has_no_fields),
        cmocka_unit_test(generated_ids_never_repeat_and_are_those_of_the_documents),
        cmocka_unit_test(a_file_is_sent_again_from_its_top),
        cmocka_unit_test(a_file_that_cannot_be_sent_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
