/*
 * The four scenarios of MLPerf Inference by name, with the rules that a run must meet to be called by it. A "query" is a
 * request, a "sample" a transaction.
 *
 * Source: MLCommons, inference_policies, inference_rules.adoc, "Scenarios" (durations of 600 s, percentiles, samples a query;
 * the counts for 99 % confidence in the tail: 24,576 and 270,336 queries) without early stopping. Offline and the streams have
 * no schedule: a request follows as soon as there is room; offline keeps every connection busy, which is all samples being
 * there from the start.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/base/buf.h"

struct run_options;
struct run_result;

struct scenario {
    const char *name;
    bool closed;            /* no schedule */
    uint32_t connections;   /* 0: as asked for */
    uint32_t samples;       /* a query; 0: as asked for */
    double percentile;      /* of latency, percent: the metric, or what the SLO bounds; 0: none */
    uint64_t queries_min;   /* 0: none */
    uint64_t samples_min;
    double seconds_min;
    bool needs_slo;
    const char *metric;
};

extern const struct scenario scenarios[]; /* ends with a NULL name */
enum { SCENARIOS = 4 };

const struct scenario *scenario_find(const char *name); /* NULL: there is none */

/* Sets what the scenario prescribes: loop, sizes, and minimum counts where no maximum was asked for. */
void scenario_apply(const struct scenario *scenario, struct run_options *options);

/* Appends the metric, whether the SLO held, and "not conforming: …" with each rule that the run did not meet. Did it conform? */
bool scenario_judge(const struct scenario *scenario, const struct run_options *options, const struct run_result *result, struct buf *out);
