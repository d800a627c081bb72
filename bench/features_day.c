#include "bench/features_day.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/features_traffic.h"
#include "bench/report.h"
#include "model/base/check.h"

#define HOUR_US (INT64_C(3600) * 1000000)

enum { HOURS = 24, STEADY_HOUR = 14, BATCH = 64, LONGEST_HOURS = 12, MEAN_EVENTS = 2, EVICT_EVERY = 1 << 16 };

static const struct state_window windows[] = {
    {.key = 0, .function = STATE_COUNT, .span_us = HOUR_US, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_SUM, .span_us = HOUR_US, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_MEAN, .span_us = LONGEST_HOURS * HOUR_US, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_MAX, .span_us = LONGEST_HOURS * HOUR_US, .filter = STATE_NO_FILTER},
};
enum { WINDOWS = sizeof windows / sizeof windows[0] };

/* Keys are numbered in the order in which they first appear; each is seen again for as long as the youngest `spread` do. */
struct day {
    struct state *state;
    int64_t *last_us; /* [all] when each key was last seen */
    uint64_t all, events, random;
    double least_mb, most_mb, worst_difference;
};

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void begin(struct day *d, uint64_t seed, uint64_t keys)
{
    const struct state_layout layout = {.keys = 1, .numbers = 1, .windows_count = WINDOWS, .windows = windows};
    const struct state_options options = {.secret = hash_secret_random()};
    struct error err;
    *d = (struct day){.random = seed, .all = keys * HOURS / LONGEST_HOURS, .least_mb = 1e18};
    d->events = d->all * MEAN_EVENTS;
    d->last_us = calloc(d->all + 1, sizeof *d->last_us);
    if (!d->last_us || state_create(&layout, &options, &d->state, &err) != STATUS_OK) {
        (void)fprintf(stderr, "assay: out of memory\n");
        exit(1);
    }
}

/* Event i of the day: a key of those that have come up lately, the newest one each MEAN_EVENTS-th time. */
static void event_of(struct day *d, uint64_t i, struct traffic_event *out)
{
    uint64_t newest = i / MEAN_EVENTS, spread = d->all / HOURS / 4 + 1, back = next_random(&d->random) % spread;
    uint64_t key = i % MEAN_EVENTS == 0 || newest < back ? newest : newest - back;
    int64_t time_us = (int64_t)((double)i / (double)d->events * HOURS * (double)HOUR_US);
    *out = (struct traffic_event){.time_us = time_us, .card = (uint32_t)key, .amount = 1.5};
    d->last_us[key] = out->time_us;
}

/* The state's keys against those that a window could still see, counted anew. */
static void look(struct day *d, struct report *report, unsigned hour, int64_t now_us)
{
    struct state_statistics s;
    uint64_t alive = 0;
    state_statistics(d->state, &s);
    for (uint64_t i = 0; i < d->all; i++)
        alive += d->last_us[i] > 0 && d->last_us[i] > now_us - LONGEST_HOURS * HOUR_US;
    double mb = (double)s.bytes / 1e6, difference = (double)s.keys / (double)alive - 1;
    char name[32], note[96];
    (void)snprintf(name, sizeof name, "hour_%02u_mb", hour);
    (void)snprintf(note, sizeof note, "%.2f M keys, %.2f M evicted", (double)s.keys / 1e6, (double)s.evicted_idle / 1e6);
    report_add(report, name, mb, "MB", 1, note);
    if (hour < STEADY_HOUR)
        return;
    d->least_mb = mb < d->least_mb ? mb : d->least_mb;
    d->most_mb = mb > d->most_mb ? mb : d->most_mb;
    difference = difference < 0 ? -difference : difference;
    d->worst_difference = difference > d->worst_difference ? difference : d->worst_difference;
    CHECK(s.evicted_memory == 0 && s.dropped == 0);
}

void features_day(struct report *report, uint64_t seed, uint64_t keys)
{
    struct day d;
    begin(&d, seed, keys);
    struct traffic_event traffic[BATCH];
    struct traffic_text texts[BATCH];
    struct state_event events[BATCH];
    double out[BATCH * WINDOWS];
    uint32_t flags[BATCH];
    unsigned hour = 1;
    for (uint64_t first = 0; first < d.events; first += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++) {
            event_of(&d, first + i < d.events ? first + i : d.events - 1, &traffic[i]);
            traffic_as_event(&traffic[i], first + i, &texts[i], &events[i]);
        }
        state_apply_batch(d.state, events, BATCH, out, flags);
        int64_t now = traffic[BATCH - 1].time_us;
        bool mark = now >= (int64_t)hour * HOUR_US || first + BATCH >= d.events;
        if (mark || first % EVICT_EVERY == 0)
            (void)state_evict(d.state, now);
        if (mark)
            look(&d, report, hour++, now);
    }
    report_goal(report, "memory_most_over_least", d.most_mb / d.least_mb, "x", 3, true, 1.03);
    report_goal(report, "keys_off_by", 100 * d.worst_difference, "%", 3, true, 0.1);
    state_free(d.state);
    free(d.last_us);
}
