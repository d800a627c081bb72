#include "server/load/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/load/process.h"

/* Requests sent in a row before replies are looked at again: each delays the look by some microseconds. */
enum { SENDS_IN_A_ROW = 8 };
static const int64_t IDLE_NS = 100000000, SECOND_NS = 1000000000;

struct run {
    struct target *target;
    const struct run_options *options;
    struct run_result *out;
    struct arrivals next;  /* the request to be sent next */
    struct arrivals ahead; /* over the same schedule: what is due by now */
    struct random sizes;
    int64_t start_ns;      /* of the schedule, the warm-up included */
    int64_t counted_ns;    /* what is due from here on counts */
    uint64_t due, sent;    /* requests, the warm-up included; sent: or given up */
    uint64_t counted;      /* of due */
    int64_t blocked_ns;    /* last moment that something due found no connection free */
    int64_t last_due_ns;
    int64_t last_ns;       /* of the last reply */
    double cpu_s, server_cpu_s;
    bool counting;         /* the warm-up is over */
};

static double thread_cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void count(struct run_count *count, uint64_t transactions)
{
    count->requests++;
    count->transactions += transactions;
}

static void keep_failure(struct run_result *out, const struct reply *reply)
{
    if (out->first_failure[0] != '\0')
        return;
    size_t at = 0;
    if (reply->status)
        at = (size_t)snprintf(out->first_failure, sizeof out->first_failure, "%d ", reply->status);
    (void)snprintf(out->first_failure + at, sizeof out->first_failure - at, "%.*s", (int)(reply->text_len < 400 ? reply->text_len : 400), reply->text);
    out->first_failure[strcspn(out->first_failure, "\r\n")] = '\0';
}

/* An answer with transactions in it that were refused or failed counts in parts; as a request it is what most hurts. */
static void count_answered(struct run *run, const struct reply *reply, double at_s)
{
    struct run_result *out = run->out;
    int64_t latency = reply->done_ns - reply->intended_ns;
    bool late = run->options->slo_ns > 0 && latency > run->options->slo_ns;
    uint64_t rest = reply->transactions > reply->refused + reply->failed ? reply->transactions - reply->refused - reply->failed : 0;
    (late ? &out->late : &out->good)->transactions += rest;
    out->refused.transactions += reply->refused;
    out->failed.transactions += reply->failed;
    out->fallbacks += reply->fallback;
    enum timeline_count what = reply->failed ? TIMELINE_FAILED : reply->refused ? TIMELINE_REFUSED : late ? TIMELINE_LATE : TIMELINE_GOOD;
    struct run_count *const counts[] = {[TIMELINE_GOOD] = &out->good, [TIMELINE_LATE] = &out->late, [TIMELINE_REFUSED] = &out->refused,
                                        [TIMELINE_FAILED] = &out->failed};
    counts[what]->requests++;
    timeline_count(&out->timeline, at_s, what, 1);
    if (reply->failed) {
        out->failures[REPLY_ANSWERED]++;
        keep_failure(out, reply);
    }
    if (rest == 0) {
        histogram_record(&out->refusals, latency);
        return;
    }
    histogram_record(&out->answered, latency);
    timeline_latency(&out->timeline, at_s, latency);
}

static void on_reply(void *context, const struct reply *reply)
{
    struct run *run = context;
    struct run_result *out = run->out;
    run->last_ns = reply->done_ns;
    if (reply->intended_ns < run->counted_ns)
        return;
    double at_s = (double)(reply->intended_ns - run->counted_ns) / 1e9;
    if (reply->status > 0 && reply->status < (int)(sizeof out->statuses / sizeof out->statuses[0]))
        out->statuses[reply->status]++;
    if (reply->kind == REPLY_ANSWERED) {
        count_answered(run, reply, at_s);
    } else if (reply->kind == REPLY_REFUSED) {
        count(&out->refused, reply->transactions);
        histogram_record(&out->refusals, reply->done_ns - reply->intended_ns);
        timeline_count(&out->timeline, at_s, TIMELINE_REFUSED, 1);
    } else {
        count(&out->failed, reply->transactions);
        out->failures[reply->kind]++;
        timeline_count(&out->timeline, at_s, TIMELINE_FAILED, 1);
        keep_failure(out, reply);
    }
}

