/* Event times from text and numbers to microseconds since 1970-01-01 UTC. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/input/decode.h"

/* The last time that fits: 2262-04-11, where nanoseconds in 64 bits end. */
#define TIME_US_MAX INT64_C(9223372036854775)

/* text is a number by the JSON grammar, in seconds, milliseconds or microseconds; what is finer than a microsecond is
 * rounded, half up. unit is not TIME_RFC3339. DECODE_NONE, DECODE_TIME_RANGE. */
enum decode_reason time_from_number(const char *text, size_t len, enum time_unit unit, int64_t *us);

/* RFC 3339: 2018-04-01T00:00:31Z, 2018-04-01 02:00:31.25+02:00. 't', 'z' and a blank for 'T' are taken; digits beyond the
 * microsecond are rounded, half up; second 60 (a leap second) is taken as the last one of a day in UTC, and is the same as
 * the next day's second 0, as POSIX counts.
 * DECODE_NONE, DECODE_TIME_FORMAT, DECODE_TIME_RANGE. */
enum decode_reason time_from_rfc3339(const char *text, size_t len, int64_t *us);

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar; month 1..12. */
int64_t time_days_from_date(int64_t year, int month, int day);
