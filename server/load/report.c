#include "server/load/report.h"

#include <string.h>

#include "model/base/buf.h"
#include "server/load/scenario.h"

/* A generator that sends later than this share of the median latency, at its own 99th percentile, is part of what it measures. */
static const double LAG_SHARE = 0.25;

static const struct quantile {
    const char *name;
    double q;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};
enum { QUANTILES = sizeof quantiles / sizeof quantiles[0] };

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

void report_arrivals(const struct run_options *o, char *out, size_t size)
{
    const struct arrivals_options *a = &o->arrivals;
    const char *name = arrivals_names[a->kind];
    if (o->closed)
        (void)snprintf(out, size, "closed loop");
    else if (a->kind == ARRIVALS_RAMP)
        (void)snprintf(out, size, "ramp, %.6g to %.6g requests/s over %.6g s", a->rate, a->rate_to, a->ramp_s);
    else if (a->kind == ARRIVALS_BURSTY)
        (void)snprintf(out, size, "bursty, %.6g requests/s: bursts at %.6g/s for %.4g ms on average", a->rate, a->rate * a->burst, a->burst_s * 1e3);
    else if (a->kind == ARRIVALS_DAY)
        (void)snprintf(out, size, "day of %.6g s, %.6g requests/s on average", a->day_s, a->rate);
    else if (a->kind == ARRIVALS_REPLAY)
        (void)snprintf(out, size, "replay of %zu recorded times at %.4g x", a->count, a->speed);
    else
        (void)snprintf(out, size, "%s, %.6g requests/s", name, a->rate);
}

static void print_count(FILE *out, const char *name, const struct run_count *count, const struct run_result *r, const char *note)
{
    double share = r->due.transactions ? 100 * (double)count->transactions / (double)r->due.transactions : 0;
    double seconds = r->scheduled_s > 0 ? r->scheduled_s : 1;
    (void)fprintf(out, "  %-9s %10llu %8.3f %%  %10.1f/s%s%s\n", name, (unsigned long long)count->transactions, share, (double)count->transactions / seconds,
                  note[0] ? "   " : "", note);
}

/* A quantile means something where at least one observation lies beyond it. */
static void print_latency(FILE *out, const char *name, const struct histogram *h)
{
    if (h->count == 0)
        return;
    (void)fprintf(out, "  %-9s", name);
    for (int i = 0; i < QUANTILES; i++) {
        if ((double)h->count * (1 - quantiles[i].q) >= 1)
            (void)fprintf(out, " %s %.3f ", quantiles[i].name, ms(histogram_quantile(h, quantiles[i].q)));
    }
    (void)fprintf(out, " max %.3f  mean %.3f  ms\n", ms(h->max_ns), histogram_mean(h) / 1e6);
}

static void print_failures(FILE *out, const struct run_result *r)
{
    static const char *const names[REPLY_KINDS] = {"answers with failed transactions", "", "other statuses", "connections lost", "answers that were no HTTP",
                                                   "timeouts"};
    if (r->failed.requests == 0)
        return;
    (void)fprintf(out, "            requests:");
    const char *comma = "";
    for (int k = 0; k < REPLY_KINDS; k++) {
        if (r->failures[k] == 0)
            continue;
        (void)fprintf(out, "%s %llu %s", comma, (unsigned long long)r->failures[k], names[k]);
        if (k == REPLY_TIMEOUT && r->never_sent)
            (void)fprintf(out, " (%llu never sent)", (unsigned long long)r->never_sent);
        comma = ",";
    }
    (void)fprintf(out, "\n            the first: %s\n", r->first_failure);
}

