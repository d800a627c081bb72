/*
 * Cuts connections whose request does not arrive in time. libmicrohttpd's own timeout starts anew with every byte, so a
 * client that sends one now and then could hold a connection, and the memory of its body, for ever.
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

static void *watch_run(void *context)
{
    struct http *http = context;
    (void)pthread_setname_np(pthread_self(), "http-watch");
    struct metrics_shard *metrics = metrics_shard_create(http->server->metrics);
    int64_t open = 0;
    (void)pthread_mutex_lock(&http->lock);
    while (http->watching) {
        int64_t now = clock_monotonic_ns();
        for (const struct connection *c = http->connections; c; c = c->next) {
            /* The descriptor is still this connection's: it leaves the list, under the lock, before it is closed. */
            if (is_late(c, now) && shutdown(c->fd, SHUT_RDWR) == 0 && metrics)
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
