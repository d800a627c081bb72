/* What a run of load gave: for people, for machines, as a picture. */
#pragma once

#include <stdio.h>

#include "server/load/run.h"

struct scenario;

/* What was run, beside the result. */
struct report_setup {
    const char *target;        /* "http://…, 64 connections" */
    const struct run_options *options;
    const struct scenario *scenario; /* or NULL */
    uint64_t seed;
    double price;              /* of a core for an hour; 0: not given */
    uint64_t repeats;          /* how often the file of transactions began anew */
};

/* "poisson, 5000 requests/s": the arrivals in words. */
void report_arrivals(const struct run_options *options, char *out, size_t size);

void report_print(const struct report_setup *setup, const struct run_result *result, FILE *out);
/* One JSON object and a newline; latencies in milliseconds. */
void report_json(const struct report_setup *setup, const struct run_result *result, FILE *out);
/* An SVG: rates over time by outcome, latency over time, latency by percentile. STATUS_IO, STATUS_NO_MEMORY. */
MUST_USE enum status report_svg(const struct report_setup *setup, const struct run_result *result, const char *path, struct error *err);
