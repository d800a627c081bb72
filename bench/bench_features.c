/*
 * Windows: microseconds a transaction on the Handbook's traffic and uniformly over millions of cards, one core and two, memory, the
 * slowest of many inserts; and Redis sorted sets for the same windows in the same run. Slices alternate, medians.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/features_day.h"
#include "bench/features_traffic.h"
#include "bench/redis_windows.h"
#include "bench/report.h"
#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/cmd/args.h"

#define DAY_US (INT64_C(86400) * 1000000)

enum {
    BATCH = 64,
    SLICES = 11,
    WARM_DAYS = 45,
    DAYS = 60,
    LOAD_CHUNK = 1000000,
    SLICE = 200000,
    TIMED_INSERTS = 2000000,
    PIPELINE = 64,
    TERMINALS = 1000000,
};

struct options {
    int64_t seed, cards, load;
    bool json, day, no_handbook, no_uniform, no_redis;
};

static struct state *create_state(void)
{
    struct state_options o = {.disorder_us = INT64_C(3600) * 1000000, .dedupe_us = DAY_US, .secret = hash_secret_random()};
    struct state *state;
    struct error err;
    if (state_create(&traffic_layout, &o, &state, &err) != STATUS_OK) {
        (void)fprintf(stderr, "assay: %s\n", err.message);
        exit(EXIT_FAILED);
    }
    return state;
}

/* Applies n events in batches and returns nanoseconds of CPU an event, without making the texts. out NULL: not kept. */
static double apply_ns(struct state *state, const struct traffic_event *events, size_t n, uint64_t first_id, double *out)
{
    struct traffic_text texts[BATCH];
    struct state_event batch[BATCH];
    double rows[BATCH * TRAFFIC_WINDOWS];
    uint32_t flags[BATCH];
    double spent_s = 0;
    for (size_t first = 0; first < n; first += BATCH) {
        size_t chunk = n - first < BATCH ? n - first : BATCH;
        for (size_t i = 0; i < chunk; i++)
            traffic_as_event(&events[first + i], first_id + first + i, &texts[i], &batch[i]);
        double start_s = report_thread_cpu_s();
        state_apply_batch(state, batch, chunk, rows, flags);
        spent_s += report_thread_cpu_s() - start_s;
        if (out)
            memcpy(out + first * TRAFFIC_WINDOWS, rows, chunk * TRAFFIC_WINDOWS * sizeof *rows);
    }
    return spent_s * 1e9 / (double)n;
}

/* Counts have to agree with Redis's, so that both did the same work; means as far as its decimal members reach. */
static void check_same(const double *ours, const double *theirs, size_t n)
{
    for (size_t i = 0; i < n * TRAFFIC_WINDOWS; i++)
        CHECK(fabs(ours[i] - theirs[i]) <= (i % 2 ? 1e-6 * fabs(ours[i]) : 0));
}

static void measure_handbook(struct report *report, const struct options *o)
{
    struct traffic_event *events;
    size_t n = traffic_handbook((uint64_t)o->seed, DAYS, &events), warm = n * WARM_DAYS / DAYS, slice = (n - warm) / SLICES, sum = 0;
    double *ours = calloc(slice * TRAFFIC_WINDOWS, sizeof *ours), *theirs = calloc(slice * TRAFFIC_WINDOWS, sizeof *theirs);
    double ns[SLICES], redis_ns[SLICES], ratios[SLICES];
    struct state *state = create_state();
    struct redis_windows *redis = NULL;
    struct error err;
    CHECK(ours && theirs);
    if (!o->no_redis && redis_windows_open(&redis, &err) != STATUS_OK)
        (void)fprintf(stderr, "SKIPPED the comparison with Redis: %s\n", err.message);
    (void)apply_ns(state, events, warm, 0, NULL);
    for (size_t i = 0; redis && i < warm; i += slice)
        CHECK(redis_windows_apply(redis, events + i, warm - i < slice ? warm - i : slice, i, PIPELINE, theirs, &err) == STATUS_OK);
    for (size_t i = 0, at = warm; i < SLICES; i++, at += slice) {
        ns[i] = apply_ns(state, events + at, slice, at, ours);
        int64_t start = clock_monotonic_ns();
        if (redis) {
            CHECK(redis_windows_apply(redis, events + at, slice, at, PIPELINE, theirs, &err) == STATUS_OK);
            redis_ns[i] = (double)(clock_monotonic_ns() - start) / (double)slice;
            ratios[i] = redis_ns[i] / ns[i];
            check_same(ours, theirs, slice);
        }
        sum += slice;
    }
    report_add(report, "handbook_transactions", (double)sum, "", 0, "5,000 cards, 10,000 terminals, timed after 45 days");
    report_goal(report, "handbook_us", report_median(ns, SLICES) / 1000, "us", 3, true, 1.0);
    if (redis) {
        char note[96];
        (void)snprintf(note, sizeof note, "Redis %s, Unix socket, %d pipelined, same values; from first to last", redis_windows_version(redis), PIPELINE);
        report_add(report, "redis_us", report_median(redis_ns, SLICES) / 1000, "us", 1, note);
        report_add(report, "redis_over_ours", report_median(ratios, SLICES), "x", 0, "");
    }
    redis_windows_close(redis);
    state_free(state);
    free(ours);
    free(theirs);
    free(events);
}