static uint32_t next_size(struct run *run)
{
    const struct run_options *o = run->options;
    return o->batch_min + (o->batch_max > o->batch_min ? random_below(&run->sizes, o->batch_max - o->batch_min + 1) : 0);
}

/* Is a request that is due at this moment (since the start) still part of the run, after those that are counted already? */
static bool within(const struct run *run, int64_t at_ns)
{
    const struct run_options *o = run->options;
    if (at_ns == INT64_MAX || *o->stop || (o->requests_max > 0 && run->counted >= o->requests_max))
        return false;
    return o->duration_s <= 0 || at_ns < (int64_t)((o->warmup_s + o->duration_s) * 1e9) || run->counted < o->requests_min;
}

/* Counts what has come due. */
static void look_ahead(struct run *run, int64_t now_ns)
{
    while (run->ahead.next_ns <= now_ns - run->start_ns && within(run, run->ahead.next_ns)) {
        int64_t at_ns = run->start_ns + run->ahead.next_ns;
        run->due++;
        run->last_due_ns = at_ns;
        if (at_ns >= run->counted_ns) {
            run->counted++;
            timeline_count(&run->out->timeline, (double)(at_ns - run->counted_ns) / 1e9, TIMELINE_DUE, 1);
        }
        arrivals_next(&run->ahead);
    }
}

/* Notes how long a request that is about to be sent, or given up, was kept here. */
static void note_delay(struct run *run, int64_t intended_ns, int64_t now_ns)
{
    struct run_result *out = run->out;
    if (intended_ns < run->counted_ns)
        return;
    if (intended_ns > run->blocked_ns) {
        histogram_record(&out->lag, now_ns - intended_ns);
        return;
    }
    out->waited++;
    if (now_ns - intended_ns > out->longest_wait_ns)
        out->longest_wait_ns = now_ns - intended_ns;
}

static void give_up(struct run *run, int64_t intended_ns, uint32_t transactions, int64_t now_ns)
{
    static const char why[] = "no connection came free within the timeout";
    const struct reply reply = {.kind = REPLY_TIMEOUT, .intended_ns = intended_ns, .done_ns = now_ns, .transactions = transactions, .text = why,
                                .text_len = sizeof why - 1};
    if (intended_ns >= run->counted_ns)
        run->out->never_sent++;
    on_reply(run, &reply);
}

static void note_blocked(struct run *run, int64_t now_ns)
{
    uint64_t waiting = run->due - run->sent;
    run->blocked_ns = now_ns;
    if (now_ns < run->counted_ns)
        return;
    if (waiting > run->out->deepest)
        run->out->deepest = waiting;
    /* The timeline ends with the schedule: who still waits then belongs to its last row. */
    int64_t at_ns = now_ns < run->last_due_ns ? now_ns : run->last_due_ns;
    timeline_waiting(&run->out->timeline, (double)(at_ns - run->counted_ns) / 1e9, waiting);
}

/* Sends what is due and has a connection. Returns the moment to look again. */
static int64_t send_due(struct run *run)
{
    int64_t now = clock_monotonic_ns();
    look_ahead(run, now);
    for (int n = 0; run->sent < run->due && !*run->options->stop; n++) {
        int64_t intended_ns = run->start_ns + run->next.next_ns;
        bool too_late = now - intended_ns > run->target->timeout_ns;
        if (!too_late && !target_ready(run->target)) {
            note_blocked(run, now);
            return now + IDLE_NS; /* a reply comes first */
        }
        if (n == SENDS_IN_A_ROW)
            return now;
        uint32_t transactions = next_size(run);
        if (intended_ns >= run->counted_ns)
            count(&run->out->due, transactions);
        note_delay(run, intended_ns, now);
        if (too_late)
            give_up(run, intended_ns, transactions, now);
        else
            target_send(run->target, intended_ns, transactions);
        run->sent++;
        arrivals_next(&run->next);
        now = clock_monotonic_ns();
    }
    int64_t next_ns = run->ahead.next_ns == INT64_MAX ? now + IDLE_NS : run->start_ns + run->ahead.next_ns;
    return next_ns < now + IDLE_NS ? next_ns : now + IDLE_NS;
}

