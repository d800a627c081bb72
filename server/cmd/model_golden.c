/*
 * assay model golden: scores transactions with a bundle and writes them down with their scores, for the bundle to be
 * checked against at every load.
 */
#include <stdio.h>
#include <string.h>

#include "model/history.h"
#include "server/cmd/args.h"
#include "server/cmd/model_command.h"
#include "server/golden.h"
#include "server/offline.h"

enum { LINE_BYTES_MAX = 1 << 20 };

/* What was written, for the last word on it. */
struct written {
    uint64_t rows;
    int64_t first_us, last_us; /* event times, the earliest and the latest */
};

static void count_row(struct written *written, int64_t time_us)
{
    if (written->rows++ == 0)
        written->first_us = written->last_us = time_us;
    written->first_us = time_us < written->first_us ? time_us : written->first_us;
    written->last_us = time_us > written->last_us ? time_us : written->last_us;
}

/* Windows are pinned only as far back as the rows go. */
static void warn_of_reach(const struct history *history, const struct written *written)
{
    double span_s = (double)(written->last_us - written->first_us) / 1e6, reach_s = history ? history_reach_s(history) : 0;
    if (span_s < reach_s)
        (void)fprintf(stderr, "assay: these rows span %.1f h, the bundle's windows look back %.1f h: what a window takes from longer ago is not "
                              "held by them; take rows of fewer keys over a longer time\n", span_s / 3600, reach_s / 3600);
}

static enum status write_rows(struct offline *offline, FILE *in, struct written *written, struct error *err)
{
    static char line[LINE_BYTES_MAX];
    struct buf out = {0};
    enum status status = STATUS_OK;
    for (uint64_t number = 1; status == STATUS_OK && fgets(line, sizeof line, in); number++) {
        size_t len = strcspn(line, "\r\n");
        if (decode_skip_space(line, len) == len)
            continue;
        offline_decode(offline, 0, line, len);
        offline_score(offline, 1);
        const struct txn *txn = offline->txns[0];
        buf_clear(&out);
        if (txn->outcome != OUTCOME_SCORED) {
            decode_fault_describe(offline->loaded->bundle->schema, &txn->fault, &out);
            status = error_set(err, STATUS_INVALID, "line %llu can't be scored: %s", (unsigned long long)number, buf_text(&out));
        } else {
            golden_write(&out, txn, line, len);
            if (out.failed || fwrite(out.data, 1, out.len, stdout) != out.len)
                status = error_set(err, STATUS_IO, "writing the rows failed");
            count_row(written, txn->input.time_us);
        }
        offline_finish(offline, 1);
    }
    buf_free(&out);
    if (status == STATUS_OK && ferror(in))
        status = error_set(err, STATUS_IO, "reading the transactions failed");
    if (status == STATUS_OK && fflush(stdout) != 0)
        status = error_set(err, STATUS_IO, "writing the rows failed");
    return status;
}

int model_golden(const struct parts *parts, int argc, char **argv)
{
    const char *dir = NULL;
    const struct args_option options[] = {{.name = NULL}};
    const struct args_spec spec = {
        .usage = "assay model golden BUNDLE < transactions.jsonl > golden.jsonl",
        .summary = "Scores transactions, one JSON object a line, and writes each with its score and decision. Put the file into the\n"
                   "bundle as golden.jsonl: it is scored again at every load, and a bundle that gives other scores is refused.",
        .examples = "  head -100 transactions.jsonl | assay model golden card-fraud > golden.jsonl && mv golden.jsonl card-fraud/",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, &dir, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    struct loaded loaded;
    struct offline offline;
    struct error err = {""};
    struct written written = {0};
    enum status status = loaded_open_unchecked(parts, dir, "auto", &loaded, &err);
    if (status == STATUS_OK) {
        status = offline_open(&loaded, &offline, &err);
        if (status == STATUS_OK) {
            status = write_rows(&offline, stdin, &written, &err);
            if (status == STATUS_OK)
                warn_of_reach(offline.history, &written);
            offline_close(&offline);
        }
        loaded_close(&loaded);
    }
    if (status == STATUS_OK && written.rows == 0)
        status = error_set(&err, STATUS_INVALID, "no transactions on stdin");
    if (status != STATUS_OK)
        (void)fprintf(stderr, "assay: %s\n", err.message);
    return status == STATUS_OK ? EXIT_DONE : EXIT_FAILED;
}
