/*
 * A request from its headers to its answer.
 *
 *     headers in ─► route, method, length, type ─► body in pieces ─► all in ─► answer
 *                        └─ refused: a short body is read and thrown away, so that the connection lives on;
 *                           a long one is not waited for, and the connection ends with the answer
 */
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "model/input/number.h"
#include "server/http/http.h"

/* Groups that are answered at once, with a length; a longer body is answered in pieces. */
enum { GROUPS_AT_ONCE = 4, PAUSE_NS = 200000 };

static const struct route {
    const char *path;
    bool post; /* else GET and HEAD */
} routes[] = {
    [ROUTE_SCORE] = {"/v1/score", true},
    [ROUTE_LABELS] = {"/v1/labels", true},
    [ROUTE_HEALTHZ] = {"/healthz", false},
    [ROUTE_READYZ] = {"/readyz", false},
    [ROUTE_METRICS] = {"/metrics", false},
};

/* Set by the first request that a thread serves. Its connections stay with it to their end. */
static _Thread_local struct http_thread *this_thread;

static struct http_thread *claim_thread(struct http *http)
{
    if (this_thread && this_thread->http == http)
        return this_thread;
    uint32_t number = atomic_fetch_add_explicit(&http->threads_claimed, 1, memory_order_relaxed);
    CHECK(number < http->thread_count);
    this_thread = &http->threads[number];
    return this_thread;
}

static void enter_phase(struct connection *c, enum connection_phase phase, int64_t now_ns)
{
    /* The watch may see the new phase with the old time for an instant: it cuts after seconds, not at once. */
    atomic_store_explicit(&c->since_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&c->phase, (int)phase, memory_order_relaxed);
}

/* --- the connection ---------------------------------------------------------------------------------------------------- */

struct connection *connection_open(struct http *http, int fd)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->magic = CONNECTION_MAGIC;
    c->http = http;
    c->fd = fd;
    enter_phase(c, PHASE_WAITING, clock_monotonic_ns());
    (void)pthread_mutex_lock(&http->lock);
    c->next = http->connections;
    if (c->next)
        c->next->previous = c;
    http->connections = c;
    http->connection_count++;
    (void)pthread_mutex_unlock(&http->lock);
    return c;
}

void connection_close(struct connection *c)
{
    struct http *http = c->http;
    CHECK(c->magic == CONNECTION_MAGIC);
    request_end(c);
    (void)pthread_mutex_lock(&http->lock);
    if (c->previous)
        c->previous->next = c->next;
    else
        http->connections = c->next;
    if (c->next)
        c->next->previous = c->previous;
    http->connection_count--;
    (void)pthread_mutex_unlock(&http->lock);
    buf_free(&c->body);
    buf_free(&c->answer);
    c->magic = 0;
    free(c);
}

static void shrink(struct buf *b)
{
    if (b->cap > HTTP_BODY_KEPT)
        buf_free(b);
    else
        buf_clear(b);
}

void request_end(struct connection *c)
{
    if (!c->begun)
        return;
    if (c->walking) /* what is suspended does not end; but who went meanwhile ends before the answer is fetched */
        walk_cut(&c->walk, c->thread);
    c->begun = c->walking = false;
    shrink(&c->body);
    shrink(&c->answer);
    if (c->charged_bytes)
        (void)atomic_fetch_add_explicit(&c->http->memory_left, (int64_t)c->charged_bytes, memory_order_relaxed);
    c->charged_bytes = 0;
    int64_t now = clock_monotonic_ns();
    enter_phase(c, PHASE_WAITING, now);
    struct http_thread *t = c->thread;
    atomic_store_explicit(&t->ended_ns, now, memory_order_relaxed);
    /* Only this thread writes it, so no exchange is needed; release: whoever sees 0 also sees ended_ns. */
    atomic_store_explicit(&t->active, atomic_load_explicit(&t->active, memory_order_relaxed) - 1, memory_order_release);
}

/* --- waiting for the batcher ------------------------------------------------------------------------------------------- */

bool connection_suspend(struct connection *c)
{
    struct http *http = c->http;
    /* seq_cst here and in http_stop: either it sees this connection, or this one sees that it is too late. */
    (void)atomic_fetch_add(&http->suspended, 1);
    if (!atomic_load(&http->cutting)) {
        MHD_suspend_connection(c->mhd);
        return true;
    }
    (void)atomic_fetch_sub(&http->suspended, 1);
    return false;
}

