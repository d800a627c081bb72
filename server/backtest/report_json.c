#include <math.h>
#include <string.h>

#include "model/features/calendar.h"
#include "server/backtest/report.h"
#include "server/record.h"

static void member(struct buf *out, const char *name, double value)
{
    buf_format(out, "\"%s\":", name);
    record_write_number(out, value, NUMBER_F64);
}

static void write_at(struct buf *out, const struct quality_at *at)
{
    buf_char(out, '{');
    member(out, "threshold", at->threshold);
    buf_format(out, ",\"alerts\":%zu,\"frauds\":%zu,", at->alerts, at->hits);
    member(out, "alerts_a_day", at->alerts_a_day);
    buf_char(out, ',');
    member(out, "precision", at->precision);
    buf_char(out, ',');
    member(out, "recall", at->recall);
    buf_char(out, ',');
    member(out, "value_caught", at->value_caught);
    buf_char(out, '}');
}

static void write_summary(const struct backtest_report *r, struct buf *out)
{
    const struct quality *q = r->quality;
    buf_string(out, "{\"model\":");
    buf_json_string(out, r->bundle->name, strlen(r->bundle->name));
    buf_string(out, ",\"version\":");
    buf_json_string(out, r->bundle->version, strlen(r->bundle->version));
    buf_format(out, ",\"transactions\":%zu,\"frauds\":%zu,\"unlabelled\":%llu,\"not_scored\":%llu,", q->count, q->frauds,
               (unsigned long long)r->unlabelled, (unsigned long long)r->not_scored);
    member(out, "days", q->days);
    buf_char(out, ',');
    member(out, "auc", q->auc);
    buf_char(out, ',');
    member(out, "average_precision", q->average_precision);
    buf_char(out, ',');
    member(out, "brier", q->brier);
    buf_format(out, ",\"top\":%zu,", r->top);
    member(out, "card_precision", q->card_precision);
}

static void write_tables(const struct backtest_report *r, struct buf *out)
{
    const struct quality *q = r->quality;
    double thresholds[BACKTEST_THRESHOLDS_MAX];
    size_t n = backtest_thresholds(r, thresholds);
    buf_string(out, ",\"thresholds\":[");
    for (size_t i = 0; i < n; i++) {
        struct quality_at at = quality_at(q, thresholds[i]);
        buf_string(out, i ? "," : "");
        write_at(out, &at);
    }
    buf_string(out, "],\"budgets\":[");
    for (size_t i = 0; i < BACKTEST_BUDGETS; i++) {
        struct quality_at at = quality_at(q, quality_threshold_for(q, (size_t)(backtest_budgets[i] * q->days)));
        buf_format(out, "%s{\"a_day\":%g,\"at\":", i ? "," : "", backtest_budgets[i]);
        write_at(out, &at);
        buf_char(out, '}');
    }
    buf_string(out, "],\"calibration\":[");
    for (size_t i = 0; i < QUALITY_BINS && q->probabilities; i++) {
        buf_format(out, "%s{\"transactions\":%zu,\"frauds\":%zu,", i ? "," : "", q->bins[i].rows, q->bins[i].frauds);
        member(out, "mean_score", q->bins[i].mean_score);
        buf_char(out, '}');
    }
}

void backtest_json(const struct backtest_report *report, struct buf *out)
{
    const struct quality *q = report->quality;
    write_summary(report, out);
    write_tables(report, out);
    buf_string(out, "],\"by_day\":[");
    for (size_t i = 0; i < q->day_count; i++) {
        const struct quality_day *day = &q->by_day[i];
        struct calendar_date date = calendar_date(day->day);
        buf_format(out, "%s{\"day\":\"%04lld-%02d-%02d\",\"transactions\":%zu,\"frauds\":%zu,\"compromised\":%zu,", i ? "," : "",
                   (long long)date.year, date.month, date.day, day->rows, day->frauds, day->compromised);
        member(out, "card_precision", day->card_precision);
        buf_format(out, ",\"in_mean\":%s}", day->in_mean ? "true" : "false");
    }
    buf_string(out, "]}\n");
}
