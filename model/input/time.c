#include "model/input/time.h"

#include <math.h>

#include "model/input/number.h"

static const int64_t unit_us[] = {[TIME_SECONDS] = 1000000, [TIME_MILLISECONDS] = 1000, [TIME_MICROSECONDS] = 1};

static enum decode_reason check_range(int64_t us)
{
    return us >= 0 && us <= TIME_US_MAX ? DECODE_NONE : DECODE_TIME_RANGE;
}

enum decode_reason time_from_number(const char *text, size_t len, enum time_unit unit, int64_t *us)
{
    /* Whole numbers, nearly all there are, stay in integers: a double would lose microseconds after 2255. */
    int64_t whole = 0;
    size_t i = 0;
    for (; i < len && i < 17 && text[i] >= '0' && text[i] <= '9'; i++)
        whole = whole * 10 + (text[i] - '0');
    if (i == len) {
        if (whole > TIME_US_MAX / unit_us[unit])
            return DECODE_TIME_RANGE;
        *us = whole * unit_us[unit];
        return DECODE_NONE;
    }
    double x;
    if (number_read_double(text, len, &x) != len)
        return DECODE_NUMBER;
    x *= (double)unit_us[unit];
    if (!(x > -1 && x < 9.3e15))
        return DECODE_TIME_RANGE;
    *us = (int64_t)llround(x);
    return check_range(*us);
}

int64_t time_days_from_date(int64_t year, int month, int day)
{
    /* Years from March, so that the leap day comes last; 400-year eras of 146097 days. */
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* n digits at text[*at], then the cursor after them; -1 where they are not digits. */
static int digits(const char *text, size_t len, size_t *at, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++, ++*at) {
        if (*at >= len || text[*at] < '0' || text[*at] > '9')
            return -1;
        value = value * 10 + (text[*at] - '0');
    }
    return value;
}

static bool take(const char *text, size_t len, size_t *at, const char *any)
{
    if (*at >= len)
        return false;
    for (; *any; any++) {
        if (text[*at] == *any) {
            ++*at;
            return true;
        }
    }
    return false;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* ".25" as microseconds; -1 where the point has no digits. */
static int64_t fraction_us(const char *text, size_t len, size_t *at)
{
    if (!take(text, len, at, "."))
        return 0;
    int64_t us = 0, scale = 100000;
    size_t first = *at;
    for (; *at < len && text[*at] >= '0' && text[*at] <= '9'; ++*at, scale /= 10)
        us += (text[*at] - '0') * scale;
    return *at == first ? -1 : us;
}

/* The zone's offset in seconds; false where there is none. */
static bool zone_offset(const char *text, size_t len, size_t *at, int64_t *seconds)
{
    *seconds = 0;
    if (take(text, len, at, "Zz"))
        return true;
    bool west = *at < len && text[*at] == '-';
    if (!take(text, len, at, "+-"))
        return false;
    int hours = digits(text, len, at, 2);
    if (hours < 0 || hours > 23 || !take(text, len, at, ":"))
        return false;
    int minutes = digits(text, len, at, 2);
    if (minutes < 0 || minutes > 59)
        return false;
    *seconds = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

enum decode_reason time_from_rfc3339(const char *text, size_t len, int64_t *us)
{
    size_t at = 0;
    int year = digits(text, len, &at, 4);
    bool ok = year >= 0 && take(text, len, &at, "-");
    int month = ok ? digits(text, len, &at, 2) : -1;
    ok = ok && month >= 1 && month <= 12 && take(text, len, &at, "-");
    int day = ok ? digits(text, len, &at, 2) : -1;
    ok = ok && day >= 1 && day <= days_in_month(year, month) && take(text, len, &at, "Tt ");
    int hour = ok ? digits(text, len, &at, 2) : -1;
    ok = ok && hour >= 0 && hour <= 23 && take(text, len, &at, ":");
    int minute = ok ? digits(text, len, &at, 2) : -1;
    ok = ok && minute >= 0 && minute <= 59 && take(text, len, &at, ":");
    int second = ok ? digits(text, len, &at, 2) : -1;
    ok = ok && second >= 0 && second <= 60;
    int64_t fraction = ok ? fraction_us(text, len, &at) : -1;
    int64_t offset;
    if (fraction < 0 || !zone_offset(text, len, &at, &offset) || at != len)
        return DECODE_TIME_FORMAT;
    int64_t days = time_days_from_date(year, month, day);
    *us = (days * 86400 + hour * 3600 + minute * 60 + second - offset) * 1000000 + fraction;
    return check_range(*us);
}
