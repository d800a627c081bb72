/*
 * Parts of a date and a time of day, from seconds since 1970-01-01 (of UTC, or of a zone's clocks: see zone.h).
 *
 * Times before 1970 count backwards as the calendar does. NaN, and what is more than about 30,000 years away (a field
 * that holds something else), has no date: NaN.
 */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define CALENDAR_SECONDS_MAX 1e12

static inline bool calendar_has_date(double seconds)
{
    return seconds > -CALENDAR_SECONDS_MAX && seconds < CALENDAR_SECONDS_MAX; /* false for NaN */
}

static inline int64_t calendar_floor_divide(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b < 0);
}

/* Whole seconds since the last midnight; the time must have a date. */
static inline int64_t calendar_second_of_day(double seconds)
{
    int64_t s = (int64_t)floor(seconds);
    return s - calendar_floor_divide(s, 86400) * 86400;
}

static inline int64_t calendar_days(double seconds)
{
    return calendar_floor_divide((int64_t)floor(seconds), 86400);
}

static inline double calendar_minute(double seconds)
{
    return calendar_has_date(seconds) ? (double)(calendar_second_of_day(seconds) / 60 % 60) : (double)NAN;
}

static inline double calendar_hour(double seconds)
{
    return calendar_has_date(seconds) ? (double)(calendar_second_of_day(seconds) / 3600) : (double)NAN;
}

/* 0 = Monday; day 0 was a Thursday. */
static inline double calendar_weekday(double seconds)
{
    if (!calendar_has_date(seconds))
        return (double)NAN;
    int64_t day = calendar_days(seconds) + 3;
    return (double)(day - calendar_floor_divide(day, 7) * 7);
}

struct calendar_date {
    int64_t year;
    int month, day; /* from 1 */
};

/* The proleptic Gregorian date of a day, by years from March in eras of 400 years: the inverse of time_days_from_date.
 * Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2014). */
static inline struct calendar_date calendar_date(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = calendar_floor_divide(z, 146097);
    int64_t of_era = z - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * of_year + 2) / 153;
    int month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
    return (struct calendar_date){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = (int)(of_year - (153 * from_march + 2) / 5 + 1),
    };
}

static inline double calendar_day(double seconds)
{
    return calendar_has_date(seconds) ? (double)calendar_date(calendar_days(seconds)).day : (double)NAN;
}

static inline double calendar_month(double seconds)
{
    return calendar_has_date(seconds) ? (double)calendar_date(calendar_days(seconds)).month : (double)NAN;
}

static inline double calendar_year(double seconds)
{
    return calendar_has_date(seconds) ? (double)calendar_date(calendar_days(seconds)).year : (double)NAN;
}
