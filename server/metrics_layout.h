/*
 * How the cells of a shard are laid out; private to metrics.c (which writes and sums them) and metrics_text.c (which prints).
 *
 *     shard cells:  | TRANSACTIONS 15 | DECISIONS 3 | … | STAGE decode: b0 b1 … bn +Inf sum | STAGE features: … | …
 *
 * A counter or gauge has one cell a label combination. A histogram has, for each, one cell a bucket (not cumulative), one
 * for what is above the last bound, and one for the sum; its count is the sum of its buckets, so the two always agree.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "model/base/span.h"
#include "server/metrics.h"

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_SECONDS, METRIC_KIND_SIZES };
enum { LABELS_MAX = 2, LABEL_VALUES_MAX = 64 };

/* Bucket bounds, and where to start looking: start[w] is the first bound that a value of w bits could be under. */
struct metric_scale {
    const uint64_t *bounds; /* [count] inclusive, rising; nanoseconds or a plain number */
    uint32_t count;
    uint8_t start[65];
};

struct metric_label {
    struct span name;
    struct span values[LABEL_VALUES_MAX]; /* one that starts with '-' is counted but not shown */
    uint32_t count;
};

struct metric_family {
    enum metric_kind kind;
    const char *name, *help;
    struct metric_label labels[LABELS_MAX];
    uint32_t label_count;
    uint32_t combinations;          /* of label values; 1 without labels */
    uint32_t first;                 /* its first cell */
    uint32_t width;                 /* cells a combination */
    const struct metric_scale *scale; /* histograms */
};

struct metrics_shard {
    const struct metrics *metrics;
    struct metrics_shard *next;
    _Alignas(64) atomic_uint_least64_t cells[]; /* [metrics->cells] */
};

struct collector {
    metrics_collect *collect;
    void *context;
};

enum { COLLECTORS_MAX = 16 };

struct metrics {
    struct metric_family families[METRIC_COUNT];
    struct metric_scale scales[3]; /* by METRIC_KIND_SECONDS' bucket names STAGE, TOTAL; then sizes */
    uint32_t cells;                /* of a shard */
    pthread_mutex_t lock;          /* shards list, collectors, model: taken at start-up and by scrapes only */
    struct metrics_shard *shards;
    struct collector collectors[COLLECTORS_MAX];
    size_t collector_count;
    char *model_name, *model_version, *model_digest; /* NULL: not set yet */
};

/* Sums one cell over the shards; the caller holds the lock. */
uint64_t metrics_cell_sum(const struct metrics *metrics, uint32_t cell);