/* How exact the generator itself was, and what waited in it. */
static void print_generator(FILE *out, const struct run_options *o, const struct run_result *r)
{
    if (!o->closed)
        (void)fprintf(out, "  generator sent p50 %.3f  p99 %.3f  max %.3f ms after the moment due; %.2f us of its CPU a request\n",
                      ms(histogram_quantile(&r->lag, 0.5)), ms(histogram_quantile(&r->lag, 0.99)), ms(r->lag.max_ns),
                      r->due.requests ? r->client_cpu_s / (double)r->due.requests * 1e6 : 0);
    if (r->waited)
        (void)fprintf(out, "            %llu requests waited here for a connection, at most %llu at a time and %.3f ms long; their wait is in their latency\n",
                      (unsigned long long)r->waited, (unsigned long long)r->deepest, ms(r->longest_wait_ns));
    double lag = (double)histogram_quantile(&r->lag, 0.99), median = (double)histogram_quantile(&r->answered, 0.5);
    if (r->answered.count > 0 && r->lag.count > 0 && lag > LAG_SHARE * median && lag > 1e6)
        (void)fprintf(out, "            WARNING: this program, not the server, may be what is slow here: it sends late. Lower the rate or give it a core\n");
}

static double answers(const struct run_result *r)
{
    return (double)(r->good.transactions + r->late.transactions);
}

static void print_server(FILE *out, const struct report_setup *s, const struct run_result *r)
{
    if (r->server_cpu_s < 0 || answers(r) <= 0)
        return;
    double per_million = r->server_cpu_s / answers(r) * 1e6;
    (void)fprintf(out, "  server    %.3f CPU seconds, %.2f of a core; %.3f CPU seconds a million answers", r->server_cpu_s, r->server_cpu_s / r->elapsed_s, per_million);
    if (s->price > 0)
        (void)fprintf(out, ", %.6g at %g a core hour", per_million / 3600 * s->price, s->price);
    (void)fprintf(out, "\n            memory %.1f MB after the warm-up, %.1f MB at the end\n", (double)r->server_rss_first / 1e6, (double)r->server_rss_last / 1e6);
}

static void print_scenario(FILE *out, const struct report_setup *s, const struct run_result *r)
{
    struct buf text = {0};
    if (!s->scenario)
        return;
    (void)scenario_judge(s->scenario, s->options, r, &text);
    (void)fputs(buf_text(&text), out);
    buf_free(&text);
}

void report_print(const struct report_setup *s, const struct run_result *r, FILE *out)
{
    char arrivals[160], good[64] = "", fallbacks[80] = "";
    const struct run_options *o = s->options;
    report_arrivals(o, arrivals, sizeof arrivals);
    if (o->slo_ns)
        (void)snprintf(good, sizeof good, "within %.6g ms of the moment due", ms(o->slo_ns));
    (void)fprintf(out, "assay load: %s\n%s, %.4g s after %.4g s of warm-up, seed %llu", s->target, arrivals, r->scheduled_s, o->warmup_s, (unsigned long long)s->seed);
    if (o->batch_max > 1)
        (void)fprintf(out, ", %u to %u transactions a request: %llu requests", o->batch_min, o->batch_max, (unsigned long long)r->due.requests);
    (void)fprintf(out, "\n");
    print_count(out, "due", &r->due, r, "");
    print_count(out, "good", &r->good, r, good);
    if (o->slo_ns)
        print_count(out, "late", &r->late, r, "");
    if (r->fallbacks)
        (void)snprintf(fallbacks, sizeof fallbacks, "%llu of them by a decision in place of a score", (unsigned long long)r->fallbacks);
    print_count(out, "refused", &r->refused, r, fallbacks);
    print_count(out, "failed", &r->failed, r, "");
    print_failures(out, r);
    print_latency(out, "latency", &r->answered);
    print_latency(out, "refusals", &r->refusals);
    print_generator(out, o, r);
    print_server(out, s, r);
    if (s->repeats)
        (void)fprintf(out, "  the file of transactions was sent %llu times: a server that remembers ids answered repeats from memory (?record=false avoids that)\n",
                      (unsigned long long)s->repeats + 1);
    print_scenario(out, s, r);
}

