/*
 * assay load: an open-loop load generator for HTTP and Kafka.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "server/load/feed.h"
#include "server/load/report.h"
#include "server/load/scenario.h"
#include "server/load/search.h"

enum { HTTP_CONNECTIONS = 64 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

struct load_options {
    const char *url;
    const char *arrivals, *times, *scenario, *batch, *file, *id_field, *key_field;
    const char *kafka, *topic, *output, *dead_letter;
    const char *timeline, *svg;
    double rate, rate_to, burst, burst_ms, day_s, speed;
    double duration, warmup, slo_ms, deadline_ms, timeout_ms, interval_ms;
    double percentile, tolerance, rate_max, price;
    int64_t requests, connections, seed, pid, confirmations;
    bool search, closed, json;
    struct args_list headers, properties;
};

/* Everything a run needs, made from the options. */
struct load {
    const struct load_options *options;
    const struct scenario *scenario; /* or NULL */
    struct run_options run;
    double *times;
    struct feed *feed;
    struct target *target;
    struct run_result *result;
    uint64_t seed;
};

static enum status parse_batch(const char *text, struct run_options *run, struct error *err)
{
    unsigned long low, high;
    int end = 0;
    if (sscanf(text, "%lu-%lu%n", &low, &high, &end) < 2 || text[end] != '\0') {
        end = 0;
        if (sscanf(text, "%lu%n", &low, &end) < 1 || text[end] != '\0')
            return error_set(err, STATUS_USAGE, "--batch '%s': a number of transactions, or a range such as 1-64, is needed", text);
        high = low;
    }
    if (low < 1 || high < low || high > 65536)
        return error_set(err, STATUS_USAGE, "--batch '%s': 1 to 65536 transactions a request, the smaller number first", text);
    run->batch_min = (uint32_t)low;
    run->batch_max = (uint32_t)high;
    return STATUS_OK;
}

static enum status set_arrivals(struct load *load, const struct args_spec *spec, struct error *err)
{
    const struct load_options *o = load->options;
    struct arrivals_options *a = &load->run.arrivals;
    int kind = args_choice(spec, "arrivals", o->arrivals, arrivals_names);
    if (kind < 0)
        return error_set(err, STATUS_USAGE, "%s", "");
    *a = (struct arrivals_options){.kind = (enum arrivals_kind)kind, .seed = load->seed, .rate = o->rate, .rate_to = o->rate_to, .ramp_s = o->duration,
                                   .burst = o->burst, .burst_s = o->burst_ms / 1e3, .day_s = o->day_s > 0 ? o->day_s : o->duration, .speed = o->speed};
    if ((a->kind == ARRIVALS_REPLAY) != (o->times != NULL))
        return error_set(err, STATUS_USAGE, "--arrivals replay and --times FILE go together");
    if (a->kind == ARRIVALS_RAMP && (o->rate_to <= 0 || o->duration <= 0))
        return error_set(err, STATUS_USAGE, "--arrivals ramp needs --rate-to, and a --duration to get there");
    if (a->kind == ARRIVALS_DAY && a->day_s <= 0)
        return error_set(err, STATUS_USAGE, "--arrivals day needs --day-s, or a --duration that it takes");
    if (a->kind != ARRIVALS_REPLAY)
        return STATUS_OK;
    enum status status = arrivals_read(o->times, &load->times, &a->count, err);
    a->times = load->times;
    return status;
}

