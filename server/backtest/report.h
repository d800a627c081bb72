/* What a backtest found: a report for people, one for programs, and a picture. */
#pragma once

#include "model/base/buf.h"
#include "model/bundle.h"
#include "server/backtest/quality.h"

struct backtest_report {
    const struct bundle *bundle;
    const struct quality *quality;
    size_t top;          /* cards a day of card precision */
    uint64_t unlabelled; /* transactions without a label: taken as honest, or left out */
    bool left_out;
    uint64_t not_scored; /* lines that were none, or whose score is no number */
};

/* Tables of text. */
void backtest_text(const struct backtest_report *report, struct buf *out);
/* One JSON object with the same. */
void backtest_json(const struct backtest_report *report, struct buf *out);
/* An SVG: precision by recall, recall and value by alerts a day, calibration. */
void backtest_plot(const struct backtest_report *report, struct buf *out);

/* Thresholds that the tables show, rising: those of the policy and a few round ones. Returns how many. */
enum { BACKTEST_THRESHOLDS_MAX = 16, BACKTEST_BUDGETS = 8 };
size_t backtest_thresholds(const struct backtest_report *report, double thresholds[BACKTEST_THRESHOLDS_MAX]);
/* Alerts a day that the tables show. */
extern const double backtest_budgets[BACKTEST_BUDGETS];
