/*
 * How long a model takes from the call to ready to score, against reading its bytes alone, and the memory that this needs at
 * its peak. Every round is a process of its own: what one has freed would be the next one's head start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/report.h"
#include "model/base/check.h"
#include "model/base/clock.h"
#include "model/model.h"
#include "server/cmd/args.h"
#include "server/cmd/engine_choice.h"

enum { ROUNDS_MAX = 101 };

struct outcome {
    bool ok;
    double bytes_ms, load_ms, prepare_ms, cpu_ms, peak_mb, file_mb;
    char message[512];
};

static double ms_since(int64_t start)
{
    return (double)(clock_monotonic_ns() - start) / 1e6;
}

/* The most memory that this process has held, in MB of 2^20 bytes. */
static double peak_mb(void)
{
    char line[128];
    unsigned long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    CHECK(f);
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "VmHWM:", 6) == 0)
            kb = strtoul(line + 6, NULL, 10);
    }
    (void)fclose(f);
    return (double)kb / 1024;
}

/* Forgets the peak so far. */
static void reset_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        (void)fputs("5", f);
        (void)fclose(f);
    }
}

/* Reads the bytes through a small buffer, and so brings them into the cache of files. */
static bool read_bytes(const char *path)
{
    static char block[1 << 16];
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    setbuf(f, NULL);
    while (fread(block, 1, sizeof block, f) > 0)
        ;
    return fclose(f) == 0;
}

static void load(const struct parts *parts, const char *engine_name, const char *path, struct outcome *out)
{
    struct error err = {.message = ""};
    struct model *model = NULL;
    struct engine engine;
    struct prepared *prepared;
    int64_t start = clock_monotonic_ns();
    (void)read_bytes(path); /* where it cannot be read, model_load says so better */
    out->bytes_ms = ms_since(start);
    reset_peak();
    double before_mb = peak_mb(), cpu_s = report_cpu_s();
    start = clock_monotonic_ns();
    out->ok = model_load(path, NULL, &model, &err) == STATUS_OK;
    out->load_ms = ms_since(start);
    start = clock_monotonic_ns();
    out->ok = out->ok && engine_choose(parts, engine_name, model, &engine, &prepared, &err) == STATUS_OK;
    out->prepare_ms = ms_since(start);
    out->cpu_ms = (report_cpu_s() - cpu_s) * 1e3;
    out->peak_mb = peak_mb() - before_mb;
    if (!out->ok) {
        (void)snprintf(out->message, sizeof out->message, "%s", err.message);
        return;
    }
    out->file_mb = (double)model_info(model)->file_bytes / (1 << 20);
    engine_release(&engine, prepared);
    engine_close(&engine);
    model_free(model);
}

static void load_in_child(const struct parts *parts, const char *engine_name, const char *path, struct outcome *out)
{
    int ends[2], status;
    *out = (struct outcome){.message = "the process that loaded it died"};
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        load(parts, engine_name, path, out);
        _exit(write(ends[1], out, sizeof *out) == (ssize_t)sizeof *out ? 0 : 1);
    }
    (void)close(ends[1]);
    struct outcome got;
    if (read(ends[0], &got, sizeof got) == (ssize_t)sizeof got)
        *out = got;
    (void)close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
}

static double median_of(const struct outcome *rounds, size_t n, double (*figure)(const struct outcome *))
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < n; i++)
        values[i] = figure(&rounds[i]);
    return report_median(values, n);
}

#define FIGURE(name, expression)                                                                                                 \
    static double name(const struct outcome *o)                                                                                  \
    {                                                                                                                            \
        return expression;                                                                                                       \
    }
FIGURE(bytes_ms, o->bytes_ms)
FIGURE(load_ms, o->load_ms)
FIGURE(prepare_ms, o->prepare_ms)
FIGURE(ready_ms, o->load_ms + o->prepare_ms)
FIGURE(cpu_ms, o->cpu_ms)
FIGURE(peak, o->peak_mb)

static void print_report(const struct outcome *rounds, size_t n, double goal_ms, bool json)
{
    double file_mb = rounds[0].file_mb;
    struct report *report = report_begin("load", 0, json);
    report_add(report, "file_mb", file_mb, "MB", 1, "");
    report_add(report, "bytes_ms", median_of(rounds, n, bytes_ms), "ms", 1, "reading its bytes alone");
    report_add(report, "load_ms", median_of(rounds, n, load_ms), "ms", 1, "read, checked, in memory");
    report_add(report, "prepare_ms", median_of(rounds, n, prepare_ms), "ms", 1, "laid out, kernels chosen by trial");
    report_goal(report, "ready_ms", median_of(rounds, n, ready_ms), "ms", 1, true, goal_ms);
    report_add(report, "cpu_ms", median_of(rounds, n, cpu_ms), "ms", 1, "processor time of the two");
    report_goal(report, "peak_mb", median_of(rounds, n, peak), "MB", 1, true, 4 * file_mb + 64);
    report_end(report);
}

int bench_load(const struct parts *parts, int argc, char **argv)
{
    bool json = false;
    int64_t rounds = 9, goal_ms = 100;
    const char *engine_name = "auto", *path = NULL;
    size_t paths = 0;
    const struct args_option options[] = {
        {.name = "rounds", .kind = ARGS_INT, .out = &rounds, .value = "N", .min = 1, .max = ROUNDS_MAX,
         .help = "processes that load it, one after the other; medians"},
        {.name = "goal-ms", .kind = ARGS_INT, .out = &goal_ms, .value = "MS", .help = "milliseconds that it may take to be ready"},
        {.name = "engine", .kind = ARGS_TEXT, .out = &engine_name, .value = "NAME", .help = "the engine that it is prepared for"},
        {.name = "json", .kind = ARGS_FLAG, .out = &json, .help = "one JSON object instead of a table"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay bench load MODEL [OPTIONS]",
        .summary = "Time until a model is ready to score, against reading its bytes alone, and the memory that it takes at its peak.",
        .examples = "  build/release/tools/make_model 500 8 30 build/d8.ubj && assay bench load build/d8.ubj",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, &path, &paths);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    struct outcome outcomes[ROUNDS_MAX];
    for (int64_t r = 0; r < rounds; r++) {
        load_in_child(parts, engine_name, path, &outcomes[r]);
        if (!outcomes[r].ok) {
            (void)fprintf(stderr, "assay: %s\n", outcomes[r].message);
            return EXIT_FAILED;
        }
    }
    print_report(outcomes, (size_t)rounds, (double)goal_ms, json);
    return EXIT_DONE;
}
