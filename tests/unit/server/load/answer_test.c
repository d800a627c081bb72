/* HTTP answers, whole and in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/load/answer.h"

/* Feeds text in pieces of so many bytes; returns the state, and in *used what the answer took. */
static enum answer_state feed(struct answer *a, const char *text, size_t len, size_t piece, size_t *used)
{
    enum answer_state state = ANSWER_MORE;
    answer_begin(a);
    for (*used = 0; state == ANSWER_MORE && *used < len;) {
        size_t n, left = len - *used;
        state = answer_feed(a, text + *used, left < piece ? left : piece, &n);
        assert_true(n <= piece && (n > 0 || state != ANSWER_MORE));
        *used += n;
    }
    return state;
}

static void answers_are_taken_in_any_pieces(void **state)
{
    (void)state;
    static const struct {
        const char *text, *body;
        int status;
        bool close;
    } good[] = {
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, false},
        {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\ncontent-length:2\r\nConnection: close\r\n\r\n{}", "{}", 429, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: 1\r\n\r\n", "hello world", 200, false},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 200, false},
        {"HTTP/1.1 204 No Content\r\n\r\n", "", 204, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", 200, true},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", "x", 200, false},
        {"HTTP/1.1 500\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "x", 500, false},
        {"HTTP/1.1 200 OK\nContent-Length: 2\n\nab", "ab", 200, false},
    };
    struct answer a = {.status = 0};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[512];
        int len = snprintf(text, sizeof text, "%sHTTP/1.1 ", good[i].text); /* the next answer follows */
        for (size_t piece = 1; piece <= (size_t)len; piece++) {
            size_t used;
            assert_int_equal(feed(&a, text, (size_t)len, piece, &used), ANSWER_DONE);
            assert_int_equal(used, strlen(good[i].text));
            assert_int_equal(a.status, good[i].status);
            assert_int_equal(a.close, good[i].close);
            assert_string_equal(buf_text(&a.body), good[i].body);
        }
    }
    answer_free(&a);
}

static void a_body_without_a_length_ends_with_the_connection(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 200 OK\r\n\r\nall of it";
    struct answer a = {.status = 0};
    size_t used;
    assert_int_equal(feed(&a, text, sizeof text - 1, 4, &used), ANSWER_MORE);
    assert_int_equal(answer_end(&a), ANSWER_DONE);
    assert_string_equal(buf_text(&a.body), "all of it");
    assert_true(a.close);
    answer_free(&a);
}

static void an_answer_cut_short_is_no_answer(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell";
    struct answer a = {.status = 0};
    for (size_t len = 0; len < sizeof text - 1; len++) {
        size_t used;
        assert_int_equal(feed(&a, text, len, 7, &used), ANSWER_MORE);
        assert_int_equal(answer_end(&a), ANSWER_BROKEN);
    }
    answer_free(&a);
}

static void what_is_no_answer_is_broken(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "HTTP/2 200 OK\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 099 OK\r\n", "\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
        "HTTP/1.1 200 OK\r\nno header\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "HTTP/1.1 200 OK\r\nContent-Length: \r\n",
    };
    struct answer a = {.status = 0};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (size_t piece = 1; piece < 40; piece += 3) {
            size_t used;
            assert_int_equal(feed(&a, wrong[i], strlen(wrong[i]), piece, &used), ANSWER_BROKEN);
        }
    }
    answer_free(&a);
}

static void endless_headers_are_broken(void **state)
{
    (void)state;
    struct answer a = {.status = 0};
    size_t used;
    static const char first[] = "HTTP/1.1 200 OK\r\n", line[] = "X-Filler: 0123456789012345678901234567890123456789\r\n";
    answer_begin(&a);
    enum answer_state last = answer_feed(&a, first, sizeof first - 1, &used);
    int n = 0;
    for (; last == ANSWER_MORE && n < 10000; n++)
        last = answer_feed(&a, line, sizeof line - 1, &used);
    assert_int_equal(last, ANSWER_BROKEN);
    assert_true(n < 2000);
    answer_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_taken_in_any_pieces),
        cmocka_unit_test(a_body_without_a_length_ends_with_the_connection),
        cmocka_unit_test(an_answer_cut_short_is_no_answer),
        cmocka_unit_test(what_is_no_answer_is_broken),
        cmocka_unit_test(endless_headers_are_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