static void go_on(struct connection *c)
{
    struct http *http = c->http;
    MHD_resume_connection(c->mhd); /* its thread may have it from here on */
    (void)atomic_fetch_sub_explicit(&http->suspended, 1, memory_order_release); /* release: http_stop sees that it was resumed */
}

void connection_resume(struct ticket *ticket)
{
    go_on(((struct http_group *)(void *)ticket)->connection);
}

static void end_pause(struct ticket *ticket)
{
    go_on((struct connection *)(void *)((char *)ticket - offsetof(struct connection, reminder)));
}

bool connection_pause(struct connection *c)
{
    c->reminder.done = end_pause;
    if (!connection_suspend(c))
        return false;
    dispatcher_remind(c->http->server->dispatcher, &c->reminder, clock_monotonic_ns() + PAUSE_NS);
    return true;
}

bool connection_gone(const struct ticket *ticket)
{
    char byte;
    const struct connection *c = ((const struct http_group *)(const void *)ticket)->connection;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* --- headers ----------------------------------------------------------------------------------------------------------- */

static void write_hex(char *to, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 15; i >= 0; i--, value >>= 4)
        to[i] = digits[value & 15];
}

static void make_request_id(struct connection *c)
{
    write_hex(c->request_id, c->thread->request_id[0]);
    write_hex(c->request_id + 16, c->thread->request_id[1]++);
    c->request_id[32] = '\0';
}

/* The caller's text, if it may stand in a header and a JSON string as it is; else nothing. */
static void take_text(char *to, size_t max, const char *value)
{
    size_t len = strlen(value);
    to[0] = '\0';
    if (len == 0 || len > max)
        return;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < 0x21 || value[i] > 0x7e)
            return;
    }
    memcpy(to, value, len + 1);
}

/* W3C Trace Context, level 1: version, trace id, parent id and flags in lower-case hexadecimal. A later version may be longer.
 * Anything else is not passed on. */
static void take_traceparent(struct connection *c, const char *value)
{
    for (size_t i = 0; i < 55; i++) {
        bool dash = i == 2 || i == 35 || i == 52;
        bool hex = (value[i] >= '0' && value[i] <= '9') || (value[i] >= 'a' && value[i] <= 'f');
        if (dash ? value[i] != '-' : !hex) /* the text's end is neither */
            return;
    }
    if (strncmp(value, "ff", 2) == 0 || (value[55] != '\0' && (strncmp(value, "00", 2) == 0 || value[55] != '-')))
        return;
    take_text(c->traceparent, HTTP_TRACE_MAX, value);
}

static void take_content_type(struct connection *c, const char *value)
{
    static const char *const line_types[] = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
                                             "application/jsonlines", NULL};
    size_t len = strcspn(value, "; \t");
    c->untyped = false;
    for (const char *const *t = line_types; *t; t++)
        c->lines = c->lines || (strlen(*t) == len && strncasecmp(*t, value, len) == 0);
    bool json = len == 16 && strncasecmp(value, "application/json", len) == 0;
    bool suffix = len > 5 && strncasecmp(value + len - 5, "+json", 5) == 0;
    if (!c->lines && !json && !suffix)
        c->refusal = (struct problem){.status = 415, .detail = "Content-Type must be application/json or application/x-ndjson; curl -d sends another one unless told"};
    const char *charset = strcasestr(value + len, "charset=");
    if (charset && strncasecmp(charset + 8, "utf-8", 5) != 0 && strncasecmp(charset + 8, "\"utf-8\"", 7) != 0)
        c->refusal = (struct problem){.status = 415, .detail = "Content-Type: the charset of JSON is UTF-8"};
}

static void take_length(struct connection *c, uint64_t bytes)
{
    c->ambiguous = c->ambiguous || (c->declared_bytes != BODY_NONE && c->declared_bytes != bytes);
    c->declared_bytes = bytes;
}

/* Milliseconds that the caller will wait. It can only make the time shorter. */
static void take_deadline(struct connection *c, const char *value)
{
    double ms;
    size_t len = strlen(value);
    if (number_read_double(value, len, &ms) != len || len == 0 || !(ms > 0))
        c->refusal = (struct problem){.status = 400, .detail = "X-Deadline-Ms: a positive number of milliseconds is expected"};
    else if (ms * 1e6 < (double)c->given_ns)
        c->given_ns = (int64_t)(ms * 1e6);
}

