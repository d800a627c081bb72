/*
 * How good scores are, given what the transactions turned out to be.
 *
 * AUC and average precision as scikit-learn's roc_auc_score and average_precision_score compute them; card precision as the
 * Fraud Detection Handbook defines it (Y.-A. Le Borgne and others, "Reproducible Machine Learning for Credit Card Fraud
 * Detection", 2022, chapter 4). Scores may be any numbers, probabilities or not.
 */
#pragma once

#include "server/backtest/outcomes.h"

/* Of the scores at or above a threshold. */
struct quality_at {
    double threshold;
    size_t alerts, hits;           /* rows at or above it; frauds among them */
    double precision, recall;      /* NaN without alerts, without frauds */
    double alerts_a_day;           /* alerts / days */
    double value_caught;           /* the share of the frauds' value; NaN where that is 0 */
};

enum { QUALITY_BINS = 10 };

/* Scores from i / QUALITY_BINS to below (i + 1) / QUALITY_BINS; 1 belongs to the last bin. */
struct quality_bin {
    size_t rows, frauds;
    double mean_score; /* NaN of an empty bin */
};

struct quality_day {
    int32_t day;
    size_t rows, frauds;
    size_t compromised; /* cards with a fraud on that day, not found on an earlier one */
    double card_precision;
    bool in_mean; /* false: the first or last day, of which transactions cover less than half */
};

struct quality {
    struct outcome_row *ranked; /* [count] best score first; equal scores as they came; owned */
    size_t count, frauds;
    double days; /* from the first transaction to the last, at least 1; 0 without transactions */
    double value, fraud_value;
    double auc, average_precision; /* NaN where there are no frauds, or nothing else */
    double brier;                  /* mean squared error of the score; NaN where scores are no probabilities */
    bool probabilities;            /* all scores are within 0 to 1 */
    struct quality_bin bins[QUALITY_BINS]; /* where they are */
    struct quality_day *by_day;    /* [day_count] days with transactions, in order; owned */
    size_t day_count;
    double card_precision;         /* the mean of the days that are in_mean; where none would be, of all */
};

/* Measures rows[n]; top: how many cards can be looked at in a day (100). Fails with STATUS_NO_MEMORY. Free with
 * quality_free, also after a failure. */
MUST_USE enum status quality_measure(const struct outcomes *outcomes, size_t top, struct quality *out, struct error *err);
void quality_free(struct quality *quality);

struct quality_at quality_at(const struct quality *quality, double threshold);
/* The lowest threshold that gives at most so many alerts in all; INFINITY: none does but no alerts at all. */
double quality_threshold_for(const struct quality *quality, size_t alerts);