static enum status set_scenario(struct load *load, const struct args_spec *spec, struct error *err)
{
    const struct load_options *o = load->options;
    const char *names[SCENARIOS + 1] = {0};
    if (!o->scenario)
        return STATUS_OK;
    for (int i = 0; i < SCENARIOS; i++)
        names[i] = scenarios[i].name;
    int chosen = args_choice(spec, "scenario", o->scenario, names);
    if (chosen < 0)
        return error_set(err, STATUS_USAGE, "%s", "");
    load->scenario = &scenarios[chosen];
    scenario_apply(load->scenario, &load->run);
    if (load->scenario->needs_slo && load->run.slo_ns == 0)
        return error_set(err, STATUS_USAGE, "--scenario %s needs --slo-ms", o->scenario);
    if (load->scenario->closed && o->search)
        return error_set(err, STATUS_USAGE, "--scenario %s has no rate to search for", o->scenario);
    if (o->kafka && load->run.batch_max > 1)
        return error_set(err, STATUS_USAGE, "--scenario %s sends arrays, and a Kafka record holds one transaction", o->scenario);
    return STATUS_OK;
}

static enum status check(const struct load_options *o, struct error *err)
{
    if (o->kafka && (!o->topic || !o->output))
        return error_set(err, STATUS_USAGE, "--kafka needs --topic, where transactions go, and --output, where results come");
    if (!o->kafka && (o->topic || o->output || o->dead_letter || o->properties.size))
        return error_set(err, STATUS_USAGE, "--topic, --output, --dead-letter and -X need --kafka");
    if (o->kafka && (o->url || o->headers.size || o->closed || strcmp(o->batch, "1") != 0))
        return error_set(err, STATUS_USAGE, "a URL, --header, --closed and --batch are of HTTP and do not go with --kafka");
    if (o->search && (o->slo_ms <= 0 || o->closed || o->times))
        return error_set(err, STATUS_USAGE, "--search needs --slo-ms, and a schedule whose rate can be changed");
    if (o->search && o->duration <= 0)
        return error_set(err, STATUS_USAGE, "--search needs a --duration of each run");
    if (o->duration <= 0 && o->requests == 0 && !o->times)
        return error_set(err, STATUS_USAGE, "--duration 0 needs a number of --requests, or the load would never end");
    return STATUS_OK;
}

static enum status prepare(struct load *load, const struct args_spec *spec, struct error *err)
{
    const struct load_options *o = load->options;
    enum status status = check(o, err);
    if (status != STATUS_OK)
        return status;
    load->run = (struct run_options){.closed = o->closed, .duration_s = o->duration, .warmup_s = o->warmup, .requests_max = (uint64_t)o->requests,
                                     .slo_ns = (int64_t)(o->slo_ms * 1e6), .interval_s = o->interval_ms / 1e3, .pid = (pid_t)o->pid, .stop = &stop};
    status = parse_batch(o->batch, &load->run, err);
    if (status == STATUS_OK)
        status = set_arrivals(load, spec, err);
    if (status == STATUS_OK)
        status = set_scenario(load, spec, err);
    load->result = calloc(1, sizeof *load->result);
    if (status == STATUS_OK && !load->result)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for the figures");
    return status;
}

static enum status open_target(struct load *load, struct error *err)
{
    const struct load_options *o = load->options;
    const char *id_field = o->kafka ? o->id_field : NULL, *key_field = o->kafka ? o->key_field : NULL;
    enum status status = o->file ? feed_file(o->file, id_field, key_field, &load->feed, err) : feed_generated(load->seed, &load->feed, err);
    if (status != STATUS_OK)
        return status;
    int64_t timeout_ns = (int64_t)(o->timeout_ms * 1e6);
    if (o->kafka) {
        const struct kafka_target_options kafka = {.brokers = o->kafka, .input = o->topic, .output = o->output, .dead_letter = o->dead_letter,
                                                   .id_field = o->id_field, .properties = o->properties.items, .property_count = o->properties.size,
                                                   .timeout_ns = timeout_ns};
        return target_kafka_open(&kafka, load->feed, &load->target, err);
    }
    unsigned connections = load->scenario && load->scenario->connections ? load->scenario->connections : (unsigned)o->connections;
    const struct http_target_options http = {.url = o->url ? o->url : "http://127.0.0.1:8080/v1/score", .connections = connections,
                                             .headers = o->headers.items, .header_count = o->headers.size,
                                             .deadline_ms = o->deadline_ms >= 0 ? o->deadline_ms : o->slo_ms, .timeout_ns = timeout_ns};
    return target_http_open(&http, load->feed, &load->target, err);
}

