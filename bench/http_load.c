#include "bench/http_load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/report.h"
#include "model/base/clock.h"

enum { BODY_MAX = 1024, BUFFER = 4096, LATENCIES_MAX = 4 << 20 };

struct client {
    int fd;
    int64_t sent_ns;
    size_t have;
    char in[BUFFER];
};

struct load {
    const struct http_load_options *options;
    struct http_load_result *result;
    double *latencies;
    size_t latency_count;
};

static bool send_next(struct load *load, struct client *c)
{
    char body[BODY_MAX], request[BODY_MAX + 256];
    size_t len = load->options->body(load->options->context, body, sizeof body);
    int head = snprintf(request, sizeof request,
                        "POST /v1/score HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", len);
    memcpy(request + head, body, len);
    c->sent_ns = clock_monotonic_ns();
    c->have = 0;
    return send(c->fd, request, (size_t)head + len, MSG_NOSIGNAL) == (ssize_t)((size_t)head + len);
}

/* Reads what there is; 1: an answer is whole, 0: not yet, -1: the connection is lost. */
static int take_answer(struct load *load, struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->have, sizeof c->in - 1 - c->have, 0);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    c->have += (size_t)n;
    c->in[c->have] = '\0';
    const char *end = strstr(c->in, "\r\n\r\n");
    const char *length = strstr(c->in, "Content-Length: ");
    if (!end || !length)
        return 0;
    if ((size_t)(end + 4 - c->in) + strtoul(length + 16, NULL, 10) > c->have)
        return 0;
    load->result->errors += strncmp(c->in, "HTTP/1.1 200", 12) != 0;
    load->result->answers++;
    if (load->latency_count < LATENCIES_MAX)
        load->latencies[load->latency_count++] = (double)(clock_monotonic_ns() - c->sent_ns) / 1000;
    return 1;
}

static enum status connect_all(const struct http_load_options *options, struct client *clients, int epoll, struct error *err)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(options->port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int on = 1;
    for (unsigned i = 0; i < options->connections; i++)
        clients[i].fd = -1;
    for (unsigned i = 0; i < options->connections; i++) {
        clients[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &clients[i]}};
        if (clients[i].fd < 0 || connect(clients[i].fd, (struct sockaddr *)&to, sizeof to) != 0 ||
            setsockopt(clients[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) != 0)
            return error_set(err, STATUS_IO, "connecting to port %u: %s", options->port, strerror(errno));
    }
    return STATUS_OK;
}

static enum status run(struct load *load, struct client *clients, int epoll, struct error *err)
{
    struct epoll_event events[64];
    int64_t start = clock_monotonic_ns(), end = start + (int64_t)(load->options->seconds * 1e9);
    for (unsigned i = 0; i < load->options->connections; i++) {
        if (!send_next(load, &clients[i]))
            return error_set(err, STATUS_IO, "sending: %s", strerror(errno));
    }
    while (clock_monotonic_ns() < end) {
        int n = epoll_wait(epoll, events, 64, 100);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            int got = take_answer(load, c);
            if (got < 0 || (got > 0 && !send_next(load, c)))
                return error_set(err, STATUS_IO, "the server closed a connection");
        }
    }
    load->result->seconds = (double)(clock_monotonic_ns() - start) / 1e9;
    return STATUS_OK;
}

enum status http_load(const struct http_load_options *options, struct http_load_result *out, struct error *err)
{
    *out = (struct http_load_result){.answers = 0};
    struct load load = {.options = options, .result = out};
    struct client *clients = calloc(options->connections, sizeof *clients);
    load.latencies = malloc(LATENCIES_MAX * sizeof *load.latencies);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    enum status status = clients && load.latencies && epoll >= 0 ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for the load");
    double cpu = report_thread_cpu_s();
    if (status == STATUS_OK)
        status = connect_all(options, clients, epoll, err);
    if (status == STATUS_OK)
        status = run(&load, clients, epoll, err);
    out->client_cpu_s = report_thread_cpu_s() - cpu;
    if (status == STATUS_OK && load.latency_count > 0) {
        out->p50_us = report_quantile(load.latencies, load.latency_count, 0.5);
        out->p99_us = report_quantile(load.latencies, load.latency_count, 0.99);
    }
    for (unsigned i = 0; clients && i < options->connections; i++) {
        if (clients[i].fd >= 0)
            (void)close(clients[i].fd);
    }
    if (epoll >= 0)
        (void)close(epoll);
    free(clients);
    free(load.latencies);
    return status;
}
