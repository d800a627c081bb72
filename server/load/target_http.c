/*
 * The HTTP client: n kept connections, one request at a time on each, epoll.
 *
 *      ┌──────── connect ◄─────── wait a moment ◄─┐ refused
 *      ▼                                          │
 *     DOWN ──► CONNECTING ──► IDLE ──send──► BUSY ──answer──► IDLE
 *      ▲            └──────────┴── closed ─────┴── lost, broken, timeout: the request has failed
 *      └───────────────────────────┘
 *
 * Idle connections stand in a ring and are used in turn, as if each were a client of its own. Events are edge-triggered: a
 * connection is registered once, and read once an event, since more bytes than one answer are not expected.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/load/answer.h"
#include "server/load/feed.h"
#include "server/load/http_head.h"
#include "server/load/target.h"

enum { EVENTS = 256, READ_BYTES = 1 << 16, CONNECT_S = 10 };
static const int64_t RETRY_NS = 10000000, SCAN_NS = 2000000;

enum connection_state { CONNECTION_DOWN, CONNECTION_CONNECTING, CONNECTION_IDLE, CONNECTION_BUSY };

struct connection {
    int fd; /* -1: none */
    enum connection_state state;
    bool in_ring;
    uint32_t transactions;
    int64_t intended_ns;
    int64_t retry_ns; /* DOWN: not before then */
    size_t sent;      /* of out */
    struct buf out;
    struct answer answer;
};

struct http_target {
    struct target base;
    struct feed *feed;
    char url[256];
    struct sockaddr_storage to;
    socklen_t to_len;
    int epoll;
    unsigned count, down, busy;
    struct connection *connections; /* [count] */
    uint32_t *ring;                 /* [count] idle ones, oldest first; a dead one among them is passed over */
    unsigned ring_first, ring_size;
    int64_t next_scan_ns;
    struct buf head; /* of every request, up to the value of Content-Length */
    struct buf body; /* of the one that is being made */
    char read[READ_BYTES];
};

static void put_idle(struct http_target *t, struct connection *c)
{
    c->state = CONNECTION_IDLE;
    if (c->in_ring)
        return;
    c->in_ring = true;
    t->ring[(t->ring_first + t->ring_size++) % t->count] = (uint32_t)(c - t->connections);
}

static void take_down(struct http_target *t, struct connection *c, int64_t retry_ns)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
    t->down += c->state != CONNECTION_DOWN;
    c->state = CONNECTION_DOWN;
    c->retry_ns = retry_ns;
}

/* On loopback nothing is congested, and a congestion control that paces (BBR) would be measured in place of the server. */
static void set_tcp(const struct http_target *t, int fd)
{
    static const char unpaced[] = "reno";
    const int on = 1;
    if (t->to.ss_family == AF_UNIX)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&t->to;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&t->to;
    bool loopback = t->to.ss_family == AF_INET ? (ntohl(four->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET : IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
    if (loopback)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, unpaced, sizeof unpaced - 1);
}

static void start_connect(struct http_target *t, struct connection *c)
{
    c->fd = socket(t->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = c}};
    if (c->fd >= 0)
        set_tcp(t, c->fd);
    bool begun = c->fd >= 0 && (connect(c->fd, (struct sockaddr *)&t->to, t->to_len) == 0 || errno == EINPROGRESS) &&
                 epoll_ctl(t->epoll, EPOLL_CTL_ADD, c->fd, &event) == 0;
    if (!begun) {
        take_down(t, c, clock_monotonic_ns() + RETRY_NS);
        return;
    }
    t->down -= c->state == CONNECTION_DOWN;
    c->state = CONNECTION_CONNECTING;
}

/* How often a mark stands in the body and is followed by a text. */
static uint32_t count_marks(const struct buf *body, const char *mark, const char *then)
{
    size_t mark_len = strlen(mark), then_len = strlen(then);
    const char *at = body->data, *end = at + body->len;
    uint32_t n = 0;
    while (at && at < end) {
        at = memmem(at, (size_t)(end - at), mark, mark_len);
        if (!at)
            break;
        at += mark_len;
        n += (size_t)(end - at) >= then_len && memcmp(at, then, then_len) == 0;
    }
    return n;
}

/* What an answer says of its transactions. A record has no member "status", a problem in its place has. */
static void look_into(const struct buf *body, struct reply *reply)
{
    reply->refused = reply->fallback = count_marks(body, "\"state\":", "\"fallback\"");
    if (reply->transactions == 1)
        return;
    uint32_t refused = count_marks(body, "\"status\":", "429");
    reply->failed = count_marks(body, "\"status\":", "") - refused;
    reply->refused += refused;
}