static enum status write_timeline(const struct load *load, struct error *err)
{
    const char *path = load->options->timeline;
    FILE *file = fopen(path, "w");
    if (!file)
        return error_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
    timeline_write_csv(&load->result->timeline, file);
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed)
        return error_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
    return STATUS_OK;
}

static enum status report(const struct load *load, const char *target, struct error *err)
{
    const struct load_options *o = load->options;
    const struct report_setup setup = {.target = target, .options = &load->run, .scenario = load->scenario, .seed = load->seed, .price = o->price,
                                       .repeats = feed_repeats(load->feed)};
    enum status status = STATUS_OK;
    (o->json ? report_json : report_print)(&setup, load->result, stdout);
    if (o->timeline)
        status = write_timeline(load, err);
    if (o->svg && status == STATUS_OK)
        status = report_svg(&setup, load->result, o->svg, err);
    return status;
}

static void print_found(const struct load *load, double rate, FILE *log)
{
    const struct load_options *o = load->options;
    uint64_t had = load->result->due.requests, needed = search_requests_min(o->percentile);
    (void)fprintf(log, "highest rate: %.1f requests/s%s\n", rate, rate >= o->rate_max ? " (--rate-max; the server may hold more)" : "");
    if (had < needed)
        (void)fprintf(log, "warning: this means next to nothing: %g %% of the %llu requests of a run is a matter of luck; %llu are wanted, --duration %.0f\n",
                      o->percentile, (unsigned long long)had, (unsigned long long)needed, ceil((double)needed / rate));
    (void)fputc('\n', log);
}

static enum status run(struct load *load, struct error *err)
{
    const struct load_options *o = load->options;
    char target[512];
    enum status status = open_target(load, err);
    if (status != STATUS_OK)
        return status;
    target_describe(load->target, target, sizeof target);
    if (!o->search) {
        status = run_load(load->target, &load->run, load->result, err);
    } else {
        const struct search_options search = {.percentile = o->percentile, .tolerance = o->tolerance, .rate_max = o->rate_max,
                                              .confirmations = (unsigned)o->confirmations, .log = o->json ? stderr : stdout};
        double rate = 0;
        (void)fprintf(search.log, "assay load: searching for the highest rate with %g %% good within %g ms; %s, seed %llu\n", o->percentile, o->slo_ms, target,
                      (unsigned long long)load->seed);
        status = search_rate(load->target, &load->run, &search, &rate, load->result, err);
        load->run.arrivals.rate = rate;
        if (status == STATUS_OK)
            print_found(load, rate, search.log);
    }
    return status == STATUS_OK ? report(load, target, err) : status;
}

