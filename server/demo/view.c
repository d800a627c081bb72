#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "model/base/clock.h"
#include "server/demo/demo.h"
#include "server/slot.h"

enum { STAGES = 5 };
static const char *const stage_names[STAGES] = {"decode", "features", "score", "decide", "deliver"}; /* as in metrics.def */

struct demo_view {
    const struct demo *demo;
    struct metrics *metrics;
    const char *url;
    bool terminal;
    int lines; /* printed last time, to be overwritten */
    int64_t start_ns, last_ns;
    uint64_t last_results;
    struct metrics_counts stages[STAGES], total;
};

struct demo_view *demo_view_create(const struct demo *demo, struct metrics *metrics, const char *url)
{
    struct demo_view *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->demo = demo;
    v->metrics = metrics;
    v->url = url;
    v->terminal = isatty(STDOUT_FILENO);
    v->start_ns = v->last_ns = clock_monotonic_ns();
    return v;
}

void demo_view_free(struct demo_view *view)
{
    free(view);
}

struct quantiles {
    double p50_us, p99_us;
};

/* Of what was counted since `last`, which is brought up to date; `last` NULL: since the start. */
static struct quantiles quantiles_since(struct demo_view *v, enum metric metric, uint32_t label, struct metrics_counts *last)
{
    struct metrics_counts now, since;
    metrics_counts(v->metrics, metric, label, &now);
    since = now;
    if (last) {
        metrics_counts_subtract(&since, last);
        *last = now;
    }
    return (struct quantiles){metrics_counts_quantile(v->metrics, metric, &since, 0.5) * 1e6,
                              metrics_counts_quantile(v->metrics, metric, &since, 0.99) * 1e6};
}

static double ratio(uint64_t part, uint64_t rest)
{
    return part + rest > 0 ? (double)part / (double)(part + rest) : 0;
}

static double precision(const struct demo_truth *t)
{
    return ratio(t->flagged_fraud, t->flagged_honest);
}

static double recall(const struct demo_truth *t)
{
    return ratio(t->flagged_fraud, t->passed_fraud);
}

static void line(struct demo_view *v)
{
    (void)fputs("\033[K\n", stdout);
    v->lines++;
}

static void print_alerts(struct demo_view *v)
{
    struct demo *demo = (struct demo *)(uintptr_t)v->demo; /* for its lock */
    (void)pthread_mutex_lock(&demo->lock);
    uint64_t shown = demo->alert_count < DEMO_ALERTS ? demo->alert_count : DEMO_ALERTS;
    for (uint64_t i = 0; i < shown; i++) {
        const struct demo_alert *a = &demo->alerts[(demo->alert_count - 1 - i) % DEMO_ALERTS];
        const char *truth = gen_scenario_name(a->scenario);
        (void)printf("  %-8s %.3f  %-16s %-10s %s", a->decision, a->score, a->transaction_id, truth[0] ? truth : "honest", a->reasons);
        line(v);
    }
    (void)pthread_mutex_unlock(&demo->lock);
}

static void print_screen(struct demo_view *v, double rate, int64_t seconds)
{
    const struct demo *d = v->demo;
    if (v->lines > 0)
        (void)printf("\033[%dA", v->lines);
    v->lines = 0;
    (void)printf("assay demo  %lld s   HTTP open at %s", (long long)seconds, v->url);
    line(v);
    line(v);
    (void)printf("  %8.0f results/s   %llu in, %llu out, %llu on the way", rate, (unsigned long long)d->produced, (unsigned long long)d->results,
                 (unsigned long long)(d->produced - (d->results < d->produced ? d->results : d->produced)));
    line(v);
    (void)printf("  microseconds        p50       p99");
    line(v);
    for (uint32_t s = 0; s < STAGES; s++) {
        struct quantiles q = quantiles_since(v, METRIC_STAGE, s, &v->stages[s]);
        (void)printf("    %-10s %10.2f %9.2f", stage_names[s], q.p50_us, q.p99_us);
        line(v);
    }
    struct quantiles q = quantiles_since(v, METRIC_TOTAL, SOURCE_KAFKA, &v->total);
    (void)printf("    %-10s %10.2f %9.2f   record taken to result handed over", "total", q.p50_us, q.p99_us);
    line(v);
    (void)printf("  precision %.2f, recall %.2f of %llu frauds", precision(&d->truth), recall(&d->truth),
                 (unsigned long long)(d->truth.flagged_fraud + d->truth.passed_fraud));
    line(v);
    line(v);
    print_alerts(v);
    (void)fflush(stdout);
}

void demo_view_print(struct demo_view *view)
{
    struct demo_view *v = view;
    const struct demo *d = v->demo;
    int64_t now = clock_monotonic_ns();
    uint64_t results = d->results;
    double rate = (double)(results - v->last_results) / ((double)(now - v->last_ns) / 1e9);
    int64_t seconds = (now - v->start_ns) / 1000000000;
    v->last_results = results;
    v->last_ns = now;
    if (v->terminal) {
        print_screen(v, rate, seconds);
        return;
    }
    struct quantiles total = quantiles_since(v, METRIC_TOTAL, SOURCE_KAFKA, &v->total);
    if (results == 0) { /* no quantiles of nothing */
        (void)printf("%3lld s  in %llu out 0, waiting for the first result\n", (long long)seconds, (unsigned long long)d->produced);
        (void)fflush(stdout);
        return;
    }
    (void)printf("%3lld s  %6.0f results/s  in %llu out %llu  total p50 %.0f us p99 %.0f us  precision %.2f recall %.2f\n", (long long)seconds, rate,
                 (unsigned long long)d->produced, (unsigned long long)results, total.p50_us, total.p99_us, precision(&d->truth), recall(&d->truth));
    (void)fflush(stdout);
}

void demo_view_summary(struct demo_view *view)
{
    const struct demo *d = view->demo;
    (void)printf("\n%llu transactions in, %llu results out, %llu missing\n", (unsigned long long)d->delivered, (unsigned long long)d->results,
                 (unsigned long long)(d->delivered > d->results ? d->delivered - d->results : 0));
    for (uint32_t s = 0; s < STAGES; s++) {
        struct quantiles q = quantiles_since(view, METRIC_STAGE, s, NULL);
        (void)printf("  %-10s p50 %8.2f us   p99 %8.2f us\n", stage_names[s], q.p50_us, q.p99_us);
    }
    struct quantiles q = quantiles_since(view, METRIC_TOTAL, SOURCE_KAFKA, NULL);
    (void)printf("  %-10s p50 %8.2f us   p99 %8.2f us\n", "total", q.p50_us, q.p99_us);
    (void)printf("alerts: precision %.3f, recall %.3f\n", precision(&d->truth), recall(&d->truth));
    for (int s = 1; s < GEN_SCENARIOS; s++)
        (void)printf("  %-10s caught %llu of %llu\n", gen_scenario_name((enum gen_scenario)s), (unsigned long long)d->truth.caught[s],
                     (unsigned long long)(d->truth.caught[s] + d->truth.missed[s]));
}
