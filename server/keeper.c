#include "server/keeper.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/base/clock.h"

enum { PERIOD_S = 1 };

struct keeper {
    struct history *history;
    struct metrics *metrics;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
    bool collecting;
};

/* A family with one sample, or one for each value of a label. */
struct family {
    const char *name, *type, *help, *label;
};

struct sample {
    const char *value; /* of the label; NULL: it has none */
    uint64_t number;
};

static void write_family(struct buf *out, const struct family *family, const struct sample *samples, size_t n)
{
    metrics_write_family(out, family->name, family->type, family->help);
    for (size_t i = 0; i < n; i++) {
        const struct metrics_label label = {family->label, samples[i].value};
        metrics_write_sample(out, family->name, &label, samples[i].value ? 1 : 0, (double)samples[i].number);
    }
}

/* What is kept of each key field. */
static void write_keys(struct keeper *k, struct buf *out)
{
    static const struct family families[] = {
        {"assay_state_keys", "gauge", "Keys that windows know, by field.", "key"},
        {"assay_state_events", "gauge", "Transactions kept for the windows of keys, by field.", "key"},
        {"assay_state_key_bytes", "gauge", "Bytes in use by the windows of keys, by field.", "key"},
    };
    struct sample samples[3][STATE_KEYS_MAX];
    size_t n = history_keys(k->history);
    for (size_t i = 0; i < n; i++) {
        struct state_key_plan plan;
        state_key_plan(history_state(k->history), i, &plan);
        const uint64_t numbers[] = {plan.keys, plan.events, plan.bytes};
        for (size_t f = 0; f < 3; f++)
            samples[f][i] = (struct sample){history_key(k->history, i)->name, numbers[f]};
    }
    for (size_t f = 0; f < 3; f++)
        write_family(out, &families[f], samples[f], n);
}

static void write_whole(const struct state_statistics *s, struct buf *out)
{
    const struct sample bytes[] = {{"taken", s->bytes}, {"used", s->used_bytes}};
    write_family(out, &(struct family){"assay_state_bytes", "gauge", "Memory of the state: taken from the system, and of that in use.", "kind"}, bytes, 2);
    const struct sample ids = {NULL, s->ids}, pending = {NULL, s->labels_pending};
    write_family(out, &(struct family){"assay_state_ids", "gauge", "Transaction ids kept for repeats and labels.", ""}, &ids, 1);
    write_family(out, &(struct family){"assay_state_labels_pending", "gauge", "Labels whose transaction has not come yet.", ""}, &pending, 1);
    const struct sample applied[] = {{"applied", s->applied}, {"repeat", s->repeats}, {"disorder", s->disorder},
                                     {"late", s->late},       {"future", s->future},  {"dropped", s->dropped}};
    write_family(out, &(struct family){"assay_state_applied_total", "counter",
                                       "Transactions taken into windows, and of what came: repeats, those out of order, too late, ahead of the clock, without memory.",
                                       "what"}, applied, 6);
    const struct sample evicted[] = {{"idle", s->evicted_idle}, {"memory", s->evicted_memory}};
    write_family(out, &(struct family){"assay_state_evicted_total", "counter",
                                       "Keys that left: idle for longer than their longest window, or for want of memory.", "reason"}, evicted, 2);
}

static void collect(void *context, struct buf *out)
{
    struct keeper *k = context;
    struct state_statistics s;
    state_statistics(history_state(k->history), &s);
    write_keys(k, out);
    write_whole(&s, out);
}

static void *run(void *context)
{
    struct keeper *k = context;
    struct timespec next;
    (void)clock_gettime(CLOCK_MONOTONIC, &next); /* else nothing would leave for as long as the wall clock is set back */
    (void)pthread_mutex_lock(&k->lock);
    while (!k->stopping) {
        next.tv_sec += PERIOD_S;
        while (!k->stopping && pthread_cond_timedwait(&k->wake, &k->lock, &next) == 0)
            ;
        if (k->stopping)
            break;
        (void)pthread_mutex_unlock(&k->lock);
        (void)history_evict(k->history, clock_wall_us());
        (void)pthread_mutex_lock(&k->lock);
    }
    (void)pthread_mutex_unlock(&k->lock);
    return NULL;
}

enum status keeper_start(struct history *history, struct metrics *metrics, struct keeper **out, struct error *err)
{
    struct keeper *k = calloc(1, sizeof *k);
    if (!k)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the state's keeper");
    *k = (struct keeper){.history = history, .metrics = metrics};
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&k->lock, NULL);
    (void)pthread_cond_init(&k->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int code = pthread_create(&k->thread, NULL, run, k);
    if (code != 0) {
        (void)pthread_cond_destroy(&k->wake);
        (void)pthread_mutex_destroy(&k->lock);
        free(k);
        return error_set(err, STATUS_LIMIT, "no thread for the state's keeper: %s", strerror(code));
    }
    enum status status = metrics_collector_add(metrics, collect, k);
    k->collecting = status == STATUS_OK;
    if (status != STATUS_OK)
        (void)error_set(err, status, "no room for the metrics of the state");
    if (status == STATUS_OK)
        *out = k;
    else
        keeper_stop(k);
    return status;
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper)
        return;
    if (keeper->collecting)
        metrics_collector_remove(keeper->metrics, collect, keeper);
    (void)pthread_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    (void)pthread_cond_signal(&keeper->wake);
    (void)pthread_mutex_unlock(&keeper->lock);
    (void)pthread_join(keeper->thread, NULL);
    (void)pthread_cond_destroy(&keeper->wake);
    (void)pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}