static int run_command(const struct load_options *options, const struct args_spec *spec)
{
    struct load load = {.options = options, .seed = options->seed >= 0 ? (uint64_t)options->seed : (uint64_t)clock_wall_us() % 1000000000};
    struct error err = {""};
    const struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    enum status status = prepare(&load, spec, &err);
    if (status == STATUS_OK)
        status = run(&load, &err);
    if (status != STATUS_OK && err.message[0])
        (void)fprintf(stderr, "assay: %s\n", err.message);
    target_close(load.target);
    if (load.result)
        run_result_free(load.result);
    free(load.result);
    feed_free(load.feed);
    free(load.times);
    return status == STATUS_OK ? EXIT_DONE : status == STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

static const char summary[] =
    "Sends transactions at moments that a schedule sets, whatever becomes of those before, and counts every latency from the\n"
    "moment a request was due: a server that stalls shows as what its callers felt. What was due falls into\n"
    "\n"
    "  good      answered, within --slo-ms of the moment due where that is given\n"
    "  late      answered later than that\n"
    "  refused   429, or a fallback decision in place of a score\n"
    "  failed    another status, a connection lost, or no answer within --timeout-ms\n"
    "\n"
    "Arrivals: constant; poisson; bursty (on at --burst x the rate, then off); ramp (from --rate to --rate-to); day (24 hours\n"
    "with a quiet night and peaks at noon and in the evening, played in --day-s); replay (a file of recorded times). All but\n"
    "constant and replay are Poisson around their rate. Transactions are those of `assay gen`, or the lines of --file.\n"
    "\n"
    "--search finds the highest rate at which --percentile percent of what was due is good. --scenario runs one of MLPerf's:\n"
    "\n"
    "  single-stream   one transaction after the other: the 90th percentile of latency\n"
    "  multi-stream    one array of 8 after the other: the 99th percentile\n"
    "  server          Poisson arrivals at --rate: does the 99th percentile hold --slo-ms? With --search: the highest rate\n"
    "  offline         every connection busy: transactions a second\n"
    "\n"
    "Their rules (600 s, 24,576 or 270,336 queries) hold with --duration 600; a shorter run says that it does not conform.";

static const char examples[] =
    "  assay load --rate 5000 --duration 30 --slo-ms 5 --pid $(pidof assay)\n"
    "  assay load --arrivals bursty --rate 2000 --burst 10 --timeline load.csv --svg load.svg http://scorer:8080\n"
    "  assay load --search --slo-ms 5 --duration 10 --warmup 1 --rate 1000\n"
    "  assay load --scenario server --rate 20000 --slo-ms 2 --duration 600\n"
    "  assay load --kafka localhost:9092 --topic transactions --output results --rate 1000";

int cmd_load(const struct parts *parts, int argc, char **argv)
{
    struct load_options o = {.arrivals = "poisson", .batch = "1", .id_field = "tx_id", .key_field = "customer_id", .rate = 1000, .burst = 10, .burst_ms = 100,
                             .speed = 1, .duration = 10, .deadline_ms = -1, .timeout_ms = 10000, .interval_ms = 1000, .percentile = 99, .tolerance = 0.02,
                             .rate_max = 1e6, .connections = HTTP_CONNECTIONS, .seed = -1, .confirmations = 3};
    const struct args_option options[] = {
        {"rate", ARGS_REAL, &o.rate, "R", "requests a second; --search: where it begins", 1e-3, 1e7},
        {"arrivals", ARGS_TEXT, &o.arrivals, "KIND", "constant, poisson, bursty, ramp, day, replay", 0, 0},
        {"rate-to", ARGS_REAL, &o.rate_to, "R", "ramp: the rate at its end", 0, 1e7},
        {"burst", ARGS_REAL, &o.burst, "X", "bursty: the rate within bursts, as a multiple of --rate", 1.01, 1e6},
        {"burst-ms", ARGS_REAL, &o.burst_ms, "MS", "bursty: mean length of a burst", 0.01, 1e9},
        {"day-s", ARGS_REAL, &o.day_s, "S", "day: seconds that 24 hours take; 0: --duration", 0, 1e9},
        {"times", ARGS_TEXT, &o.times, "FILE", "replay: a number of seconds a line", 0, 0},
        {"speed", ARGS_REAL, &o.speed, "X", "replay: so many times as fast", 1e-6, 1e9},
        {"duration", ARGS_REAL, &o.duration, "S", "seconds of load; 0: until --requests", 0, 1e9},
        {"warmup", ARGS_REAL, &o.warmup, "S", "seconds of load before that do not count", 0, 1e6},
        {"requests", ARGS_INT, &o.requests, "N", "end after so many; 0: after --duration", 0, 1e15},
        {"batch", ARGS_TEXT, &o.batch, "N|N-M", "transactions a request: an array; a range is drawn from evenly", 0, 0},
        {"closed", ARGS_FLAG, &o.closed, NULL, "no schedule: the next request when a connection is free", 0, 0},
        {"slo-ms", ARGS_REAL, &o.slo_ms, "MS", "an answer later than this after the moment due is late; sent as X-Deadline-Ms", 0, 1e9},
        {"deadline-ms", ARGS_REAL, &o.deadline_ms, "MS", "another value for X-Deadline-Ms; 0: no such header; below 0: --slo-ms", -1, 1e9},
        {"timeout-ms", ARGS_REAL, &o.timeout_ms, "MS", "no answer so long after the moment due: failed", 1, 1e9},
        {"connections", ARGS_INT, &o.connections, "N", "HTTP connections, each with one request at a time", 1, 65000},
        {"header", ARGS_LIST, &o.headers, "HEADER", "'Name: value' of every request; may be repeated", 0, 0},
        {"file", ARGS_TEXT, &o.file, "FILE", "transactions, a JSON object a line, again from the top at its end", 0, 0},
        {"seed", ARGS_INT, &o.seed, "S", "of schedule and transactions; below 0: a new one, which is printed", -1, 1e15},
        {"scenario", ARGS_TEXT, &o.scenario, "NAME", "single-stream, multi-stream, server, offline", 0, 0},
        {"search", ARGS_FLAG, &o.search, NULL, "find the highest rate that holds the SLO", 0, 0},
        {"percentile", ARGS_REAL, &o.percentile, "P", "search: percent of what was due that must be good", 1, 100},
        {"tolerance", ARGS_REAL, &o.tolerance, "X", "search: ends within this part of the rate", 1e-4, 1},
        {"confirmations", ARGS_INT, &o.confirmations, "N", "search: runs at the rate found that must hold too", 0, 100},
        {"rate-max", ARGS_REAL, &o.rate_max, "R", "search: no higher", 1, 1e7},
        {"pid", ARGS_INT, &o.pid, "PID", "the server's process: its CPU seconds a million answers, and its memory", 0, 4194304},
        {"price-per-core-hour", ARGS_REAL, &o.price, "P", "with --pid: what a million answers cost", 0, 1e9},
        {"timeline", ARGS_TEXT, &o.timeline, "FILE", "CSV: a line an interval", 0, 0},
        {"interval-ms", ARGS_REAL, &o.interval_ms, "MS", "of the timeline and the plot", 1, 1e7},
        {"svg", ARGS_TEXT, &o.svg, "FILE", "plot: outcomes and latency over time, latency by percentile", 0, 0},
        {"json", ARGS_FLAG, &o.json, NULL, "one JSON object instead of text", 0, 0},
        {"kafka", ARGS_TEXT, &o.kafka, "BROKERS", "through Kafka, host:port,...", 0, 0},
        {"topic", ARGS_TEXT, &o.topic, "TOPIC", "Kafka: where transactions go", 0, 0},
        {"output", ARGS_TEXT, &o.output, "TOPIC", "Kafka: where results come; matched by transaction_id", 0, 0},
        {"dead-letter", ARGS_TEXT, &o.dead_letter, "TOPIC", "Kafka: what comes here has failed; without it: by the timeout", 0, 0},
        {"id-field", ARGS_TEXT, &o.id_field, "NAME", "Kafka: field of a transaction that holds its id", 0, 0},
        {"key-field", ARGS_TEXT, &o.key_field, "NAME", "Kafka: field of --file that records are keyed by", 0, 0},
        {"X", ARGS_LIST, &o.properties, "NAME=VALUE", "Kafka: a property of librdkafka; may be repeated", 0, 0},
        {NULL, ARGS_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct args_spec spec = {
        .usage = "assay load [--rate R] [--duration S] [OPTIONS] [URL]",
        .summary = summary,
        .examples = examples,
        .options = options,
        .operands_max = 1,
    };
    size_t operands = 0;
    (void)parts;
    enum args_result parsed = args_parse(&spec, argc, argv, &o.url, &operands);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    return run_command(&o, &spec);
}
