#include "server/server.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/decision_log.h"
#include "server/engine/dispatcher.h"
#include "server/keeper.h"
#include "server/loaded.h"
#include "server/log.h"
#include "server/state_options.h"

enum { SOURCES_MAX = 8 };

/* How a source that can't go on wakes server_wait: none that anybody else sends. */
enum { FAIL_SIGNAL = SIGUSR2 };

struct running {
    struct server server; /* first: a source's `const struct server *` leads back here */
    const struct settings *settings;
    struct loaded loaded;
    struct decision_log *decision_log;
    struct keeper *keeper; /* NULL: the bundle has no windows */
    struct dispatcher *dispatcher;
    const struct source *sources[SOURCES_MAX];
    void *contexts[SOURCES_MAX];
    size_t source_count, started;
    _Atomic bool failed, stopping, labels_behind;
};

struct ending {
    const struct source *source;
    void *context;
    int64_t deadline_ns;
    pthread_t thread;
    bool threaded, whole;
};

void server_block_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, FAIL_SIGNAL);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* A connection is a file, and the usual soft limit of 1024 is below the connections that are allowed. */
static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= files.rlim_max)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static bool all_ready(const struct server *server, struct buf *why)
{
    const struct running *r = (const struct running *)(const void *)server;
    bool ready = !atomic_load_explicit(&r->stopping, memory_order_relaxed); /* a hint to those who ask later */
    if (!ready)
        buf_string(why, "server: shutting down\n");
    for (size_t i = 0; i < r->source_count; i++) {
        if (r->sources[i]->ready && !r->sources[i]->ready(r->contexts[i], why))
            ready = false;
    }
    return ready;
}

static void note_all(const struct server *server, struct buf *out)
{
    const struct running *r = (const struct running *)(const void *)server;
    dispatcher_notes(r->dispatcher, out);
}

static void fail(const struct server *server, const char *reason)
{
    struct running *r = (struct running *)(uintptr_t)server;
    log_error("server.failed", LOG_TEXT("reason", reason));
    atomic_store(&r->failed, true);
    (void)kill(getpid(), FAIL_SIGNAL); /* server_wait takes it */
}

static uint32_t cores(void)
{
    cpu_set_t cpus;
    uint32_t n = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (uint32_t)CPU_COUNT(&cpus) : 1;
    return n < ROUTE_ENGINES_MAX ? n : ROUTE_ENGINES_MAX;
}

static enum status make_dispatcher(struct running *r, const struct pool_options *pool, struct error *err)
{
    const struct settings *s = r->settings;
    struct dispatcher_engine engines[LOADED_ENGINES_MAX] = {{.engine = &r->loaded.engine, .prepared = r->loaded.prepared}};
    for (uint32_t i = 0; i < r->loaded.more_count; i++)
        engines[i + 1] = (struct dispatcher_engine){.engine = &r->loaded.more[i].engine, .prepared = r->loaded.more[i].prepared};
    r->server.slo_ns = (int64_t)(s->http_slo_ms * 1e6);
    const struct dispatcher_options options = {
        .engines = engines, .engine_count = r->loaded.more_count + 1, .others_optional = r->loaded.more_optional,
        .info = model_info(r->loaded.bundle->model), .pool = r->server.pool,
        .metrics = r->server.metrics, .slots = {[ROW_CALLER] = pool->slots[SOURCE_HTTP], [ROW_STREAM] = pool->slots[SOURCE_KAFKA]},
        .copies = cores(), .mode = (enum dispatcher_mode)s->batch_mode, .policy = (enum batcher_policy)s->batch_policy,
        .batch_max = (uint32_t)s->batch_max, .window_rows = (uint32_t)s->batch_window_rows, .slo_ns = r->server.slo_ns,
        .window_ns = s->batch_window_us * 1000,
    };
    return dispatcher_create(&options, &r->dispatcher, err);
}

static void attach_rows(struct running *r, const struct engine *engine)
{
    size_t bytes;
    struct error err;
    void *memory = pool_memory(r->server.pool, &bytes);
    if (engine_attach(engine, memory, bytes, &err) != STATUS_OK) /* then they are copied */
        log_warn("engine.rows_copied", LOG_TEXT("name", engine->backend->name), LOG_TEXT("reason", err.message));
}

