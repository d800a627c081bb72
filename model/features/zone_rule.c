#include "model/features/zone_rule.h"

#include <string.h>

#include "model/features/calendar.h"
#include "model/input/time.h"

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

/* A whole number of 1 to 3 digits within [least, most]. */
static bool number(struct cursor *c, int least, int most, int *out)
{
    int value = 0, digits = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9' && digits < 4; c->at++, digits++)
        value = value * 10 + (*c->at - '0');
    *out = value;
    return digits > 0 && digits < 4 && value >= least && value <= most;
}

/* "CET", "<-03>": at least three characters; what it says does not matter. */
static bool name(struct cursor *c)
{
    const char *start = c->at;
    if (take(c, '<')) {
        while (c->at < c->end && *c->at != '>')
            c->at++;
        return take(c, '>');
    }
    while (c->at < c->end && ((*c->at >= 'a' && *c->at <= 'z') || (*c->at >= 'A' && *c->at <= 'Z')))
        c->at++;
    return c->at - start >= 3;
}

/* "-3", "5:30", "2:00:00" in seconds. */
static bool clock_time(struct cursor *c, int hours_max, int64_t *seconds)
{
    bool negative = take(c, '-');
    if (!negative)
        (void)take(c, '+');
    int hours, minutes = 0, rest = 0;
    if (!number(c, 0, hours_max, &hours))
        return false;
    if (take(c, ':') && !number(c, 0, 59, &minutes))
        return false;
    if (take(c, ':') && !number(c, 0, 59, &rest))
        return false;
    *seconds = (negative ? -1 : 1) * (hours * 3600 + minutes * 60 + rest);
    return true;
}

/* ",M3.5.0/2", ",J60", ",59" */
static bool change(struct cursor *c, struct zone_change *out)
{
    bool ok = take(c, ',');
    if (ok && take(c, 'M')) {
        out->kind = ZONE_DAY_MONTH_WEEK;
        ok = number(c, 1, 12, &out->month) && take(c, '.') && number(c, 1, 5, &out->week) && take(c, '.') &&
             number(c, 0, 6, &out->day);
    } else if (ok && take(c, 'J')) {
        out->kind = ZONE_DAY_JULIAN;
        ok = number(c, 1, 365, &out->day);
    } else if (ok) {
        out->kind = ZONE_DAY_OF_YEAR;
        ok = number(c, 0, 365, &out->day);
    }
    out->seconds = 2 * 3600;
    if (ok && take(c, '/'))
        ok = clock_time(c, 167, &out->seconds);
    return ok;
}

bool zone_rule_read(const char *text, size_t len, struct zone_rule *out)
{
    struct cursor c = {.at = text, .end = text + len};
    *out = (struct zone_rule){0};
    int64_t west;
    if (!name(&c) || !clock_time(&c, 24, &west))
        return false;
    out->standard = (int32_t)-west; /* POSIX counts west of Greenwich as positive */
    out->summer = out->standard + 3600;
    if (c.at == c.end)
        return true;
    out->has_summer = true;
    if (!name(&c))
        return false;
    if (c.at < c.end && *c.at != ',') {
        if (!clock_time(&c, 24, &west))
            return false;
        out->summer = (int32_t)-west;
    }
    return change(&c, &out->to_summer) && change(&c, &out->to_standard) && c.at == c.end;
}

/* Day d.month of the week-th `day` (0 = Sunday) of a month, or the last one. */
static int64_t month_week_day(const struct zone_change *change, int64_t year)
{
    int64_t first = time_days_from_date(year, change->month, 1);
    int64_t next =
        change->month == 12 ? time_days_from_date(year + 1, 1, 1) : time_days_from_date(year, change->month + 1, 1);
    int64_t weekday = (first + 4) - calendar_floor_divide(first + 4, 7) * 7; /* 0 = Sunday; day 0 was a Thursday */
    int64_t day = first + (change->day - weekday + 7) % 7 + (change->week - 1) * 7;
    return day < next ? day : day - 7;
}

int64_t zone_change_utc(const struct zone_change *change, int64_t year, int32_t offset)
{
    int64_t january = time_days_from_date(year, 1, 1), day;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (change->kind == ZONE_DAY_MONTH_WEEK)
        day = month_week_day(change, year);
    else if (change->kind == ZONE_DAY_JULIAN)
        day = january + change->day - 1 + (leap && change->day >= 60);
    else
        day = january + change->day;
    return day * 86400 + change->seconds - offset;
}
