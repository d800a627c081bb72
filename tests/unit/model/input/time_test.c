/* Times against the C library's calendar, and numbers of any length against what they were made from. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "model/input/time.h"

static uint64_t seed = 20261123;

static uint64_t next_random(void) /* splitmix64 */
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void number_is(const char *text, enum time_unit unit, int64_t want)
{
    int64_t us = -1;
    enum decode_reason reason = time_from_number(text, strlen(text), unit, &us);
    if (reason != DECODE_NONE || us != want)
        fail_msg("%s: %s, %" PRId64 " us, not %" PRId64, text, decode_reason_label(reason), us, want);
}

static void number_is_out_of_range(const char *text, enum time_unit unit)
{
    int64_t us;
    if (time_from_number(text, strlen(text), unit, &us) != DECODE_TIME_RANGE)
        fail_msg("%s is taken", text);
}

static void reads_seconds_milliseconds_and_microseconds(void **state)
{
    (void)state;
    number_is("0", TIME_SECONDS, 0);
    number_is("-0", TIME_SECONDS, 0);
    number_is("-0.0e7", TIME_SECONDS, 0);
    number_is("1522540831", TIME_SECONDS, INT64_C(1522540831000000));
    number_is("1522540831.25", TIME_SECONDS, INT64_C(1522540831250000));
    number_is("1522540831250", TIME_MILLISECONDS, INT64_C(1522540831250000));
    number_is("1522540831250.5", TIME_MILLISECONDS, INT64_C(1522540831250500));
    number_is("1522540831250001", TIME_MICROSECONDS, INT64_C(1522540831250001));
    number_is("1.522540831e9", TIME_SECONDS, INT64_C(1522540831000000));
    number_is("1522540831E+3", TIME_MILLISECONDS, INT64_C(1522540831000000));
    number_is("15225408312500e-4", TIME_SECONDS, INT64_C(1522540831250000));
    number_is("0e999999999999999999999", TIME_SECONDS, 0);
    number_is("1e-999999999999999999999", TIME_SECONDS, 0);
    number_is("0.0000000000000000000000000000000000001e43", TIME_SECONDS, INT64_C(1000000000000));
    number_is("1000000000000000000000000000000000e-30", TIME_SECONDS, INT64_C(1000000000));
}

static void rounds_to_the_microsecond(void **state)
{
    (void)state;
    number_is("1.0000004", TIME_SECONDS, 1000000);
    number_is("1.0000005", TIME_SECONDS, 1000001);
    number_is("1.00000049999999999999999999999", TIME_SECONDS, 1000000);
    number_is("0.9999999", TIME_SECONDS, 1000000);
    number_is("0.5", TIME_MICROSECONDS, 1);
    number_is("0.4e-1", TIME_MICROSECONDS, 0);
    number_is("9e-1", TIME_MICROSECONDS, 1);
    number_is("-0.4", TIME_MICROSECONDS, 0);
    /* A double would be a microsecond or two beside these. */
    number_is("9223372036.854775", TIME_SECONDS, TIME_US_MAX);
    number_is("9223372036.854773", TIME_SECONDS, TIME_US_MAX - 2);
    number_is("8999999999.999999", TIME_SECONDS, INT64_C(8999999999999999));
}

static void refuses_times_out_of_range(void **state)
{
    (void)state;
    number_is_out_of_range("-1", TIME_SECONDS);
    number_is_out_of_range("-0.5", TIME_MICROSECONDS);
    number_is_out_of_range("-1e300", TIME_SECONDS);
    number_is_out_of_range("9223372036.8547755", TIME_SECONDS);
    number_is_out_of_range("9223372036.854776", TIME_SECONDS);
    number_is_out_of_range("9223372037", TIME_SECONDS);
    number_is_out_of_range("9223372036855", TIME_MILLISECONDS);
    number_is_out_of_range("9223372036854776", TIME_MICROSECONDS);
    number_is_out_of_range("92233720368547750", TIME_MICROSECONDS);
    number_is_out_of_range("99999999999999999999999999", TIME_MICROSECONDS);
    number_is_out_of_range("1e300", TIME_SECONDS);
    number_is_out_of_range("1e999999999999999999999", TIME_SECONDS);
}

/* A time written in any unit, with or without an exponent, with digits beyond the microsecond. */
static void reads_random_numbers_exactly(void **state)
{
    (void)state;
    static const int places[] = {[TIME_SECONDS] = 6, [TIME_MILLISECONDS] = 3, [TIME_MICROSECONDS] = 0};
    for (int i = 0; i < 300000; i++) {
        enum time_unit unit = (enum time_unit)(next_random() % 3);
        int64_t want = (int64_t)(next_random() % (uint64_t)TIME_US_MAX);
        int64_t scale = unit == TIME_SECONDS ? 1000000 : unit == TIME_MILLISECONDS ? 1000 : 1;
        uint64_t beyond = next_random() % 1000;
        char text[96];
        (void)snprintf(text, sizeof text, "%" PRId64 ".%0*" PRId64 "%03" PRIu64, want / scale, places[unit] ? places[unit] : 1,
                       places[unit] ? want % scale : 0, beyond);
        if (unit == TIME_MICROSECONDS)
            (void)snprintf(text, sizeof text, "%" PRId64 ".%03" PRIu64, want, beyond);
        number_is(text, unit, want + (beyond >= 500));
        int shift = (int)(next_random() % 30);
        (void)snprintf(text, sizeof text, "%" PRId64 "%.*se-%d", want, shift, "000000000000000000000000000000", shift + places[unit]);
        number_is(text, unit, want);
    }
}