static enum status make_pipeline(struct running *r, struct error *err)
{
    const struct settings *s = r->settings;
    const struct state_options keep = state_options_of(s);
    size_t windows;
    (void)plan_windows(r->loaded.bundle->plan, &windows);
    const struct pool_options pool_options = {
        .slots = {[SOURCE_HTTP] = s->http_listen[0] ? (uint32_t)s->http_slots : 0,
                  [SOURCE_KAFKA] = s->stream_input[0] ? (uint32_t)s->stream_slots : 0},
        .columns = (uint32_t)plan_columns(r->loaded.bundle->plan),
        .type = model_info(r->loaded.bundle->model)->input_type,
        .windows = windows,
    };
    if (pool_options.slots[SOURCE_HTTP] + pool_options.slots[SOURCE_KAFKA] == 0)
        return error_set(err, STATUS_INVALID, "nothing to serve: set http.listen, or stream.input for Kafka");
    enum status status = pool_create(r->loaded.bundle->schema, &pool_options, &r->server.pool, err);
    if (status == STATUS_OK)
        attach_rows(r, &r->loaded.engine);
    for (uint32_t i = 0; i < r->loaded.more_count && status == STATUS_OK; i++)
        attach_rows(r, &r->loaded.more[i].engine);
    if (status == STATUS_OK)
        status = make_dispatcher(r, &pool_options, err);
    if (status == STATUS_OK)
        status = history_create(r->loaded.bundle->schema, r->loaded.bundle->plan, &keep, &r->server.history, err);
    if (status != STATUS_OK)
        return status;
    const struct pipeline_options options = {.bundle = r->loaded.bundle, .engine = &r->loaded.engine, .prepared = r->loaded.prepared,
                                             .pool = r->server.pool, .metrics = r->server.metrics, .history = r->server.history,
                                             .live = true, .decision_log = r->decision_log, .dispatcher = r->dispatcher,
                                             .slo_ns = r->server.slo_ns,
                                             .late_is_refused = s->batch_policy != BATCHER_WINDOW};
    r->server.dispatcher = r->dispatcher;
    return pipeline_create(&options, &r->server.pipeline, err);
}

static enum status open_decision_log(struct running *r, const struct parts *parts, struct error *err)
{
    const struct settings *s = r->settings;
    struct decision_writer writers[2];
    size_t n = 0;
    enum status status = STATUS_OK;
    if (s->decision_log_file[0]) {
        status = decision_file_open(s->decision_log_file, &writers[n], err);
        n += status == STATUS_OK;
    }
    if (status == STATUS_OK && s->decision_log_topic[0]) {
        if (!parts->decision_topic)
            status = error_set(err, STATUS_UNSUPPORTED, "decision_log.topic: this build has no Kafka");
        else
            status = parts->decision_topic(s, &writers[n], err);
        n += status == STATUS_OK;
    }
    if (status == STATUS_OK && n > 0)
        return decision_log_create(&(struct decision_log_options){.writers = writers, .count = n, .bundle = r->loaded.bundle,
                                                                  .metrics = r->server.metrics, .may_drop = s->decision_log_full == 1},
                                   &r->decision_log, err);
    while (status != STATUS_OK && n > 0) {
        n--;
        writers[n].close(writers[n].context);
    }
    return status;
}

static enum status start_sources(struct running *r, const struct parts *parts, struct error *err)
{
    for (const struct source *const *s = parts->sources; *s; s++) {
        if (!(*s)->wanted(r->settings))
            continue;
        CHECK(r->source_count < SOURCES_MAX);
        enum status status = (*s)->create(&r->server, &r->contexts[r->source_count], err);
        if (status != STATUS_OK)
            return error_prefix(err, status, "%s", (*s)->name);
        r->sources[r->source_count++] = *s;
    }
    for (; r->started < r->source_count; r->started++) {
        const struct source *s = r->sources[r->started];
        enum status status = s->start(r->contexts[r->started], err);
        if (status != STATUS_OK)
            return error_prefix(err, status, "%s", s->name);
    }
    return STATUS_OK;
}

