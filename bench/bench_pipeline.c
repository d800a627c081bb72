/*
 * The path without a network, a transaction at a time and in chunks: nanoseconds of each stage, and of writing the record.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "bench/report.h"
#include "bench/work.h"
#include "model/base/buf.h"
#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/cmd/args.h"
#include "server/gen/gen.h"
#include "server/offline.h"

enum { TRANSACTIONS = 8192, ROUNDS = 15, TEXT = 512 };

struct corpus {
    char text[TRANSACTIONS][TEXT];
    size_t len[TRANSACTIONS];
};

/* Nanoseconds a transaction of one pass in chunks of n. */
struct pass {
    double decode, features, score, decide, record, total;
};

static struct pass run_pass(struct offline *offline, const struct corpus *corpus, uint32_t n, struct buf *out)
{
    struct pass p = {.total = 0};
    const struct record_options plain = {.features = false};
    int64_t start = clock_monotonic_ns(), records = 0;
    for (uint32_t i = 0; i + n <= TRANSACTIONS; i += n) {
        for (uint32_t k = 0; k < n; k++)
            offline_decode(offline, k, corpus->text[i + k], corpus->len[i + k]);
        offline_score(offline, n);
        buf_clear(out);
        int64_t scored = clock_monotonic_ns();
        for (uint32_t k = 0; k < n; k++)
            record_write(out, offline->txns[k], pool_rows(offline->pool), &plain);
        records += clock_monotonic_ns() - scored;
        offline_finish(offline, n);
        for (uint32_t k = 0; k < n; k++) {
            const struct stage_times *t = &offline->txns[k]->times;
            CHECK(offline->txns[k]->outcome == OUTCOME_SCORED);
            p.decode += (double)t->decode;
            p.features += (double)t->features;
            p.score += (double)t->score;
            p.decide += (double)t->decide;
        }
    }
    p.total = (double)(clock_monotonic_ns() - start) / TRANSACTIONS;
    p.decode /= TRANSACTIONS;
    p.features /= TRANSACTIONS;
    p.score /= TRANSACTIONS;
    p.decide /= TRANSACTIONS;
    p.record = (double)records / TRANSACTIONS;
    return p;
}

static double median_of(const struct pass *passes, size_t offset)
{
    double values[ROUNDS];
    for (int r = 0; r < ROUNDS; r++)
        values[r] = *(const double *)(const void *)((const char *)&passes[r] + offset);
    return report_median(values, ROUNDS);
}

static void add_figures(struct report *report, const struct pass *passes, uint32_t n)
{
    static const struct {
        const char *name;
        size_t offset;
    } parts[] = {{"decode", offsetof(struct pass, decode)}, {"features", offsetof(struct pass, features)}, {"score", offsetof(struct pass, score)},
                 {"decide", offsetof(struct pass, decide)}, {"record", offsetof(struct pass, record)},     {"total", offsetof(struct pass, total)}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "chunk%u_%s", n, parts[i].name);
        report_add(report, name, median_of(passes, parts[i].offset), "ns", 0, parts[i].offset == offsetof(struct pass, total) ? "a transaction, clocks and counters included" : "");
    }
}

static enum status run(const struct parts *parts, const char *dir, int64_t seed, const char *engine, struct report *report, struct error *err)
{
    static const uint32_t chunks[] = {1, 64, 256};
    struct loaded loaded;
    struct offline offline;
    struct gen *gen = NULL;
    enum status status = loaded_open(parts, dir, engine, &loaded, err);
    if (status != STATUS_OK)
        return status;
    struct corpus *corpus = calloc(1, sizeof *corpus);
    status = corpus ? offline_open(&loaded, &offline, err) : error_set(err, STATUS_NO_MEMORY, "out of memory for the transactions");
    if (status == STATUS_OK) {
        status = work_transactions((uint64_t)seed, &gen, err);
        for (int i = 0; i < TRANSACTIONS && status == STATUS_OK; i++)
            corpus->len[i] = work_next(gen, corpus->text[i], TEXT);
        struct buf out = {0};
        for (size_t c = 0; c < sizeof chunks / sizeof chunks[0] && status == STATUS_OK; c++) {
            struct pass passes[ROUNDS];
            (void)run_pass(&offline, corpus, chunks[c], &out); /* warms up */
            for (int r = 0; r < ROUNDS; r++)
                passes[r] = run_pass(&offline, corpus, chunks[c], &out);
            add_figures(report, passes, chunks[c]);
        }
        buf_free(&out);
        gen_free(gen);
        offline_close(&offline);
    }
    free(corpus);
    loaded_close(&loaded);
    return status;
}

int bench_pipeline(const struct parts *parts, int argc, char **argv)
{
    bool json = false;
    int64_t seed = 1;
    const char *bundle = WORK_BUNDLE, *engine = "auto";
    const struct args_option options[] = {
        {.name = "bundle", .kind = ARGS_TEXT, .out = &bundle, .value = "DIR", .help = "bundle for transactions of assay gen"},
        {.name = "engine", .kind = ARGS_TEXT, .out = &engine, .value = "NAME", .help = "auto, cpu or reference"},
        {.name = "seed", .kind = ARGS_INT, .out = &seed, .value = "N", .help = "seed of the transactions", .min = 0, .max = 1e9},
        {.name = "json", .kind = ARGS_FLAG, .out = &json, .help = "one JSON object instead of a table"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay bench pipeline [--bundle DIR] [--engine NAME] [--json]",
        .summary = "Nanoseconds a transaction in each stage from bytes to record, one thread, in chunks of 1, 64 and 256.\n" WORK_BUNDLE_HINT ".",
        .examples = "  assay bench pipeline\n  assay bench pipeline --engine reference",
        .options = options,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    struct error err = {""};
    struct report *report = report_begin("pipeline", (uint64_t)seed, json);
    enum status status = run(parts, bundle, seed, engine, report, &err);
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "assay: %s\n", err.message);
        free(report);
        return status == STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
    }
    report_end(report);
    return EXIT_DONE;
}
