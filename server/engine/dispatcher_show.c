#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/dispatcher_private.h"
#include "server/log.h"

static const int64_t SHOW_NS = 10000000;
static const int64_t STALE_NS = 5000000; /* what refuses somebody may be no older */

static void show_health(struct dispatcher *d, int64_t now_ns)
{
    for (uint32_t i = 0; i < d->lane_count; i++)
        atomic_store_explicit(&d->views[i].health, (int)route_health(&d->batcher.engines[i], now_ns), memory_order_relaxed);
}

static void show_costs(struct dispatcher *d, int64_t now_ns)
{
    for (uint32_t i = 0; i < d->lane_count; i++) {
        const struct route_engine *e = &d->batcher.engines[i];
        struct engine_view *view = &d->views[i];
        for (uint32_t j = 0; j < e->cost.count; j++) {
            atomic_store_explicit(&view->mean_ns[j], cost_mean_ns(&e->cost, e->cost.sizes[j]), memory_order_relaxed);
            atomic_store_explicit(&view->tail_ns[j], cost_tail_ns(&e->cost, e->cost.sizes[j]), memory_order_relaxed);
        }
    }
    d->published_ns = now_ns;
}

void dispatcher_publish(struct dispatcher *d, int64_t now_ns)
{
    struct admission a;
    struct published *p = &d->published;
    batcher_refresh(&d->batcher, now_ns); /* an engine that was slow, and has nothing to do since, is given another try some day */
    batcher_admission(&d->batcher, now_ns, &a);
    d->usable = a.usable;
    atomic_store_explicit(&p->free_ns, a.free_ns, memory_order_relaxed);
    atomic_store_explicit(&p->row_ns, a.row_ns, memory_order_relaxed);
    atomic_store_explicit(&p->one_ns, a.one_ns, memory_order_relaxed);
    atomic_store_explicit(&p->full_ns, a.full_ns, memory_order_relaxed);
    atomic_store_explicit(&p->full, a.full, memory_order_relaxed);
    atomic_store_explicit(&p->next_ns, a.next_ns, memory_order_relaxed);
    atomic_store_explicit(&p->next, a.next, memory_order_relaxed);
    atomic_store_explicit(&p->usable, a.usable, memory_order_relaxed);
    atomic_store_explicit(&p->at_ns, now_ns, memory_order_relaxed);
    show_health(d, now_ns);
    if (d->changed && now_ns - d->published_ns > SHOW_NS) {
        show_costs(d, now_ns);
        dispatcher_mode_reconsider(d, now_ns);
        d->changed = false;
    }
}

/* Asks the thread to look again, where nothing else makes it: with everybody refused it has nothing to do. */
static enum refusal refuse(struct dispatcher *d, enum refusal refusal, int64_t now_ns)
{
    if (now_ns - atomic_load_explicit(&d->published.at_ns, memory_order_relaxed) > STALE_NS)
        wake_now(&d->wake);
    return refusal;
}

enum refusal dispatcher_admit(struct dispatcher *d, int64_t deadline_ns, uint32_t before, int64_t now_ns)
{
    const struct published *p = &d->published;
    const struct admission a = {.free_ns = atomic_load_explicit(&p->free_ns, memory_order_relaxed),
                                .row_ns = atomic_load_explicit(&p->row_ns, memory_order_relaxed),
                                .one_ns = atomic_load_explicit(&p->one_ns, memory_order_relaxed),
                                .full_ns = atomic_load_explicit(&p->full_ns, memory_order_relaxed),
                                .full = atomic_load_explicit(&p->full, memory_order_relaxed),
                                .next_ns = atomic_load_explicit(&p->next_ns, memory_order_relaxed),
                                .next = atomic_load_explicit(&p->next, memory_order_relaxed),
                                .reply_ns = atomic_load_explicit(&d->reply_ns, memory_order_relaxed)};
    if (d->with.policy == BATCHER_WINDOW)
        return REFUSAL_NONE;
    if (!atomic_load_explicit(&p->usable, memory_order_relaxed))
        return refuse(d, REFUSAL_ENGINE, now_ns);
    uint32_t ahead = atomic_load_explicit(&d->callers, memory_order_relaxed) + before;
    return admission_finish_ns(&a, now_ns, ahead) > deadline_ns ? refuse(d, REFUSAL_BUSY, now_ns) : REFUSAL_NONE;
}