/* One pass over the headers, told apart by length first: most are none of ours. */
static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct connection *c = context;
    (void)kind;
    if (!value)
        return MHD_YES;
    switch (strlen(name)) {
    case 6:
        c->expects = c->expects || strcasecmp(name, "Expect") == 0;
        break;
    case 11:
        if (strcasecmp(name, "traceparent") == 0)
            take_traceparent(c, value);
        break;
    case 12:
        if (strcasecmp(name, "Content-Type") == 0)
            take_content_type(c, value);
        else if (strcasecmp(name, "X-Request-Id") == 0)
            take_text(c->request_id, HTTP_ID_MAX, value);
        break;
    case 13:
        if (strcasecmp(name, "X-Deadline-Ms") == 0)
            take_deadline(c, value);
        break;
    case 14:
        if (strcasecmp(name, "Content-Length") == 0)
            take_length(c, strtoull(value, NULL, 10)); /* its form was checked by libmicrohttpd */
        break;
    case 16:
        if (strcasecmp(name, "Content-Encoding") == 0 && strcasecmp(value, "identity") != 0)
            c->refusal = (struct problem){.status = 415, .detail = "Content-Encoding: send the body as it is, without compression"};
        break;
    case 17:
        if (strcasecmp(name, "Transfer-Encoding") == 0)
            take_length(c, BODY_CHUNKED);
        break;
    default:
        break;
    }
    return MHD_YES;
}

/* A parameter that is not understood is refused: who means ?record=false must not be recorded for a slip. */
static enum MHD_Result take_parameter(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct connection *c = context;
    (void)kind;
    if (strcmp(name, "record") != 0)
        c->refusal = (struct problem){.status = 400, .detail = "unknown query parameter; there is: record=true|false"};
    else if (value && strcmp(value, "false") == 0)
        c->trial = true;
    else if (!value || strcmp(value, "true") != 0)
        c->refusal = (struct problem){.status = 400, .detail = "query parameter record must be true or false"};
    return MHD_YES;
}

/* Takes memory for a body that may grow to `bytes`; false: there is none left. */
static bool charge(struct connection *c, size_t bytes)
{
    if (bytes <= HTTP_BODY_KEPT || bytes <= c->charged_bytes)
        return true;
    int64_t more = (int64_t)(bytes - c->charged_bytes);
    if (atomic_fetch_sub_explicit(&c->http->memory_left, more, memory_order_relaxed) < more) {
        (void)atomic_fetch_add_explicit(&c->http->memory_left, more, memory_order_relaxed);
        return false;
    }
    c->charged_bytes = bytes;
    return true;
}

static const struct problem no_memory_left = {.status = 429, .retry_after = true,
                                              .detail = "too many large bodies are being read; try again (http.memory_bytes)"};

static const struct problem too_large = {.status = 413, .detail = "the body is longer than http.body_bytes"};

/* Everything that can be said before the body. Later checks are the graver ones and replace what was found. */
static void check_request(struct connection *c, const char *path, const char *method)
{
    const struct settings *settings = c->http->server->settings;
    c->route = ROUTE_SCORE;
    while (c->route < ROUTE_NONE && strcmp(path, routes[c->route].path) != 0)
        c->route++;
    bool post = strcmp(method, "POST") == 0, get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (c->ambiguous) {
        c->refusal = (struct problem){.status = 400, .detail = "the request has two lengths; one Content-Length or one Transfer-Encoding"};
    } else if (c->route == ROUTE_NONE) {
        c->refusal = (struct problem){.status = 404, .detail = "there are: POST /v1/score, /v1/labels, GET /healthz, /readyz, /metrics"};
    } else if (routes[c->route].post ? !post : !get) {
        c->refusal = (struct problem){.status = 405, .detail = "the method is not for this path; see the header Allow",
                                      .allow = routes[c->route].post ? "POST" : "GET, HEAD"};
    } else if (!routes[c->route].post) {
        c->refusal = (struct problem){0}; /* no body, no parameters: nothing to refuse */
    } else if (c->route == ROUTE_LABELS && c->trial) {
        c->refusal = (struct problem){.status = 400, .detail = "labels take no query parameter"};
    } else if (c->declared_bytes == BODY_NONE) {
        c->refusal = (struct problem){.status = 411, .detail = "Content-Length or Transfer-Encoding: chunked is needed"};
    } else if (c->declared_bytes != BODY_CHUNKED && c->declared_bytes > (uint64_t)settings->http_body_bytes) {
        c->refusal = too_large;
    } else if (c->refusal.status == 0 && c->declared_bytes != BODY_CHUNKED && !charge(c, (size_t)c->declared_bytes)) {
        c->refusal = no_memory_left;
    }
}

