/*
 * assay backtest: scores history as the server would have, with the labels that were known at each moment, and measures the
 * scores against what is known now.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/features/calendar.h"
#include "model/history.h"
#include "model/input/time.h"
#include "server/backtest/cards.h"
#include "server/backtest/report.h"
#include "server/cmd/args.h"
#include "server/cmd/csv.h"
#include "server/cmd/fields_seen.h"
#include "server/cmd/lines.h"
#include "server/cmd/past_warnings.h"
#include "server/labels/label_file.h"
#include "server/offline.h"
#include "server/progress.h"

enum { EVICT_ROWS = 1 << 16, DAY_S = 86400 };

struct options {
    const char *dir, *labels, *in, *engine, *from, *until, *card, *amount, *plot, *scores;
    int64_t top;
    bool json, labelled;
};

struct backtest {
    const struct options *options;
    struct loaded loaded;
    struct offline offline;
    struct label_file labels;
    struct lines in;
    struct cards cards;
    struct outcomes outcomes;
    FILE *scores;             /* NULL: not wanted */
    struct buf cell;
    int card, amount;         /* fields; -1: none */
    int64_t from_us, until_us; /* what is measured; all is scored */
    uint64_t rows, outside, unlabelled, not_scored; /* lines; of them outside from_us to until_us … */
    struct fields_seen fields;
    struct progress progress;
};

/* "2018-08-08" or a date and time of RFC 3339. */
static enum status read_time(const char *option, const char *text, int64_t otherwise, int64_t *us, struct error *err)
{
    char whole[64];
    *us = otherwise;
    if (!text)
        return STATUS_OK;
    (void)snprintf(whole, sizeof whole, "%s%s", text, strlen(text) == 10 ? "T00:00:00Z" : "");
    if (time_from_rfc3339(whole, strlen(whole), us) == DECODE_NONE)
        return STATUS_OK;
    return error_set(err, STATUS_USAGE, "--%s: '%.40s' is no date: 2018-08-08 or 2018-08-08T12:00:00Z", option, text);
}

/* The field that an option names; without one the first of its type, or the number "amount". */
static enum status find_field(const struct schema *schema, const char *option, const char *name, enum field_type type, int *field, struct error *err)
{
    *field = -1;
    if (name) {
        *field = schema_find(schema, name);
        if (*field < 0 || schema_field(schema, (size_t)*field)->type != type)
            return error_set(err, STATUS_USAGE, "--%s: '%.64s' is not a field of type %s", option, name, field_type_name(type));
        return STATUS_OK;
    }
    for (size_t i = 0; i < schema_size(schema) && *field < 0; i++)
        if (schema_field(schema, i)->type == type && (type == FIELD_KEY || strcmp(schema_field(schema, i)->name, "amount") == 0))
            *field = (int)i;
    return STATUS_OK;
}

static enum status write_score(struct backtest *b, const struct txn *txn, bool fraud, struct error *err)
{
    struct span id = txn->input.values[schema_id(txn->bundle->schema)].text;
    if (!b->scores)
        return STATUS_OK;
    buf_clear(&b->cell);
    csv_append(&b->cell, id.data, id.len);
    if (fprintf(b->scores, "%s,%.17g,%d\n", buf_text(&b->cell), txn->verdict.score, fraud) < 0)
        return error_set(err, STATUS_IO, "%s: %s", b->options->scores, strerror(errno));
    return STATUS_OK;
}

/* Keeps what a scored transaction turned out to be. */
static enum status note(struct backtest *b, const struct txn *txn, struct error *err)
{
    const struct value *values = txn->input.values;
    fields_seen_note(&b->fields, txn->bundle->schema, &txn->input);
    enum label_truth truth = label_file_meet(&b->labels, values[schema_id(txn->bundle->schema)].text);
    if (txn->input.time_us < b->from_us || txn->input.time_us >= b->until_us) {
        b->outside++;
        return STATUS_OK;
    }
    if (txn->outcome != OUTCOME_SCORED || isnan(txn->verdict.score)) {
        b->not_scored++;
        return STATUS_OK;
    }
    b->unlabelled += truth == TRUTH_UNKNOWN;
    if (truth == TRUTH_UNKNOWN && b->options->labelled)
        return STATUS_OK;
    double seconds = floor((double)txn->input.time_us / 1e6);
    struct outcome_row row = {.score = txn->verdict.score, .fraud = truth == TRUTH_FRAUD, .card = NO_CARD, .day = (int32_t)calendar_days(seconds)};
    row.second = (uint32_t)(seconds - (double)row.day * DAY_S);
    double amount = b->amount >= 0 ? values[b->amount].number : (double)NAN;
    row.amount = isfinite(amount) ? amount : 0;
    if (b->card >= 0 && values[b->card].text.data) {
        enum status status = cards_number(&b->cards, values[b->card].text, &row.card, err);
        if (status != STATUS_OK)
            return status;
    }
    enum status status = write_score(b, txn, row.fraud, err);
    return status == STATUS_OK ? outcomes_add(&b->outcomes, &row, err) : status;
}

