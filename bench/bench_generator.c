/*
 * The load generator itself, against a bare handler: does one thread keep a schedule of so many requests a second, how exactly,
 * and how much does it manage without one?
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bare_http.h"
#include "bench/bench.h"
#include "bench/report.h"
#include "server/cmd/args.h"
#include "server/load/feed.h"
#include "server/load/run.h"

enum { ROUNDS_MAX = 101 };

struct figures {
    double rate[ROUNDS_MAX], good[ROUNDS_MAX], cpu_us[ROUNDS_MAX], handler_us[ROUNDS_MAX], lag_p50_us[ROUNDS_MAX], lag_p99_us[ROUNDS_MAX], p50_us[ROUNDS_MAX], p99_us[ROUNDS_MAX];
};

static double us(const struct histogram *h, double q)
{
    return (double)histogram_quantile(h, q) / 1e3;
}

static enum status measure(struct target *target, const struct run_options *options, struct figures *f, int round, struct error *err)
{
    static struct run_result r; /* large */
    double cpu = report_cpu_s();
    enum status status = run_load(target, options, &r, err);
    if (status != STATUS_OK)
        return status;
    if (r.failed.requests > 0)
        return error_set(err, STATUS_INVALID, "%llu requests failed: %s", (unsigned long long)r.failed.requests, r.first_failure);
    f->rate[round] = (double)r.good.requests / r.elapsed_s;
    f->good[round] = (double)r.good.requests / (double)r.due.requests * 100;
    f->cpu_us[round] = r.client_cpu_s / (double)r.due.requests * 1e6;
    f->handler_us[round] = (report_cpu_s() - cpu - r.client_cpu_s) / (double)r.due.requests * 1e6; /* the short warm-up's too */
    f->lag_p50_us[round] = us(&r.lag, 0.5);
    f->lag_p99_us[round] = us(&r.lag, 0.99);
    f->p50_us[round] = us(&r.answered, 0.5);
    f->p99_us[round] = us(&r.answered, 0.99);
    run_result_free(&r);
    return STATUS_OK;
}

/* The client and the handler on cores of their own: left alone, the scheduler likes to wake them onto one. */
static void take_core(size_t core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    (void)sched_setaffinity(0, sizeof set, &set); /* of this thread, and of those that it starts */
}

static enum status run(double rate, int64_t connections, double seconds, int rounds, int64_t seed, struct report *report, struct error *err)
{
    static const volatile sig_atomic_t never = 0;
    static struct figures scheduled, closed;
    struct bare_http *server = NULL;
    struct feed *feed = NULL;
    struct target *target = NULL;
    uint16_t port;
    char url[64];
    struct run_options options = {.arrivals = {.kind = ARRIVALS_POISSON, .rate = rate, .seed = (uint64_t)seed}, .duration_s = seconds, .warmup_s = 0.2,
                                  .batch_min = 1, .batch_max = 1, .stop = &never};
    take_core(1);
    enum status status = bare_http_start(&server, &port, err);
    take_core(0);
    if (status == STATUS_OK)
        status = feed_generated((uint64_t)seed, &feed, err);
    if (status == STATUS_OK) {
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/score", port);
        const struct http_target_options to = {.url = url, .connections = (unsigned)connections, .timeout_ns = INT64_C(10000000000)};
        status = target_http_open(&to, feed, &target, err);
    }
    for (int r = 0; r < rounds && status == STATUS_OK; r++) {
        options.closed = false;
        status = measure(target, &options, &scheduled, r, err);
        options.closed = true;
        if (status == STATUS_OK)
            status = measure(target, &options, &closed, r, err);
    }
    target_close(target);
    feed_free(feed);
    (void)bare_http_stop(server);
    if (status != STATUS_OK)
        return status;
    size_t n = (size_t)rounds;
    report_goal(report, "rate", report_median(scheduled.rate, n), "req/s", 0, false, rate * 0.99);
    report_add(report, "cpu", report_median(scheduled.cpu_us, n), "us", 2, "CPU of the generator a request, looking at the clock included");
    report_add(report, "handler_cpu", report_median(scheduled.handler_us, n), "us", 2, "CPU of the handler a request");
    report_add(report, "sent_late_p50", report_median(scheduled.lag_p50_us, n), "us", 1, "from the moment due to sent, where a connection was free");
    report_add(report, "sent_late_p99", report_median(scheduled.lag_p99_us, n), "us", 1, "");
    report_add(report, "latency_p50", report_median(scheduled.p50_us, n), "us", 1, "from the moment due to the answer");
    report_add(report, "latency_p99", report_median(scheduled.p99_us, n), "us", 1, "");
    report_add(report, "closed_rate", report_median(closed.rate, n), "req/s", 0, "without a schedule: the most that both can do");
    report_add(report, "closed_cpu", report_median(closed.cpu_us, n), "us", 2, "");
    report_add(report, "closed_handler_cpu", report_median(closed.handler_us, n), "us", 2, "");
    return STATUS_OK;
}

int bench_generator(const struct parts *parts, int argc, char **argv)
{
    bool json = false;
    int64_t seed = 1, rounds = 5, connections = 64;
    double seconds = 2, rate = 100000;
    const struct args_option options[] = {
        {.name = "rate", .kind = ARGS_REAL, .out = &rate, .value = "R", .help = "requests a second that are due, Poisson", .min = 1, .max = 1e7},
        {.name = "connections", .kind = ARGS_INT, .out = &connections, .value = "N", .help = "connections", .min = 1, .max = 1000},
        {.name = "rounds", .kind = ARGS_INT, .out = &rounds, .value = "N", .help = "rounds", .min = 1, .max = ROUNDS_MAX},
        {.name = "seconds", .kind = ARGS_REAL, .out = &seconds, .value = "S", .help = "seconds a round", .min = 0.05, .max = 600},
        {.name = "seed", .kind = ARGS_INT, .out = &seed, .value = "N", .help = "seed of schedule and transactions", .min = 0, .max = 1e9},
        {.name = "json", .kind = ARGS_FLAG, .out = &json, .help = "one JSON object instead of a table"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay bench generator [--rate R] [--rounds N] [--seconds S] [--json]",
        .summary = "The load generator of `assay load`, one thread, against a bare handler in another: a schedule kept, and without one.",
        .examples = "  assay bench generator",
        .options = options,
    };
    (void)parts;
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    struct error err = {""};
    struct report *report = report_begin("generator", (uint64_t)seed, json);
    if (run(rate, connections, seconds, (int)rounds, seed, report, &err) != STATUS_OK) {
        (void)fprintf(stderr, "assay: %s\n", err.message);
        free(report);
        return EXIT_FAILED;
    }
    report_end(report);
    return EXIT_DONE;
}
