/*
 * Metrics: the layout made from metrics.def, the writers' side, and sums over shards. metrics_text.c prints them.
 *
 * Writing costs a few nanoseconds: no lock, no locked instruction, one or two cells. A cell has one writer, so adding is a
 * relaxed load and a relaxed store; readers need no order between cells, only whole values.
 */
#include "server/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "server/metrics_layout.h"

/* Six steps a decade keep an estimated quantile within a fifth or so of the true one. */
#define DECADE(ns)                                                                                                     \
    (ns), (ns) + (ns) / 2, (ns) * 2, (ns) * 3, (ns) * 5, (ns) * 7
#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

static const uint64_t stage_bounds[] = {US / 2,           7 * US / 10,      DECADE(US),       DECADE(10 * US), DECADE(100 * US),
                                        DECADE(MS),       DECADE(10 * MS),  DECADE(100 * MS), S};
static const uint64_t total_bounds[] = {DECADE(10 * US),  DECADE(100 * US), DECADE(MS), DECADE(10 * MS), DECADE(100 * MS),
                                        DECADE(S),        10 * S};
static const uint64_t size_bounds[] = {1,   2,   4,    8,    16,   32,   64,    128,   256,
                                       512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};

enum { SCALE_STAGE, SCALE_TOTAL, SCALE_SIZES };

static const struct declaration {
    enum metric_kind kind;
    int scale;
    const char *name, *labels, *help;
} declarations[] = {
#define METRIC_COUNTER(id, name, labels, help) {METRIC_KIND_COUNTER, -1, name, labels, help},
#define METRIC_GAUGE(id, name, labels, help) {METRIC_KIND_GAUGE, -1, name, labels, help},
#define METRIC_SECONDS(id, name, labels, buckets, help) {METRIC_KIND_SECONDS, SCALE_##buckets, name, labels, help},
#define METRIC_SIZES(id, name, labels, help) {METRIC_KIND_SIZES, SCALE_SIZES, name, labels, help},
#include "server/metrics.def"
#include "server/metrics_undef.h"
};

static unsigned bit_width(uint64_t value)
{
    return value ? 64 - (unsigned)__builtin_clzll(value) : 0;
}

static void scale_init(struct metric_scale *scale, const uint64_t *bounds, size_t count)
{
    CHECK(count + 1 <= METRICS_BUCKETS_MAX);
    scale->bounds = bounds;
    scale->count = (uint32_t)count;
    for (unsigned width = 0; width <= 64; width++) {
        uint64_t least = width ? UINT64_C(1) << (width - 1) : 0;
        uint8_t i = 0;
        while (i < count && bounds[i] < least)
            i++;
        scale->start[width] = i;
    }
}

/* The bucket of a value; scale->count is +Inf. The loop takes a few steps at most: a power of two spans that many bounds. */
static uint32_t scale_bucket(const struct metric_scale *scale, uint64_t value)
{
    uint32_t i = scale->start[bit_width(value)];
    while (i < scale->count && value > scale->bounds[i])
        i++;
    return i;
}

static struct span take_until(const char **at, const char *stops)
{
    size_t len = strcspn(*at, stops);
    struct span part = {.data = *at, .len = (uint32_t)len};
    *at += len;
    return part;
}

/* Reads "name=a|b|c;other=x|y" of metrics.def. */
static void parse_labels(struct metric_family *family, const char *text)
{
    const char *at = text;
    family->combinations = 1;
    while (*at) {
        CHECK(family->label_count < LABELS_MAX);
        struct metric_label *label = &family->labels[family->label_count++];
        label->name = take_until(&at, "=");
        CHECK(*at == '=');
        while (*at == '=' || *at == '|') {
            at++;
            CHECK(label->count < LABEL_VALUES_MAX);
            label->values[label->count++] = take_until(&at, "|;");
        }
        family->combinations *= label->count;
        at += *at == ';';
    }
}

