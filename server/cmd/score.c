/*
 * assay score: the server's path over a file. A line of JSON in, a line of JSON out, in the same order: a result record
 * with the bytes that the server gives, or what is wrong with the line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cmd/args.h"
#include "server/cmd/lines.h"
#include "server/offline.h"
#include "server/progress.h"

struct scorer {
    struct loaded loaded;
    struct offline offline;
    struct record_options record;
    struct lines in;
    FILE *out;
    struct buf output;
    uint64_t scored, rejected; /* lines that were not blank; those of them that were refused or failed */
    struct progress progress;
};

static void write_answers(struct scorer *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct txn *txn = s->offline.txns[i];
        s->scored++;
        if (txn->outcome == OUTCOME_SCORED) {
            record_write(&s->output, txn, pool_rows(s->offline.pool), &s->record);
        } else {
            s->rejected++;
            buf_format(&s->output, "{\"error\":{\"line\":%llu,", (unsigned long long)txn->origin_item);
            if (txn->outcome == OUTCOME_REJECTED)
                record_write_fault(&s->output, s->loaded.bundle->schema, &txn->fault);
            else
                buf_string(&s->output, "\"detail\":\"the model could not be computed\"");
            buf_string(&s->output, "}}");
        }
        buf_char(&s->output, '\n');
    }
}

/* Scores the n decoded lines and appends their answers. */
static enum status finish_chunk(struct scorer *s, uint32_t n, struct error *err)
{
    offline_score(&s->offline, n);
    write_answers(s, n);
    offline_finish(&s->offline, n);
    if (s->output.failed)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the results");
    if (fwrite(s->output.data, 1, s->output.len, s->out) != s->output.len)
        return error_set(err, STATUS_IO, "writing results: %s", strerror(errno));
    buf_clear(&s->output);
    progress_update(&s->progress, s->scored, s->in.bytes);
    return STATUS_OK;
}

/* Scores the whole lines of what was read. */
static enum status score_lines(struct scorer *s, struct error *err)
{
    const char *line;
    size_t len;
    uint32_t n = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && lines_next(&s->in, &line, &len)) {
        s->offline.txns[n]->origin_item = s->in.number;
        offline_decode(&s->offline, n++, line, len);
        if (n < OFFLINE_CHUNK)
            continue;
        status = finish_chunk(s, n, err);
        n = 0;
    }
    return n > 0 && status == STATUS_OK ? finish_chunk(s, n, err) : status;
}

static enum status score_file(struct scorer *s, struct error *err)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && !s->in.at_end) {
        status = lines_fill(&s->in, err);
        if (status == STATUS_OK)
            status = score_lines(s, err);
        if (status == STATUS_OK && fflush(s->out) != 0)
            status = error_set(err, STATUS_IO, "writing results: %s", strerror(errno));
    }
    return status;
}

static enum status open_files(struct scorer *s, const char *in, const char *out, struct error *err)
{
    enum status status = lines_open(&s->in, in, err);
    if (status != STATUS_OK)
        return status;
    s->out = strcmp(out, "-") == 0 ? stdout : fopen(out, "wb");
    if (!s->out)
        return error_set(err, STATUS_IO, "%s: %s", out, strerror(errno));
    progress_begin(&s->progress, s->in.total);
    return STATUS_OK;
}

static enum status close_scorer(struct scorer *s, enum status status, struct error *err)
{
    if (s->out && fflush(s->out) != 0 && status == STATUS_OK)
        status = error_set(err, STATUS_IO, "writing results: %s", strerror(errno));
    lines_close(&s->in);
    if (s->out && s->out != stdout && fclose(s->out) != 0 && status == STATUS_OK)
        status = error_set(err, STATUS_IO, "writing results: %s", strerror(errno));
    if (s->offline.loaded)
        offline_close(&s->offline);
    loaded_close(&s->loaded);
    buf_free(&s->output);
    return status;
}

int cmd_score(const struct parts *parts, int argc, char **argv)
{
    const char *dir = NULL, *in = "-", *out = "-", *engine = "auto";
    bool strict = false;
    struct scorer s = {.in = {.fd = -1}};
    const struct args_option options[] = {
        {.name = "bundle", .kind = ARGS_TEXT, .out = &dir, .value = "DIR", .help = "bundle to score with"},
        {.name = "in", .kind = ARGS_TEXT, .out = &in, .value = "FILE", .help = "transactions, one JSON object a line; -: stdin"},
        {.name = "out", .kind = ARGS_TEXT, .out = &out, .value = "FILE", .help = "results, one a line in the same order; -: stdout"},
        {.name = "features", .kind = ARGS_FLAG, .out = &s.record.features, .help = "put the feature row into every result"},
        {.name = "timing", .kind = ARGS_FLAG, .out = &s.record.timing, .help = "put microseconds of each stage into every result"},
        {.name = "strict", .kind = ARGS_FLAG, .out = &strict, .help = "exit with 1 when any line could not be scored"},
        {.name = "engine", .kind = ARGS_TEXT, .out = &engine, .value = "NAME", .help = "auto, cpu or reference"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay score --bundle DIR [--in FILE] [--out FILE]",
        .summary = "Scores transactions from a file, through the same path and to the same bytes as the server. A line that can't be\n"
                   "scored gives a line {\"error\":{...}} in its place; blank lines are skipped.",
        .examples = "  assay score --bundle config/bundles/card-fraud < transactions.jsonl > results.jsonl\n"
                    "  assay gen --transactions 1000 | assay score --bundle config/bundles/card-fraud --features",
        .options = options,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    if (!dir) {
        (void)fprintf(stderr, "assay: --bundle is needed\nusage: %s\n", spec.usage);
        return EXIT_USAGE;
    }
    struct error err = {""};
    enum status status = loaded_open(parts, dir, engine, &s.loaded, &err);
    if (status == STATUS_OK)
        status = offline_open(&s.loaded, &s.offline, &err);
    if (status == STATUS_OK)
        status = open_files(&s, in, out, &err);
    if (status == STATUS_OK) {
        status = score_file(&s, &err);
        progress_end(&s.progress, s.scored);
    }
    status = close_scorer(&s, status, &err);
    if (status != STATUS_OK)
        (void)fprintf(stderr, "assay: %s\n", err.message);
    if (status == STATUS_USAGE)
        return EXIT_USAGE;
    if (status == STATUS_OK && s.rejected > 0)
        (void)fprintf(stderr, "assay: %llu of %llu lines could not be scored; see their \"error\"\n", (unsigned long long)s.rejected,
                      (unsigned long long)s.scored);
    return status != STATUS_OK || (strict && s.rejected > 0) ? EXIT_FAILED : EXIT_DONE;
}