/* The request on c is over; c is not touched. */
static void report(struct http_target *t, const struct connection *c, enum reply_kind kind, const char *text)
{
    struct reply reply = {.kind = kind, .intended_ns = c->intended_ns, .done_ns = clock_monotonic_ns(), .transactions = c->transactions,
                          .text = text, .text_len = strlen(text)};
    if (kind == REPLY_ANSWERED) {
        const struct answer *a = &c->answer;
        reply.status = a->status;
        reply.text = a->body.data ? a->body.data : "";
        reply.text_len = a->body.len;
        reply.kind = a->status == 200 ? REPLY_ANSWERED : a->status == 429 ? REPLY_REFUSED : REPLY_STATUS;
        if (a->status == 200)
            look_into(&a->body, &reply);
    }
    t->busy--;
    t->base.on_reply(t->base.context, &reply);
}

static void fail(struct http_target *t, struct connection *c, enum reply_kind kind, const char *why)
{
    if (c->state == CONNECTION_BUSY)
        report(t, c, kind, why);
    take_down(t, c, 0);
    start_connect(t, c);
}

static void finish(struct http_target *t, struct connection *c)
{
    bool keep = !c->answer.close;
    report(t, c, REPLY_ANSWERED, "");
    if (keep) {
        put_idle(t, c);
    } else {
        take_down(t, c, 0);
        start_connect(t, c);
    }
}

static void write_more(struct http_target *t, struct connection *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            c->sent += (size_t)n;
        } else if (errno == EAGAIN) {
            return; /* EPOLLOUT tells */
        } else if (errno != EINTR) {
            fail(t, c, REPLY_LOST, strerror(errno));
            return;
        }
    }
}

static void read_more(struct http_target *t, struct connection *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, t->read, sizeof t->read, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            bool ended = n == 0 && c->state == CONNECTION_BUSY && answer_end(&c->answer) == ANSWER_DONE;
            if (ended)
                finish(t, c);
            else
                fail(t, c, REPLY_LOST, n < 0 ? strerror(errno) : "the server closed the connection before it had answered");
            return;
        }
        size_t used = 0;
        enum answer_state state = c->state == CONNECTION_BUSY ? answer_feed(&c->answer, t->read, (size_t)n, &used) : ANSWER_BROKEN;
        if (state == ANSWER_DONE && used == (size_t)n) {
            finish(t, c);
            return;
        }
        if (state != ANSWER_MORE) {
            fail(t, c, REPLY_BROKEN, state == ANSWER_DONE ? "more than one answer came" : "what came is no HTTP answer");
            return;
        }
        if ((size_t)n < sizeof t->read)
            return; /* more will be an event of its own */
    }
}

static void on_event(struct http_target *t, struct connection *c, uint32_t events)
{
    if (c->state == CONNECTION_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof error;
        (void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error || (events & (EPOLLERR | EPOLLHUP)))
            take_down(t, c, clock_monotonic_ns() + RETRY_NS);
        else if (events & EPOLLOUT)
            put_idle(t, c);
        return;
    }
    if (c->state == CONNECTION_BUSY && c->sent < c->out.len && (events & EPOLLOUT))
        write_more(t, c);
    if (c->fd >= 0 && (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)))
        read_more(t, c);
}

/* Ends what waited too long and connects anew what is down. */
static void scan(struct http_target *t, int64_t now_ns)
{
    t->next_scan_ns = now_ns + SCAN_NS;
    for (unsigned i = 0; i < t->count && (t->busy || t->down); i++) {
        struct connection *c = &t->connections[i];
        if (c->state == CONNECTION_BUSY && now_ns - c->intended_ns > t->base.timeout_ns)
            fail(t, c, REPLY_TIMEOUT, "no answer within the timeout");
        else if (c->state == CONNECTION_DOWN && now_ns >= c->retry_ns)
            start_connect(t, c);
    }
}

static bool ready(struct target *target)
{
    struct http_target *t = (struct http_target *)target;
    while (t->ring_size > 0) {
        struct connection *c = &t->connections[t->ring[t->ring_first]];
        if (c->state == CONNECTION_IDLE)
            return true;
        c->in_ring = false;
        t->ring_first = (t->ring_first + 1) % t->count;
        t->ring_size--;
    }
    return false;
}

static void put_request(struct http_target *t, struct connection *c, uint32_t transactions)
{
    buf_clear(&t->body);
    feed_body(t->feed, transactions, &t->body);
    buf_clear(&c->out);
    buf_append(&c->out, t->head.data, t->head.len);
    buf_format(&c->out, "%zu\r\n\r\n", t->body.len);
    buf_append(&c->out, t->body.data, t->body.len);
    CHECK(!t->body.failed && !c->out.failed);
}

