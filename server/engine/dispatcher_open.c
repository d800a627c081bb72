#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/base/check.h"
#include "server/engine/dispatcher_private.h"
#include "server/engine/measure.h"
#include "server/log.h"

static const int64_t MEASURE_NS = 60000000;  /* an engine */
static const int64_t REPLY_NS = 200000;      /* until it is known better */
static const int64_t LET_GO_NS = 2000000000;
static const double UNMEASURED_NS = 1e6;

enum { MEASURE_TRIES = 20 };

/* --- making and ending ------------------------------------------------------------------------------------------------- */

static void wake_thread(void *wake)
{
    wake_now(wake);
}

/* A device that is lost just now is back in a moment, or is taken to be of middling speed until it is seen to be another. */
static enum status measure_engine(const struct measure_options *m, struct cost *cost, bool alone, struct error *err)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    struct engine_state state;
    enum status status = measure_cost(m, cost, err);
    for (int i = 0; i < MEASURE_TRIES && status == STATUS_UNAVAILABLE && engine_state(m->engine, &state); i++) {
        (void)nanosleep(&pause, NULL);
        status = measure_cost(m, cost, err);
    }
    if (status != STATUS_UNAVAILABLE || alone)
        return status;
    log_warn("engine.not_measured", LOG_TEXT("name", m->engine->backend->name), LOG_TEXT("reason", err->message));
    cost_init(cost, m->batch_max, UNMEASURED_NS);
    return STATUS_OK;
}

static enum status open_engine(struct dispatcher *d, uint32_t i, const struct dispatcher_engine *engine, struct cost *cost, bool measure,
                               struct error *err)
{
    const struct dispatcher_options *with = &d->with;
    struct backend_limits limits;
    engine_limits(engine->engine, engine->prepared, &limits);
    uint32_t batch_max = limits.batch_max < with->batch_max ? limits.batch_max : with->batch_max;
    uint32_t works = limits.synchronous ? 1 : limits.in_flight_max < ROUTE_IN_FLIGHT_MAX ? limits.in_flight_max : ROUTE_IN_FLIGHT_MAX;
    const struct measure_options m = {.engine = engine->engine, .prepared = engine->prepared, .rows = pool_rows(with->pool),
                                      .row_count = with->slots[ROW_CALLER] + with->slots[ROW_STREAM], .batch_max = batch_max,
                                      .margins = with->info->margins, .scores = with->info->scores, .budget_ns = MEASURE_NS};
    enum status status = measure ? measure_engine(&m, cost, with->engine_count == 1, err) : STATUS_OK;
    if (status != STATUS_OK)
        return status;
    batcher_engine(&d->batcher, i, cost, batch_max, works);
    const struct lane_options options = {.engine = engine->engine, .prepared = engine->prepared, .rows = pool_rows(with->pool), .number = i,
                                         .batch_max = batch_max, .works = works, .margins = with->info->margins,
                                         .scores = with->info->scores, .threaded = limits.synchronous, .finished = &d->finished};
    d->lane_count = i + 1;
    if (!limits.synchronous)
        (void)engine_notify(engine->engine, wake_thread, &d->wake);
    status = lane_init(&d->lanes[i], &options, err);
    log_info("engine.measured", LOG_INT("engine", i), LOG_TEXT("name", engine->engine->backend->name),
             LOG_REAL("row_us", cost_mean_ns(cost, 1) / 1e3), LOG_INT("batch", batch_max),
             LOG_REAL("batch_us", cost_mean_ns(cost, batch_max) / 1e3));
    return status;
}

/* One synchronous engine serves many threads; several engines have one each. */
static enum status open_engines(struct dispatcher *d, struct error *err)
{
    const struct dispatcher_options *with = &d->with;
    struct cost cost;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < d->batcher.with.engines && status == STATUS_OK; i++) {
        bool own = i < with->engine_count;
        status = open_engine(d, i, &with->engines[own ? i : 0], &cost, own, err);
    }
    return status;
}

static enum status start(struct dispatcher *d, struct error *err)
{
    struct backend_limits limits;
    const struct dispatcher_options *with = &d->with;
    engine_limits(with->engines[0].engine, with->engines[0].prepared, &limits);
    d->synchronous = limits.synchronous;
    if (!d->synchronous && with->mode == DISPATCHER_INLINE)
        return error_set(err, STATUS_INVALID, "batch.mode: inline needs an engine that answers at once, which %s does not", with->engines[0].engine->backend->name);
    const struct batcher_options options = {.policy = with->policy, .batch_max = with->batch_max, .stream_share = 0.1, .slo_ns = with->slo_ns,
                                            .waiting_max = {[ROW_CALLER] = with->slots[ROW_CALLER], [ROW_STREAM] = with->slots[ROW_STREAM]},
                                            .window_rows = with->window_rows, .window_ns = with->window_ns,
                                            .engines = with->engine_count == 1 && d->synchronous ? with->copies : with->engine_count};
    enum status status = batcher_init(&d->batcher, &options, err);
    if (status == STATUS_OK)
        status = open_engines(d, err);
    d->metrics = status == STATUS_OK ? metrics_shard_create(with->metrics) : NULL;
    if (status == STATUS_OK && !d->metrics)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for the batcher");
    if (status != STATUS_OK)
        return status;
    dispatcher_mode_choose(d);
    d->changed = true;
    dispatcher_publish(d, 1 << 30); /* before anybody asks */
    int code = pthread_create(&d->thread, NULL, dispatcher_run, d);
    if (code != 0)
        return error_set(err, STATUS_LIMIT, "no thread for the batcher: %s", strerror(code));
    d->started = true;
    return metrics_collector_add(with->metrics, dispatcher_collect, d);
}

