#include "server/load/search.h"

#include <math.h>
#include <time.h>

/* After a run above capacity the server has work left; the next run should not pay for it. */
enum { PAUSE_MS = 300, RUNS_MAX = 64 };
static const double LEAST_RATE = 1;

struct searcher {
    struct target *target;
    const struct run_options *options;
    const struct search_options *search;
    struct run_result *result;
    unsigned runs;
};

static double good_percent(const struct run_result *r)
{
    return r->due.requests ? 100 * (double)r->good.requests / (double)r->due.requests : 0;
}

static void log_run(const struct searcher *s, double rate, bool holds, const char *why)
{
    const struct run_result *r = s->result;
    if (!s->search->log)
        return;
    (void)fprintf(s->search->log, "  %10.1f/s  %8.4f %% good  late %llu refused %llu failed %llu  p99 %.3f ms  %s%s\n", rate, good_percent(r),
                  (unsigned long long)r->late.requests, (unsigned long long)r->refused.requests, (unsigned long long)r->failed.requests,
                  (double)histogram_quantile(&r->answered, 0.99) / 1e6, holds ? "holds" : "does not hold", why);
    (void)fflush(s->search->log);
}

/* The generator is the limit where it sends later than the SLO allows though connections are free. */
static bool generator_late(const struct searcher *s)
{
    return histogram_quantile(&s->result->lag, 0.99) > s->options->slo_ns / 4;
}

static enum status try_rate(struct searcher *s, double rate, bool *holds, struct error *err)
{
    struct run_options options = *s->options;
    options.arrivals.rate = rate;
    options.arrivals.seed += ++s->runs;
    run_result_free(s->result);
    enum status status = run_load(s->target, &options, s->result, err);
    if (status != STATUS_OK)
        return status;
    if (*options.stop)
        return error_set(err, STATUS_CLOSED, "interrupted");
    *holds = good_percent(s->result) >= s->search->percentile;
    bool late = !*holds && generator_late(s);
    log_run(s, rate, *holds, late ? "; THIS PROGRAM sent late, so the limit may be its own" : "");
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
    (void)nanosleep(&pause, NULL);
    return STATUS_OK;
}

/* Doubles, or halves, until one rate holds and a higher one does not. */
static enum status bracket(struct searcher *s, double *low, double *high, struct error *err)
{
    double rate = s->options->arrivals.rate;
    *low = 0;
    *high = INFINITY;
    while (*low == 0 || isinf(*high)) {
        bool holds;
        enum status status = try_rate(s, rate, &holds, err);
        if (status != STATUS_OK)
            return status;
        *(holds ? low : high) = rate;
        if (holds && rate >= s->search->rate_max) {
            *high = rate;
            return STATUS_OK;
        }
        rate = holds ? fmin(2 * rate, s->search->rate_max) : rate / 2;
        if (!holds && *low == 0 && rate < LEAST_RATE)
            return error_set(err, STATUS_NOT_FOUND, "not even %.3g requests a second hold the SLO", 2 * rate);
    }
    return STATUS_OK;
}

static enum status confirm(struct searcher *s, double rate, bool *confirmed, struct error *err)
{
    *confirmed = true;
    for (unsigned i = 0; i < s->search->confirmations && *confirmed; i++) {
        enum status status = try_rate(s, rate, confirmed, err);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

enum status search_rate(struct target *target, const struct run_options *options, const struct search_options *search, double *rate,
                        struct run_result *last, struct error *err)
{
    struct searcher s = {.target = target, .options = options, .search = search, .result = last};
    double low, high;
    *last = (struct run_result){.due = {0}};
    enum status status = bracket(&s, &low, &high, err);
    while (status == STATUS_OK && high / low > 1 + search->tolerance) {
        double middle = sqrt(low * high);
        bool holds;
        status = try_rate(&s, middle, &holds, err);
        if (status == STATUS_OK)
            *(holds ? &low : &high) = middle;
    }
    bool confirmed = false;
    while (status == STATUS_OK && !confirmed) {
        if (search->log)
            (void)fprintf(search->log, "  confirming %.1f/s\n", low);
        status = confirm(&s, low, &confirmed, err);
        if (status != STATUS_OK || confirmed)
            break;
        low /= 1 + search->tolerance;
        if (low < LEAST_RATE || s.runs > RUNS_MAX)
            status = error_set(err, STATUS_NOT_FOUND, "no rate held the SLO in %u runs one after the other; are there other loads on this machine?",
                               search->confirmations);
    }
    *rate = low;
    return status;
}

uint64_t search_requests_min(double percentile)
{
    return (uint64_t)ceil(SEARCH_BAD * 100 / fmax(100 - percentile, 0.1) - 1e-6);
}