static void send_request(struct target *target, int64_t intended_ns, uint32_t transactions)
{
    struct http_target *t = (struct http_target *)target;
    CHECK(t->ring_size > 0);
    struct connection *c = &t->connections[t->ring[t->ring_first]];
    c->in_ring = false;
    t->ring_first = (t->ring_first + 1) % t->count;
    t->ring_size--;
    put_request(t, c, transactions);
    answer_begin(&c->answer);
    c->state = CONNECTION_BUSY;
    c->intended_ns = intended_ns;
    c->transactions = transactions;
    c->sent = 0;
    t->busy++;
    write_more(t, c);
}

static void wait_replies(struct target *target, int64_t until_ns)
{
    struct http_target *t = (struct http_target *)target;
    struct epoll_event events[EVENTS];
    int64_t now = clock_monotonic_ns();
    if (now >= t->next_scan_ns)
        scan(t, now);
    /* While something waits on others, look at the clock now and then. */
    if ((t->busy || t->down) && until_ns > t->next_scan_ns)
        until_ns = t->next_scan_ns;
    int64_t sleep_ns = until_ns - now - TARGET_SPIN_NS;
    struct timespec timeout = {0};
    if (sleep_ns > 0)
        timeout = (struct timespec){.tv_sec = sleep_ns / 1000000000, .tv_nsec = sleep_ns % 1000000000};
    int n = epoll_pwait2(t->epoll, events, EVENTS, &timeout, NULL);
    for (int i = 0; i < n; i++)
        on_event(t, events[i].data.ptr, events[i].events);
}

static uint64_t in_flight(const struct target *target)
{
    return ((const struct http_target *)target)->busy;
}

static void describe(const struct target *target, char *out, size_t size)
{
    const struct http_target *t = (const struct http_target *)target;
    (void)snprintf(out, size, "%s, %u connection%s", t->url, t->count, t->count == 1 ? "" : "s");
}

static void close_all(struct target *target)
{
    struct http_target *t = (struct http_target *)target;
    for (unsigned i = 0; t->connections && i < t->count; i++) {
        if (t->connections[i].fd >= 0)
            (void)close(t->connections[i].fd);
        buf_free(&t->connections[i].out);
        answer_free(&t->connections[i].answer);
    }
    if (t->epoll >= 0)
        (void)close(t->epoll);
    buf_free(&t->head);
    buf_free(&t->body);
    free(t->connections);
    free(t->ring);
    free(t);
}

static const struct target_ops http_ops = {.name = "http", .ready = ready, .send = send_request, .wait = wait_replies, .in_flight = in_flight,
                                           .describe = describe, .close = close_all};

/* Every connection, before the first request is due. */
static enum status connect_all(struct http_target *t, struct error *err)
{
    int64_t give_up_ns = clock_monotonic_ns() + (int64_t)CONNECT_S * 1000000000;
    int probe = socket(t->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool reached = probe >= 0 && connect(probe, (struct sockaddr *)&t->to, t->to_len) == 0;
    int code = errno;
    if (probe >= 0)
        (void)close(probe);
    if (!reached)
        return error_set(err, STATUS_UNAVAILABLE, "%s: %s; is the server running there?", t->url, strerror(code));
    for (unsigned i = 0; i < t->count; i++)
        start_connect(t, &t->connections[i]);
    while (t->ring_size < t->count) {
        if (clock_monotonic_ns() > give_up_ns)
            return error_set(err, STATUS_UNAVAILABLE, "%s: only %u of %u connections could be made; does it allow so many (http.connections, ulimit -n)?",
                             t->url, t->ring_size, t->count);
        wait_replies(&t->base, clock_monotonic_ns() + RETRY_NS);
    }
    return STATUS_OK;
}

static enum status open_target(struct http_target *t, const struct http_target_options *options, struct error *err)
{
    (void)snprintf(t->url, sizeof t->url, "%s", options->url);
    enum status status = http_head_make(options, &t->to, &t->to_len, &t->head, err);
    t->connections = calloc(t->count, sizeof *t->connections);
    t->ring = calloc(t->count, sizeof *t->ring);
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (status == STATUS_OK && (!t->connections || !t->ring || t->epoll < 0))
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for %u connections", t->count);
    for (unsigned i = 0; t->connections && i < t->count; i++)
        t->connections[i].fd = -1;
    t->down = t->count;
    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* sleeps as exact as they can be; without it they are 50 us longer */
    return status == STATUS_OK ? connect_all(t, err) : status;
}

enum status target_http_open(const struct http_target_options *options, struct feed *feed, struct target **out, struct error *err)
{
    struct http_target *t = calloc(1, sizeof *t);
    CHECK(options->connections > 0);
    if (!t)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the client");
    t->base = (struct target){.ops = &http_ops, .timeout_ns = options->timeout_ns};
    t->feed = feed;
    t->count = options->connections;
    enum status status = open_target(t, options, err);
    if (status != STATUS_OK) {
        close_all(&t->base);
        return status;
    }
    *out = &t->base;
    return STATUS_OK;
}