static int begin_request(struct connection *c, struct MHD_Connection *mhd, const char *path, const char *method)
{
    c->thread = claim_thread(c->http);
    c->begun = true;
    c->lines = c->expects = c->trial = c->ambiguous = false;
    c->untyped = true;
    c->refusal = (struct problem){0};
    c->declared_bytes = BODY_NONE;
    c->discarded_bytes = 0;
    c->given_ns = c->http->server->slo_ns;
    c->mhd = mhd;
    c->request_id[0] = c->traceparent[0] = '\0';
    atomic_store_explicit(&c->thread->active, atomic_load_explicit(&c->thread->active, memory_order_relaxed) + 1, memory_order_release);
    enter_phase(c, PHASE_READING, clock_monotonic_ns());
    (void)MHD_get_connection_values(mhd, MHD_HEADER_KIND, take_header, c);
    (void)MHD_get_connection_values(mhd, MHD_GET_ARGUMENT_KIND, take_parameter, c);
    if (c->request_id[0] == '\0')
        make_request_id(c);
    check_request(c, path, method);
    bool long_body = c->declared_bytes != BODY_NONE && (c->declared_bytes > HTTP_BODY_KEPT || c->expects || c->ambiguous);
    return c->refusal.status && long_body ? reply_problem(c, mhd, &c->refusal) : MHD_YES;
}

/* --- body -------------------------------------------------------------------------------------------------------------- */

/* A piece of a body that is refused already: thrown away, but not for ever. */
static int discard(struct connection *c, size_t bytes)
{
    c->discarded_bytes += bytes;
    if (c->discarded_bytes <= (size_t)c->http->server->settings->http_body_bytes)
        return MHD_YES;
    metrics_add(c->thread->metrics, METRIC_HTTP_CUT, 1, 1);
    return MHD_NO;
}

static int take_piece(struct connection *c, const char *piece, size_t bytes)
{
    size_t limit = (size_t)c->http->server->settings->http_body_bytes;
    if (c->refusal.status)
        return discard(c, bytes);
    if (bytes > limit - c->body.len) {
        c->refusal = too_large;
        return discard(c, bytes);
    }
    size_t want = c->body.len + bytes;
    size_t grown = want < limit / 2 ? want * 2 : limit; /* the buffer doubles */
    if (c->declared_bytes == BODY_CHUNKED && want > HTTP_BODY_KEPT && want > c->charged_bytes && !charge(c, grown)) {
        c->refusal = no_memory_left;
        return discard(c, bytes);
    }
    buf_append(&c->body, piece, bytes);
    if (c->body.failed)
        c->refusal = no_memory_left;
    return MHD_YES;
}

/* --- answer ------------------------------------------------------------------------------------------------------------ */

/* NDJSON by its look, where no Content-Type says it: the first line is an object of its own and something follows. */
static bool looks_like_lines(const struct buf *body)
{
    const char *newline = body->len ? memchr(body->data, '\n', body->len) : NULL;
    if (!newline || body->data[0] != '{')
        return false;
    size_t first = (size_t)(newline - body->data), rest = first + 1;
    while (first > 0 && (body->data[first - 1] == '\r' || body->data[first - 1] == ' '))
        first--;
    return first > 0 && body->data[first - 1] == '}' && rest + decode_skip_space(body->data + rest, body->len - rest) < body->len;
}

