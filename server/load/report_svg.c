#include <math.h>
#include <stdlib.h>

#include "server/load/report.h"
#include "server/plot.h"

enum { LATENCIES = 3, CURVE_POINTS = 81 };

/* Columns of numbers for the series; all in one piece of memory. */
struct columns {
    double *x, *counts[TIMELINE_COUNTS], *latencies[LATENCIES];
    double curve_x[CURVE_POINTS], curve_y[CURVE_POINTS];
    size_t n;
};

static bool make_columns(const struct run_result *r, struct columns *c)
{
    const struct timeline *t = &r->timeline;
    c->n = t->count;
    double *numbers = malloc((c->n + 1) * (1 + TIMELINE_COUNTS + LATENCIES) * sizeof *numbers);
    if (!numbers)
        return false;
    c->x = numbers;
    for (int k = 0; k < TIMELINE_COUNTS; k++)
        c->counts[k] = numbers + (size_t)(1 + k) * c->n;
    for (int k = 0; k < LATENCIES; k++)
        c->latencies[k] = numbers + (size_t)(1 + TIMELINE_COUNTS + k) * c->n;
    for (size_t i = 0; i < c->n; i++) {
        const struct timeline_row *row = &t->rows[i];
        const int64_t latencies[LATENCIES] = {row->p50_ns, row->p99_ns, row->max_ns};
        c->x[i] = ((double)i + 0.5) * t->interval_s;
        for (int k = 0; k < TIMELINE_COUNTS; k++)
            c->counts[k][i] = (double)row->counts[k] / t->interval_s;
        for (int k = 0; k < LATENCIES; k++)
            c->latencies[k][i] = (double)latencies[k] / 1e6;
    }
    for (int i = 0; i < CURVE_POINTS; i++) { /* nines: 0 is the minimum, 1 is p90, 2 is p99 … */
        double nines = i / 20.0, beyond = pow(10, -nines);
        c->curve_x[i] = nines;
        c->curve_y[i] = (double)r->answered.count * beyond >= 1 ? (double)histogram_quantile(&r->answered, 1 - beyond) / 1e6 : NAN;
    }
    return true;
}

enum status report_svg(const struct report_setup *setup, const struct run_result *result, const char *path, struct error *err)
{
    static const struct plot_tick nines[] = {{0, "p0"}, {0.30103, "p50"}, {1, "p90"}, {2, "p99"}, {3, "p99.9"}, {4, "p99.99"}};
    struct columns c;
    char title[512], arrivals[160];
    if (!make_columns(result, &c))
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %s", path);
    const struct plot_series outcomes[] = {{"due", c.x, c.counts[TIMELINE_DUE], c.n},
                                           {"late", c.x, c.counts[TIMELINE_LATE], c.n},
                                           {"good", c.x, c.counts[TIMELINE_GOOD], c.n},
                                           {"failed", c.x, c.counts[TIMELINE_FAILED], c.n},
                                           {"refused", c.x, c.counts[TIMELINE_REFUSED], c.n}};
    const struct plot_series latencies[] = {{"p50", c.x, c.latencies[0], c.n}, {"p99", c.x, c.latencies[1], c.n}, {"max", c.x, c.latencies[2], c.n}};
    const struct plot_series curve[] = {{"answered", c.curve_x, c.curve_y, CURVE_POINTS}};
    const struct plot_panel panels[] = {
        {.title = "Requests by outcome", .x_label = "seconds, by the moment due", .y_label = "requests/s", .series = outcomes, .series_count = 5},
        {.title = "Latency from the moment due", .x_label = "seconds, by the moment due", .y_label = "ms", .log_y = true, .series = latencies, .series_count = 3},
        {.title = "Latency by percentile", .x_label = "percentile", .y_label = "ms", .log_y = true, .x_ticks = nines,
         .x_tick_count = sizeof nines / sizeof nines[0], .series = curve, .series_count = 1},
    };
    report_arrivals(setup->options, arrivals, sizeof arrivals);
    (void)snprintf(title, sizeof title, "assay load: %.200s; %s; seed %llu", setup->target, arrivals, (unsigned long long)setup->seed);
    enum status status = plot_write(path, title, panels, sizeof panels / sizeof panels[0], err);
    free(c.x);
    return status;
}
