/*
 * Any text as a number: we must find the same end as the JSON grammar and the same bits as the C library. And any eight
 * bytes as a double and two floats: what we write must read back to the same bits.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/input/number.h"

static size_t digits(const char *text, size_t at)
{
    while (text[at] >= '0' && text[at] <= '9')
        at++;
    return at;
}

/* The length of the JSON number at the start of a C string, 0 where there is none. */
static size_t grammar_length(const char *text)
{
    size_t start = text[0] == '-';
    size_t at = text[start] == '0' ? start + 1 : digits(text, start);
    if (at == start || (text[at] >= '0' && text[at] <= '9'))
        return 0;
    if (text[at] == '.') {
        size_t after = digits(text, at + 1);
        if (after == at + 1)
            return 0;
        at = after;
    }
    if (text[at] == 'e' || text[at] == 'E') {
        size_t sign = at + 1 + (text[at + 1] == '+' || text[at + 1] == '-');
        size_t after = digits(text, sign);
        if (after == sign)
            return 0;
        at = after;
    }
    return at;
}

static void check_reading(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *exact = malloc(size ? size : 1); /* exact: the sanitizer sees a read beyond */
    CHECK(text && exact);
    memcpy(text, data, size);
    memcpy(exact, data, size);
    text[size] = '\0';
    size_t len = grammar_length(text);
    text[len] = '\0';
    double want = strtod(text, NULL), got = 0;
    size_t used = number_read_double(exact, size, &got);
    CHECK(used == (isinf(want) ? 0 : len));
    CHECK(used == 0 || memcmp(&want, &got, sizeof got) == 0);
    float want32 = strtof(text, NULL), got32 = 0;
    used = number_read_float(exact, size, &got32);
    CHECK(used == (isinf(want32) ? 0 : len));
    CHECK(used == 0 || memcmp(&want32, &got32, sizeof got32) == 0);
    free(text);
    free(exact);
}

static void check_writing(const uint8_t *data)
{
    char out[NUMBER_TEXT_MAX];
    double value, back;
    memcpy(&value, data, sizeof value);
    if (isfinite(value)) {
        size_t len = number_write_double(out, value);
        CHECK(number_read_double(out, len, &back) == len && memcmp(&value, &back, sizeof back) == 0);
    }
    float value32, back32;
    memcpy(&value32, data, sizeof value32);
    if (isfinite(value32)) {
        size_t len = number_write_float(out, value32);
        CHECK(number_read_float(out, len, &back32) == len && memcmp(&value32, &back32, sizeof back32) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_reading(data, size);
    if (size >= 8)
        check_writing(data);
    return 0;
}
