/*
 * The rule in the footer of a tzdata file, "CET-1CEST,M3.5.0,M10.5.0/3": when clocks change in the years after the
 * file's explicit changes. Format: POSIX.1-2017, environment variable TZ, with RFC 8536's hours from -167 to 167.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum zone_day_kind { ZONE_DAY_JULIAN, ZONE_DAY_OF_YEAR, ZONE_DAY_MONTH_WEEK };

/* When in a year, on the clocks that hold until then. */
struct zone_change {
    enum zone_day_kind kind;
    int day;         /* Jn: 1..365, never a leap day; n: 0..365; Mm.w.d: 0 = Sunday .. 6 */
    int month, week; /* Mm.w.d: 1..12, and 1..5 where 5 is the last */
    int64_t seconds; /* after midnight */
};

struct zone_rule {
    int32_t standard, summer; /* seconds east of UTC */
    bool has_summer;
    struct zone_change to_summer, to_standard;
};

/* Reads text[0..len); false where it is no such rule. */
bool zone_rule_read(const char *text, size_t len, struct zone_rule *out);

/* UTC seconds of a change in a year, when clocks were `offset` east of UTC. */
int64_t zone_change_utc(const struct zone_change *change, int64_t year, int32_t offset);