static enum status finish_chunk(struct backtest *b, uint32_t n, struct error *err)
{
    int64_t latest_us = INT64_MIN;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < n; i++) {
        const struct txn *txn = b->offline.txns[i];
        if (txn->outcome != OUTCOME_REJECTED && txn->input.time_us > latest_us)
            latest_us = txn->input.time_us;
    }
    if (b->offline.history) /* no window sees a label before its time, so they may be told early */
        label_file_tell(&b->labels, history_state(b->offline.history), latest_us);
    offline_score(&b->offline, n);
    for (uint32_t i = 0; i < n && status == STATUS_OK; i++) {
        if (b->offline.txns[i]->outcome == OUTCOME_REJECTED)
            b->not_scored++;
        else
            status = note(b, b->offline.txns[i], err);
    }
    offline_finish(&b->offline, n);
    if (b->offline.history && b->rows / EVICT_ROWS != (b->rows + n) / EVICT_ROWS)
        (void)history_evict(b->offline.history, INT64_MAX);
    b->rows += n;
    progress_update(&b->progress, b->rows, b->in.bytes);
    return status;
}

static enum status score_lines(struct backtest *b, struct error *err)
{
    const char *line;
    size_t len;
    uint32_t n = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && lines_next(&b->in, &line, &len)) {
        offline_decode(&b->offline, n++, line, len);
        if (n < OFFLINE_CHUNK)
            continue;
        status = finish_chunk(b, n, err);
        n = 0;
    }
    return n > 0 && status == STATUS_OK ? finish_chunk(b, n, err) : status;
}

static enum status score_all(struct backtest *b, struct error *err)
{
    enum status status = STATUS_OK;
    progress_begin(&b->progress, b->in.total);
    while (status == STATUS_OK && !b->in.at_end) {
        status = lines_fill(&b->in, err);
        if (status == STATUS_OK)
            status = score_lines(b, err);
    }
    progress_end(&b->progress, b->rows);
    return status;
}

/* The past that was scored is worth a report. */
static enum status check_scored(const struct backtest *b, struct error *err)
{
    past_warnings("backtest", b->offline.history, &b->labels, b->rows);
    fields_seen_warn(&b->fields, b->loaded.bundle->schema, "backtest");
    if (b->outcomes.count > 0)
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "no transaction to measure: of %llu lines %llu lie outside --from and --until, %llu could not be scored, %llu have no label",
                     (unsigned long long)b->rows, (unsigned long long)b->outside, (unsigned long long)b->not_scored, (unsigned long long)b->unlabelled);
}

static enum status prepare(struct backtest *b, const struct parts *parts, struct error *err)
{
    const struct options *o = b->options;
    enum status status = loaded_open(parts, o->dir, o->engine, &b->loaded, err);
    if (status != STATUS_OK)
        return status;
    const struct schema *schema = b->loaded.bundle->schema;
    status = offline_open(&b->loaded, &b->offline, err);
    if (status == STATUS_OK)
        status = read_time("from", o->from, INT64_MIN, &b->from_us, err);
    if (status == STATUS_OK)
        status = read_time("until", o->until, INT64_MAX, &b->until_us, err);
    if (status == STATUS_OK)
        status = find_field(schema, "card", o->card, FIELD_KEY, &b->card, err);
    if (status == STATUS_OK)
        status = find_field(schema, "amount", o->amount, FIELD_NUMBER, &b->amount, err);
    if (status == STATUS_OK)
        status = label_file_load(&b->labels, o->labels, schema, err);
    if (status == STATUS_OK && o->scores) {
        b->scores = fopen(o->scores, "wb");
        if (!b->scores || fputs("transaction_id,score,fraud\n", b->scores) == EOF)
            status = error_set(err, STATUS_IO, "%s: %s", o->scores, strerror(errno));
    }
    return status == STATUS_OK ? lines_open(&b->in, o->in, err) : status;
}

static enum status write_file(const char *path, struct buf *content, struct error *err)
{
    FILE *file = path ? fopen(path, "wb") : stdout;
    bool written = file && !content->failed && fwrite(content->data, 1, content->len, file) == content->len && fflush(file) == 0;
    if (file && path)
        written = fclose(file) == 0 && written;
    return written ? STATUS_OK : error_set(err, STATUS_IO, "%s: %s", path ? path : "stdout", content->failed ? "out of memory" : strerror(errno));
}

