/*
 * One run of load: requests are sent when they are due, whatever became of those before, and every latency counts from the
 * moment a request was due (the *intended* moment). A server that stalls for a second so shows in the percentiles as what its
 * callers felt, and not as one slow request while the load politely waited ("coordinated omission", G. Tene).
 *
 *     schedule ──due──► a free connection? ──send──► server ──► good | late | refused | failed
 *                        │ none: it waits here, its clock running; counted and said so
 *
 * What waits is not kept anywhere: the schedule is read later. A second cursor over the same schedule knows how much is due.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/load/arrivals.h"
#include "server/load/histogram.h"
#include "server/load/target.h"
#include "server/load/timeline.h"

struct run_options {
    struct arrivals_options arrivals;
    bool closed;              /* no schedule: a request is due whenever a connection is free (latency then counts from its sending) */
    double duration_s;        /* requests due before then are sent; 0: no end */
    double warmup_s;          /* the first so many seconds, on top, are sent but not counted */
    uint64_t requests_min;    /* goes on beyond duration_s until so many are due */
    uint64_t requests_max;    /* ends when so many are due; 0: no end */
    uint32_t batch_min, batch_max; /* transactions a request: drawn evenly from these */
    int64_t slo_ns;           /* later is late; 0: nothing is */
    double interval_s;        /* of the timeline; 0: none */
    pid_t pid;                /* whose CPU time is taken; 0: nobody's */
    const volatile sig_atomic_t *stop; /* other than 0: no more is sent */
};

/* Requests and transactions by what became of them. */
struct run_count {
    uint64_t requests, transactions;
};

struct run_result {
    struct run_count due, good, late, refused, failed;
    uint64_t failures[REPLY_KINDS];    /* requests failed, by what happened; [REPLY_ANSWERED]: answers with failed transactions in them */
    uint64_t fallbacks;                /* of refused.transactions: answered by a decision in place of a score */
    uint64_t never_sent;               /* of failures[REPLY_TIMEOUT]: no connection came free in time */
    uint64_t statuses[600];            /* HTTP answers by status */
    struct histogram answered;         /* latency of good and late */
    struct histogram refusals;         /* latency of refused */
    struct histogram lag;              /* from due to sent, where a connection was free: how exact this program is */
    uint64_t waited;                   /* requests that waited here for a connection */
    int64_t longest_wait_ns;
    uint64_t deepest;                  /* most requests that waited at a time */
    double scheduled_s, elapsed_s;     /* without the warm-up: of the schedule; until the last reply */
    double client_cpu_s, server_cpu_s; /* server_cpu_s: negative where it is not known */
    int64_t server_rss_first, server_rss_last; /* bytes, at the end of the warm-up and of the run; 0: not known */
    char first_failure[512];           /* what the first failure said */
    struct timeline timeline;          /* owned: run_result_free */
};

/* Runs to the end. Uses the target's sink; what is in flight at the end is waited for. STATUS_NOT_FOUND: no process `pid`.
 * out: any state, large; allocate it. */
MUST_USE enum status run_load(struct target *target, const struct run_options *options, struct run_result *out, struct error *err);
void run_result_free(struct run_result *result); /* what it holds, not the struct */
