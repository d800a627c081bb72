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

MUST_USE enum status metrics_create(struct metrics **out, struct error *err);
void metrics_free(struct metrics *metrics);

/* A shard for one thread; owned by metrics, lives as long. NULL on no memory. Any thread may ask. */
struct metrics_shard *metrics_shard_create(struct metrics *metrics);

/* `label` is the position among the metric's label values (for two labels: first * count of second + second); 0 for none. */
void metrics_add(struct metrics_shard *shard, enum metric metric, uint32_t label, uint64_t n);
/* Gauges: adds (may be negative) to this shard's part; the gauge is the sum over shards. */
void metrics_move(struct metrics_shard *shard, enum metric metric, uint32_t label, int64_t delta);
void metrics_observe_ns(struct metrics_shard *shard, enum metric metric, uint32_t label, uint64_t ns, uint64_t times);
void metrics_observe_size(struct metrics_shard *shard, enum metric metric, uint64_t size);

/* Values that only the scrape can know: a source registers a callback that appends whole families. */
typedef void metrics_collect(void *context, struct buf *out);
MUST_USE enum status metrics_collector_add(struct metrics *metrics, metrics_collect *collect, void *context);
void metrics_collector_remove(struct metrics *metrics, metrics_collect *collect, void *context);

/* Appends the text exposition, version 0.0.4. Any thread. */
void metrics_expose(struct metrics *metrics, struct buf *out);

/* The sum over shards now, for tests, the demo and summaries. */
uint64_t metrics_value(struct metrics *metrics, enum metric metric, uint32_t label);
/* A quantile (0..1) in seconds of a METRIC_SECONDS, estimated within its bucket; NaN when empty. */
double metrics_quantile(struct metrics *metrics, enum metric metric, uint32_t label, double q);
