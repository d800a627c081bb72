/*
 * Kafka: the whole server against a bare librdkafka echo of the same topic on the same broker, with the same client settings.
 *
 * A topic is filled once. Every pass reads it from its beginning as a new consumer group, sends a result a record to an
 * empty topic, and is over when all results are acknowledged. Passes alternate: the echo, the echo with the three headers
 * that a result carries, the server. All of it is in this process, one after the other, so the process' CPU during a pass is
 * the CPU of that pass, librdkafka's threads with it; the broker is in another. Rates hang on what else the machine does,
 * the more so for the server, whose consumer threads are nice to others; CPU hardly does. So the load is printed too.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "bench/kafka_echo.h"
#include "bench/kafka_ground.h"
#include "bench/report.h"
#include "bench/work.h"
#include "config/settings.h"
#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/cmd/args.h"
#include "server/log.h"
#include "server/server.h"

enum { ROUNDS_MAX = 101, MOCK_RECORDS = 160000, BROKER_RECORDS = 400000 };
static const int64_t PATIENCE_NS = 60 * (int64_t)1000000000;

enum side { SIDE_ECHO, SIDE_HEADERS, SIDE_SERVER, SIDES };

struct plan_of_run {
    const struct parts *parts;
    const char *bundle, *broker; /* broker NULL: the mock */
    uint64_t seed, records;
    int rounds;
    double load;
};

struct run {
    const struct plan_of_run *plan;
    struct kafka_ground *ground;
    size_t answer_bytes; /* mean of the server's results */
    unsigned passes;
    double cpu_us[SIDES][ROUNDS_MAX], rate[SIDES][ROUNDS_MAX];
};

/* The settings of a pass: a group of its own, so that it begins at the beginning. */
static enum status pass_settings(struct run *run, struct settings *settings, struct error *err)
{
    char pairs[6][1024];
    const char *const names[][2] = {{"bundle", run->plan->bundle},
                                    {"kafka.bootstrap.servers", kafka_ground_brokers(run->ground)},
                                    {"stream.input", kafka_ground_input(run->ground)},
                                    {"stream.output", kafka_ground_output(run->ground)},
                                    {"stream.dead_letter", kafka_ground_dead_letter(run->ground)}};
    const char *overrides[9] = {"http.listen=", "log.level=warn"};
    size_t n = 2;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(pairs[i], sizeof pairs[i], "%s=%s", names[i][0], names[i][1]);
        overrides[n++] = pairs[i];
    }
    (void)snprintf(pairs[5], sizeof pairs[5], "kafka.group.id=%s-%u", kafka_ground_input(run->ground), ++run->passes);
    overrides[n++] = pairs[5];
    if (!run->plan->broker) /* the mock does not wake a fetch that waits for more */
        overrides[n++] = "kafka.consumer.fetch.wait.max.ms=10";
    return settings_load(settings, NULL, overrides, n, err);
}

/* Waits for the acknowledgement of all results. CPU of this thread, which only watches, is left out. */
static enum status watch_server(const struct running *running, uint64_t records, struct kafka_pass *out, struct error *err)
{
    const struct timespec tick = {.tv_nsec = 2000000};
    struct metrics *metrics = server_view(running)->metrics;
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    double cpu_s = report_cpu_s() - report_thread_cpu_s();
    uint64_t delivered = 0;
    int64_t begun_ns = 0, moved_ns = clock_monotonic_ns(), looked_ns = moved_ns;
    while (delivered < records) {
        if (sigtimedwait(&signals, NULL, &tick) > 0)
            return error_set(err, STATUS_CLOSED, "interrupted, or the server failed");
        uint64_t now = metrics_value(metrics, METRIC_KAFKA_DELIVERED, 0);
        int64_t now_ns = clock_monotonic_ns();
        if (delivered == 0)
            begun_ns = looked_ns; /* the last look at which nothing was there: few records may all come between two */
        looked_ns = now_ns;
        if (now > delivered)
            moved_ns = now_ns;
        else if (now_ns - moved_ns > PATIENCE_NS)
            return error_set(err, STATUS_IO, "the server is stuck: %llu results acknowledged", (unsigned long long)now);
        delivered = now;
    }
    out->cpu_us = (report_cpu_s() - report_thread_cpu_s() - cpu_s) / (double)records * 1e6;
    out->rate = (double)records / ((double)(moved_ns - begun_ns) / 1e9);
    if (delivered != records || metrics_value(metrics, METRIC_KAFKA_RESTARTS, 0) > 0)
        return error_set(err, STATUS_IO, "the server sent %llu results for %llu records, with %llu restarts", (unsigned long long)delivered,
                         (unsigned long long)records, (unsigned long long)metrics_value(metrics, METRIC_KAFKA_RESTARTS, 0));
    return STATUS_OK;
}

