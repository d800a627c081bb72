#include "model/input/time.h"

/* Exponents beyond this are all alike: no document has so many digits. */
#define EXPONENT_LIMIT INT64_C(1000000000000)

static enum decode_reason check_range(int64_t us)
{
    return us >= 0 && us <= TIME_US_MAX ? DECODE_NONE : DECODE_TIME_RANGE;
}

/* The exponent of a number, 0 where it has none; *mantissa is the length before it. */
static int64_t read_exponent(const char *text, size_t len, size_t *mantissa)
{
    size_t i = 0;
    while (i < len && (text[i] | 0x20) != 'e')
        i++;
    *mantissa = i++;
    bool negative = i < len && text[i] == '-';
    i += i < len && (text[i] == '-' || text[i] == '+');
    int64_t exponent = 0;
    for (; i < len; i++)
        exponent = exponent < EXPONENT_LIMIT ? exponent * 10 + (text[i] - '0') : exponent;
    return negative ? -exponent : exponent;
}

/*
 * Any JSON number, exactly: in doubles microseconds would be lost after the year 2112. The digits down to the microsecond's
 * place make the result, the one after them rounds it.
 */
static int64_t from_decimal(const char *text, size_t len, int unit_digits)
{
    bool negative = text[0] == '-';
    size_t mantissa, first = negative;
    int64_t places = read_exponent(text, len, &mantissa) + unit_digits;
    for (size_t i = first; i < mantissa && text[i] != '.'; i++)
        places++; /* digits before the microsecond's end */
    int64_t us = 0;
    for (size_t i = first; i < mantissa && places >= 0; i++) {
        if (text[i] == '.')
            continue;
        if (places-- == 0)
            us += text[i] >= '5';
        else
            us = us * 10 + (text[i] - '0');
        if (us > TIME_US_MAX)
            return -1;
    }
    for (; places > 0 && us > 0; places--) {
        us *= 10;
        if (us > TIME_US_MAX)
            return -1;
    }
    return negative ? -us : us;
}

enum decode_reason time_from_number(const char *text, size_t len, enum time_unit unit, int64_t *us)
{
    static const int digits_of[] = {[TIME_SECONDS] = 6, [TIME_MILLISECONDS] = 3, [TIME_MICROSECONDS] = 0};
    static const int64_t us_of[] = {[TIME_SECONDS] = 1000000, [TIME_MILLISECONDS] = 1000, [TIME_MICROSECONDS] = 1};
    /* Whole numbers, nearly all there are, in one loop. */
    int64_t whole = 0;
    size_t i = 0;
    for (; i < len && i < 16 && text[i] >= '0' && text[i] <= '9'; i++)
        whole = whole * 10 + (text[i] - '0');
    if (i < len)
        *us = from_decimal(text, len, digits_of[unit]);
    else
        *us = whole <= TIME_US_MAX / us_of[unit] ? whole * us_of[unit] : -1;
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

/* ".25" as microseconds, half up; -1 where the point has no digits. */
static int64_t fraction_us(const char *text, size_t len, size_t *at)
{
    if (!take(text, len, at, "."))
        return 0;
    int64_t us = 0, scale = 100000;
    size_t first = *at;
    for (; *at < len && text[*at] >= '0' && text[*at] <= '9'; ++*at, scale /= 10) {
        us += (text[*at] - '0') * scale;
        us += *at == first + 6 && text[*at] >= '5';
    }
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
    int64_t minutes = time_days_from_date(year, month, day) * 1440 + hour * 60 + minute - offset / 60;
    if (second == 60 && (minutes % 1440 + 1440) % 1440 != 1439) /* leap seconds end a day, and that in UTC */
        return DECODE_TIME_FORMAT;
    *us = (minutes * 60 + second) * 1000000 + fraction;
    return check_range(*us);
}