/* Days of traffic up to the one that is measured. */
static struct state *load_uniform(const struct options *o, struct traffic_event *events, uint64_t *next_id)
{
    struct state *state = create_state();
    for (int64_t at = 0; at < o->load; at += LOAD_CHUNK) {
        size_t n = (size_t)(o->load - at < LOAD_CHUNK ? o->load - at : LOAD_CHUNK);
        double per_event = 30.0 * (double)DAY_US / (double)o->load;
        int64_t start = (int64_t)((double)at * per_event), span = (int64_t)((double)n * per_event);
        traffic_uniform((uint64_t)(o->seed + at), (uint32_t)o->cards, TERMINALS, start, span, events, n);
        (void)apply_ns(state, events, n, *next_id, NULL);
        *next_id += n;
    }
    return state;
}

struct share {
    struct state *state;
    const struct traffic_event *events;
    size_t n;
    uint64_t first_id;
};

static void *apply_share(void *context)
{
    const struct share *s = context;
    (void)apply_ns(s->state, s->events, s->n, s->first_id, NULL);
    return NULL;
}

/* How much more two threads get done than one: the same number of transactions each, at once. */
static double two_threads(struct state *state, const struct traffic_event *events, uint64_t *next_id)
{
    struct share shares[3];
    for (size_t i = 0; i < 3; i++, *next_id += SLICE)
        shares[i] = (struct share){.state = state, .events = events + i * SLICE, .n = SLICE, .first_id = *next_id};
    int64_t start = clock_monotonic_ns();
    (void)apply_share(&shares[0]);
    int64_t one = clock_monotonic_ns() - start;
    pthread_t other;
    start = clock_monotonic_ns();
    CHECK(pthread_create(&other, NULL, apply_share, &shares[1]) == 0);
    (void)apply_share(&shares[2]);
    (void)pthread_join(other, NULL);
    return 2.0 * (double)one / (double)(clock_monotonic_ns() - start);
}

/* The slowest inserts, one at a time. */
static void measure_tail(struct report *report, struct state *state, const struct traffic_event *events, size_t n, uint64_t *next_id)
{
    double *us = malloc(n * sizeof *us), out[TRAFFIC_WINDOWS];
    CHECK(us);
    for (size_t i = 0; i < n; i++) {
        struct traffic_text text;
        struct state_event event;
        traffic_as_event(&events[i], (*next_id)++, &text, &event);
        int64_t start = clock_monotonic_ns();
        (void)state_apply(state, &event, out);
        us[i] = (double)(clock_monotonic_ns() - start) / 1000;
    }
    report_add(report, "insert_p50_us", report_quantile(us, n, 0.5), "us", 2, "one at a time, nothing fetched ahead, clock included");
    report_add(report, "insert_p999_us", report_quantile(us, n, 0.999), "us", 2, "");
    report_add(report, "insert_p99999_us", report_quantile(us, n, 0.99999), "us", 1, "what the machine does besides is in it");
    report_add(report, "insert_max_us", us[n - 1], "us", 1, "");
    free(us);
}

