#include "model/features/zone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/buf.h"
#include "model/base/nearest.h"
#include "model/features/zone_rule.h"

#define ZONE_DIRECTORY "/usr/share/zoneinfo"

enum {
    FILE_BYTES_MAX = 1 << 18,
    NAME_MAX_BYTES = 64,
    HEADER_BYTES = 44,
    CHANGES_MAX = 2000,
    NAMES_MAX = 1000,
    YEAR_FIRST = 1970,
    YEAR_LAST = 2262, /* the last year of a transaction's time */
};

/* The counts of a header, in the file's order. */
enum { COUNT_ISUT, COUNT_ISSTD, COUNT_LEAP, COUNT_TIME, COUNT_TYPE, COUNT_CHAR, COUNTS };

struct reader {
    const char *name;
    const unsigned char *at, *end;
    struct error *err;
};

static enum status damaged(const struct reader *r, const char *what)
{
    return error_set(r->err, STATUS_INVALID, "zone '%s': its tzdata file is damaged: %s", r->name, what);
}

static uint64_t big_endian(const unsigned char *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static enum status read_header(struct reader *r, uint64_t counts[COUNTS], int *version)
{
    if ((size_t)(r->end - r->at) < HEADER_BYTES || memcmp(r->at, "TZif", 4) != 0)
        return damaged(r, "it has no TZif header");
    *version = r->at[4];
    for (size_t i = 0; i < COUNTS; i++)
        counts[i] = big_endian(r->at + 20 + 4 * i, 4);
    r->at += HEADER_BYTES;
    return STATUS_OK;
}

/* Bytes of the block after a header; times take `width` bytes. Counts are below 2^32, so this can't overflow. */
static uint64_t block_bytes(const uint64_t counts[COUNTS], uint64_t width)
{
    return counts[COUNT_TIME] * (width + 1) + counts[COUNT_TYPE] * 6 + counts[COUNT_CHAR] +
           counts[COUNT_LEAP] * (width + 4) + counts[COUNT_ISSTD] + counts[COUNT_ISUT];
}

static bool add(struct zone *zone, int64_t from, int32_t offset)
{
    if (zone->count == CHANGES_MAX || (zone->count > 0 && from <= zone->from[zone->count - 1]))
        return false;
    zone->from[zone->count] = from;
    zone->offset[zone->count++] = offset;
    return true;
}

/* The explicit changes of the 64-bit block at r->at. */
static enum status read_changes(struct reader *r, const uint64_t counts[COUNTS], struct zone *zone)
{
    uint64_t n = counts[COUNT_TIME], types = counts[COUNT_TYPE];
    if (types == 0 || types > 256)
        return damaged(r, "it has no types of local time");
    const unsigned char *time = r->at, *type = time + n * 8, *info = type + n;
    for (uint64_t i = 0; i <= n; i++) {
        uint64_t which = i == 0 ? 0 : type[i - 1]; /* type 0 holds before the first change */
        if (which >= types)
            return damaged(r, "a change names a type that is not there");
        int32_t offset = (int32_t)(uint32_t)big_endian(info + which * 6, 4);
        int64_t from = i == 0 ? INT64_MIN : (int64_t)big_endian(time + (i - 1) * 8, 8);
        if (offset < -93600 || offset > 93600) /* RFC 8536: within 26 hours */
            return damaged(r, "an offset is more than 26 hours");
        if (i == 1 && from == INT64_MIN)
            zone->count = 0; /* some writers begin with a change at the start of time */
        if (!add(zone, from, offset))
            return damaged(r, "its changes are not in order, or too many");
    }
    return STATUS_OK;
}

/* Appends what the rule says for the years that the explicit changes leave open. */
static enum status write_out(const struct reader *r, const struct zone_rule *rule, struct zone *zone)
{
    if (!rule->has_summer)
        return STATUS_OK; /* the last explicit change already leads to it */
    int64_t last = zone->from[zone->count - 1];
    for (int64_t year = YEAR_FIRST - 1; year <= YEAR_LAST; year++) {
        int64_t summer = zone_change_utc(&rule->to_summer, year, rule->standard);
        int64_t standard = zone_change_utc(&rule->to_standard, year, rule->summer);
        bool summer_first = summer < standard;
        int64_t at[2] = {summer_first ? summer : standard, summer_first ? standard : summer};
        int32_t offset[2] = {summer_first ? rule->summer : rule->standard,
                             summer_first ? rule->standard : rule->summer};
        for (int i = 0; i < 2; i++) {
            /* "All year summer" is written as two changes that touch: the second of them stands for both. */
            if (zone->count > 1 && zone->from[zone->count - 1] == at[i] && at[i] > last)
                zone->count--;
            if (at[i] > last && !add(zone, at[i], offset[i]))
                return damaged(r, "the changes of its rule are not in order");
        }
    }
    return STATUS_OK;
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n"; an empty one says nothing about the future. */
static enum status read_footer(const struct reader *r, struct zone *zone)
{
    const char *text = (const char *)r->at + 1;
    const char *end = r->at < r->end && *r->at == '\n' ? memchr(text, '\n', (size_t)(r->end - r->at) - 1) : NULL;
    struct zone_rule rule;
    if (!end)
        return damaged(r, "it has no footer");
    if (end == text)
        return STATUS_OK;
    if (!zone_rule_read(text, (size_t)(end - text), &rule))
        return damaged(r, "its footer is no rule for the clocks");
    return write_out(r, &rule, zone);
}

static enum status read_file(struct reader *r, struct zone *zone)
{
    uint64_t counts[COUNTS] = {0};
    int version = 0;
    enum status status = read_header(r, counts, &version);
    if (status != STATUS_OK)
        return status;
    if (version < '2')
        return damaged(r, "it is of version 1, without 64-bit times");
    if (block_bytes(counts, 4) > (uint64_t)(r->end - r->at))
        return damaged(r, "it is cut short");
    r->at += block_bytes(counts, 4);
    status = read_header(r, counts, &version);
    if (status != STATUS_OK)
        return status;
    if (block_bytes(counts, 8) > (uint64_t)(r->end - r->at))
        return damaged(r, "it is cut short");
    if (counts[COUNT_LEAP] > 0)
        return error_set(r->err, STATUS_UNSUPPORTED, "zone '%s': counts leap seconds, which transaction times do not",
                         r->name);
    status = read_changes(r, counts, zone);
    r->at += block_bytes(counts, 8);
    return status == STATUS_OK ? read_footer(r, zone) : status;
}

enum status zone_parse(const char *name, const void *data, size_t len, struct zone **out, struct error *err)
{
    *out = NULL;
    struct zone *zone = calloc(1, sizeof *zone);
    if (!zone)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for zone '%s'", name);
    zone->name = strdup(name);
    zone->from = malloc(CHANGES_MAX * sizeof *zone->from);
    zone->offset = malloc(CHANGES_MAX * sizeof *zone->offset);
    struct reader r = {.name = name, .at = data, .end = (const unsigned char *)data + len, .err = err};
    enum status status = zone->name && zone->from && zone->offset
                             ? read_file(&r, zone)
                             : error_set(err, STATUS_NO_MEMORY, "out of memory for zone '%s'", name);
    if (status == STATUS_OK)
        *out = zone;
    else
        zone_free(zone);
    return status;
}

/* Cuts the third column, the zone's name, out of each line of tzdata's table of places; returns how many there are. */
static size_t zone_names(char *table, const char *names[NAMES_MAX])
{
    size_t n = 0;
    for (char *line = table, *end; line && n < NAMES_MAX; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        char *place = line[0] == '#' ? NULL : strchr(line, '\t');
        place = place ? strchr(place + 1, '\t') : NULL;
        if (!place)
            continue;
        place[1 + strcspn(place + 1, "\t")] = '\0';
        names[n++] = place + 1;
    }
    return n;
}

static enum status unknown(const char *name, struct error *err)
{
    struct buf table = {0};
    const char *near = NULL;
    bool installed = buf_read_file(&table, ZONE_DIRECTORY "/zone1970.tab", FILE_BYTES_MAX, NULL) == STATUS_OK;
    if (installed && buf_text(&table)[0] != '\0') {
        const char *names[NAMES_MAX];
        size_t n = zone_names(table.data, names);
        near = nearest_word(name, names, n);
    }
    enum status status = STATUS_NOT_FOUND;
    if (!installed)
        error_set(err, status, "unknown zone '%s', or no zones here: the package tzdata brings them to " ZONE_DIRECTORY,
                  name);
    else if (near)
        error_set(err, status, "unknown zone '%s'; did you mean '%s'?", name, near);
    else
        error_set(err, status, "unknown zone '%s'; a name of the IANA database is needed, such as 'Europe/Berlin'",
                  name);
    buf_free(&table);
    return status;
}

/* Names go into a path: only what the database uses, and no way out of its directory. */
static bool is_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_BYTES && name[0] != '/' && name[len - 1] != '/' && !strstr(name, "//") &&
           name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/")] == '\0';
}

enum status zone_load(const char *name, struct zone **out, struct error *err)
{
    *out = NULL;
    if (!is_name(name))
        return error_set(err, STATUS_NOT_FOUND,
                         "unknown zone '%.64s'; a name of the IANA database is needed, such as 'Europe/Berlin'", name);
    char path[sizeof ZONE_DIRECTORY + 1 + NAME_MAX_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", ZONE_DIRECTORY, name);
    struct buf content = {0};
    struct error io = {{0}};
    enum status status = buf_read_file(&content, path, FILE_BYTES_MAX, &io);
    if (status == STATUS_OK)
        status = zone_parse(name, content.data, content.len, out, err);
    else if (status == STATUS_NOT_FOUND || status == STATUS_IO) /* IO: "Europe" is a directory */
        status = unknown(name, err);
    else
        status = error_set(err, status, "zone '%s': %s", name, io.message);
    buf_free(&content);
    return status;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->name);
    free(zone->from);
    free(zone->offset);
    free(zone);
}
