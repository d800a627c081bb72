/*
 * The highest rate that holds an SLO: doubled from where it begins until it fails, then halved in between until the gap is
 * small, then confirmed by runs at that rate; where not all of those hold, it goes down a step and is confirmed anew.
 *
 * A rate holds where at least `percentile` percent of what was due was answered well within the SLO; refused, failed and late
 * all count against it. A run that the generator could not keep up with fails the search, not the server.
 */
#pragma once

#include <stdio.h>

#include "server/load/run.h"

struct search_options {
    double percentile;   /* 99: of what was due, percent */
    double tolerance;    /* 0.02: relative width of the bracket where it ends */
    double rate_max;     /* no higher than this */
    unsigned confirmations; /* runs that must hold */
    FILE *log;           /* a line a run; NULL: none */
};

/* options: of every run; its arrivals.rate is where the search begins, and its schedule's seed is another one in each run.
 * *rate: the highest that held, *last is the last run that confirmed it. STATUS_NOT_FOUND: none held;
 * STATUS_CLOSED: interrupted. */
MUST_USE enum status search_rate(struct target *target, const struct run_options *options, const struct search_options *search, double *rate,
                                 struct run_result *last, struct error *err);

/* Requests a run must have for a percentile to mean something: so many that SEARCH_BAD of them may be bad; for all of them to
 * be good, as many as 99.9 % would want. */
enum { SEARCH_BAD = 10 };
uint64_t search_requests_min(double percentile);
