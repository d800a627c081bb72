/*
 * Making, starting and ending the HTTP source.
 *
 * libmicrohttpd runs a few threads, each with an epoll set and the listening socket in it; a connection stays with the thread
 * that accepted it. Scoring happens inside the request handler, since a hand-over to another thread mostly costs more than the
 * whole score; where batches pay, the connection is suspended meanwhile.
 *
 * Ending: readiness has gone already; no new connections; every answer now says Connection: close, so busy connections end
 * by themselves; quiet ones are closed once nothing has come for a moment.
 */
#include "server/http/source_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/address.h"
#include "server/http/http.h"
#include "server/log.h"

enum { QUIET_MS = 250, LOOK_MS = 5 };

static bool http_wanted(const struct settings *settings)
{
    return settings->http_listen[0] != '\0';
}

static enum status http_check(const struct settings *settings, struct error *err)
{
    return http_wanted(settings) ? address_check(settings->http_listen, err) : STATUS_OK;
}

static uint32_t threads_wanted(const struct settings *settings)
{
    cpu_set_t cpus;
    if (settings->http_threads > 0)
        return (uint32_t)settings->http_threads;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (uint32_t)CPU_COUNT(&cpus) : 1;
}

static void http_destroy(void *context)
{
    struct http *http = context;
    if (http->listener >= 0)
        (void)close(http->listener);
    if (strncmp(http->address, "unix:", 5) == 0)
        (void)unlink(http->address + 5);
    for (uint32_t i = 0; i < http->thread_count; i++) {
        walk_groups_free(&http->threads[i]);
        worker_free(http->threads[i].worker);
        label_reader_free(&http->threads[i].labels);
    }
    answers_free(http->answers);
    (void)pthread_cond_destroy(&http->watch_wake);
    (void)pthread_mutex_destroy(&http->lock);
    free(http->threads);
    free(http);
}

static enum status create_threads(struct http *http, struct error *err)
{
    uint32_t n = threads_wanted(http->server->settings);
    http->threads = aligned_alloc(64, n * sizeof *http->threads);
    if (!http->threads)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for HTTP threads");
    memset(http->threads, 0, n * sizeof *http->threads);
    http->thread_count = n;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < n && status == STATUS_OK; i++) {
        struct http_thread *t = &http->threads[i];
        struct hash_secret random = hash_secret_random();
        t->http = http;
        t->request_id[0] = random.low;
        t->request_id[1] = random.high << 32; /* room to count */
        status = worker_create(http->server->pipeline, SOURCE_HTTP, HTTP_GROUP, &t->worker, err);
        if (status == STATUS_OK)
            status = label_reader_init(&t->labels, http->server->bundle->schema, err);
        t->metrics = status == STATUS_OK ? worker_metrics(t->worker) : NULL;
    }
    return status;
}

static enum status create_answers(struct http *http, struct error *err)
{
    const struct settings *s = http->server->settings;
    const struct rows *rows = pool_rows(http->server->pool);
    size_t row_bytes = http->server->record.features ? rows->columns * number_type_bytes(rows->type) : 0;
    if (s->dedupe_s == 0)
        return STATUS_OK;
    return answers_create((uint64_t)s->dedupe_entries, s->dedupe_s * INT64_C(1000000000), row_bytes, &http->answers, err);
}

static enum status http_create(const struct server *server, void **context, struct error *err)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for HTTP");
    http->server = server;
    http->listener = -1;
    atomic_init(&http->memory_left, server->settings->http_memory_bytes);
    (void)pthread_mutex_init(&http->lock, NULL);
    (void)pthread_cond_init(&http->watch_wake, NULL);
    enum status status = create_threads(http, err);
    if (status == STATUS_OK)
        status = create_answers(http, err);
    if (status == STATUS_OK)
        status = address_listen(server->settings->http_listen, &http->listener, http->address, sizeof http->address, err);
    if (status != STATUS_OK)
        http->address[0] = '\0';
    if (status != STATUS_OK) {
        http_destroy(http);
        return status;
    }
    *context = http;
    return STATUS_OK;
}

/* --- what libmicrohttpd calls ------------------------------------------------------------------------------------------ */

static enum MHD_Result on_accept(void *context, const struct sockaddr *address, socklen_t len)
{
    struct http *http = context;
    (void)address;
    (void)len;
    (void)pthread_mutex_lock(&http->lock);
    bool room = http->connection_count < (uint64_t)http->server->settings->http_connections;
    http->turned_away += !room;
    (void)pthread_mutex_unlock(&http->lock);
    return room ? MHD_YES : MHD_NO;
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = connection_open(context, info->connect_fd);
    } else if (*socket_context) {
        connection_close(*socket_context);
        *socket_context = NULL;
    }
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
                                  const char *piece, size_t *piece_bytes, void **request)
{
    (void)context;
    (void)version;
    bool first = *request == NULL;
    if (first)
        *request = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (!*request)
        return MHD_NO; /* there was no memory for the connection */
    return (enum MHD_Result)request_handle(*request, mhd, url, method, piece, piece_bytes, first);
}