static void report_memory(struct report *report, const struct state *state)
{
    struct state_statistics s;
    state_statistics(state, &s);
    double allowed = 64.0 * (double)s.keys + 16.0 * (double)s.events + 24.0 * (double)s.ids;
    report_add(report, "keys", (double)s.keys, "", 0, "");
    report_add(report, "events_kept", (double)s.events, "", 0, "(event, key) pairs");
    report_add(report, "ids_kept", (double)s.ids, "", 0, "for labels and repeats");
    report_add(report, "state_mb", (double)s.bytes / 1e6, "MB", 0, "taken from the system");
    report_goal(report, "state_over_allowed", (double)s.bytes / allowed, "x", 3, true, 1);
    report_goal(report, "most_moved", (double)s.most_moved, "slots", 0, true, 64);
}

static void measure_uniform(struct report *report, const struct options *o)
{
    struct traffic_event *events = malloc(TIMED_INSERTS * sizeof *events);
    double ns[SLICES], ratios[SLICES];
    uint64_t next_id = 0;
    CHECK(events);
    struct state *state = load_uniform(o, events, &next_id);
    report_memory(report, state);
    traffic_uniform((uint64_t)o->seed + 77, (uint32_t)o->cards, TERMINALS, 30 * DAY_US, DAY_US / 2, events, TIMED_INSERTS);
    for (size_t i = 0; i < SLICES; i++, next_id += SLICE / 2)
        ns[i] = apply_ns(state, events + i * (SLICE / 2), SLICE / 2, next_id, NULL);
    traffic_uniform((uint64_t)o->seed + 78, (uint32_t)o->cards, TERMINALS, 31 * DAY_US, DAY_US / 2, events, TIMED_INSERTS);
    for (size_t i = 0; i < SLICES / 3 * 3; i++)
        ratios[i] = two_threads(state, events + (i % 3) * 3 * SLICE, &next_id);
    report_goal(report, "uniform_us", report_median(ns, SLICES) / 1000, "us", 3, true, 2.5);
    report_goal(report, "two_threads_over_one", report_median(ratios, SLICES / 3 * 3), "x", 2, false, 1.7);
    traffic_uniform((uint64_t)o->seed + 79, (uint32_t)o->cards, TERMINALS, 32 * DAY_US, DAY_US / 2, events, TIMED_INSERTS);
    measure_tail(report, state, events, TIMED_INSERTS, &next_id);
    state_free(state);
    free(events);
}

int bench_features(const struct parts *parts, int argc, char **argv)
{
    (void)parts;
    struct options o = {.seed = 1, .cards = 10000000, .load = 20000000};
    const struct args_option options[] = {
        {.name = "seed", .kind = ARGS_INT, .out = &o.seed, .value = "N", .help = "seed of the traffic"},
        {.name = "cards", .kind = ARGS_INT, .out = &o.cards, .value = "N", .help = "cards of the uniform traffic", .min = 1000, .max = 1e9},
        {.name = "load", .kind = ARGS_INT, .out = &o.load, .value = "N", .help = "transactions before it is measured", .min = 1000, .max = 1e9},
        {.name = "day", .kind = ARGS_FLAG, .out = &o.day, .help = "24 simulated hours over --cards keys instead: memory and evictions by the hour"},
        {.name = "no-handbook", .kind = ARGS_FLAG, .out = &o.no_handbook, .help = "leave out the Handbook's traffic"},
        {.name = "no-uniform", .kind = ARGS_FLAG, .out = &o.no_uniform, .help = "leave out the uniform traffic, and with it threads, memory and the slowest inserts"},
        {.name = "no-redis", .kind = ARGS_FLAG, .out = &o.no_redis, .help = "leave out Redis, which takes most of the time"},
        {.name = "json", .kind = ARGS_FLAG, .out = &o.json, .help = "one JSON object instead of a table"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay bench features [--seed N] [--cards N] [--load N] [--day] [--no-handbook] [--no-uniform] [--no-redis] [--json]",
        .summary = "Time to take a transaction into the twelve windows of the Fraud Detection Handbook, and the memory they need; Redis beside it.",
        .examples = "  assay bench features\n  assay bench features --cards 1000000 --load 2000000",
        .options = options,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    struct report *report = report_begin("features", (uint64_t)o.seed, o.json);
    if (o.day) {
        features_day(report, (uint64_t)o.seed, (uint64_t)o.cards);
    } else {
        if (!o.no_handbook)
            measure_handbook(report, &o);
        if (!o.no_uniform)
            measure_uniform(report, &o);
    }
    report_end(report);
    return EXIT_DONE;
}