static void write_costs(const struct dispatcher *d, struct buf *out, const char *name, const char *help, bool tail)
{
    metrics_write_family(out, name, "gauge", help);
    for (uint32_t i = 0; i < d->lane_count; i++) {
        const struct cost *cost = &d->batcher.engines[i].cost; /* sizes and count never change */
        for (uint32_t j = 0; j < cost->count; j++) {
            char engine[16], rows[16];
            (void)snprintf(engine, sizeof engine, "%u", i);
            (void)snprintf(rows, sizeof rows, "%u", cost->sizes[j]);
            const struct metrics_label labels[] = {{"engine", engine}, {"rows", rows}};
            const _Atomic double *ns = tail ? d->views[i].tail_ns : d->views[i].mean_ns;
            metrics_write_sample(out, name, labels, 2, atomic_load_explicit(&ns[j], memory_order_relaxed) / 1e9);
        }
    }
}

enum { FIGURES_MAX = 64 };

struct device_figures {
    struct engine_figure figures[FIGURES_MAX];
    size_t count;
};

/* One family of all engines that have it: figures first to end - 1 of each. */
static void write_family(const struct device_figures *devices, uint32_t engines, size_t first, size_t end, struct buf *out)
{
    bool begun = false;
    for (uint32_t i = 0; i < engines; i++) {
        for (size_t k = first; k < end && k < devices[i].count; k++) {
            const struct engine_figure *f = &devices[i].figures[k];
            char engine[16];
            (void)snprintf(engine, sizeof engine, "%u", i);
            const struct metrics_label labels[] = {{"engine", engine}, {f->label, f->label_value}};
            if (!begun)
                metrics_write_family(out, f->name, f->type, f->help);
            begun = true;
            metrics_write_sample(out, f->name, labels, f->label ? 2 : 1, f->value);
        }
    }
}

/* What engines with a device say of it. */
static void write_devices(const struct dispatcher *d, struct buf *out)
{
    struct device_figures *devices = calloc(d->lane_count, sizeof *devices);
    const struct device_figures *longest = NULL;
    for (uint32_t i = 0; devices && i < d->lane_count; i++) {
        size_t n = engine_figures(d->lanes[i].with.engine, devices[i].figures, FIGURES_MAX);
        devices[i].count = n < FIGURES_MAX ? n : FIGURES_MAX;
        longest = !longest || devices[i].count > longest->count ? &devices[i] : longest;
    }
    for (size_t first = 0, end; longest && first < longest->count; first = end) {
        for (end = first + 1; end < longest->count && strcmp(longest->figures[end].name, longest->figures[first].name) == 0;)
            end++;
        write_family(devices, d->lane_count, first, end, out);
    }
    free(devices);
}

void dispatcher_notes(const struct dispatcher *d, struct buf *out)
{
    struct engine_state state;
    for (uint32_t i = 0; i < d->lane_count; i++) {
        if (engine_state(d->lanes[i].with.engine, &state) && !state.up)
            buf_format(out, "engine %u, %s, is down: %s; the others score\n", i, state.device, state.reason);
    }
}

void dispatcher_tell(struct dispatcher *d, uint32_t i, bool ok)
{
    const struct engine *engine = d->lanes[i].with.engine;
    struct engine_state state = {.up = true};
    (void)engine_state(engine, &state);
    d->failing[i] = !ok;
    if (ok)
        log_info("engine.up", LOG_INT("engine", i), LOG_TEXT("name", engine->backend->name), LOG_TEXT("device", state.device));
    else
        log_warn("engine.down", LOG_INT("engine", i), LOG_TEXT("name", engine->backend->name), LOG_TEXT("device", state.device),
                 LOG_TEXT("reason", state.reason));
}

void dispatcher_collect(void *dispatcher, struct buf *out)
{
    const struct dispatcher *d = dispatcher;
    write_costs(d, out, "assay_engine_cost_seconds", "What a batch of so many rows costs an engine now: the mean.", false);
    write_costs(d, out, "assay_engine_cost_tail_seconds", "Likewise the tail, which deadlines are reckoned with.", true);
    metrics_write_family(out, "assay_engine_health", "gauge", "0: good, 1: a batch is overdue, 2: failing.");
    for (uint32_t i = 0; i < d->lane_count; i++) {
        char engine[16];
        (void)snprintf(engine, sizeof engine, "%u", i);
        const struct metrics_label labels[] = {{"engine", engine}};
        metrics_write_sample(out, "assay_engine_health", labels, 1, atomic_load_explicit(&d->views[i].health, memory_order_relaxed));
    }
    metrics_write_family(out, "assay_engine_batched", "gauge", "1: rows go through the batcher; 0: the thread that received them scores them.");
    metrics_write_sample(out, "assay_engine_batched", NULL, 0, dispatcher_batches(d));
    write_devices(d, out);
}
