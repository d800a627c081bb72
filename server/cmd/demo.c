/*
 * assay demo: the main job in one go. An embedded broker, traffic with known frauds, the server with the example bundle,
 * and a view of it all. Nothing is simulated but the broker and the cards: it is the server that `assay serve` runs.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/settings.h"
#include "model/base/clock.h"
#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "server/demo/demo.h"
#include "server/address.h"
#include "server/log.h"
#include "server/server.h"

struct demo_options {
    int64_t seconds, rate, seed;
    const char *bundle, *http;
};

/* The example bundle: in the working directory's source tree, or in the one the binary was built in. */
static const char *find_bundle(char *out, size_t size)
{
    static const char relative[] = "config/bundles/card-fraud";
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (access(relative, R_OK) == 0 || n <= 0)
        return relative;
    exe[n] = '\0';
    for (int up = 0; up < 3; up++) { /* build/release/assay -> the tree's root */
        char *slash = strrchr(exe, '/');
        if (slash)
            *slash = '\0';
    }
    (void)snprintf(out, size, "%s/%s", exe, relative);
    return out;
}

/* The wanted address where it is free, else another port: a demo should not fail for a port. */
static enum status free_address(const char *wanted, char *out, size_t size, struct error *err)
{
    int fd;
    enum status status = address_listen(wanted, &fd, out, size, err);
    if (status == STATUS_IO)
        status = address_listen("127.0.0.1:0", &fd, out, size, err);
    if (status == STATUS_OK)
        (void)close(fd);
    return status;
}

static enum status load_settings(struct settings *settings, const char *bundle, const char *http, const char *brokers, struct error *err)
{
    char pairs[3][4400];
    (void)snprintf(pairs[0], sizeof pairs[0], "bundle=%s", bundle);
    (void)snprintf(pairs[1], sizeof pairs[1], "http.listen=%s", http);
    (void)snprintf(pairs[2], sizeof pairs[2], "kafka.bootstrap.servers=%s", brokers);
    const char *const overrides[] = {
        pairs[0], pairs[1], pairs[2], "log.level=warn", "stream.input=" DEMO_INPUT, "stream.output=" DEMO_OUTPUT,
        "stream.dead_letter=" DEMO_DEAD_LETTER, "kafka.group.id=demo",
        /* the mock broker does not wake a waiting fetch when data comes */
        "kafka.consumer.fetch.wait.max.ms=1",
    };
    return settings_load(settings, NULL, overrides, sizeof overrides / sizeof overrides[0], err);
}

/* Waits until the server's sources are ready: joining a group takes some seconds. False: a signal came first. */
static bool wait_ready(const struct running *running, const sigset_t *signals)
{
    const struct server *server = server_view(running);
    struct buf why = {0};
    for (;;) {
        buf_clear(&why);
        if (server->ready(server, &why))
            break;
        const struct timespec tick = {.tv_nsec = 50000000};
        if (sigtimedwait(signals, NULL, &tick) > 0) {
            buf_free(&why);
            return false;
        }
    }
    buf_free(&why);
    return true;
}

static void print_try_it(const struct demo *demo, const char *http)
{
    char text[GEN_TEXT_MAX];
    struct gen_transaction tx;
    gen_next(demo->gen, &tx);
    size_t len = gen_write_transaction(demo->gen, &tx, text) - 1;
    (void)printf("try it:  curl -s http://%s/v1/score -H 'Content-Type: application/json' -d '%.*s'\n\n", http, (int)len, text);
    (void)fflush(stdout);
}

/* Runs traffic and judge until a signal or the end of the time. */
static enum status watch(struct demo *demo, const struct running *running, const char *http, int64_t seconds, const sigset_t *signals, struct error *err)
{
    struct demo_view *view = demo_view_create(demo, server_view(running)->metrics, http);
    pthread_t traffic, judge;
    if (!view || pthread_create(&judge, NULL, demo_judge, demo) != 0)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the demo");
    bool sending = pthread_create(&traffic, NULL, demo_traffic, demo) == 0;
    int64_t end_ns = clock_monotonic_ns() + seconds * 1000000000;
    const struct timespec period = {.tv_sec = isatty(STDOUT_FILENO) ? 0 : 1, .tv_nsec = isatty(STDOUT_FILENO) ? 250000000 : 0};
    while (sending && (seconds == 0 || clock_monotonic_ns() < end_ns)) {
        if (sigtimedwait(signals, NULL, &period) > 0)
            break;
        demo_view_print(view);
    }
    atomic_store(&demo->stopping, true);
    if (sending)
        (void)pthread_join(traffic, NULL);
    atomic_store(&demo->sent, true);
    (void)pthread_join(judge, NULL);
    demo_view_summary(view);
    demo_view_free(view);
    return STATUS_OK;
}

