/*
 * Cuts connections whose request does not arrive in time. libmicrohttpd's own timeout starts anew with every byte, so a
 * client that sends one now and then could hold a connection, and the memory of its body, for ever. It also misses a client
 * that closes its end together with its last request (one event for both, and it reads once): found here.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "model/base/clock.h"
#include "server/http/http.h"

static bool is_late(const struct connection *c, int64_t now_ns)
{
    const struct settings *settings = c->http->server->settings;
    int64_t waited_s = (now_ns - atomic_load_explicit(&c->since_ns, memory_order_relaxed)) / 1000000000;
    switch (atomic_load_explicit(&c->phase, memory_order_relaxed)) {
    case PHASE_WAITING: /* it may be idle for so long, and its headers may take as long again as a request may */
        return waited_s > settings->http_idle_s + settings->http_request_s;
    case PHASE_READING:
        return waited_s > settings->http_request_s;
    default:
        return false;
    }
}

/* Nothing more will come: all that was sent has been read, the other end is closed, and a look later it is still so; what
 * had arrived in full has been answered by then. */
static bool is_over(struct connection *c)
{
    char byte;
    int64_t since_ns = atomic_load_explicit(&c->since_ns, memory_order_relaxed);
    bool closed = atomic_load_explicit(&c->phase, memory_order_relaxed) != PHASE_ANSWERING &&
                  recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    bool again = closed && c->closed_since_ns == since_ns;
    c->closed_since_ns = closed ? since_ns : 0;
    return again;
}

static void *watch_run(void *context)
{
    struct http *http = context;
    (void)pthread_setname_np(pthread_self(), "http-watch");
    struct metrics_shard *metrics = metrics_shard_create(http->server->metrics);
    int64_t open = 0;
    (void)pthread_mutex_lock(&http->lock);
    while (http->watching) {
        int64_t now = clock_monotonic_ns();
        for (struct connection *c = http->connections; c; c = c->next) {
            /* The descriptor is still this connection's: it leaves the list, under the lock, before it is closed. */
            bool late = is_late(c, now);
            if ((late || is_over(c)) && shutdown(c->fd, SHUT_RDWR) == 0 && late && metrics)
                metrics_add(metrics, METRIC_HTTP_CUT, 0, 1);
        }
        if (metrics)
            metrics_move(metrics, METRIC_HTTP_CONNECTIONS, 0, (int64_t)http->connection_count - open);
        if (metrics && http->turned_away)
            metrics_add(metrics, METRIC_HTTP_CUT, 2, http->turned_away);
        http->turned_away = 0;
        open = http->connection_count;
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        (void)pthread_cond_timedwait(&http->watch_wake, &http->lock, &until);
    }
    (void)pthread_mutex_unlock(&http->lock);
    return NULL;
}

enum status watch_start(struct http *http, struct error *err)
{
    http->watching = true;
    int failed = pthread_create(&http->watch, NULL, watch_run, http);
    if (failed == 0)
        return STATUS_OK;
    http->watching = false;
    return error_set(err, STATUS_NO_MEMORY, "the watch over connections cannot be started: %s", strerror(failed));
}

void watch_stop(struct http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    bool was = http->watching;
    http->watching = false;
    (void)pthread_cond_signal(&http->watch_wake);
    (void)pthread_mutex_unlock(&http->lock);
    if (was)
        (void)pthread_join(http->watch, NULL);
}