enum status dispatcher_create(const struct dispatcher_options *options, struct dispatcher **out, struct error *err)
{
    struct dispatcher *d = aligned_alloc(64, (sizeof *d + 63) / 64 * 64);
    CHECK(options->engine_count > 0 && options->engine_count <= ROUTE_ENGINES_MAX && options->copies > 0 && options->copies <= ROUTE_ENGINES_MAX);
    if (!d)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the batcher");
    memset(d, 0, sizeof *d);
    d->with = *options;
    d->finished.wake = &d->wake;
    atomic_init(&d->end_ns, INT64_MAX);
    atomic_init(&d->reply_ns, REPLY_NS);
    enum status status = start(d, err);
    if (status != STATUS_OK) {
        dispatcher_free(d);
        return status;
    }
    *out = d;
    return STATUS_OK;
}

/* Nobody waits for what the engine still has; the engine may take its time to let go of it, but not for ever. */
static void close_lane(struct dispatcher *d, uint32_t i)
{
    struct lane *lane = &d->lanes[i];
    const struct route_engine *engine = &d->batcher.engines[i];
    uint32_t busy = lane_stop(lane, LET_GO_NS);
    if (!lane->with.threaded)
        (void)engine_notify(lane->with.engine, NULL, NULL);
    if (busy > 0)
        log_warn("engine.stuck", LOG_INT("engine", i), LOG_TEXT("name", lane->with.engine->backend->name), LOG_INT("batches", busy));
    for (uint32_t place = 0; lane->works && place < engine->in_flight_max; place++) {
        for (uint32_t k = 0; engine->batches[place].n > 0 && k < lane->works[place].batch.n; k++)
            dispatcher_let_go(d, &lane->works[place].rows[k]);
    }
    lane_free(lane);
}

void dispatcher_free(struct dispatcher *d)
{
    if (!d)
        return;
    if (d->started) {
        metrics_collector_remove(d->with.metrics, dispatcher_collect, d);
        atomic_store_explicit(&d->stopping, true, memory_order_release);
        wake_now(&d->wake);
        (void)pthread_join(d->thread, NULL);
        CHECK(batcher_waiting(&d->batcher) == 0 && !d->remembered);
    }
    for (uint32_t i = 0; i < d->lane_count; i++)
        close_lane(d, i);
    batcher_free(&d->batcher);
    free(d);
}

void dispatcher_end(struct dispatcher *d, int64_t deadline_ns)
{
    if (!d)
        return;
    atomic_store_explicit(&d->end_ns, deadline_ns, memory_order_relaxed);
    wake_now(&d->wake);
}

/* --- what sources call ------------------------------------------------------------------------------------------------- */

void dispatcher_submit(struct dispatcher *d, struct ticket *ticket, enum row_kind kind, struct txn *const *txns, uint32_t n, int64_t now_ns)
{
    CHECK(n > 0 && (kind == ROW_CALLER) == (txns[0]->source == SOURCE_HTTP));
    ticket->left = n;
    for (uint32_t i = 0; i < n; i++) {
        txns[i]->ticket = ticket;
        txns[i]->submitted_ns = now_ns;
        txns[i]->next = i + 1 < n ? txns[i + 1] : NULL;
    }
    if (kind == ROW_CALLER)
        (void)atomic_fetch_add_explicit(&d->callers, n, memory_order_relaxed); /* a figure, orders nothing */
    struct txn *newest = atomic_load_explicit(&d->inbox, memory_order_relaxed);
    do { /* release: the thread sees the slots and their rows */
        txns[n - 1]->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&d->inbox, &newest, txns[0], memory_order_release, memory_order_relaxed));
    wake_now(&d->wake);
}

void dispatcher_remind(struct dispatcher *d, struct ticket *ticket, int64_t at_ns)
{
    ticket->left = 0;
    ticket->remind_ns = at_ns;
    ticket->next = atomic_load_explicit(&d->reminders, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&d->reminders, &ticket->next, ticket, memory_order_release, memory_order_relaxed))
        continue;
    wake_now(&d->wake);
}

void dispatcher_replied(struct dispatcher *d, int64_t ns)
{
    /* Goes up by a quarter of the difference and down by a 256th: stays where about one in sixty is above. */
    int64_t was = atomic_load_explicit(&d->reply_ns, memory_order_relaxed);
    int64_t most = d->with.slo_ns / 4;
    int64_t now = ns > was ? was + (ns - was) / 4 : was - (was - ns) / 256;
    atomic_store_explicit(&d->reply_ns, now < most ? now : most, memory_order_relaxed);
}