static enum status serve(struct run *run, const struct settings *settings, struct kafka_pass *out, struct error *err)
{
    struct running *running = NULL;
    enum status status = server_start(run->plan->parts, settings, &running, err);
    if (status != STATUS_OK)
        return status;
    status = watch_server(running, run->plan->records, out, err);
    if (status == STATUS_OK)
        run->answer_bytes = (size_t)(metrics_value(server_view(running)->metrics, METRIC_BYTES, SOURCE_KAFKA * 2 + 1) / run->plan->records);
    (void)server_stop(running);
    return status;
}

static enum status pass(struct run *run, enum side side, int round, struct error *err)
{
    struct settings settings;
    struct kafka_pass figures = {0};
    enum status status = kafka_ground_next(run->ground, err);
    if (status != STATUS_OK)
        return status;
    status = pass_settings(run, &settings, err);
    if (status == STATUS_OK) {
        log_setup((enum log_level)settings.log_level, LOG_LOGFMT);
        status = side == SIDE_SERVER ? serve(run, &settings, &figures, err)
                                : kafka_echo_run(&settings, run->plan->records, run->answer_bytes, side == SIDE_HEADERS, &figures, err);
    }
    settings_free(&settings);
    run->cpu_us[side][round] = figures.cpu_us;
    run->rate[side][round] = figures.rate;
    return status;
}

static void add_figures(struct report *report, struct run *run)
{
    const struct plan_of_run *plan = run->plan;
    size_t n = (size_t)plan->rounds;
    double added[ROUNDS_MAX], headers[ROUNDS_MAX], ratios[ROUNDS_MAX];
    for (size_t r = 0; r < n; r++) {
        added[r] = run->cpu_us[SIDE_SERVER][r] - run->cpu_us[SIDE_ECHO][r];
        headers[r] = run->cpu_us[SIDE_HEADERS][r] - run->cpu_us[SIDE_ECHO][r];
        ratios[r] = run->rate[SIDE_SERVER][r] / run->rate[SIDE_ECHO][r];
    }
    report_add(report, "mock_broker", plan->broker ? 0 : 1, "", 0,
               plan->broker ? "a broker was given" : "librdkafka's mock cluster, no real broker: CPU and rate alone, no latency");
    report_add(report, "load", plan->load, "", 1, "runnable threads on this machine at the beginning, mean of a minute");
    report_add(report, "records", (double)plan->records, "", 0, "a pass, in 16 partitions, one consumer thread");
    report_add(report, "result_bytes", (double)run->answer_bytes, "bytes", 0, "of both");
    report_add(report, "echo_rate", report_median(run->rate[SIDE_ECHO], n), "rec/s", 0, "bare consume and produce");
    report_add(report, "rate", report_median(run->rate[SIDE_SERVER], n), "rec/s", 0, "decode, 15 features, 100 trees x 6, record, headers");
    report_add(report, "rate_over_echo", report_median(ratios, n), "x", 2, "");
    report_add(report, "echo_cpu", report_median(run->cpu_us[SIDE_ECHO], n), "us", 2, "CPU of the process a record");
    report_add(report, "echo_headers_cpu", report_median(run->cpu_us[SIDE_HEADERS], n), "us", 2, "the echo with three headers a record");
    report_add(report, "cpu", report_median(run->cpu_us[SIDE_SERVER], n), "us", 2, "");
    report_add(report, "headers_cpu", report_median(headers, n), "us", 2, "what of the added CPU is for the headers");
    report_add(report, "added_cpu_min", report_quantile(added, n, 0), "us", 2, "least of the rounds");
    report_add(report, "added_cpu_max", report_quantile(added, n, 0.999), "us", 2, "most of the rounds");
    report_goal(report, "added_cpu", report_median(added, n), "us", 2, true, 1.5);
}

