/*
 * HTTP: the whole server against a bare libmicrohttpd handler that reads the body and answers as many bytes. Same build,
 * same daemon settings, one thread each; rounds alternate. The client has the other core.
 */
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bare_http.h"
#include "bench/bench.h"
#include "bench/report.h"
#include "bench/work.h"
#include "config/settings.h"
#include "model/base/check.h"
#include "server/address.h"
#include "server/cmd/args.h"
#include "server/load/feed.h"
#include "server/load/run.h"
#include "server/log.h"
#include "server/server.h"

enum { ROUNDS_MAX = 101 };

static enum MHD_Result bare_access(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                   const char *upload, size_t *upload_size, void **request)
{
    (void)context, (void)url, (void)method, (void)version, (void)upload;
    static int begun;
    if (!*request) {
        *request = &begun;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(bare_http_body), (void *)(uintptr_t)bare_http_body, MHD_RESPMEM_PERSISTENT);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static uint16_t free_port(void)
{
    int fd;
    char text[64];
    struct error err;
    CHECK(address_listen("127.0.0.1:0", &fd, text, sizeof text, &err) == STATUS_OK);
    (void)close(fd);
    return (uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10);
}

struct side {
    uint16_t port;
    double rate[ROUNDS_MAX], cpu_us[ROUNDS_MAX], p50_us[ROUNDS_MAX], p99_us[ROUNDS_MAX];
};

static enum status measure(struct side *side, int round, unsigned connections, double seconds, struct feed *feed, struct error *err)
{
    static const volatile sig_atomic_t never = 0;
    static struct run_result result; /* large */
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/score", side->port);
    const struct http_target_options to = {.url = url, .connections = connections, .timeout_ns = INT64_C(10000000000)};
    const struct run_options options = {.closed = true, .duration_s = seconds, .batch_min = 1, .batch_max = 1, .stop = &never};
    struct target *target = NULL;
    enum status status = target_http_open(&to, feed, &target, err);
    double cpu = report_cpu_s();
    if (status == STATUS_OK)
        status = run_load(target, &options, &result, err);
    target_close(target);
    if (status != STATUS_OK)
        return status;
    uint64_t answers = result.good.requests;
    if (answers == 0 || answers < result.due.requests)
        return error_set(err, STATUS_INVALID, "%llu of %llu requests were not answered by 200: %s", (unsigned long long)(result.due.requests - answers),
                         (unsigned long long)result.due.requests, result.first_failure);
    side->rate[round] = (double)answers / result.elapsed_s;
    side->cpu_us[round] = (report_cpu_s() - cpu - result.client_cpu_s) / (double)answers * 1e6;
    side->p50_us[round] = (double)histogram_quantile(&result.answered, 0.5) / 1e3;
    side->p99_us[round] = (double)histogram_quantile(&result.answered, 0.99) / 1e3;
    return STATUS_OK;
}

/* Adds the figures of one number of connections. */
static void add_figures(struct report *report, struct side *bare, struct side *ours, int rounds, unsigned connections)
{
    char name[64];
    double ratios[ROUNDS_MAX], added[ROUNDS_MAX];
    for (int r = 0; r < rounds; r++) {
        ratios[r] = ours->rate[r] / bare->rate[r];
        added[r] = ours->cpu_us[r] - bare->cpu_us[r];
    }
    const struct {
        const char *what;
        double *values;
        const char *unit;
        int decimals;
        const char *note;
    } figures[] = {
        {"bare_rate", bare->rate, "req/s", 0, "bare handler"},       {"rate", ours->rate, "req/s", 0, "decode, features, model, record"},
        {"bare_p50", bare->p50_us, "us", 1, ""},                     {"p50", ours->p50_us, "us", 1, ""},
        {"bare_p99", bare->p99_us, "us", 1, ""},                     {"p99", ours->p99_us, "us", 1, ""},
        {"bare_cpu", bare->cpu_us, "us", 2, "CPU of the server a request"}, {"cpu", ours->cpu_us, "us", 2, ""},
        {"added_cpu", added, "us", 2, "ours less bare"},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        (void)snprintf(name, sizeof name, "c%u_%s", connections, figures[i].what);
        report_add(report, name, report_median(figures[i].values, (size_t)rounds), figures[i].unit, figures[i].decimals, figures[i].note);
    }
    (void)snprintf(name, sizeof name, "c%u_rate_over_bare", connections);
    report_goal(report, name, report_median(ratios, (size_t)rounds), "x", 2, false, 0.6);
}

static enum status run(const struct parts *parts, const char *bundle, int64_t seed, double seconds, int rounds, struct report *report, struct error *err)
{
    static struct side bare, ours;
    static const unsigned connections[] = {1, 64};
    char pairs[2][512];
    struct settings settings;
    struct running *running = NULL;
    struct feed *feed = NULL;
    bare.port = free_port();
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, bare.port, NULL, NULL, bare_access, NULL,
                                                 MHD_OPTION_CONNECTION_LIMIT, 4096U, MHD_OPTION_CONNECTION_TIMEOUT, 60U, MHD_OPTION_END);
    if (!daemon)
        return error_set(err, STATUS_IO, "the bare handler could not start");
    ours.port = free_port();
    (void)snprintf(pairs[0], sizeof pairs[0], "bundle=%.480s", bundle);
    (void)snprintf(pairs[1], sizeof pairs[1], "http.listen=127.0.0.1:%u", ours.port);
    const char *const overrides[] = {pairs[0], pairs[1], "http.threads=1", "log.level=warn"};
    enum status status = settings_load(&settings, NULL, overrides, 4, err);
    if (status == STATUS_OK) {
        log_setup((enum log_level)settings.log_level, LOG_LOGFMT);
        status = server_start(parts, &settings, &running, err);
    }
    if (status == STATUS_OK)
        status = feed_generated((uint64_t)seed, &feed, err);
    for (size_t c = 0; c < 2 && status == STATUS_OK; c++) {
        for (int r = -1; r < rounds && status == STATUS_OK; r++) { /* the first warms up */
            status = measure(&bare, r < 0 ? 0 : r, connections[c], seconds, feed, err);
            if (status == STATUS_OK)
                status = measure(&ours, r < 0 ? 0 : r, connections[c], seconds, feed, err);
        }
        if (status == STATUS_OK)
            add_figures(report, &bare, &ours, rounds, connections[c]);
    }
    feed_free(feed);
    if (running)
        (void)server_stop(running);
    settings_free(&settings);
    MHD_stop_daemon(daemon);
    return status;
}

