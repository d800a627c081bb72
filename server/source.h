/*
 * A source (and its sink) is a const table with an opaque context, as a backend is. server/main.c alone names them.
 *
 *     create ─► start ─► (ready?) … ─► stop(deadline) ─► destroy
 */
#pragma once

#include <stdbool.h>

#include "config/settings.h"
#include "model/base/buf.h"
#include "model/history.h"
#include "server/pipeline.h"
#include "server/record.h"

/* What a source may use; all borrowed, all outlive it. */
struct server {
    const struct settings *settings;
    const struct bundle *bundle;
    struct pipeline *pipeline;
    struct dispatcher *dispatcher;
    int64_t slo_ns; /* http.slo_ms */
    struct pool *pool;
    struct history *history; /* NULL: the bundle has no windows */
    _Atomic bool *labels_behind; /* labels that are there already are being read: who replays transactions waits */
    struct metrics *metrics;
    struct record_options record;
    /* Ready: every source is. Appends a line a source that is not, saying why. Any thread. */
    bool (*ready)(const struct server *server, struct buf *why);
    /* What is amiss though it is ready, a line each. Any thread. */
    void (*notes)(const struct server *server, struct buf *out);
    /* Asks the process to end, as SIGTERM does, with an exit code of 1: for a source that can't go on. Any thread. */
    void (*fail)(const struct server *server, const char *reason);
};

struct source {
    const char *name; /* "http", "kafka" */
    /* Is it switched on by these settings? */
    bool (*wanted)(const struct settings *settings);
    /* Optional: are these settings right? Asked whether the source is wanted or not, since a slip in what is switched off
     * strikes when it is switched on. Opens no connection; for `assay config check`. */
    enum status (*check)(const struct settings *settings, struct error *err);
    enum status (*create)(const struct server *server, void **context, struct error *err);
    enum status (*start)(void *context, struct error *err);
    bool (*ready)(void *context, struct buf *why);
    /* Takes nothing new, finishes what is in flight until deadline_ns (monotonic), delivers and commits it. False: some of it
     * was cut. */
    bool (*stop)(void *context, int64_t deadline_ns);
    void (*destroy)(void *context);
};
