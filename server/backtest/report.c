#include "server/backtest/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/features/calendar.h"

const double backtest_budgets[BACKTEST_BUDGETS] = {5, 10, 20, 50, 100, 200, 500, 1000};

static void add_threshold(double *thresholds, size_t *n, double value)
{
    size_t at = *n;
    for (size_t i = 0; i < *n; i++)
        if (thresholds[i] == value)
            return;
    for (; at > 0 && thresholds[at - 1] > value; at--)
        thresholds[at] = thresholds[at - 1];
    thresholds[at] = value;
    ++*n;
}

size_t backtest_thresholds(const struct backtest_report *report, double thresholds[BACKTEST_THRESHOLDS_MAX])
{
    static const double round[] = {0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95};
    const struct policy *policy = &report->bundle->policy;
    size_t n = 0;
    for (size_t i = 0; i < sizeof round / sizeof *round && report->quality->probabilities; i++)
        add_threshold(thresholds, &n, round[i]);
    if (isfinite(policy->review))
        add_threshold(thresholds, &n, policy->review);
    if (isfinite(policy->decline))
        add_threshold(thresholds, &n, policy->decline);
    return n;
}

/* "0.861", or "-" for what is not defined. */
static void write_share(struct buf *out, const char *format, double value)
{
    char text[32];
    if (isnan(value))
        (void)snprintf(text, sizeof text, "-");
    else
        (void)snprintf(text, sizeof text, "%.3f", value);
    buf_format(out, format, text);
}

static void write_date(struct buf *out, int32_t day)
{
    struct calendar_date date = calendar_date(day);
    buf_format(out, "%04lld-%02d-%02d", (long long)date.year, date.month, date.day);
}

/* A first or last day is not in the mean. */
static bool has_short_day(const struct quality *q)
{
    return q->day_count > 0 && (!q->by_day[0].in_mean || !q->by_day[q->day_count - 1].in_mean);
}

static void write_summary(const struct backtest_report *r, struct buf *out)
{
    const struct quality *q = r->quality;
    buf_format(out, "%s %s: %zu transactions", r->bundle->name, r->bundle->version, q->count);
    if (q->day_count > 0) {
        buf_string(out, " from ");
        write_date(out, q->by_day[0].day);
        buf_string(out, " to ");
        write_date(out, q->by_day[q->day_count - 1].day);
    }
    buf_format(out, ", %zu frauds", q->frauds);
    if (q->count > 0)
        buf_format(out, " (%.2f %%)", 100 * (double)q->frauds / (double)q->count);
    buf_char(out, '\n');
    if (r->unlabelled > 0)
        buf_format(out, "%llu without a label are %s\n", (unsigned long long)r->unlabelled, r->left_out ? "left out" : "taken as honest");
    if (r->not_scored > 0)
        buf_format(out, "%llu could not be scored and are left out\n", (unsigned long long)r->not_scored);
    write_share(out, "\n  AUC                 %s\n", q->auc);
    write_share(out, "  average precision   %s\n", q->average_precision);
    if (q->probabilities)
        buf_format(out, "  Brier score         %.5f\n", q->brier);
    buf_format(out, "  card precision@%-4zu %.3f   the mean of the days below%s\n", r->top, q->card_precision,
               has_short_day(q) ? " but those marked *, of which transactions cover less than half" : "");
}

static void write_at(struct buf *out, const struct quality_at *at)
{
    buf_format(out, " %9zu %9.1f", at->alerts, at->alerts_a_day);
    write_share(out, " %10s", at->precision);
    write_share(out, " %7s", at->recall);
    write_share(out, " %13s", at->value_caught);
}

static void write_thresholds(const struct backtest_report *r, struct buf *out)
{
    double thresholds[BACKTEST_THRESHOLDS_MAX];
    size_t n = backtest_thresholds(r, thresholds);
    const struct policy *policy = &r->bundle->policy;
    buf_string(out, "\n  threshold    alerts     a day  precision  recall  value caught\n");
    for (size_t i = 0; i < n; i++) {
        struct quality_at at = quality_at(r->quality, thresholds[i]);
        buf_format(out, "  %9.4g", thresholds[i]);
        write_at(out, &at);
        buf_format(out, "%s%s\n", thresholds[i] == policy->review ? "   review" : "", thresholds[i] == policy->decline ? "   decline" : "");
    }
}

static void write_budgets(const struct backtest_report *r, struct buf *out)
{
    const struct quality *q = r->quality;
    buf_string(out, "\n  at most a day  threshold    alerts     a day  precision  recall  value caught\n");
    for (size_t i = 0; i < BACKTEST_BUDGETS; i++) {
        double threshold = quality_threshold_for(q, (size_t)(backtest_budgets[i] * q->days));
        struct quality_at at = quality_at(q, threshold);
        buf_format(out, "  %13.4g  ", backtest_budgets[i]);
        buf_format(out, isinf(threshold) ? "        -" : "%9.4g", threshold);
        write_at(out, &at);
        buf_char(out, '\n');
    }
}

static void write_calibration(const struct quality *q, struct buf *out)
{
    if (!q->probabilities)
        return;
    buf_string(out, "\n  score         transactions  mean score  share of frauds\n");
    for (size_t i = 0; i < QUALITY_BINS; i++) {
        const struct quality_bin *bin = &q->bins[i];
        buf_format(out, "  %.1f to %.1f %15zu", (double)i / QUALITY_BINS, (double)(i + 1) / QUALITY_BINS, bin->rows);
        write_share(out, " %11s", bin->mean_score);
        write_share(out, " %16s\n", (double)bin->frauds / (double)bin->rows);
    }
}

static void write_days(const struct backtest_report *r, struct buf *out)
{
    buf_format(out, "\n  day         transactions    frauds  compromised cards  card precision@%zu\n", r->top);
    for (size_t i = 0; i < r->quality->day_count; i++) {
        const struct quality_day *day = &r->quality->by_day[i];
        buf_string(out, "  ");
        write_date(out, day->day);
        buf_format(out, " %13zu %9zu %18zu %19.3f%s\n", day->rows, day->frauds, day->compromised, day->card_precision, day->in_mean ? "" : " *");
    }
}

void backtest_text(const struct backtest_report *report, struct buf *out)
{
    write_summary(report, out);
    write_thresholds(report, out);
    write_budgets(report, out);
    write_calibration(report->quality, out);
    write_days(report, out);
}