static void json_latency(FILE *out, const char *name, const struct histogram *h)
{
    (void)fprintf(out, ",\"%s\":{\"count\":%llu", name, (unsigned long long)h->count);
    for (int i = 0; i < QUANTILES; i++)
        (void)fprintf(out, ",\"%s\":%.6f", quantiles[i].name, ms(histogram_quantile(h, quantiles[i].q)));
    (void)fprintf(out, ",\"max\":%.6f,\"mean\":%.6f}", ms(h->max_ns), histogram_mean(h) / 1e6);
}

static void json_count(FILE *out, const char *name, const struct run_count *count)
{
    (void)fprintf(out, ",\"%s\":{\"requests\":%llu,\"transactions\":%llu}", name, (unsigned long long)count->requests, (unsigned long long)count->transactions);
}

static void json_text(FILE *out, const char *name, const char *text)
{
    struct buf value = {0};
    buf_json_string(&value, text, strlen(text));
    (void)fprintf(out, ",\"%s\":%s", name, value.failed ? "\"\"" : buf_text(&value));
    buf_free(&value);
}

static void json_statuses(FILE *out, const struct run_result *r)
{
    const char *comma = "";
    (void)fprintf(out, ",\"statuses\":{");
    for (size_t i = 0; i < sizeof r->statuses / sizeof r->statuses[0]; i++) {
        if (r->statuses[i] == 0)
            continue;
        (void)fprintf(out, "%s\"%zu\":%llu", comma, i, (unsigned long long)r->statuses[i]);
        comma = ",";
    }
    (void)fprintf(out, "}");
}

void report_json(const struct report_setup *s, const struct run_result *r, FILE *out)
{
    char arrivals[160];
    const struct run_options *o = s->options;
    report_arrivals(o, arrivals, sizeof arrivals);
    (void)fprintf(out, "{\"version\":\"" ASSAY_VERSION "\"");
    json_text(out, "target", s->target);
    json_text(out, "arrivals", arrivals);
    (void)fprintf(out, ",\"seed\":%llu,\"scheduled_s\":%.6f,\"elapsed_s\":%.6f,\"slo_ms\":%.6g", (unsigned long long)s->seed, r->scheduled_s, r->elapsed_s, ms(o->slo_ns));
    json_count(out, "due", &r->due);
    json_count(out, "good", &r->good);
    json_count(out, "late", &r->late);
    json_count(out, "refused", &r->refused);
    json_count(out, "failed", &r->failed);
    (void)fprintf(out, ",\"fallbacks\":%llu,\"good_rate\":%.3f", (unsigned long long)r->fallbacks,
                  r->scheduled_s > 0 ? (double)r->good.transactions / r->scheduled_s : 0);
    json_statuses(out, r);
    json_latency(out, "latency_ms", &r->answered);
    json_latency(out, "refusal_ms", &r->refusals);
    json_latency(out, "lag_ms", &r->lag);
    (void)fprintf(out, ",\"waited\":%llu,\"deepest\":%llu,\"longest_wait_ms\":%.6f,\"client_cpu_s\":%.6f", (unsigned long long)r->waited,
                  (unsigned long long)r->deepest, ms(r->longest_wait_ns), r->client_cpu_s);
    if (r->server_cpu_s >= 0 && answers(r) > 0)
        (void)fprintf(out, ",\"server_cpu_s\":%.6f,\"server_cpu_s_per_million\":%.6f,\"server_rss_first\":%lld,\"server_rss_last\":%lld", r->server_cpu_s,
                      r->server_cpu_s / answers(r) * 1e6, (long long)r->server_rss_first, (long long)r->server_rss_last);
    if (r->first_failure[0])
        json_text(out, "first_failure", r->first_failure);
    if (s->scenario) {
        struct buf text = {0};
        bool conforms = scenario_judge(s->scenario, o, r, &text);
        json_text(out, "scenario", s->scenario->name);
        (void)fprintf(out, ",\"conforming\":%s", conforms ? "true" : "false");
        buf_free(&text);
    }
    (void)fprintf(out, "}\n");
}