enum status metrics_create(struct metrics **out, struct error *err)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics)
        return error_set(err, STATUS_NO_MEMORY, "metrics: out of memory");
    scale_init(&metrics->scales[SCALE_STAGE], stage_bounds, sizeof stage_bounds / sizeof stage_bounds[0]);
    scale_init(&metrics->scales[SCALE_TOTAL], total_bounds, sizeof total_bounds / sizeof total_bounds[0]);
    scale_init(&metrics->scales[SCALE_SIZES], size_bounds, sizeof size_bounds / sizeof size_bounds[0]);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct declaration *d = &declarations[i];
        struct metric_family *family = &metrics->families[i];
        *family = (struct metric_family){.kind = d->kind, .name = d->name, .help = d->help, .width = 1};
        if (d->scale >= 0) {
            family->scale = &metrics->scales[d->scale];
            family->width = family->scale->count + 2;
        }
        parse_labels(family, d->labels);
        family->first = metrics->cells;
        metrics->cells += family->combinations * family->width;
    }
    (void)pthread_mutex_init(&metrics->lock, NULL);
    *out = metrics;
    return STATUS_OK;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    while (metrics->shards) {
        struct metrics_shard *next = metrics->shards->next;
        free(metrics->shards);
        metrics->shards = next;
    }
    free(metrics->model_name);
    free(metrics->model_version);
    free(metrics->model_digest);
    (void)pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

struct metrics_shard *metrics_shard_create(struct metrics *metrics)
{
    size_t bytes = sizeof(struct metrics_shard) + metrics->cells * sizeof(atomic_uint_least64_t);
    struct metrics_shard *shard = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!shard)
        return NULL;
    shard->metrics = metrics;
    for (uint32_t i = 0; i < metrics->cells; i++)
        atomic_init(&shard->cells[i], 0);
    (void)pthread_mutex_lock(&metrics->lock);
    shard->next = metrics->shards;
    metrics->shards = shard;
    (void)pthread_mutex_unlock(&metrics->lock);
    return shard;
}

/* relaxed: this thread is the cell's only writer, and nothing is published through it. */
static void cell_add(struct metrics_shard *shard, uint32_t cell, uint64_t n)
{
    uint64_t now = atomic_load_explicit(&shard->cells[cell], memory_order_relaxed);
    atomic_store_explicit(&shard->cells[cell], now + n, memory_order_relaxed);
}

static uint32_t cell_of(const struct metric_family *family, uint32_t label)
{
    CHECK(label < family->combinations);
    return family->first + label * family->width;
}

void metrics_add(struct metrics_shard *shard, enum metric metric, uint32_t label, uint64_t n)
{
    const struct metric_family *family = &shard->metrics->families[metric];
    CHECK(family->kind == METRIC_KIND_COUNTER);
    cell_add(shard, cell_of(family, label), n);
}

void metrics_move(struct metrics_shard *shard, enum metric metric, uint32_t label, int64_t delta)
{
    const struct metric_family *family = &shard->metrics->families[metric];
    CHECK(family->kind == METRIC_KIND_GAUGE);
    cell_add(shard, cell_of(family, label), (uint64_t)delta);
}

static void observe(struct metrics_shard *shard, const struct metric_family *family, uint32_t label, uint64_t value, uint64_t times)
{
    uint32_t cell = cell_of(family, label);
    cell_add(shard, cell + scale_bucket(family->scale, value), times);
    cell_add(shard, cell + family->width - 1, value * times);
}

void metrics_observe_ns(struct metrics_shard *shard, enum metric metric, uint32_t label, uint64_t ns, uint64_t times)
{
    const struct metric_family *family = &shard->metrics->families[metric];
    CHECK(family->kind == METRIC_KIND_SECONDS);
    observe(shard, family, label, ns, times);
}

void metrics_observe_size(struct metrics_shard *shard, enum metric metric, uint64_t size)
{
    const struct metric_family *family = &shard->metrics->families[metric];
    CHECK(family->kind == METRIC_KIND_SIZES);
    observe(shard, family, 0, size, 1);
}

enum status metrics_model_set(struct metrics *metrics, const char *name, const char *version, const char *digest, struct error *err)
{
    char *copies[3] = {strdup(name), strdup(version), strdup(digest)};
    bool complete = copies[0] && copies[1] && copies[2];
    if (complete) {
        char **const fields[3] = {&metrics->model_name, &metrics->model_version, &metrics->model_digest};
        (void)pthread_mutex_lock(&metrics->lock);
        for (size_t i = 0; i < 3; i++) {
            char *old = *fields[i];
            *fields[i] = copies[i];
            copies[i] = old;
        }
        (void)pthread_mutex_unlock(&metrics->lock);
    }
    for (size_t i = 0; i < 3; i++)
        free(copies[i]);
    return complete ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "metrics: out of memory");
}

