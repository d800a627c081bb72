#include "server/load/scenario.h"

#include <string.h>

#include "server/load/run.h"

const struct scenario scenarios[] = {
    {.name = "single-stream", .closed = true, .connections = 1, .samples = 1, .percentile = 90, .queries_min = 24576, .seconds_min = 600,
     .metric = "90th percentile of latency"},
    {.name = "multi-stream", .closed = true, .connections = 1, .samples = 8, .percentile = 99, .queries_min = 270336, .seconds_min = 600,
     .metric = "99th percentile of latency, 8 transactions a request"},
    {.name = "server", .samples = 1, .percentile = 99, .queries_min = 270336, .seconds_min = 600, .needs_slo = true,
     .metric = "Poisson rate with the 99th percentile within the SLO"},
    {.name = "offline", .closed = true, .samples_min = 24576, .seconds_min = 600, .metric = "transactions a second"},
    {.name = NULL},
};

const struct scenario *scenario_find(const char *name)
{
    for (const struct scenario *s = scenarios; s->name; s++) {
        if (strcmp(s->name, name) == 0)
            return s;
    }
    return NULL;
}

static uint64_t queries_min(const struct scenario *s, uint32_t samples)
{
    uint64_t by_samples = s->samples_min ? (s->samples_min + samples - 1) / samples : 0;
    return by_samples > s->queries_min ? by_samples : s->queries_min;
}

void scenario_apply(const struct scenario *scenario, struct run_options *options)
{
    options->closed = scenario->closed;
    if (scenario->samples)
        options->batch_min = options->batch_max = scenario->samples;
    if (options->requests_max == 0 && options->duration_s >= scenario->seconds_min)
        options->requests_min = queries_min(scenario, options->batch_min);
}

static void broken_rule(struct buf *out, size_t begin, const char *rule)
{
    buf_format(out, "%s%s", out->len == begin ? "  not conforming: " : ", ", rule);
}

static void put_metric(const struct scenario *s, const struct run_options *o, const struct run_result *r, struct buf *out)
{
    buf_format(out, "scenario %s: %s", s->name, s->metric);
    double tail_ms = (double)histogram_quantile(&r->answered, s->percentile / 100) / 1e6;
    double within = r->due.requests ? 100 * (double)r->good.requests / (double)r->due.requests : 0;
    if (s->needs_slo)
        buf_format(out, ": %.6g/s %s (%.4g %% within %.6g ms)\n", (double)r->due.requests / r->scheduled_s,
                   within >= s->percentile ? "holds" : "does NOT hold", within, (double)o->slo_ns / 1e6);
    else if (s->percentile > 0)
        buf_format(out, ": %.4g ms\n", tail_ms);
    else
        buf_format(out, ": %.6g\n", (double)(r->good.transactions + r->late.transactions) / r->elapsed_s);
}

bool scenario_judge(const struct scenario *s, const struct run_options *o, const struct run_result *r, struct buf *out)
{
    put_metric(s, o, r, out);
    char rule[128];
    size_t begin = out->len;
    uint64_t queries = queries_min(s, o->batch_min);
    if (r->elapsed_s < s->seconds_min && r->scheduled_s < s->seconds_min) {
        (void)snprintf(rule, sizeof rule, "%.4g s of the %.0f s needed", r->scheduled_s, s->seconds_min);
        broken_rule(out, begin, rule);
    }
    if (r->due.requests < queries) {
        (void)snprintf(rule, sizeof rule, "%llu queries of the %llu needed", (unsigned long long)r->due.requests, (unsigned long long)queries);
        broken_rule(out, begin, rule);
    }
    uint64_t lost = r->failed.requests + (s->needs_slo ? 0 : r->refused.requests);
    if (lost > 0) {
        (void)snprintf(rule, sizeof rule, "%llu queries have no answer", (unsigned long long)lost);
        broken_rule(out, begin, rule);
    }
    if (!s->closed && o->arrivals.kind != ARRIVALS_POISSON)
        broken_rule(out, begin, "arrivals are not Poisson");
    if (out->len > begin)
        buf_char(out, '\n');
    return out->len == begin;
}