/* The closed loop: one request after the other on every connection. */
static int64_t send_free(struct run *run)
{
    int64_t now = clock_monotonic_ns();
    for (int n = 0; n < SENDS_IN_A_ROW && target_ready(run->target) && within(run, now - run->start_ns); n++) {
        uint32_t transactions = next_size(run);
        if (now >= run->counted_ns) {
            run->counted++;
            count(&run->out->due, transactions);
            timeline_count(&run->out->timeline, (double)(now - run->counted_ns) / 1e9, TIMELINE_DUE, 1);
        }
        run->due++;
        run->sent++;
        target_send(run->target, now, transactions);
        now = clock_monotonic_ns();
    }
    return target_ready(run->target) ? now : now + IDLE_NS;
}

/* The warm-up is over: from here on counts what is used, too. */
static void begin_counting(struct run *run)
{
    run->counting = true;
    run->cpu_s = thread_cpu_s();
    if (run->options->pid == 0)
        return;
    run->out->server_rss_first = process_rss(run->options->pid);
    if (process_cpu_s(run->options->pid, &run->server_cpu_s, NULL) != STATUS_OK)
        run->server_cpu_s = -1;
}

static bool over(struct run *run)
{
    if (run->sent < run->due && !*run->options->stop)
        return false;
    int64_t next_ns = run->options->closed ? clock_monotonic_ns() - run->start_ns : run->ahead.next_ns;
    return !within(run, next_ns);
}

/* How long the counted part of the schedule was: as it was asked for, unless it ended earlier or had to go on for longer. */
static double scheduled_s(const struct run *run, int64_t now_ns)
{
    const struct run_options *o = run->options;
    double last_s = (double)(run->last_due_ns - run->counted_ns) / 1e9;
    if (o->closed || *o->stop)
        return (double)(now_ns - run->counted_ns) / 1e9;
    bool by_count = run->ahead.next_ns == INT64_MAX || (o->requests_max > 0 && run->counted >= o->requests_max);
    return by_count || last_s > o->duration_s ? last_s : o->duration_s;
}

static void finish(struct run *run)
{
    struct run_result *out = run->out;
    const struct run_options *o = run->options;
    int64_t now = clock_monotonic_ns();
    if (!run->counting)
        begin_counting(run);
    out->elapsed_s = (double)((run->last_ns > run->counted_ns ? run->last_ns : now) - run->counted_ns) / 1e9;
    out->scheduled_s = scheduled_s(run, now);
    out->client_cpu_s = thread_cpu_s() - run->cpu_s;
    double server_cpu_s;
    out->server_cpu_s = -1;
    if (o->pid > 0 && run->server_cpu_s >= 0 && process_cpu_s(o->pid, &server_cpu_s, NULL) == STATUS_OK) {
        out->server_cpu_s = server_cpu_s - run->server_cpu_s;
        out->server_rss_last = process_rss(o->pid);
    }
    timeline_close(&out->timeline, INFINITY);
}

enum status run_load(struct target *target, const struct run_options *options, struct run_result *out, struct error *err)
{
    double ignored;
    *out = (struct run_result){.timeline = {.interval_s = options->interval_s}};
    if (options->pid > 0) {
        enum status status = process_cpu_s(options->pid, &ignored, err);
        if (status != STATUS_OK)
            return status;
    }
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the run");
    run->target = target;
    run->options = options;
    run->out = out;
    target->on_reply = on_reply;
    target->context = run;
    if (!options->closed)
        arrivals_begin(&run->next, &options->arrivals);
    run->ahead = run->next;
    random_seed(&run->sizes, options->arrivals.seed + 2);
    run->start_ns = clock_monotonic_ns();
    run->counted_ns = run->start_ns + (int64_t)(options->warmup_s * 1e9);
    run->blocked_ns = INT64_MIN;
    int64_t close_ns = run->start_ns + SECOND_NS;
    while (!over(run) || target_in_flight(target) > 0) {
        int64_t until_ns = options->closed ? send_free(run) : send_due(run);
        int64_t now = clock_monotonic_ns();
        if (!run->counting && now >= run->counted_ns)
            begin_counting(run);
        if (now >= close_ns) {
            close_ns = now + SECOND_NS;
            timeline_close(&out->timeline, (double)(now - run->counted_ns - target->timeout_ns - SECOND_NS) / 1e9);
        }
        target_wait(target, until_ns);
    }
    finish(run);
    free(run);
    return STATUS_OK;
}

void run_result_free(struct run_result *result)
{
    timeline_free(&result->timeline);
}