enum status metrics_collector_add(struct metrics *metrics, metrics_collect *collect, void *context)
{
    enum status status = STATUS_LIMIT;
    (void)pthread_mutex_lock(&metrics->lock);
    if (metrics->collector_count < COLLECTORS_MAX) {
        metrics->collectors[metrics->collector_count++] = (struct collector){.collect = collect, .context = context};
        status = STATUS_OK;
    }
    (void)pthread_mutex_unlock(&metrics->lock);
    return status;
}

void metrics_collector_remove(struct metrics *metrics, metrics_collect *collect, void *context)
{
    (void)pthread_mutex_lock(&metrics->lock);
    size_t kept = 0;
    for (size_t i = 0; i < metrics->collector_count; i++) {
        struct collector c = metrics->collectors[i];
        if (c.collect != collect || c.context != context)
            metrics->collectors[kept++] = c;
    }
    metrics->collector_count = kept;
    (void)pthread_mutex_unlock(&metrics->lock);
}

uint64_t metrics_cell_sum(const struct metrics *metrics, uint32_t cell)
{
    uint64_t sum = 0;
    for (const struct metrics_shard *shard = metrics->shards; shard; shard = shard->next)
        sum += atomic_load_explicit(&shard->cells[cell], memory_order_relaxed); /* relaxed: see cell_add */
    return sum;
}

uint64_t metrics_value(struct metrics *metrics, enum metric metric, uint32_t label)
{
    const struct metric_family *family = &metrics->families[metric];
    uint32_t cell = cell_of(family, label);
    uint32_t cells = family->scale ? family->width - 1 : 1;
    uint64_t sum = 0;
    (void)pthread_mutex_lock(&metrics->lock);
    for (uint32_t i = 0; i < cells; i++)
        sum += metrics_cell_sum(metrics, cell + i);
    (void)pthread_mutex_unlock(&metrics->lock);
    return sum;
}

void metrics_counts(struct metrics *metrics, enum metric metric, uint32_t label, struct metrics_counts *out)
{
    const struct metric_family *family = &metrics->families[metric];
    CHECK(family->scale);
    uint32_t cell = cell_of(family, label);
    *out = (struct metrics_counts){0};
    (void)pthread_mutex_lock(&metrics->lock);
    for (uint32_t i = 0; i + 1 < family->width; i++) {
        out->buckets[i] = metrics_cell_sum(metrics, cell + i);
        out->count += out->buckets[i];
    }
    out->sum = metrics_cell_sum(metrics, cell + family->width - 1);
    (void)pthread_mutex_unlock(&metrics->lock);
}

void metrics_counts_subtract(struct metrics_counts *now, const struct metrics_counts *before)
{
    for (size_t i = 0; i < METRICS_BUCKETS_MAX; i++)
        now->buckets[i] -= before->buckets[i];
    now->count -= before->count;
    now->sum -= before->sum;
}

double metrics_counts_quantile(const struct metrics *metrics, enum metric metric, const struct metrics_counts *counts, double q)
{
    const struct metric_family *family = &metrics->families[metric];
    const struct metric_scale *scale = family->scale;
    double unit = family->kind == METRIC_KIND_SECONDS ? 1e9 : 1;
    if (counts->count == 0)
        return NAN;
    double rank = q * (double)counts->count, below = 0;
    for (uint32_t i = 0; i < scale->count; i++) {
        double here = (double)counts->buckets[i];
        if (here > 0 && below + here >= rank) {
            double low = i ? (double)scale->bounds[i - 1] : 0, high = (double)scale->bounds[i];
            double part = rank > below ? (rank - below) / here : 0;
            return (low + (high - low) * part) / unit;
        }
        below += here;
    }
    return (double)scale->bounds[scale->count - 1] / unit;
}

double metrics_quantile(struct metrics *metrics, enum metric metric, uint32_t label, double q)
{
    struct metrics_counts counts;
    metrics_counts(metrics, metric, label, &counts);
    return metrics_counts_quantile(metrics, metric, &counts, q);
}
