/*
 * Time zones: from UTC to the clocks of a place.
 *
 *     tzdata file (RFC 8536) ─► explicit changes ┐
 *     its footer rule (POSIX TZ) ─► two a year ──┴─► one sorted table ─► zone_local: a binary search
 *
 * The system's tzdata is read at load, by a reader of our own: the C library's would have to switch the zone of the
 * whole process. The footer's rule is written out to the last year that a transaction can be of, so that running knows
 * one table.
 */
#pragma once

#include <stdint.h>

#include "model/base/status.h"
#include "model/features/calendar.h"

struct zone {
    char *name;
    int64_t *from;   /* [count] UTC seconds, rising; from[0] is the least int64 */
    int32_t *offset; /* [count] seconds east of UTC from then on */
    uint32_t count;
};

/* "America/Sao_Paulo" from /usr/share/zoneinfo. STATUS_NOT_FOUND with the nearest name, STATUS_INVALID, STATUS_IO,
 * STATUS_LIMIT, STATUS_NO_MEMORY. *out is owned: zone_free. */
MUST_USE enum status zone_load(const char *name, struct zone **out, struct error *err);
/* The same from a file's bytes. */
MUST_USE enum status zone_parse(const char *name, const void *data, size_t len, struct zone **out, struct error *err);
void zone_free(struct zone *zone);

/* Seconds east of UTC at a time. Any thread. */
static inline int32_t zone_offset_at(const struct zone *zone, int64_t utc)
{
    /* The last entry that is not later, without branches: half of them would be mispredicted. */
    uint32_t base = 0;
    for (uint32_t n = zone->count; n > 1; n -= n / 2)
        base = zone->from[base + n / 2] <= utc ? base + n / 2 : base;
    return zone->offset[base];
}

/* Seconds since 1970 on the zone's clocks; NaN for what has no date. */
static inline double zone_local(const struct zone *zone, double utc)
{
    if (!calendar_has_date(utc))
        return (double)NAN;
    return utc + (double)zone_offset_at(zone, (int64_t)floor(utc));
}