static enum status start_all(struct running *r, const struct parts *parts, struct error *err)
{
    const struct settings *s = r->settings;
    if (!s->bundle[0])
        return error_set(err, STATUS_INVALID, "no bundle: set `bundle` in the configuration, or --set bundle=DIR");
    enum status status = loaded_open_serving(parts, s->bundle, s->engine, &r->loaded, err);
    if (status == STATUS_OK)
        status = metrics_create(&r->server.metrics, err);
    if (status == STATUS_OK)
        status = metrics_model_set(r->server.metrics, r->loaded.bundle->name, r->loaded.bundle->version, r->loaded.bundle->digest, err);
    if (status == STATUS_OK)
        status = open_decision_log(r, parts, err);
    if (status == STATUS_OK)
        status = make_pipeline(r, err);
    if (status == STATUS_OK && r->server.history)
        status = keeper_start(r->server.history, r->server.metrics, &r->keeper, err);
    r->server.bundle = r->loaded.bundle;
    if (status != STATUS_OK)
        return status;
    log_info("bundle.loaded", LOG_TEXT("model", r->loaded.bundle->name), LOG_TEXT("version", r->loaded.bundle->version),
             LOG_TEXT("digest", r->loaded.bundle->digest), LOG_TEXT("engine", r->loaded.engine.backend->name),
             LOG_INT("golden_rows", r->loaded.golden_rows));
    return start_sources(r, parts, err);
}

enum status server_start(const struct parts *parts, const struct settings *settings, struct running **out, struct error *err)
{
    struct running *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the server");
    raise_file_limit();
    r->settings = settings;
    r->server.settings = settings;
    r->server.record = (struct record_options){.features = settings->result_features, .timing = settings->result_timing};
    r->server.labels_behind = &r->labels_behind;
    r->server.ready = all_ready;
    r->server.notes = note_all;
    r->server.fail = fail;
    enum status status = start_all(r, parts, err);
    if (status != STATUS_OK) {
        (void)server_stop(r);
        return status;
    }
    *out = r;
    return STATUS_OK;
}

int server_wait(struct running *running)
{
    sigset_t set;
    int number = 0;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, FAIL_SIGNAL);
    (void)sigwait(&set, &number);
    atomic_store_explicit(&running->stopping, true, memory_order_relaxed);
    log_info("server.stopping", LOG_TEXT("signal", number == SIGINT ? "SIGINT" : number == SIGTERM ? "SIGTERM" : "none"));
    /* A person at the keyboard who asks a second time does not want to wait. */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return atomic_load(&running->failed) ? EXIT_FAILED : EXIT_DONE;
}

const struct server *server_view(const struct running *running)
{
    return &running->server;
}

static void *end_source(void *context)
{
    struct ending *e = context;
    e->whole = e->source->stop(e->context, e->deadline_ns);
    return NULL;
}

/* All at the same time: each may need all of drain_s. */
static bool stop_sources(struct running *r, int64_t deadline_ns)
{
    bool whole = true;
    struct ending endings[SOURCES_MAX];
    for (size_t i = 0; i < r->started; i++) {
        endings[i] = (struct ending){.source = r->sources[i], .context = r->contexts[i], .deadline_ns = deadline_ns};
        endings[i].threaded = pthread_create(&endings[i].thread, NULL, end_source, &endings[i]) == 0;
    }
    for (size_t i = 0; i < r->started; i++) {
        if (endings[i].threaded)
            (void)pthread_join(endings[i].thread, NULL);
        else
            (void)end_source(&endings[i]);
        whole = whole && endings[i].whole;
    }
    return whole;
}

bool server_stop(struct running *running)
{
    struct running *r = running;
    int64_t deadline_ns = clock_monotonic_ns() + r->settings->drain_s * 1000000000;
    decision_log_end(r->decision_log, deadline_ns); /* first: a worker that waits for the log must not hold up the drain */
    dispatcher_end(r->dispatcher, deadline_ns);
    atomic_store_explicit(&r->stopping, true, memory_order_relaxed);
    bool whole = stop_sources(r, deadline_ns);
    for (size_t i = r->source_count; i-- > 0;)
        r->sources[i]->destroy(r->contexts[i]);
    keeper_stop(r->keeper);
    pipeline_free(r->server.pipeline);
    dispatcher_free(r->dispatcher);
    loaded_close_engines(&r->loaded); /* they may read the pool's rows */
    decision_log_free(r->decision_log, deadline_ns);
    pool_free(r->server.pool);
    history_free(r->server.history);
    metrics_free(r->server.metrics);
    loaded_close(&r->loaded);
    free(r);
    return whole;
}
