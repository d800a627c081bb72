/*
 * Prometheus metrics. metrics.def declares each once; every thread writes a shard of its own, the scraper adds them up.
 *
 * A shard has one writer. Its cells are C11 atomics written with relaxed stores, so that a scrape reads whole values
 * without slowing the writer; a scrape may see one cell a moment before another.
 */
#pragma once

#include <stdint.h>

#include "model/base/buf.h"

enum metric {
#define METRIC_COUNTER(id, name, labels, help) METRIC_##id,
#define METRIC_GAUGE(id, name, labels, help) METRIC_##id,
#define METRIC_SECONDS(id, name, labels, buckets, help) METRIC_##id,
#define METRIC_SIZES(id, name, labels, help) METRIC_##id,
#include "server/metrics.def"
#include "server/metrics_undef.h"
    METRIC_COUNT
};

struct metrics;
struct metrics_shard;

/* The Content-Type of an exposition. */
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

MUST_USE enum status metrics_create(struct metrics **out, struct error *err);
void metrics_free(struct metrics *metrics);

/* A shard for one thread; owned by metrics, lives as long. NULL on no memory. Any thread may ask. */
struct metrics_shard *metrics_shard_create(struct metrics *metrics);

/* `label` is the position among the metric's label values (for two labels: first * count of second + second); 0 for none. */
void metrics_add(struct metrics_shard *shard, enum metric metric, uint32_t label, uint64_t n);
/* Gauges: adds (may be negative) to this shard's part; the gauge is the sum over shards. */
void metrics_move(struct metrics_shard *shard, enum metric metric, uint32_t label, int64_t delta);
/* Records `times` observations of ns each. */
void metrics_observe_ns(struct metrics_shard *shard, enum metric metric, uint32_t label, uint64_t ns, uint64_t times);
void metrics_observe_size(struct metrics_shard *shard, enum metric metric, uint64_t size);

/* The model that is served, for assay_model_info. Copies; replaces what was set before. Any thread. */
MUST_USE enum status metrics_model_set(struct metrics *metrics, const char *name, const char *version, const char *digest,
                                       struct error *err);

/* Values that only the scrape can know: a source registers a callback that appends whole families. It runs in the scraping
 * thread under the metrics' lock, so it must be quick and may not call metrics_… of this object; once metrics_collector_remove
 * has returned it runs no more. A family must come from one collector alone. STATUS_LIMIT: more than 16 collectors. */
typedef void metrics_collect(void *context, struct buf *out);
MUST_USE enum status metrics_collector_add(struct metrics *metrics, metrics_collect *collect, void *context);
void metrics_collector_remove(struct metrics *metrics, metrics_collect *collect, void *context);

/* For collectors: the # HELP and # TYPE lines of a family (type: "counter", "gauge"), then its samples. */
struct metrics_label {
    const char *name, *value;
};
void metrics_write_family(struct buf *out, const char *name, const char *type, const char *help);
void metrics_write_sample(struct buf *out, const char *name, const struct metrics_label *labels, size_t n, double value);

/* Appends the text exposition, version 0.0.4. Any thread. */
void metrics_expose(struct metrics *metrics, struct buf *out);

/* The sum over shards now, for tests, the demo and summaries; of a histogram the number of observations. */
uint64_t metrics_value(struct metrics *metrics, enum metric metric, uint32_t label);

/* A histogram at one moment, summed over shards. Subtract two for what happened between them. */
enum { METRICS_BUCKETS_MAX = 64 };
struct metrics_counts {
    uint64_t buckets[METRICS_BUCKETS_MAX]; /* not cumulative; the one past the last bound is +Inf */
    uint64_t count;                        /* of all buckets */
    uint64_t sum;                          /* nanoseconds, or of sizes */
};
void metrics_counts(struct metrics *metrics, enum metric metric, uint32_t label, struct metrics_counts *out);
void metrics_counts_subtract(struct metrics_counts *now, const struct metrics_counts *before);
/* A quantile (0..1) in seconds (or as a size), linear within its bucket as Prometheus' histogram_quantile has it; the last
 * bound where it lies above; NaN when empty. */
double metrics_counts_quantile(const struct metrics *metrics, enum metric metric, const struct metrics_counts *counts, double q);
/* The same over everything since the start. */
double metrics_quantile(struct metrics *metrics, enum metric metric, uint32_t label, double q);
