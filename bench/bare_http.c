#include "bench/bare_http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "model/base/check.h"
#include "server/address.h"

enum { CONNECTIONS_MAX = 1024, REQUEST_MAX = 8192, EVENTS = 64, TICK_MS = 50 };

const char bare_http_body[] = "{\"transaction_id\":\"1-0000000001\",\"score\":0.012134165,\"decision\":\"approve\",\"reasons\":[],"
                              "\"model\":\"bench-card\",\"version\":\"100x6-1\",\"state\":\"complete\"}";

struct caller {
    int fd;
    size_t have;
    char in[REQUEST_MAX];
};

struct bare_http {
    pthread_t thread;
    atomic_bool stopping;
    int listener, epoll;
    uint64_t answered;
    char answer[512];
    size_t answer_len, callers;
    struct caller *caller[CONNECTIONS_MAX];
};

static void take_caller(struct bare_http *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct caller *c = fd >= 0 && s->callers < CONNECTIONS_MAX ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    c->fd = fd;
    s->caller[s->callers++] = c;
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = c}};
    CHECK(epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* The length of the request that is there; 0: it is not whole yet. */
static size_t whole_request(const struct caller *c)
{
    static const char end[] = "\r\n\r\n", length[] = "Content-Length: ";
    const char *head_end = memmem(c->in, c->have, end, sizeof end - 1);
    const char *value = head_end ? memmem(c->in, (size_t)(head_end - c->in), length, sizeof length - 1) : NULL;
    size_t need = value ? (size_t)(head_end + 4 - c->in) + strtoul(value + sizeof length - 1, NULL, 10) : SIZE_MAX;
    return need <= c->have ? need : 0;
}

static void serve(struct bare_http *s, struct caller *c)
{
    ssize_t n = recv(c->fd, c->in + c->have, sizeof c->in - c->have, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->fd, NULL);
        return;
    }
    c->have += (size_t)n;
    size_t len = whole_request(c);
    if (len == 0)
        return;
    c->have -= len;
    memmove(c->in, c->in + len, c->have);
    s->answered += send(c->fd, s->answer, s->answer_len, MSG_NOSIGNAL) == (ssize_t)s->answer_len;
}

static void *run(void *argument)
{
    struct bare_http *s = argument;
    struct epoll_event events[EVENTS];
    while (!atomic_load_explicit(&s->stopping, memory_order_relaxed)) { /* seen within a tick; nothing else is shared */
        int n = epoll_wait(s->epoll, events, EVENTS, TICK_MS);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                serve(s, events[i].data.ptr);
            else
                take_caller(s);
        }
    }
    return NULL;
}

enum status bare_http_start(struct bare_http **out, uint16_t *port, struct error *err)
{
    char text[64];
    struct bare_http *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the bare handler");
    enum status status = address_listen("127.0.0.1:0", &s->listener, text, sizeof text, err);
    if (status != STATUS_OK) {
        free(s);
        return status;
    }
    (void)setsockopt(s->listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 4); /* never paced; accepted sockets have it too */
    *port = (uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10);
    s->answer_len = (size_t)snprintf(s->answer, sizeof s->answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                     strlen(bare_http_body), bare_http_body);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}};
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(s->epoll >= 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &event) == 0);
    CHECK(pthread_create(&s->thread, NULL, run, s) == 0);
    *out = s;
    return STATUS_OK;
}

uint64_t bare_http_stop(struct bare_http *server)
{
    if (!server)
        return 0;
    atomic_store_explicit(&server->stopping, true, memory_order_relaxed);
    (void)pthread_join(server->thread, NULL);
    uint64_t answered = server->answered;
    for (size_t i = 0; i < server->callers; i++) {
        (void)close(server->caller[i]->fd);
        free(server->caller[i]);
    }
    (void)close(server->epoll);
    (void)close(server->listener);
    free(server);
    return answered;
}