static enum status measure(const struct plan_of_run *plan, struct report *report, struct error *err)
{
    static struct run run;
    run.plan = plan;
    enum status status = kafka_ground_open(plan->broker, plan->seed, plan->records, &run.ground, err);
    if (status == STATUS_OK)
        status = pass(&run, SIDE_SERVER, 0, err); /* warms up, and tells how large results are */
    if (status == STATUS_OK)
        status = pass(&run, SIDE_ECHO, 0, err);
    for (int r = 0; r < plan->rounds && status == STATUS_OK; r++) {
        for (int i = 0; i < SIDES && status == STATUS_OK; i++)
            status = pass(&run, (enum side)((r + i) % SIDES), r, err); /* none is always first */
    }
    if (status == STATUS_OK)
        add_figures(report, &run);
    kafka_ground_close(run.ground);
    return status;
}

int bench_kafka(const struct parts *parts, int argc, char **argv)
{
    bool json = false;
    int64_t seed = 1, rounds = 5, records = 0;
    struct plan_of_run plan = {.parts = parts, .bundle = WORK_BUNDLE};
    const struct args_option options[] = {
        {.name = "broker", .kind = ARGS_TEXT, .out = &plan.broker, .value = "HOST:PORT", .help = "a real broker; without it the embedded mock cluster"},
        {.name = "bundle", .kind = ARGS_TEXT, .out = &plan.bundle, .value = "DIR", .help = "bundle for transactions of assay gen"},
        {.name = "records", .kind = ARGS_INT, .out = &records, .value = "N", .help = "records a pass; 0: 400,000, of the mock cluster 160,000", .min = 0, .max = 1e8},
        {.name = "rounds", .kind = ARGS_INT, .out = &rounds, .value = "N", .help = "rounds of each side", .min = 1, .max = ROUNDS_MAX},
        {.name = "seed", .kind = ARGS_INT, .out = &seed, .value = "N", .help = "seed of the transactions", .min = 0, .max = 1e9},
        {.name = "json", .kind = ARGS_FLAG, .out = &json, .help = "one JSON object instead of a table"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay bench kafka [--broker HOST:PORT] [--bundle DIR] [--records N] [--rounds N] [--json]",
        .summary = "CPU that the whole server (decode, 15 features, 100 trees of depth 6, record) adds to a transaction over a bare librdkafka\n"
                   "echo from topic to topic, and records a second of both. " WORK_BUNDLE_HINT ".\n"
                   "Topics of its own are made and deleted.",
        .examples = "  assay bench kafka\n  assay bench kafka --broker 127.0.0.1:9092",
        .options = options,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    plan.seed = (uint64_t)seed;
    plan.rounds = (int)rounds;
    plan.records = records > 0 ? (uint64_t)records : plan.broker ? BROKER_RECORDS : MOCK_RECORDS;
    if (getloadavg(&plan.load, 1) != 1)
        plan.load = -1;
    struct error err = {""};
    server_block_signals();
    struct report *report = report_begin("kafka", plan.seed, json);
    enum status status = measure(&plan, report, &err);
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "assay: %s\n", err.message);
        if (status == STATUS_NOT_FOUND)
            (void)fprintf(stderr, "assay: " WORK_BUNDLE_HINT "\n");
        free(report);
        return EXIT_FAILED;
    }
    report_end(report);
    return EXIT_DONE;
}
