#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "model/base/clock.h"
#include "server/log.h"

/* Sends stderr to a file until captured(); the lines written are then in *lines. */
static char capture_path[] = "/tmp/assay_log_XXXXXX";
static int real_stderr;

static void capture(void)
{
    (void)snprintf(capture_path, sizeof capture_path, "/tmp/assay_log_XXXXXX");
    int fd = mkstemp(capture_path);
    assert_true(fd >= 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    (void)close(fd);
}

static void captured(struct buf *lines)
{
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(real_stderr);
    assert_int_equal(buf_read_file(lines, capture_path, 1 << 20, NULL), STATUS_OK);
    (void)buf_text(lines);
    (void)unlink(capture_path);
}

static void logfmt_quotes_what_needs_it(void **state)
{
    (void)state;
    struct buf lines = {0};
    log_setup(LOG_INFO, LOG_LOGFMT);
    capture();
    log_info("test.plain", LOG_TEXT("topic", "tx-in"), LOG_INT("partitions", -3), LOG_REAL("share", 0.25));
    log_warn("test.quoted", LOG_TEXT("why", "no \"such\" file\nat all"), LOG_TEXT("empty", ""), LOG_TEXT("none", NULL));
    log_debug("test.hidden", LOG_INT("n", 1));
    captured(&lines);
    assert_non_null(strstr(lines.data, "Z level=info event=test.plain topic=tx-in partitions=-3 share=0.25\n"));
    assert_non_null(strstr(lines.data, "level=warn event=test.quoted why=\"no \\\"such\\\" file\\u000aat all\" empty=\"\" none=\"\"\n"));
    assert_null(strstr(lines.data, "hidden"));
    assert_memory_equal(lines.data, "time=20", 7);
    buf_free(&lines);
}

static void json_lines_are_json(void **state)
{
    (void)state;
    struct buf lines = {0};
    log_setup(LOG_DEBUG, LOG_JSON);
    capture();
    log_debug("test.json", LOG_TEXT("text", "caf\xC3\xA9 \x01 \"q\" \xFF\xC3"), LOG_INT("n", INT64_MIN), LOG_REAL("nan", NAN));
    captured(&lines);
    json_error_t fault;
    json_t *line = json_loadb(lines.data, lines.len, 0, &fault);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "text")), "caf\xC3\xA9 \x01 \"q\" ??");
    assert_string_equal(json_string_value(json_object_get(line, "level")), "debug");
    assert_true(json_integer_value(json_object_get(line, "n")) == INT64_MIN);
    assert_true(json_is_null(json_object_get(line, "nan")));
    json_decref(line);
    buf_free(&lines);
}

static void card_numbers_are_masked(void **state)
{
    (void)state;
    struct buf lines = {0};
    log_setup(LOG_INFO, LOG_LOGFMT);
    capture();
    log_info("test.card", LOG_TEXT("why", "key 4111111111111111 refused"), LOG_TEXT("other", "4111111111111112"),
             LOG_TEXT("short", "18"), LOG_TEXT("amex", "x378282246310005"));
    captured(&lines);
    assert_non_null(strstr(lines.data, "why=\"key ************1111 refused\" other=4111111111111112 short=18 amex=x***********0005"));
    buf_free(&lines);
}

static void long_text_is_cut_at_a_character(void **state)
{
    (void)state;
    struct buf lines = {0};
    char text[6001];
    for (size_t i = 0; i < 6000; i += 3)
        memcpy(text + i, "\xE2\x82\xAC", 3);
    text[6000] = '\0';
    log_setup(LOG_INFO, LOG_JSON);
    capture();
    log_info("test.long", LOG_TEXT("text", text));
    captured(&lines);
    json_t *line = json_loadb(lines.data, lines.len, 0, NULL);
    assert_non_null(line);
    json_decref(line);
    assert_true(lines.len < 3000);
    buf_free(&lines);
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

static void repeats_are_counted_and_reported(void **state)
{
    (void)state;
    struct buf lines = {0};
    log_setup(LOG_INFO, LOG_LOGFMT);
    /* Begin at the start of a second, so that all lines fall into it. */
    int64_t into = clock_monotonic_ns() % 1000000000;
    (void)usleep((useconds_t)((1000000000 - into) / 1000 + 1000));
    capture();
    for (int i = 0; i < 500; i++)
        log_warn("test.storm", LOG_INT("i", i));
    log_info("test.calm", LOG_INT("i", 1));
    (void)usleep(1100000);
    log_info("test.later", LOG_INT("i", 2));
    captured(&lines);
    assert_int_equal(count(lines.data, "event=test.storm"), 10);
    assert_int_equal(count(lines.data, "event=test.calm"), 1);
    assert_non_null(strstr(lines.data, "level=warn event=log.repeated repeated=test.storm lines=490\n"));
    buf_free(&lines);
}

static void *chat(void *context)
{
    for (int i = 0; i < 50; i++)
        log_info(context, LOG_TEXT("text", "some words that make the line long enough to be torn"), LOG_INT("i", i));
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    struct buf lines = {0};
    pthread_t threads[4];
    static char names[4][16] = {"chat.one", "chat.two", "chat.three", "chat.four"};
    log_setup(LOG_INFO, LOG_JSON);
    capture();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, chat, names[i]), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    captured(&lines);
    size_t n = 0;
    for (char *at = lines.data; *at; n++) {
        char *end = strchr(at, '\n');
        assert_non_null(end);
        json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);
        assert_non_null(line);
        json_decref(line);
        at = end + 1;
    }
    assert_true(n >= 40);
    buf_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt_quotes_what_needs_it),      cmocka_unit_test(json_lines_are_json),
        cmocka_unit_test(card_numbers_are_masked),          cmocka_unit_test(long_text_is_cut_at_a_character),
        cmocka_unit_test(repeats_are_counted_and_reported), cmocka_unit_test(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
