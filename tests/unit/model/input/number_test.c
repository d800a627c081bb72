/* Numbers against the C library: reading must give strtod's and strtof's bits, writing must read back and be shortest. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/input/number.h"

static uint64_t seed = 20261123;

static uint64_t next_random(void) /* splitmix64 */
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The long tests try four times as many. */
static int rounds(int n)
{
    const char *all = getenv("ASSAY_TEST_ALL");
    return all && *all ? 4 * n : n;
}

static void check_read(const char *text)
{
    double want = strtod(text, NULL), got = -1;
    size_t used = number_read_double(text, strlen(text), &got);
    if (isinf(want))
        assert_int_equal(used, 0);
    else if (used != strlen(text) || memcmp(&want, &got, sizeof got) != 0)
        fail_msg("double %s: %zu bytes, %a, not %a", text, used, got, want);
    float want32 = strtof(text, NULL), got32 = -1;
    used = number_read_float(text, strlen(text), &got32);
    if (isinf(want32))
        assert_int_equal(used, 0);
    else if (used != strlen(text) || memcmp(&want32, &got32, sizeof got32) != 0)
        fail_msg("float %s: %zu bytes, %a, not %a", text, used, (double)got32, (double)want32);
}

static void reads_hard_cases(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0", "-0", "0.0", "-0E0", "1", "10", "0.1", "1e23", "9007199254740993", "9007199254740992.999999999999999999999",
        "9007199254740993.0000000000000000000000000000000000001", "2.2250738585072011e-308", "2.2250738585072014e-308",
        "4.9406564584124654e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "1.7976931348623157e308",
        "1.7976931348623158e308", "1.7976931348623159e308", "1e309", "1e-400", "123456789012345678901234567890",
        "0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000001", "3.4028235e38",
        "3.4028236e38", "1.17549435e-38", "1.4e-45", "7.0e-46", "7.1e-46", "16777217", "16777219", "33554435",
        "1.00000017881393432617187499", "1.00000017881393432617187500", "1.00000017881393432617187501",
        "8.5899345920000005e9", "3.5795492E-1", "1E-45", "5e-324", "1e0000000000000000000000001", "1e-00000000000000000000001",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_read(texts[i]);
}

static void reads_as_the_c_library(void **state)
{
    (void)state;
    char text[1200];
    for (int i = 0; i < rounds(400000); i++) {
        uint64_t r = next_random();
        double d;
        memcpy(&d, &r, sizeof d);
        if (!isfinite(d))
            continue;
        (void)snprintf(text, sizeof text, "%.*e", (int)(next_random() % 25), d);
        check_read(text);
        (void)snprintf(text, sizeof text, "%.*f", (int)(next_random() % 30), ldexp(d - trunc(d), (int)(next_random() % 120) - 40));
        if (strcmp(text, "inf") != 0 && strcmp(text, "-nan") != 0 && strcmp(text, "nan") != 0)
            check_read(text);
    }
}

/* Midpoints of neighbouring doubles, written out in full, and one digit beside them. */
static void reads_midpoints(void **state)
{
    (void)state;
    char text[1300];
    for (int i = 0; i < rounds(20000); i++) {
        uint64_t r = next_random() & (UINT64_MAX >> 1);
        double a, b;
        memcpy(&a, &r, sizeof a);
        r++;
        memcpy(&b, &r, sizeof b);
        if (!isfinite(a) || !isfinite(b))
            continue;
        long double middle = ((long double)a + (long double)b) / 2;
        (void)snprintf(text, sizeof text, "%.770Le", middle);
        check_read(text);
        text[400] = '9';
        check_read(text);
    }
}

static void refuses_what_is_no_json_number(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "-", "+1", ".5", "01", "-01", "1.", "1.e5", "1e", "1e+", "NaN", "inf", "x", " 1", "00"};
    double d;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(number_read_double(texts[i], strlen(texts[i]), &d), 0);
    assert_int_equal(number_read_double("12,", 3, &d), 2);
    assert_int_equal(number_read_double("12e5x", 1, &d), 1);
}

static void check_write(const char *want, double value)
{
    char out[NUMBER_TEXT_MAX + 1];
    out[number_write_double(out, value)] = '\0';
    assert_string_equal(out, want);
}

static void writes_as_ecmascript(void **state)
{
    (void)state;
    check_write("0", 0);
    check_write("-0", -0.0);
    check_write("1", 1);
    check_write("0.1", 0.1);
    check_write("-57.16", -57.16);
    check_write("123456789012345680000", 123456789012345680000.0);
    check_write("1e+21", 1e21);
    check_write("0.000001", 1e-6);
    check_write("1e-7", 1e-7);
    check_write("1.5e-7", 1.5e-7);
    check_write("5e-324", 5e-324);
    check_write("1.7976931348623157e+308", 1.7976931348623157e308);
    check_write("9007199254740993000", 9007199254740993024.0);
    char out[NUMBER_TEXT_MAX + 1];
    out[number_write_float(out, 0.0071767257F)] = '\0';
    assert_string_equal(out, "0.0071767257");
    out[number_write_float(out, 3.0e-39F)] = '\0';
    assert_string_equal(out, "3e-39");
}

/* The digits of a text, without sign, point, exponent and outer zeros. */
static size_t digit_count(const char *text, size_t len)
{
    char digits[64];
    size_t n = 0;
    for (size_t i = 0; i < len && text[i] != 'e'; i++) {
        if (text[i] >= '0' && text[i] <= '9' && (n || text[i] != '0'))
            digits[n++] = text[i];
    }
    while (n && digits[n - 1] == '0')
        n--;
    return n;
}

static void writes_the_shortest_that_reads_back(void **state)
{
    (void)state;
    char out[NUMBER_TEXT_MAX], longer[64];
    for (int i = 0; i < rounds(500000); i++) {
        uint64_t r = next_random();
        double d, back;
        memcpy(&d, &r, sizeof d);
        if (i % 3 == 0)
            d = (double)(int64_t)(r % 1000000) / 100;
        if (!isfinite(d) || d == 0)
            continue;
        size_t len = number_write_double(out, d);
        assert_int_equal(number_read_double(out, len, &back), len);
        assert_memory_equal(&d, &back, sizeof d);
        int precision = 1; /* the fewest digits that the C library needs */
        do
            (void)snprintf(longer, sizeof longer, "%.*e", precision - 1, d);
        while (strtod(longer, NULL) != d && ++precision < 18);
        if (digit_count(out, len) > (size_t)precision)
            fail_msg("%.17g: %.*s is longer than %d digits", d, (int)len, out, precision);
    }
    for (int i = 0; i < rounds(500000); i++) {
        uint32_t r = (uint32_t)next_random();
        float f, back;
        memcpy(&f, &r, sizeof f);
        if (!isfinite(f) || f == 0)
            continue;
        size_t len = number_write_float(out, f);
        assert_int_equal(number_read_float(out, len, &back), len);
        assert_memory_equal(&f, &back, sizeof f);
        int precision = 1;
        do
            (void)snprintf(longer, sizeof longer, "%.*e", precision - 1, (double)f);
        while (strtof(longer, NULL) != f && ++precision < 10);
        if (digit_count(out, len) > (size_t)precision)
            fail_msg("%.9g: %.*s is longer than %d digits", (double)f, (int)len, out, precision);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_hard_cases),
        cmocka_unit_test(reads_as_the_c_library),
        cmocka_unit_test(reads_midpoints),
        cmocka_unit_test(refuses_what_is_no_json_number),
        cmocka_unit_test(writes_as_ecmascript),
        cmocka_unit_test(writes_the_shortest_that_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
