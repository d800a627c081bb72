/*
 * A run over time: what became of the requests that were due in each interval. Latencies of an interval are kept until all its
 * requests must have ended, then only its quantiles.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "model/base/status.h"
#include "server/load/histogram.h"

enum timeline_count { TIMELINE_DUE, TIMELINE_GOOD, TIMELINE_LATE, TIMELINE_REFUSED, TIMELINE_FAILED, TIMELINE_COUNTS };

struct timeline_row {
    uint64_t counts[TIMELINE_COUNTS]; /* requests */
    uint64_t waiting;                 /* most that waited for a connection at a time */
    int64_t p50_ns, p99_ns, p999_ns, max_ns; /* of those answered, from the moment they were due; once closed */
    struct histogram *latencies;      /* while it is open; NULL before the first answer */
};

struct timeline {
    double interval_s; /* 0: none is kept, and every call does nothing */
    struct timeline_row *rows; /* [count] owned */
    size_t count, capacity;
    size_t closed; /* rows before this one are */
};

/* Where these fail for want of memory, later calls do nothing. at_s: since the start of counting. */
void timeline_count(struct timeline *t, double at_s, enum timeline_count what, uint64_t n);
void timeline_latency(struct timeline *t, double at_s, int64_t ns);
void timeline_waiting(struct timeline *t, double at_s, uint64_t waiting);

/* Closes the rows that end before a moment. INFINITY: all. */
void timeline_close(struct timeline *t, double before_s);
void timeline_free(struct timeline *t);

/* seconds,due,good,late,refused,failed,waiting,p50_ms,p99_ms,p99.9_ms,max_ms; counts as requests a second. */
void timeline_write_csv(const struct timeline *t, FILE *out);