static enum status run(const struct parts *parts, const struct demo_options *options, struct demo *demo, struct error *err)
{
    struct demo_broker *broker = NULL;
    struct running *running = NULL;
    struct settings settings = {.kafka_count = 0};
    char http[160], found[4200];
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    enum status status = free_address(options->http, http, sizeof http, err);
    if (status == STATUS_OK)
        status = demo_broker_start(&broker, err);
    if (status == STATUS_OK) {
        demo->brokers = demo_broker_address(broker);
        status = load_settings(&settings, options->bundle ? options->bundle : find_bundle(found, sizeof found), http, demo->brokers, err);
    }
    if (status == STATUS_OK) {
        log_setup((enum log_level)settings.log_level, LOG_LOGFMT);
        status = server_start(parts, &settings, &running, err);
    }
    if (status == STATUS_OK) {
        (void)printf("assay demo: broker at %s, server at http://%s; joining the consumer group takes a few seconds\n", demo->brokers, http);
        print_try_it(demo, http);
        if (wait_ready(running, &signals))
            status = watch(demo, running, http, options->seconds, &signals, err);
    }
    if (running)
        (void)server_stop(running);
    settings_free(&settings);
    demo_broker_stop(broker);
    return status;
}

static enum status make_demo(const struct demo_options *options, struct demo *demo, struct error *err)
{
    const struct gen_options gen = {
        .seed = (uint64_t)options->seed, .start_s = 1735689600, .per_day = 100000, .cards = 5000, .terminals = 2000,
        .fraud = {[GEN_SPREE] = 0.003, [GEN_TERMINAL] = 0.003, [GEN_TESTING] = 0.003, [GEN_TAKEOVER] = 0.003},
    };
    demo->rate = options->rate;
    demo->known = calloc(DEMO_KNOWN, sizeof *demo->known);
    if (!demo->known)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the demo");
    (void)pthread_mutex_init(&demo->lock, NULL);
    return gen_create(&gen, &demo->gen, err);
}

int cmd_demo(const struct parts *parts, int argc, char **argv)
{
    struct demo_options options = {.rate = 2000, .seed = 303, .http = "127.0.0.1:8080"};
    const struct args_option table[] = {
        {.name = "seconds", .kind = ARGS_INT, .out = &options.seconds, .value = "N", .help = "end after N seconds of traffic; 0: on Ctrl-C", .min = 0, .max = 1e6},
        {.name = "rate", .kind = ARGS_INT, .out = &options.rate, .value = "N", .help = "transactions a second", .min = 1, .max = 1e6},
        {.name = "seed", .kind = ARGS_INT, .out = &options.seed, .value = "N", .help = "seed of the traffic", .min = 0, .max = 1e9},
        {.name = "bundle", .kind = ARGS_TEXT, .out = &options.bundle, .value = "DIR", .help = "bundle to score with; default: the example, card-fraud"},
        {.name = "http", .kind = ARGS_TEXT, .out = &options.http, .value = "ADDRESS", .help = "where HTTP listens; another port where this one is taken"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay demo [--seconds N] [--rate N]",
        .summary = "Shows the whole path at work: an embedded Kafka broker, generated card transactions with known frauds, the server\n"
                   "with the example bundle, and on the terminal rates, latencies by stage, alerts, precision and recall. HTTP is open\n"
                   "meanwhile. Ctrl-C ends it with a summary.",
        .examples = "  assay demo\n  assay demo --seconds 20 --rate 5000",
        .options = table,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    struct demo demo = {.rate = 0};
    struct error err = {""};
    server_block_signals();
    enum status status = make_demo(&options, &demo, &err);
    if (status == STATUS_OK)
        status = run(parts, &options, &demo, &err);
    if (status != STATUS_OK)
        (void)fprintf(stderr, "assay: %s\n", err.message);
    gen_free(demo.gen);
    free((void *)demo.known);
    return status == STATUS_OK ? EXIT_DONE : EXIT_FAILED;
}