/* false: nothing of the body can be scored, and that has been answered. */
static bool begin_walk(struct connection *c, struct MHD_Connection *mhd, int *result)
{
    struct decode_fault fault;
    const struct problem problem = {.status = 400, .fault = &fault};
    bool lines = c->lines || (c->untyped && looks_like_lines(&c->body));
    metrics_add(c->thread->metrics, METRIC_BYTES, SOURCE_HTTP * 2, c->body.len);
    if (!walk_begin(&c->walk, &c->body, lines, c->trial, c->given_ns, &fault)) {
        metrics_add(c->thread->metrics, METRIC_TRANSACTIONS, SOURCE_HTTP * OUTCOME_COUNT + OUTCOME_REJECTED, 1);
        metrics_add(c->thread->metrics, METRIC_DECODE_FAULTS, (uint32_t)fault.reason, 1);
        *result = reply_problem(c, mhd, &problem);
        return false;
    }
    buf_clear(&c->answer);
    c->walking = true;
    c->groups = 0;
    return true;
}

static int refuse_for_slots(struct connection *c, struct MHD_Connection *mhd)
{
    const struct problem problem = {.status = 429, .retry_after = true, .detail = "no slot is free; try again (http.slots)"};
    metrics_add(c->thread->metrics, METRIC_TRANSACTIONS, SOURCE_HTTP * OUTCOME_COUNT + OUTCOME_REFUSED, 1);
    metrics_add(c->thread->metrics, METRIC_REFUSED, REFUSAL_SLOTS, 1);
    return reply_problem(c, mhd, &problem);
}

/* Called again each time that the connection goes on after the batcher had it. */
static int answer_score(struct connection *c, struct MHD_Connection *mhd)
{
    int result;
    if (!c->walking && !begin_walk(c, mhd, &result))
        return result;
    enum walk_step step = WALK_WROTE;
    while (c->groups < GROUPS_AT_ONCE && walk_has_more(&c->walk) && step == WALK_WROTE) {
        step = walk_group(&c->walk, c->thread, c, c->request_id, &c->answer);
        c->groups += step == WALK_WROTE;
    }
    if (step == WALK_WAITS)
        return MHD_YES;
    if (step == WALK_NO_SLOT && c->groups == 0)
        return refuse_for_slots(c, mhd);
    /* What has begun will be finished: as a stream, which waits for slots. */
    const char *type = c->walk.form == WALK_LINES ? "application/x-ndjson" : "application/json";
    if (walk_has_more(&c->walk))
        return reply_stream(c, mhd, type);
    c->refusal.retry_after = c->walk.status == 429 || c->walk.status == 503;
    return reply_answer(c, mhd, c->walk.status, c->walk.status == 200 ? type : "application/problem+json");
}

static int answer_labels(struct connection *c, struct MHD_Connection *mhd)
{
    struct decode_fault fault;
    const struct problem problem = {.status = 400, .fault = &fault};
    bool lines = c->lines || (c->untyped && looks_like_lines(&c->body));
    unsigned status;
    metrics_add(c->thread->metrics, METRIC_BYTES, SOURCE_HTTP * 2, c->body.len);
    buf_clear(&c->answer);
    if (!labels_answer(c->thread, &c->body, lines, c->request_id, &c->answer, &status, &fault))
        return reply_problem(c, mhd, &problem);
    const char *type = lines ? "application/x-ndjson" : "application/json";
    return reply_answer(c, mhd, status, status == 200 ? type : "application/problem+json");
}

static int answer(struct connection *c, struct MHD_Connection *mhd)
{
    if (!c->walking)
        enter_phase(c, PHASE_ANSWERING, clock_monotonic_ns());
    if (c->refusal.status) {
        struct problem problem = c->refusal;
        return reply_problem(c, mhd, &problem);
    }
    if (c->route == ROUTE_SCORE)
        return answer_score(c, mhd);
    if (c->route == ROUTE_LABELS)
        return answer_labels(c, mhd);
    const char *type;
    buf_clear(&c->answer);
    unsigned status = health_answer(c->http, c->route, &c->answer, &type);
    return reply_answer(c, mhd, status, type);
}

int request_handle(struct connection *c, struct MHD_Connection *mhd, const char *path, const char *method, const char *piece,
                   size_t *piece_bytes, bool first)
{
    CHECK(c->magic == CONNECTION_MAGIC);
    if (first)
        return begin_request(c, mhd, path, method);
    if (*piece_bytes == 0)
        return answer(c, mhd);
    size_t bytes = *piece_bytes;
    *piece_bytes = 0;
    return take_piece(c, piece, bytes);
}
