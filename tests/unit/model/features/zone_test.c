/* Zones against the C library's own reading of the same tzdata, and hostile files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "model/features/zone.h"
#include "model/features/zone_rule.h"

static struct zone *load(const char *name)
{
    struct zone *zone = NULL;
    struct error err = {{0}};
    if (zone_load(name, &zone, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    return zone;
}

static void check_at(const struct zone *zone, int64_t utc)
{
    struct tm tm;
    time_t t = (time_t)utc;
    assert_non_null(localtime_r(&t, &tm));
    if (zone_offset_at(zone, utc) != (int32_t)tm.tm_gmtoff)
        fail_msg("%s at %lld: %d instead of %ld", zone->name, (long long)utc, zone_offset_at(zone, utc), tm.tm_gmtoff);
    double local = zone_local(zone, (double)utc);
    assert_true(calendar_hour(local) == tm.tm_hour && calendar_minute(local) == tm.tm_min);
    assert_true(calendar_weekday(local) == (tm.tm_wday + 6) % 7 && calendar_day(local) == tm.tm_mday);
    assert_true(calendar_month(local) == tm.tm_mon + 1 && calendar_year(local) == tm.tm_year + 1900);
}

static void agrees_with_the_c_library(void **state)
{
    (void)state;
    static const char *const names[] = {"UTC", "Europe/Berlin", "America/Sao_Paulo", "America/New_York", "Asia/Kolkata",
        "Australia/Lord_Howe", "Africa/Casablanca", "Europe/Dublin", "Asia/Gaza", "America/Nuuk", "Pacific/Apia",
        "Asia/Tehran", "America/Caracas", "Pacific/Chatham", "Etc/GMT+5", "Africa/Cairo", "America/Santiago"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct zone *zone = load(names[i]);
        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        uint64_t random = 88172645463325252U + i;
        for (int k = 0; k < 20000; k++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            check_at(zone, (int64_t)(random % 9200000000U)); /* 1970 to 2261 */
        }
        for (uint32_t k = 1; k < zone->count; k++) {
            if (zone->from[k] < 0)
                continue;
            check_at(zone, zone->from[k] - 1);
            check_at(zone, zone->from[k]);
            check_at(zone, zone->from[k] + 1);
        }
        zone_free(zone);
    }
}

static void only_names_of_zones(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "Europe", "Europe/", "/etc/passwd", "../../../etc/passwd", "Europe//Berlin",
        "a b", "Mars/Base",
        "zone.tab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct zone *zone = (struct zone *)&zone;
        struct error err = {{0}};
        assert_int_equal(zone_load(bad[i], &zone, &err), STATUS_NOT_FOUND);
        assert_null(zone);
        assert_non_null(strstr(err.message, "unknown zone"));
    }
}

/* A file of 64-bit form with one type of local time, no changes, and this footer. */
static void make_file(struct buf *out, int32_t offset, const char *footer)
{
    static const unsigned char header[44] = {'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4};
    for (int block = 0; block < 2; block++) {
        buf_append(out, header, sizeof header);
        for (int shift = 24; shift >= 0; shift -= 8)
            buf_char(out, (char)((uint32_t)offset >> shift));
        buf_append(out, "\0\0ABC", 6);
    }
    buf_format(out, "\n%s\n", footer);
}

static struct zone *from_rule(const char *footer)
{
    struct buf file = {0};
    struct zone *zone = NULL;
    struct error err = {{0}};
    make_file(&file, 0, footer);
    if (zone_parse("test", file.data, file.len, &zone, &err) != STATUS_OK)
        fail_msg("%s: %s", footer, err.message);
    buf_free(&file);
    return zone;
}

static void rules_of_the_footer(void **state)
{
    (void)state;
    struct zone *zone = from_rule("CET-1CEST,M3.5.0,M10.5.0/3");
    assert_int_equal(zone_offset_at(zone, 1521939599), 3600); /* 2018-03-25 01:00 UTC */
    assert_int_equal(zone_offset_at(zone, 1521939600), 7200);
    assert_int_equal(zone_offset_at(zone, 1540688399), 7200); /* 2018-10-28 01:00 UTC */
    assert_int_equal(zone_offset_at(zone, 1540688400), 3600);
    zone_free(zone);
    zone = from_rule("<-03>3<-02>,J60/0,300/-1:30:15"); /* March 1 in every year; day 300 counts February 29 */
    assert_int_equal(zone_offset_at(zone, 951793199), -10800);
    assert_int_equal(zone_offset_at(zone, 951879600), -7200); /* 2000-03-01 03:00 UTC */
    zone_free(zone);
    zone = from_rule("EST5EDT,0/0,J365/25"); /* summer all year, as RFC 8536 writes it */
    assert_int_equal(zone_offset_at(zone, 1514786400), -14400);
    assert_int_equal(zone_offset_at(zone, 1530000000), -14400);
    assert_int_equal(zone_offset_at(zone, 1546322400), -14400);
    zone_free(zone);
    zone = from_rule("");
    assert_int_equal(zone->count, 1);
    zone_free(zone);
}

static void refuses_other_rules(void **state)
{
    (void)state;
    static const char *const bad[] = {"C", "CET", "CE-1", "CET-25", "CET-1:60", "CET-1CEST", "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J366", "CET-1CEST,M3.5.0/168,M10.5.0", "<CET-1",
        "CET-1CEST,M3.5.0,M10.5.0/3x", "CET-9999999999"};
    struct zone_rule rule;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (zone_rule_read(bad[i], strlen(bad[i]), &rule))
            fail_msg("%s is taken", bad[i]);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    struct buf file = {0};
    make_file(&file, 3600, "CET-1CEST,M3.5.0,M10.5.0/3");
    struct zone *zone = NULL;
    struct error err = {{0}};
    for (size_t len = 0; len < file.len; len++) {
        void *exact = malloc(len ? len : 1); /* so that the address sanitizer sees one byte too far */
        memcpy(exact, file.data, len);
        assert_int_equal(zone_parse("test", exact, len, &zone, &err), STATUS_INVALID);
        free(exact);
    }
    for (size_t i = 0; i < file.len; i++) {
        for (int value = 0; value < 256; value += 51) {
            char old = file.data[i];
            file.data[i] = (char)value;
            if (zone_parse("test", file.data, file.len, &zone, &err) == STATUS_OK)
                zone_free(zone);
            file.data[i] = old;
        }
    }
    buf_free(&file);
}

static void no_date_is_missing(void **state)
{
    (void)state;
    struct zone *zone = load("Europe/Berlin");
    assert_true(isnan(zone_local(zone, (double)NAN)));
    assert_true(isnan(zone_local(zone, (double)INFINITY)));
    assert_true(isnan(zone_local(zone, -1e18)));
    assert_true(zone_local(zone, -0.5) == 3599.5);
    zone_free(zone);
    assert_true(calendar_hour(-0.5) == 23 && calendar_minute(-0.5) == 59 && calendar_weekday(-0.5) == 2);
    assert_true(calendar_day(-1) == 31 && calendar_month(-1) == 12 && calendar_year(-1) == 1969);
    assert_true(calendar_day(951782400) == 29 && calendar_month(951782400) == 2); /* 2000-02-29 */
    assert_true(isnan(calendar_hour((double)NAN)) && isnan(calendar_year(1e15)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_c_library), cmocka_unit_test(only_names_of_zones),
        cmocka_unit_test(rules_of_the_footer),       cmocka_unit_test(refuses_other_rules),
        cmocka_unit_test(damaged_files_are_refused), cmocka_unit_test(no_date_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
