/* The scanner by itself: strings whatever their length, place and content, and values cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/input/scan.h"

static struct scan scan(const char *text, size_t len)
{
    return (struct scan){.at = text, .start = text, .end = text + len};
}

/* Strings of every length up to a few vectors, with what follows near or far: the fast way and the careful way agree. */
static void finds_the_end_of_a_string_of_any_length(void **state)
{
    (void)state;
    for (size_t n = 0; n < 70; n++) {
        for (size_t after = 0; after < 20; after++) {
            char *text = test_malloc(n + 2 + after); /* no byte to spare: the sanitizer sees a read beyond */
            memset(text, 'x', n + 2 + after);
            text[0] = text[n + 1] = '"';
            struct scan s = scan(text, n + 2 + after);
            struct scan_text out;
            assert_true(scan_string(&s, &out));
            assert_true(out.data == text + 1 && out.len == n && !out.escaped && s.at == text + n + 2);
            test_free(text);
        }
    }
}

/* One byte of every kind at every place of a string. */
static void judges_each_byte_at_each_place(void **state)
{
    (void)state;
    char text[48];
    for (size_t n = 1; n < 40; n++) {
        for (size_t at = 0; at < n; at++) {
            for (int byte = 0; byte < 256; byte++) {
                memset(text, 'x', sizeof text);
                text[0] = text[n + 1] = '"';
                text[at + 1] = (char)byte;
                struct scan s = scan(text, n + 2);
                struct scan_text out;
                bool taken = scan_string(&s, &out);
                if (byte == '"')
                    assert_true(taken && out.len == at);
                else if (byte >= 0x20 && byte < 0x80 && byte != '\\')
                    assert_true(taken && out.len == n);
                else if (byte != '\\')
                    assert_true(!taken && s.reason == (byte < 0x20 ? DECODE_SYNTAX : DECODE_UTF8) && s.at == text + at + 1);
                else
                    assert_true(!taken); /* \x and, at the end, an escaped quote with nothing after it */
            }
        }
    }
}

static void unescapes_is(const char *text, const char *want, size_t len)
{
    char out[64];
    struct scan s = scan(text, strlen(text));
    struct scan_text string;
    assert_true(scan_string(&s, &string));
    assert_int_equal(scan_unescape(&string, out, sizeof out), len);
    assert_memory_equal(out, want, len);
    for (size_t cap = 0; cap < len; cap++)
        assert_true(scan_unescape(&string, out, cap) == SIZE_MAX);
}

static void unescapes(void **state)
{
    (void)state;
    unescapes_is("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    unescapes_is("\"\\u0000a\\u001F\"", "\0a\x1f", 3);
    unescapes_is("\"\\u007f\\u0080\\u07FF\\u0800\\uffff\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11);
    unescapes_is("\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8);
    unescapes_is("\"Z\xc3\xbcrich\\u002c \xe6\x97\xa5\"", "Z\xc3\xbcrich, \xe6\x97\xa5", 12);
}

/* Every code point in UTF-8 is taken, and its neighbours that are none are refused. */
static void knows_utf8(void **state)
{
    (void)state;
    for (uint32_t first = 0x80; first < 0x100; first++) {
        for (uint32_t second = 0; second < 0x100; second++) {
            for (uint32_t third = 0x7f; third < 0xc1; third += 0x20) {
                char text[] = {'"', (char)first, (char)second, (char)third, (char)0x80, '"', '"', '"'};
                uint32_t two = (first & 0x1f) << 6 | (second & 0x3f), three = (first & 0xf) << 12 | (second & 0x3f) << 6 | (third & 0x3f);
                uint32_t four = (first & 7) << 18 | (second & 0x3f) << 12 | (third & 0x3f) << 6;
                bool follows = (second & 0xc0) == 0x80, follows2 = follows && (third & 0xc0) == 0x80;
                size_t good = first >= 0xc0 && first < 0xe0   ? (follows && two >= 0x80 ? 2 : 0)
                              : first >= 0xe0 && first < 0xf0 ? (follows2 && three >= 0x800 && (three < 0xd800 || three > 0xdfff) ? 3 : 0)
                              : first >= 0xf0 && first < 0xf8 ? (follows2 && four >= 0x10000 && four <= 0x10ffff ? 4 : 0)
                                                              : 0;
                text[1 + (good ? good : 4)] = '"';
                struct scan s = scan(text, sizeof text);
                struct scan_text out;
                bool taken = scan_string(&s, &out);
                if (taken != (good > 0) || (taken && out.len != good) || (!taken && s.reason != DECODE_UTF8))
                    fail_msg("%02x %02x %02x: %s", first, second, third, taken ? "taken" : decode_reason_label(s.reason));
            }
        }
    }
}

/* A document that is cut anywhere is truncated, not broken: that is what someone who waits for more bytes must know. */
static void calls_a_cut_document_truncated(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1.5e+7,-0,true,false,null,\"\\u00e9\\ud83d\\ude00\\n\"],\"Z\xc3\xbcrich \xf0\x9f\x98\x80\":{\"\":{}}}";
    struct scan whole = scan(text, sizeof text - 1);
    assert_true(scan_skip_value(&whole, 0) && whole.at == whole.end);
    for (size_t len = 0; len < sizeof text - 1; len++) {
        char *copy = test_malloc(len + 1);
        memcpy(copy, text, len);
        struct scan s = scan(copy, len);
        if (scan_skip_value(&s, 0) || s.reason != DECODE_TRUNCATED || s.at != s.end)
            fail_msg("%.*s: %s at %d", (int)len, text, decode_reason_label(s.reason), (int)(s.at - s.start));
        test_free(copy);
    }
}

static void skips_what_is_deep_but_not_deeper(void **state)
{
    (void)state;
    char text[2 * DECODE_DEPTH_MAX + 8];
    for (size_t depth = 1; depth <= DECODE_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        struct scan s = scan(text, 2 * depth);
        assert_int_equal(scan_skip_value(&s, 0), depth <= DECODE_DEPTH_MAX);
        s = scan(text, 2 * depth);
        assert_int_equal(scan_skip_value(&s, 3), depth + 3 <= DECODE_DEPTH_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_end_of_a_string_of_any_length),
        cmocka_unit_test(judges_each_byte_at_each_place),
        cmocka_unit_test(unescapes),
        cmocka_unit_test(knows_utf8),
        cmocka_unit_test(calls_a_cut_document_truncated),
        cmocka_unit_test(skips_what_is_deep_but_not_deeper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
