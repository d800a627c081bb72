#include "server/golden.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/input/number.h"
#include "model/input/scan.h"
#include "server/offline.h"

enum { GOLDEN_BYTES_MAX = 64 << 20, SHOWN_MAX = 3 };

/* One line, taken apart: where its transaction and its expected values stand. */
struct golden_row {
    struct span transaction, score, decision;
};

/* Splits a line into its members. */
static bool split(const char *line, size_t len, struct golden_row *row)
{
    struct scan j = {.at = line, .start = line, .end = line + len};
    *row = (struct golden_row){.transaction = {.data = NULL}};
    if (!scan_take(&j, '{'))
        return false;
    for (;;) {
        struct scan_text key;
        if (scan_peek(&j) != '"' || !scan_string(&j, &key) || !scan_take(&j, ':'))
            return false;
        (void)scan_peek(&j);
        const char *start = j.at;
        if (!scan_skip_value(&j, 1))
            return false;
        const struct span value = {start, (uint32_t)(j.at - start)};
        const struct span name = {key.data, (uint32_t)key.len};
        if (span_equal(name, "transaction", 11))
            row->transaction = value;
        else if (span_equal(name, "score", 5))
            row->score = value;
        else if (span_equal(name, "decision", 8))
            row->decision = value;
        char c = scan_peek(&j);
        j.at += c == ',' || c == '}';
        if (c == '}')
            break;
        if (c != ',')
            return false;
    }
    /* The decision is a string: who compares it looks between its quotes. */
    return row->transaction.data && row->score.data && row->decision.data && row->decision.data[0] == '"' && scan_peek(&j) == '\0';
}

static void write_expected(struct buf *out, const struct txn *txn)
{
    buf_string(out, ",\"score\":");
    record_write_score(out, txn->bundle, txn->verdict.score);
    buf_format(out, ",\"decision\":\"%s\"}\n", decision_name(txn->verdict.decision));
}

void golden_write(struct buf *out, const struct txn *txn, const char *transaction, size_t len)
{
    buf_string(out, "{\"transaction\":");
    buf_append(out, transaction, len);
    write_expected(out, txn);
}

/* Is the expected score, a text, the one that the transaction got: to the last bit of its type? null is NaN. */
static bool same_score(struct span text, const struct txn *txn)
{
    double want;
    float narrow;
    if (isnan(txn->verdict.score))
        return span_equal(text, "null", 4);
    if (record_score_type(txn->bundle) == NUMBER_F32)
        return number_read_float(text.data, text.len, &narrow) == text.len && (double)narrow == txn->verdict.score;
    return number_read_double(text.data, text.len, &want) == text.len && want == txn->verdict.score;
}

/* What is being collected over the file. */
struct check {
    struct offline offline;
    uint64_t rows, wrong;
    struct buf differences; /* of the first rows that differ */
    struct buf got;
};

static void compare(struct check *c, const struct golden_row *row, uint64_t line)
{
    const struct txn *txn = c->offline.txns[0];
    buf_clear(&c->got);
    if (txn->outcome != OUTCOME_SCORED) {
        buf_string(&c->got, "it could not be scored");
        if (txn->outcome == OUTCOME_REJECTED) {
            buf_string(&c->got, ": ");
            decode_fault_describe(txn->bundle->schema, &txn->fault, &c->got);
        }
    } else {
        record_write_score(&c->got, txn->bundle, txn->verdict.score);
        const char *decision = decision_name(txn->verdict.decision);
        bool same = same_score(row->score, txn) && row->decision.len == strlen(decision) + 2 &&
                    memcmp(row->decision.data + 1, decision, strlen(decision)) == 0;
        if (same)
            return;
        buf_format(&c->got, " %s", decision);
    }
    if (c->wrong++ < SHOWN_MAX)
        buf_format(&c->differences, "; line %llu: %.*s %.*s expected, %s", (unsigned long long)line, (int)row->score.len, row->score.data,
                   (int)row->decision.len - 2, row->decision.data + 1, buf_text(&c->got));
}

static enum status check_lines(struct check *c, const char *path, const struct buf *file, struct error *err)
{
    const char *at = file->data, *end = at + file->len;
    for (uint64_t line = 1; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline ? newline : end) - at);
        struct golden_row row;
        if (decode_skip_space(at, len) < len) {
            if (!split(at, len, &row))
                return error_set(err, STATUS_INVALID, "%s:%llu: not a golden row; make the file with assay model golden", path, (unsigned long long)line);
            offline_decode(&c->offline, 0, row.transaction.data, row.transaction.len);
            offline_score(&c->offline, 1);
            compare(c, &row, line);
            offline_finish(&c->offline, 1);
            c->rows++;
        }
        at += len + 1;
    }
    if (c->wrong == 0)
        return STATUS_OK;
    return error_set(err, STATUS_MISMATCH, "%s: %llu of %llu golden rows differ%s. The model, its features or its calibration are not those the rows were made with",
                     path, (unsigned long long)c->wrong, (unsigned long long)c->rows, buf_text(&c->differences));
}

enum status golden_check(struct loaded *loaded, struct error *err)
{
    struct buf path = {0}, file = {0};
    buf_format(&path, "%s/golden.jsonl", loaded->bundle->dir);
    enum status status = buf_read_file(&file, buf_text(&path), GOLDEN_BYTES_MAX, err);
    if (status == STATUS_OK) {
        struct check c = {.rows = 0};
        status = offline_open(loaded, &c.offline, err);
        if (status == STATUS_OK) {
            status = check_lines(&c, buf_text(&path), &file, err);
            offline_close(&c.offline);
        }
        loaded->golden_rows = c.rows;
        buf_free(&c.differences);
        buf_free(&c.got);
    } else if (status == STATUS_NOT_FOUND) {
        status = STATUS_OK;
    }
    buf_free(&path);
    buf_free(&file);
    return status;
}