static void on_end(void *context, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)mhd;
    (void)code;
    if (*request)
        request_end(*request);
    *request = NULL;
}

/* --- running ----------------------------------------------------------------------------------------------------------- */

static enum status http_start(void *context, struct error *err)
{
    struct http *http = context;
    const struct settings *s = http->server->settings;
    /* The limit is divided among the threads, and connections do not spread evenly; on_accept holds the real one. */
    unsigned connections = (unsigned)s->http_connections * 2 + http->thread_count;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, http->listener, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)connections, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)s->http_idle_s, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)s->http_header_bytes, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, http},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_end, http},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL},
        {http->thread_count > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)http->thread_count, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    http->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME, 0, on_accept, http, on_request,
                                    http, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!http->daemon)
        return error_set(err, STATUS_IO, "HTTP on %s cannot be started: %s", http->address, strerror(errno));
    http->listener = -1; /* libmicrohttpd's until it gives it back */
    enum status status = watch_start(http, err);
    if (status != STATUS_OK) { /* a source that did not start is not stopped, and its threads must not outlive it */
        MHD_stop_daemon(http->daemon);
        http->daemon = NULL;
    }
    if (status == STATUS_OK)
        log_info("http.listening", LOG_TEXT("address", http->address), LOG_INT("threads", http->thread_count));
    return status;
}

static bool http_ready(void *context, struct buf *why)
{
    const struct http *http = context;
    if (http->daemon && !atomic_load_explicit(&http->draining, memory_order_relaxed))
        return true;
    buf_string(why, http->daemon ? "http: draining\n" : "http: not started\n");
    return false;
}

/* Requests under way, and whether nothing has come or gone for a moment. */
static uint32_t count_active(const struct http *http, bool *quiet)
{
    uint32_t active = 0;
    int64_t last = 0;
    for (uint32_t i = 0; i < http->thread_count; i++) {
        active += atomic_load_explicit(&http->threads[i].active, memory_order_acquire);
        int64_t ended = atomic_load_explicit(&http->threads[i].ended_ns, memory_order_relaxed);
        last = ended > last ? ended : last;
    }
    *quiet = clock_monotonic_ns() - last > QUIET_MS * INT64_C(1000000);
    return active;
}

static bool http_stop(void *context, int64_t deadline_ns)
{
    struct http *http = context;
    atomic_store_explicit(&http->draining, true, memory_order_relaxed);
    if (!http->daemon)
        return true;
    http->listener = MHD_quiesce_daemon(http->daemon);
    if (http->listener >= 0)
        (void)close(http->listener);
    http->listener = -1;
    const struct timespec look = {.tv_nsec = LOOK_MS * 1000000};
    bool quiet = false;
    uint32_t active = count_active(http, &quiet), open = 1;
    int64_t calm_ns = clock_monotonic_ns() + QUIET_MS * INT64_C(1000000); /* what was on its way may still arrive */
    while (clock_monotonic_ns() < deadline_ns && (active > 0 || (open > 0 && !(quiet && clock_monotonic_ns() > calm_ns)))) {
        (void)nanosleep(&look, NULL);
        active = count_active(http, &quiet);
        (void)pthread_mutex_lock(&http->lock);
        open = http->connection_count;
        (void)pthread_mutex_unlock(&http->lock);
    }
    atomic_store(&http->cutting, true);
    while (atomic_load(&http->suspended) > 0) /* by dispatcher_end none stays; libmicrohttpd must not be stopped while any is */
        (void)nanosleep(&look, NULL);
    /* Those that were resumed are told yet: libmicrohttpd would close them without a word. */
    int64_t told_ns = clock_monotonic_ns() + QUIET_MS * INT64_C(1000000);
    while (count_active(http, &quiet) > 0 && clock_monotonic_ns() < told_ns)
        (void)nanosleep(&look, NULL);
    watch_stop(http);
    MHD_stop_daemon(http->daemon);
    http->daemon = NULL;
    uint32_t given_up = atomic_load_explicit(&http->given_up, memory_order_relaxed);
    if (active > 0 || given_up > 0)
        log_warn("http.cut", LOG_INT("requests", active), LOG_INT("transactions", given_up), LOG_TEXT("reason", "drain_s is over"));
    log_info("http.stopped", LOG_TEXT("address", http->address));
    return active == 0 && given_up == 0;
}

const struct source source_http = {
    .name = "http",
    .wanted = http_wanted,
    .check = http_check,
    .create = http_create,
    .start = http_start,
    .ready = http_ready,
    .stop = http_stop,
    .destroy = http_destroy,
};
