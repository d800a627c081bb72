#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/http/address.h"
#include "server/http/http.h"
#include "server/http/source_http.h"
#include "server/log.h"

static bool wanted(const struct settings *settings)
{
    return settings->http_listen[0] != '\0';
}

struct http_thread *http_thread_get(struct http *http)
{
    struct http_thread *t = pthread_getspecific(http->thread_key);
    if (t)
        return t;
    struct error err;
    t = calloc(1, sizeof *t);
    if (!t || worker_create(http->server->pipeline, SOURCE_HTTP, HTTP_CHUNK, &t->worker, &err) != STATUS_OK) {
        free(t);
        return NULL;
    }
    t->id_state = hash_secret_random().low;
    (void)pthread_mutex_lock(&http->lock);
    t->next = http->threads;
    http->threads = t;
    (void)pthread_mutex_unlock(&http->lock);
    (void)pthread_setspecific(http->thread_key, t);
    return t;
}

static void destroy(void *context)
{
    struct http *http = context;
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    if (http->listen_fd >= 0)
        (void)close(http->listen_fd);
    if (http->unix_path) {
        (void)unlink(http->unix_path);
        free(http->unix_path);
    }
    while (http->threads) {
        struct http_thread *t = http->threads;
        http->threads = t->next;
        worker_free(t->worker);
        free(t);
    }
    (void)pthread_key_delete(http->thread_key);
    (void)pthread_mutex_destroy(&http->lock);
    answers_free(http->answers);
    free(http);
}

static enum status create(const struct server *server, void **context, struct error *err)
{
    const struct settings *s = server->settings;
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for HTTP");
    http->server = server;
    http->listen_fd = -1;
    http->body_max = (size_t)s->http_body_bytes;
    (void)pthread_mutex_init(&http->lock, NULL);
    CHECK(pthread_key_create(&http->thread_key, NULL) == 0);
    enum status status = STATUS_OK;
    if (s->dedupe_s > 0)
        status = answers_create((uint64_t)s->dedupe_entries, s->dedupe_s, &http->answers, err);
    if (status != STATUS_OK) {
        destroy(http);
        return status;
    }
    *context = http;
    return STATUS_OK;
}

static void log_library(void *context, const char *format, va_list args)
{
    (void)context;
    char line[256];
    (void)vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\r\n")] = '\0';
    log_warn("http.library", LOG_TEXT("message", line));
}

static enum status start(void *context, struct error *err)
{
    struct http *http = context;
    const struct settings *s = http->server->settings;
    char address[160];
    enum status status = address_listen(s->http_listen, &http->listen_fd, address, sizeof address, err);
    if (status != STATUS_OK)
        return status;
    if (strncmp(address, "unix:", 5) == 0)
        http->unix_path = strdup(address + 5);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = s->http_threads ? (unsigned)s->http_threads : cores > 1 ? (unsigned)cores : 1;
    /* libmicrohttpd divides the limit among its threads, and connections spread unevenly: twice as many are let in. */
    unsigned connections = (unsigned)s->http_connections * (threads > 1 ? 2 : 1);
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, http_access, http,
        MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_LISTEN_SOCKET, http->listen_fd,
        MHD_OPTION_NOTIFY_COMPLETED, http_completed, http, MHD_OPTION_NOTIFY_CONNECTION, http_connection, http,
        MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)s->http_idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)s->http_header_bytes, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, threads, MHD_OPTION_END);
    if (!http->daemon)
        return error_set(err, STATUS_IO, "http.listen %s: libmicrohttpd could not start", address);
    log_info("http.listening", LOG_TEXT("address", address), LOG_INT("threads", threads));
    return STATUS_OK;
}

static bool ready(void *context, struct buf *why)
{
    struct http *http = context;
    if (!atomic_load_explicit(&http->draining, memory_order_relaxed))
        return true;
    buf_string(why, "http: shutting down\n");
    return false;
}

static void stop(void *context, int64_t deadline_ns)
{
    struct http *http = context;
    if (!http->daemon)
        return;
    /* Requests under way get their answer, with Connection: close; nobody new is let in. */
    atomic_store_explicit(&http->draining, true, memory_order_relaxed);
    http->listen_fd = MHD_quiesce_daemon(http->daemon);
    if (http->listen_fd >= 0) {
        (void)close(http->listen_fd);
        http->listen_fd = -1;
    }
    while (atomic_load_explicit(&http->active, memory_order_relaxed) > 0 && clock_monotonic_ns() < deadline_ns)
        (void)usleep(1000);
    unsigned left = atomic_load_explicit(&http->active, memory_order_relaxed);
    if (left > 0)
        log_warn("http.cut", LOG_INT("requests", left));
    MHD_stop_daemon(http->daemon);
    http->daemon = NULL;
}

const struct source source_http = {
    .name = "http",
    .wanted = wanted,
    .create = create,
    .start = start,
    .ready = ready,
    .stop = stop,
    .destroy = destroy,
};