static enum status report(const struct backtest *b, struct error *err)
{
    const struct options *o = b->options;
    struct quality quality;
    enum status status = quality_measure(&b->outcomes, (size_t)o->top, &quality, err);
    const struct backtest_report report = {.bundle = b->loaded.bundle, .quality = &quality, .top = (size_t)o->top, .unlabelled = b->unlabelled,
                                  .left_out = o->labelled, .not_scored = b->not_scored};
    struct buf out = {0};
    if (status == STATUS_OK) {
        if (o->json)
            backtest_json(&report, &out);
        else
            backtest_text(&report, &out);
        status = write_file(NULL, &out, err);
    }
    if (status == STATUS_OK && o->plot) {
        buf_clear(&out);
        backtest_plot(&report, &out);
        status = write_file(o->plot, &out, err);
    }
    buf_free(&out);
    quality_free(&quality);
    return status;
}

static enum status close_backtest(struct backtest *b, enum status status, struct error *err)
{
    if (b->scores && fclose(b->scores) != 0 && status == STATUS_OK)
        status = error_set(err, STATUS_IO, "%s: %s", b->options->scores, strerror(errno));
    if (b->offline.loaded)
        offline_close(&b->offline);
    loaded_close(&b->loaded);
    label_file_free(&b->labels);
    buf_free(&b->cell);
    lines_close(&b->in);
    cards_free(&b->cards);
    outcomes_free(&b->outcomes);
    return status;
}

static int run(const struct parts *parts, const struct options *options)
{
    struct error err = {""};
    struct backtest b = {.options = options, .in = {.fd = -1}};
    enum status status = prepare(&b, parts, &err);
    if (status == STATUS_OK)
        status = score_all(&b, &err);
    if (status == STATUS_OK)
        status = check_scored(&b, &err);
    if (status == STATUS_OK)
        status = report(&b, &err);
    status = close_backtest(&b, status, &err);
    if (status != STATUS_OK)
        (void)fprintf(stderr, "assay: %s\n", err.message);
    return status == STATUS_OK ? EXIT_DONE : status == STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

int cmd_backtest(const struct parts *parts, int argc, char **argv)
{
    struct options o = {.in = "-", .engine = "auto", .top = 100};
    const struct args_option options[] = {
        {.name = "bundle", .kind = ARGS_TEXT, .out = &o.dir, .value = "DIR", .help = "bundle to score with"},
        {.name = "labels", .kind = ARGS_TEXT, .out = &o.labels, .value = "FILE", .help = "what the transactions turned out to be, as JSON lines or CSV: transaction_id, fraud, time"},
        {.name = "in", .kind = ARGS_TEXT, .out = &o.in, .value = "FILE", .help = "transactions in the order of their time, one JSON object a line; -: stdin"},
        {.name = "from", .kind = ARGS_TEXT, .out = &o.from, .value = "DATE", .help = "measure from this day or time on; what comes before fills the windows"},
        {.name = "until", .kind = ARGS_TEXT, .out = &o.until, .value = "DATE", .help = "measure what comes before this day or time"},
        {.name = "labelled", .kind = ARGS_FLAG, .out = &o.labelled, .help = "leave transactions without a label out; else they are honest"},
        {.name = "card", .kind = ARGS_TEXT, .out = &o.card, .value = "FIELD", .help = "key that card precision is about; the first one unless given"},
        {.name = "amount", .kind = ARGS_TEXT, .out = &o.amount, .value = "FIELD", .help = "number that is the value of a transaction; amount unless given"},
        {.name = "top", .kind = ARGS_INT, .out = &o.top, .value = "CARDS", .help = "cards that can be looked at in a day", .min = 1, .max = 1e9},
        {.name = "json", .kind = ARGS_FLAG, .out = &o.json, .help = "print the report as a JSON object"},
        {.name = "plot", .kind = ARGS_TEXT, .out = &o.plot, .value = "FILE", .help = "write the curves to this SVG file"},
        {.name = "scores", .kind = ARGS_TEXT, .out = &o.scores, .value = "FILE", .help = "write transaction_id,score,fraud of what is measured to this CSV file"},
        {.name = "engine", .kind = ARGS_TEXT, .out = &o.engine, .value = "NAME", .help = "auto, cpu or reference"},
        {.name = NULL},
    };
    const struct args_spec spec = {
        .usage = "assay backtest --bundle DIR --labels FILE < transactions.jsonl",
        .summary = "Scores history as the server would have: each transaction with what was known at its moment, labels too. Then measures\n"
                   "the scores against the labels as they are now: AUC, average precision, precision, recall, alerts a day and value caught\n"
                   "by threshold, calibration, and the card precision of each day.",
        .examples = "  assay gen --transactions 500000 --labels labels.jsonl |\n"
                    "    assay backtest --bundle config/bundles/card-fraud --labels labels.jsonl --plot curves.svg",
        .options = options,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    if (!o.dir || !o.labels) {
        (void)fprintf(stderr, "assay: --bundle and --labels are needed\nusage: %s\n", spec.usage);
        return EXIT_USAGE;
    }
    return run(parts, &o);
}
