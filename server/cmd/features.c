/*
 * assay features: the training table of a bundle, with the windows as the server would have seen them; or what its features
 * are made of.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/bundle.h"
#include "model/history.h"
#include "server/cmd/args.h"
#include "server/cmd/features_command.h"
#include "server/cmd/fields_seen.h"
#include "server/cmd/lines.h"
#include "server/cmd/past_warnings.h"
#include "server/cmd/table_writer.h"
#include "server/labels/label_file.h"
#include "server/progress.h"
#include "server/state_options.h"

enum { EVICT_ROWS = 1 << 16 };

struct table {
    const struct bundle *bundle;
    struct history *history; /* NULL: no windows */
    struct history_writer *past;
    struct history_entry entries[TABLE_CHUNK];
    struct label_file labels;
    struct lines in;
    struct table_writer writer;
    uint64_t rows, refused;
    struct fields_seen fields;
    struct progress progress;
};

/* The windows of n transactions. Labels may be told before their time, since no window sees them earlier. */
static void ask_past(struct table *t, struct transaction *txs, uint32_t n)
{
    int64_t latest_us = INT64_MIN;
    for (uint32_t i = 0; i < n; i++) {
        latest_us = txs[i].time_us > latest_us ? txs[i].time_us : latest_us;
        t->entries[i] = (struct history_entry){.tx = &txs[i], .source = -1};
    }
    label_file_tell(&t->labels, history_state(t->history), latest_us);
    history_apply(t->past, t->entries, n, 0);
    if (t->rows / EVICT_ROWS != (t->rows + n) / EVICT_ROWS)
        (void)history_evict(t->history, INT64_MAX);
}

static void finish_chunk(struct table *t, struct transaction *txs, uint32_t n)
{
    if (t->history)
        ask_past(t, txs, n);
    table_writer_hand(&t->writer, n);
    t->rows += n;
    progress_update(&t->progress, t->rows, t->in.bytes);
}

/* Decodes a line; one that is no transaction is told on stderr and left out. */
static bool decode(struct table *t, struct transaction *tx, const char *line, size_t len)
{
    struct decode_fault fault;
    size_t consumed;
    enum status status = decode_transaction(t->bundle->schema, line, len, tx, &consumed, &fault);
    size_t after = status == STATUS_OK ? consumed + decode_skip_space(line + consumed, len - consumed) : len;
    if (after < len)
        fault = (struct decode_fault){DECODE_TRAILING, -1, (uint32_t)after};
    if (status == STATUS_OK && after == len)
        return true;
    struct buf why = {0};
    decode_fault_describe(t->bundle->schema, &fault, &why);
    if (t->refused++ < 10)
        (void)fprintf(stderr, "assay: line %llu: %s\n", (unsigned long long)t->in.number, buf_text(&why));
    buf_free(&why);
    return false;
}

/* The whole lines of what was read. They are all written when it returns, since transactions borrow from it. */
static enum status write_lines(struct table *t, struct error *err)
{
    const char *line;
    size_t len;
    uint32_t n = 0;
    struct transaction *txs = table_writer_chunk(&t->writer);
    while (lines_next(&t->in, &line, &len)) {
        n += decode(t, &txs[n], line, len);
        if (n < TABLE_CHUNK)
            continue;
        finish_chunk(t, txs, n);
        txs = table_writer_chunk(&t->writer);
        n = 0;
    }
    if (n > 0)
        finish_chunk(t, txs, n);
    return table_writer_wait(&t->writer, err);
}

static enum status write_table(struct table *t, struct error *err)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && !t->in.at_end) {
        status = lines_fill(&t->in, err);
        if (status == STATUS_OK)
            status = write_lines(t, err);
    }
    return status;
}

static enum status prepare(struct table *t, const char *in, const char *labels, struct error *err)
{
    const struct bundle *b = t->bundle;
    const struct state_options keep = state_options_default();
    enum status status = history_create(b->schema, b->plan, &keep, &t->history, err);
    if (status == STATUS_OK && t->history)
        status = history_writer_create(t->history, TABLE_CHUNK, &t->past, err);
    if (status == STATUS_OK && labels)
        status = label_file_load(&t->labels, labels, b->schema, err);
    if (status == STATUS_OK)
        status = lines_open(&t->in, in, err);
    return status == STATUS_OK ? table_writer_start(&t->writer, b, &t->labels, &t->fields, STDOUT_FILENO, err) : status;
}

static void close_table(struct table *t)
{
    history_writer_free(t->past);
    history_free(t->history);
    label_file_free(&t->labels);
    lines_close(&t->in);
}

/* The table of a bundle, from a file to stdout. */
static enum status run(const struct bundle *bundle, const char *in, const char *labels, struct table *t, struct error *err)
{
    *t = (struct table){.bundle = bundle, .in = {.fd = -1}};
    enum status status = prepare(t, in, labels, err);
    progress_begin(&t->progress, t->in.total);
    if (status == STATUS_OK) {
        status = write_table(t, err);
        progress_end(&t->progress, t->rows);
    }
    struct error rest;
    enum status written = table_writer_stop(&t->writer, &rest);
    if (status == STATUS_OK && written != STATUS_OK)
        *err = rest;
    status = status == STATUS_OK ? written : status;
    if (status == STATUS_OK) {
        past_warnings("features", t->history, &t->labels, t->rows);
        fields_seen_warn(&t->fields, bundle->schema, "features");
    }
    close_table(t);
    return status;
}

int cmd_features(const struct parts *parts, int argc, char **argv)
{
    static struct table table;
    const char *dir = NULL, *labels = NULL, *in = "-";
    const struct args_option options[] = {
        {.name = "bundle", .kind = ARGS_TEXT, .out = &dir, .value = "DIR", .help = "bundle whose features are wanted; its model need not be there yet"},
        {.name = "labels", .kind = ARGS_TEXT, .out = &labels, .value = "FILE", .help = "labels for risk, as JSON lines or CSV: transaction_id, fraud, time"},
        {.name = "in", .kind = ARGS_TEXT, .out = &in, .value = "FILE", .help = "transactions in the order of their time, one JSON object a line; -: stdin"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay features --bundle DIR [--labels FILE] < transactions.jsonl > features.csv\n       assay features explain BUNDLE",
        .summary = "Writes the training table: transaction_id, then the features by name, in double precision; a missing value is an empty\n"
                   "cell. Windows see what the server would have seen at that moment: earlier transactions, and labels once they were\n"
                   "known. explain prints what the features ask of the past, what is kept for it and in how many bytes.",
        .examples = "  assay features --bundle my-bundle --labels labels.jsonl < transactions.jsonl > features.csv\n"
                    "  assay features explain my-bundle",
        .options = options,
    };
    if (argc > 1 && strcmp(argv[1], "explain") == 0)
        return features_explain(parts, argc - 1, argv + 1);
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    if (!dir) {
        (void)fprintf(stderr, "assay: --bundle is needed\nusage: %s\n", spec.usage);
        return EXIT_USAGE;
    }
    struct error err = {""};
    struct bundle *bundle = NULL;
    enum status status = bundle_load_features(dir, &bundle, &err);
    if (status == STATUS_OK)
        status = run(bundle, in, labels, &table, &err);
    bundle_free(bundle);
    if (status != STATUS_OK)
        (void)fprintf(stderr, "assay: %s\n", err.message);
    else if (table.refused > 0)
        (void)fprintf(stderr, "assay: %llu lines were no transactions and are left out\n", (unsigned long long)table.refused);
    return status != STATUS_OK || table.refused > 0 ? EXIT_FAILED : EXIT_DONE;
}
