/*
 * assay features: the training table of a bundle, with the windows as the server would have seen them; or what its features
 * are made of.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/bundle.h"
#include "model/history.h"
#include "model/input/number.h"
#include "server/cmd/args.h"
#include "server/cmd/csv.h"
#include "server/cmd/features_command.h"
#include "server/cmd/fields_seen.h"
#include "server/cmd/lines.h"
#include "server/cmd/past_warnings.h"
#include "server/labels/label_file.h"
#include "server/progress.h"
#include "server/state_options.h"

enum { CHUNK = 256, FLUSH_BYTES = 1 << 18, EVICT_ROWS = 1 << 16 };

struct table {
    const struct bundle *bundle;
    struct history *history; /* NULL: no windows */
    struct history_writer *writer;
    struct transaction txs[CHUNK];
    struct history_entry entries[CHUNK];
    struct label_file labels;
    struct lines in;
    int out;
    struct buf text;
    double *row; /* [plan_columns] */
    uint64_t rows, refused;
    struct fields_seen fields;
    struct progress progress;
};

static enum status flush_text(struct table *t, struct error *err)
{
    if (t->text.failed)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the table");
    for (size_t done = 0; done < t->text.len;) {
        ssize_t n = write(t->out, t->text.data + done, t->text.len - done);
        if (n < 0 && errno != EINTR)
            return error_set(err, STATUS_IO, "writing the table: %s", strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    buf_clear(&t->text);
    return STATUS_OK;
}

static void write_heading(struct table *t)
{
    buf_string(&t->text, "transaction_id");
    for (size_t i = 0; i < t->bundle->features; i++) {
        const char *name = plan_column_name(t->bundle->plan, i);
        buf_char(&t->text, ',');
        csv_append(&t->text, name, strlen(name));
    }
    buf_char(&t->text, '\n');
}

/* A missing value is an empty cell. Small whole numbers, which most are, need no search for the shortest digits. */
static void write_number(struct buf *out, double value)
{
    char *to = buf_reserve(out, NUMBER_TEXT_MAX + 1);
    if (!to)
        return;
    to[0] = ',';
    if (value >= 0 && value < 10 && value == (double)(int)value && !signbit(value)) {
        to[1] = (char)('0' + (int)value);
        out->len += 2;
    } else if (isfinite(value)) {
        out->len += 1 + number_write_double(to + 1, value);
    } else {
        out->len++;
        buf_string(out, isnan(value) ? "" : value > 0 ? "inf" : "-inf");
    }
}

static void write_row(struct table *t, const struct transaction *tx)
{
    struct span id = tx->values[schema_id(t->bundle->schema)].text;
    fields_seen_note(&t->fields, t->bundle->schema, tx);
    (void)label_file_meet(&t->labels, id); /* to tell at the end which labels have no transaction */
    plan_run(t->bundle->plan, tx, NUMBER_F64, t->row);
    csv_append(&t->text, id.data, id.len);
    for (size_t i = 0; i < t->bundle->features; i++)
        write_number(&t->text, t->row[i]);
    buf_char(&t->text, '\n');
}

/* The windows of rows 0..n. Labels may be told before their time, since no window sees them earlier. */
static void ask_past(struct table *t, uint32_t n)
{
    int64_t latest_us = INT64_MIN;
    for (uint32_t i = 0; i < n; i++)
        latest_us = t->txs[i].time_us > latest_us ? t->txs[i].time_us : latest_us;
    label_file_tell(&t->labels, history_state(t->history), latest_us);
    history_apply(t->writer, t->entries, n, 0);
    if (t->rows / EVICT_ROWS != (t->rows + n) / EVICT_ROWS)
        (void)history_evict(t->history, INT64_MAX);
}

static enum status finish_chunk(struct table *t, uint32_t n, struct error *err)
{
    if (t->history)
        ask_past(t, n);
    for (uint32_t i = 0; i < n; i++)
        write_row(t, &t->txs[i]);
    t->rows += n;
    progress_update(&t->progress, t->rows, t->in.bytes);
    return t->text.len >= FLUSH_BYTES || t->text.failed ? flush_text(t, err) : STATUS_OK;
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

static enum status write_lines(struct table *t, struct error *err)
{
    const char *line;
    size_t len;
    uint32_t n = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && lines_next(&t->in, &line, &len)) {
        n += decode(t, &t->txs[n], line, len);
        if (n < CHUNK)
            continue;
        status = finish_chunk(t, n, err);
        n = 0;
    }
    return n > 0 && status == STATUS_OK ? finish_chunk(t, n, err) : status;
}

static enum status write_table(struct table *t, struct error *err)
{
    enum status status = STATUS_OK;
    write_heading(t);
    while (status == STATUS_OK && !t->in.at_end) {
        status = lines_fill(&t->in, err);
        if (status == STATUS_OK)
            status = write_lines(t, err);
    }
    return status == STATUS_OK ? flush_text(t, err) : status;
}

static enum status prepare(struct table *t, const char *in, const char *labels, struct error *err)
{
    const struct bundle *b = t->bundle;
    const struct state_options keep = state_options_default();
    size_t windows;
    (void)plan_windows(b->plan, &windows);
    enum status status = history_create(b->schema, b->plan, &keep, &t->history, err);
    if (status == STATUS_OK && t->history)
        status = history_writer_create(t->history, CHUNK, &t->writer, err);
    for (uint32_t i = 0; i < CHUNK && status == STATUS_OK; i++) {
        status = transaction_init(&t->txs[i], b->schema, windows, err);
        t->entries[i] = (struct history_entry){.tx = &t->txs[i], .source = -1};
    }
    t->row = calloc(plan_columns(b->plan) + 1, sizeof *t->row);
    if (status == STATUS_OK && !t->row)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for the table");
    if (status == STATUS_OK && labels)
        status = label_file_load(&t->labels, labels, b->schema, err);
    return status == STATUS_OK ? lines_open(&t->in, in, err) : status;
}

static void close_table(struct table *t)
{
    for (uint32_t i = 0; i < CHUNK; i++)
        transaction_free(&t->txs[i]);
    history_writer_free(t->writer);
    history_free(t->history);
    label_file_free(&t->labels);
    lines_close(&t->in);
    buf_free(&t->text);
    free(t->row);
}

/* The table of a bundle, from a file to stdout. */
static enum status run(const struct bundle *bundle, const char *in, const char *labels, struct table *t, struct error *err)
{
    *t = (struct table){.bundle = bundle, .out = STDOUT_FILENO, .in = {.fd = -1}};
    enum status status = prepare(t, in, labels, err);
    progress_begin(&t->progress, t->in.total);
    if (status == STATUS_OK) {
        status = write_table(t, err);
        progress_end(&t->progress, t->rows);
    }
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
