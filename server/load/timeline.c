#include "server/load/timeline.h"

#include <math.h>
#include <stdlib.h>

static struct timeline_row *row_of(struct timeline *t, double at_s)
{
    if (t->interval_s <= 0 || at_s < 0)
        return NULL;
    size_t index = (size_t)(at_s / t->interval_s);
    if (index >= t->capacity) {
        size_t capacity = index + 1 > 2 * t->capacity ? index + 64 : 2 * t->capacity;
        struct timeline_row *rows = realloc(t->rows, capacity * sizeof *rows);
        if (!rows)
            return NULL;
        t->rows = rows;
        t->capacity = capacity;
    }
    for (; t->count <= index; t->count++)
        t->rows[t->count] = (struct timeline_row){.latencies = NULL};
    return &t->rows[index];
}

void timeline_count(struct timeline *t, double at_s, enum timeline_count what, uint64_t n)
{
    struct timeline_row *row = row_of(t, at_s);
    if (row)
        row->counts[what] += n;
}

void timeline_latency(struct timeline *t, double at_s, int64_t ns)
{
    struct timeline_row *row = row_of(t, at_s);
    if (!row || (size_t)(row - t->rows) < t->closed)
        return;
    if (!row->latencies)
        row->latencies = calloc(1, sizeof *row->latencies);
    if (row->latencies)
        histogram_record(row->latencies, ns);
}

void timeline_waiting(struct timeline *t, double at_s, uint64_t waiting)
{
    struct timeline_row *row = row_of(t, at_s);
    if (row && waiting > row->waiting)
        row->waiting = waiting;
}

void timeline_close(struct timeline *t, double before_s)
{
    for (; t->closed < t->count && (double)(t->closed + 1) * t->interval_s <= before_s; t->closed++) {
        struct timeline_row *row = &t->rows[t->closed];
        if (!row->latencies)
            continue;
        row->p50_ns = histogram_quantile(row->latencies, 0.5);
        row->p99_ns = histogram_quantile(row->latencies, 0.99);
        row->p999_ns = histogram_quantile(row->latencies, 0.999);
        row->max_ns = row->latencies->max_ns;
        free(row->latencies);
        row->latencies = NULL;
    }
}

void timeline_free(struct timeline *t)
{
    timeline_close(t, INFINITY);
    free(t->rows);
    *t = (struct timeline){.rows = NULL};
}

void timeline_write_csv(const struct timeline *t, FILE *out)
{
    (void)fprintf(out, "seconds,due,good,late,refused,failed,waiting,p50_ms,p99_ms,p99.9_ms,max_ms\n");
    for (size_t i = 0; i < t->count; i++) {
        const struct timeline_row *row = &t->rows[i];
        (void)fprintf(out, "%.3f", (double)i * t->interval_s);
        for (int k = 0; k < TIMELINE_COUNTS; k++)
            (void)fprintf(out, ",%.6g", (double)row->counts[k] / t->interval_s);
        (void)fprintf(out, ",%llu", (unsigned long long)row->waiting);
        const int64_t latencies[] = {row->p50_ns, row->p99_ns, row->p999_ns, row->max_ns};
        for (int k = 0; k < 4; k++) {
            if (row->counts[TIMELINE_GOOD] + row->counts[TIMELINE_LATE] > 0)
                (void)fprintf(out, ",%.4f", (double)latencies[k] / 1e6);
            else
                (void)fprintf(out, ",");
        }
        (void)fprintf(out, "\n");
    }
}
