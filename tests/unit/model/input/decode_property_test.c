/*
 * Random documents, whole and mutated, through our decoder and jansson. Seeded; a failure prints the document.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/decode_oracle.h"

enum { DOCUMENTS = 200000, TEXT_MAX = 2048 };

static uint64_t state64 = 20261123;

static uint32_t below(uint32_t n) /* splitmix64 */
{
    uint64_t z = state64 += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % n);
}

static char text[TEXT_MAX + 64];
static size_t len;

static void put(const char *s)
{
    size_t n = strlen(s);
    if (len + n < TEXT_MAX) {
        memcpy(text + len, s, n);
        len += n;
    }
}

#define PICK(...) pick((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static const char *pick(const char *const *words, size_t n)
{
    return words[below((uint32_t)n)];
}

static void put_space(void)
{
    if (below(8) == 0)
        put(PICK(" ", "\n", "\t", "\r\n", "  "));
}

static void put_number(void)
{
    char number[64];
    switch (below(4)) {
    case 0:
        (void)snprintf(number, sizeof number, "%d", (int)below(2000000) - 1000);
        break;
    case 1:
        (void)snprintf(number, sizeof number, "%d.%02d", (int)below(5000), (int)below(100));
        break;
    case 2:
        (void)snprintf(number, sizeof number, "%u.%ue%d", below(10), below(1000000), (int)below(80) - 40);
        break;
    default:
        put(PICK("0", "-0", "-0.0", "1522540831", "1522540831.123456", "9007199254740993", "1e400", "1E5", "123456789012345678", "-1"));
        return;
    }
    put(number);
}

static void put_string(void)
{
    put("\"");
    for (uint32_t n = below(5); n > 0; n--)
        put(PICK("a", "Z9", "DE", "Zürich", "\\u00e9", "\\ud83d\\ude00", "\\\\", "\\\"", "\\n", "日本", "😀", "card 4929-1234-5678", "\\u0000"));
    put("\"");
}

static void put_value(int depth)
{
    put_space();
    switch (below(depth > 4 ? 4 : 6)) {
    case 0:
        put(PICK("null", "true", "false"));
        break;
    case 1:
        put_number();
        break;
    case 2:
    case 3:
        put_string();
        break;
    case 4:
        put("[");
        for (uint32_t n = below(4); n > 0; n--) {
            put_value(depth + 1);
            put(n > 1 ? "," : "");
        }
        put("]");
        break;
    default:
        put("{");
        for (uint32_t n = below(4); n > 0; n--) {
            put(PICK("\"a\"", "\"country\"", "\"city\"", "\"a\\u0062c\"", "\"a long key of an unknown field\"", "\"x\""));
            put(":");
            put_value(depth + 1);
            put(n > 1 ? "," : "");
        }
        put("}");
    }
    put_space();
}

/* A value that mostly fits the field. */
static void put_member(const char *name, int kind)
{
    put("\"");
    put(name);
    put("\":");
    put_space();
    if (below(20) == 0)
        put_value(1);
    else if (kind == 'n')
        put_number();
    else if (kind == 's')
        put_string();
    else
        put(PICK("true", "false", "null"));
    put(",");
}

static void put_document(void)
{
    len = 0;
    put_space();
    put("{");
    if (below(30))
        put_member("id", below(2) ? 's' : 'n');
    if (below(4) == 0)
        put_member("unknown", 's');
    if (below(30))
        put_member("ts", 'n');
    put_member("card", below(2) ? 's' : 'n');
    put_member(below(10) ? "amount" : "amo\\u0075nt", 'n');
    if (below(3))
        put_member("online", 'b');
    put(PICK("\"m\":{\"country\":\"DE\",\"a\":{\"city\":\"Ulm\"}}", "\"m\":{\"a\":{\"x\":[{}],\"city\":\"\"}}",
             "\"m\":{\"a\":{\"city\":\"\\u00dcberlingen\",\"z\":1}, \"country\" : null}", "\"m\":null", "\"m\":{\"a\":7}", "\"z\":[]"));
    put("}");
    put(PICK("", "", "\n", " x", ","));
}

static void mutate(void)
{
    for (uint32_t n = 1 + below(3); n > 0 && len > 1; n--) {
        uint32_t at = below((uint32_t)len);
        switch (below(4)) {
        case 0:
            text[at] = (char)below(256);
            break;
        case 1: /* drop a byte */
            memmove(text + at, text + at + 1, len - at - 1);
            len--;
            break;
        case 2: /* double a byte */
            memmove(text + at + 1, text + at, len - at);
            len++;
            break;
        default: /* cut */
            len = at;
        }
    }
}

static void agrees_with_jansson(void **state)
{
    (void)state;
    const char *all = getenv("ASSAY_TEST_ALL"); /* the long tests try ten times as many */
    int documents = all && *all ? 10 * DOCUMENTS : DOCUMENTS;
    decode_oracle_open();
    for (int i = 0; i < documents; i++) {
        put_document();
        if (i % 2)
            mutate();
        char *copy = test_malloc(len ? len : 1); /* exactly as long, so that the sanitizer sees a read beyond */
        memcpy(copy, text, len);
        const char *difference = decode_oracle_compare(copy, len);
        test_free(copy);
        if (difference)
            fail_msg("document %d: %s: %.*s", i, difference, (int)len, text);
    }
    decode_oracle_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_jansson)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