int bench_http(const struct parts *parts, int argc, char **argv)
{
    bool json = false;
    int64_t seed = 1, rounds = 7;
    double seconds = 1;
    const char *bundle = WORK_BUNDLE;
    const struct args_option options[] = {
        {.name = "bundle", .kind = ARGS_TEXT, .out = &bundle, .value = "DIR", .help = "bundle for transactions of assay gen"},
        {.name = "rounds", .kind = ARGS_INT, .out = &rounds, .value = "N", .help = "rounds of each side", .min = 1, .max = ROUNDS_MAX},
        {.name = "seconds", .kind = ARGS_REAL, .out = &seconds, .value = "S", .help = "seconds a round", .min = 0.05, .max = 600},
        {.name = "seed", .kind = ARGS_INT, .out = &seed, .value = "N", .help = "seed of the transactions", .min = 0, .max = 1e9},
        {.name = "json", .kind = ARGS_FLAG, .out = &json, .help = "one JSON object instead of a table"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay bench http [--bundle DIR] [--rounds N] [--seconds S] [--json]",
        .summary = "Requests a second of the whole server (decode, 15 features, 100 trees of depth 6, record) against a bare libmicrohttpd\n"
                   "handler, closed loop, 1 and 64 connections, one server thread. " WORK_BUNDLE_HINT ".",
        .examples = "  assay bench http",
        .options = options,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    struct error err = {""};
    server_block_signals();
    struct report *report = report_begin("http", (uint64_t)seed, json);
    enum status status = run(parts, bundle, seed, seconds, (int)rounds, report, &err);
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