static void text_is(const char *text, int64_t want)
{
    int64_t us = -1;
    enum decode_reason reason = time_from_rfc3339(text, strlen(text), &us);
    if (reason != DECODE_NONE || us != want)
        fail_msg("%s: %s, %" PRId64 " us, not %" PRId64, text, decode_reason_label(reason), us, want);
}

static void text_is_refused(const char *text, enum decode_reason want)
{
    int64_t us;
    enum decode_reason reason = time_from_rfc3339(text, strlen(text), &us);
    if (reason != want)
        fail_msg("%s: %s, not %s", text, decode_reason_label(reason), decode_reason_label(want));
}

static void reads_rfc3339(void **state)
{
    (void)state;
    text_is("1970-01-01T00:00:00Z", 0);
    text_is("2018-04-01T00:00:31Z", INT64_C(1522540831000000));
    text_is("2018-04-01t02:00:31.25+02:00", INT64_C(1522540831250000));
    text_is("2018-03-31 14:30:31.250000-09:30", INT64_C(1522540831250000));
    text_is("2018-04-01T00:00:31.1z", INT64_C(1522540831100000));
    text_is("2018-04-01T00:00:31.1234564999Z", INT64_C(1522540831123456));
    text_is("2018-04-01T00:00:31.1234565Z", INT64_C(1522540831123457));
    text_is("2018-12-31T23:59:59.9999999Z", INT64_C(1546300800000000));
    text_is("2018-04-01T00:00:31-00:00", INT64_C(1522540831000000));
    text_is("2000-02-29T00:00:00Z", INT64_C(951782400000000));
    text_is("2262-04-11T23:47:16.854775Z", TIME_US_MAX);
    /* The leap second of 2016, as seen in London, Tokyo and New York, is the first second of 2017. */
    text_is("2016-12-31T23:59:60Z", INT64_C(1483228800000000));
    text_is("2017-01-01T08:59:60.5+09:00", INT64_C(1483228800500000));
    text_is("2016-12-31T18:59:60-05:00", INT64_C(1483228800000000));
}

static void refuses_what_is_no_rfc3339(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "2018", "2018-04-01", "2018-04-01T00:00", "2018-04-01T00:00:31", "2018-04-01T00:00:31+02", "2018-04-01T00:00:31+0200",
        "2018-04-01T00:00:31.Z", "2018-04-01T00:00:31,5Z", "2018-04-01T00:00:31Z ", " 2018-04-01T00:00:31Z", "2018-4-1T00:00:31Z",
        "2018-00-01T00:00:31Z", "2018-13-01T00:00:31Z", "2018-04-31T00:00:31Z", "2018-04-00T00:00:31Z", "2018-02-29T00:00:31Z",
        "2100-02-29T00:00:31Z", "2018-04-01T24:00:00Z", "2018-04-01T00:60:00Z", "2018-04-01T00:00:61Z", "2018-04-01T12:34:60Z",
        "2016-12-31T23:59:60+01:00", "2018-04-01T00:00:31+24:00", "2018-04-01T00:00:31+02:60", "+2018-04-01T00:00:31Z",
        ("2018-04-01T00:00:31\xe2\x88\x92" "02:00"), "1522540831", "18-04-01T00:00:31Z", "2018-04-01T00:00:31ZZ",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        text_is_refused(texts[i], DECODE_TIME_FORMAT);
    text_is_refused("1969-12-31T23:59:59Z", DECODE_TIME_RANGE);
    text_is_refused("1970-01-01T00:00:00+00:01", DECODE_TIME_RANGE);
    text_is_refused("2262-04-11T23:47:16.854776Z", DECODE_TIME_RANGE);
    text_is_refused("0000-01-01T00:00:00Z", DECODE_TIME_RANGE);
    text_is_refused("9999-12-31T23:59:59Z", DECODE_TIME_RANGE);
}

static void agrees_with_the_c_librarys_calendar(void **state)
{
    (void)state;
    for (int i = 0; i < 300000; i++) {
        int64_t us = (int64_t)(next_random() % (uint64_t)TIME_US_MAX);
        int offset = (int)(next_random() % 2879) - 1439; /* minutes */
        time_t local = (time_t)(us / 1000000 + offset * 60);
        struct tm tm;
        char date[32], text[80];
        if (local < 0 || !gmtime_r(&local, &tm))
            continue;
        assert_int_not_equal(strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm), 0);
        int minutes = offset < 0 ? -offset : offset;
        (void)snprintf(text, sizeof text, "%s.%06d%c%02d:%02d", date, (int)(us % 1000000), offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
        text_is(text, us);
    }
    for (int64_t day = 0; day < 106000; day++) { /* each day there is */
        time_t noon = (time_t)(day * 86400);
        struct tm tm;
        (void)gmtime_r(&noon, &tm);
        assert_int_equal(time_days_from_date(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday), day);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_seconds_milliseconds_and_microseconds),
        cmocka_unit_test(rounds_to_the_microsecond),
        cmocka_unit_test(refuses_times_out_of_range),
        cmocka_unit_test(reads_random_numbers_exactly),
        cmocka_unit_test(reads_rfc3339),
        cmocka_unit_test(refuses_what_is_no_rfc3339),
        cmocka_unit_test(agrees_with_the_c_librarys_calendar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
