/*
 * One request. libmicrohttpd calls http_access first with the headers, then with pieces of the body, then with nothing
 * left: that call answers. What the headers already refuse is noted at the first call and answered at the last, after the
 * body has been read and dropped, so that the connection lives on; only a body known to be too long is refused at once.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model/base/clock.h"
#include "server/http/http.h"

static const struct route routes[] = {
    {"/v1/score", "POST", true, http_score},
    {"/healthz", "GET, HEAD", false, http_healthz},
    {"/readyz", "GET, HEAD", false, http_readyz},
    {"/metrics", "GET, HEAD", false, http_metrics},
};

enum { ROUTES = sizeof routes / sizeof routes[0] };

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool refuse(struct request *r, int status, const char *why)
{
    if (!r->refused) {
        r->refused = status;
        r->refusal = why;
    }
    return false;
}

/* Sixteen hexadecimal digits that no other request of this process has: a counter, mixed (splitmix64). */
static void make_id(struct http_thread *t, char *out)
{
    uint64_t z = t->id_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    for (int i = 0; i < 16; i++)
        out[i] = "0123456789abcdef"[z >> (60 - 4 * i) & 15];
    out[16] = '\0';
}

static bool is_plain(const char *text, size_t max)
{
    size_t n = 0;
    for (; text[n]; n++) {
        if (n == max || (unsigned char)text[n] < 0x21 || (unsigned char)text[n] > 0x7e || text[n] == '"' || text[n] == '\\')
            return false;
    }
    return n > 0;
}

/* W3C Trace Context: version-traceid-parentid-flags in lower-case hexadecimal; anything else is not passed on. */
static bool is_traceparent(const char *text)
{
    for (size_t i = 0; i < 55; i++) {
        bool dash = i == 2 || i == 35 || i == 52;
        if (dash ? text[i] != '-' : !(isdigit((unsigned char)text[i]) || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    }
    return text[55] == '\0';
}

static void take_ids(struct request *r, struct http_thread *t, struct MHD_Connection *connection)
{
    const char *id = header(connection, "X-Request-Id");
    if (id && is_plain(id, HTTP_ID_MAX))
        memcpy(r->id, id, strlen(id) + 1);
    else
        make_id(t, r->id);
    const char *trace = header(connection, "traceparent");
    r->traceparent[0] = '\0';
    if (trace && is_traceparent(trace))
        memcpy(r->traceparent, trace, sizeof r->traceparent);
}

/* The media type without parameters, compared without case. */
static bool is_media_type(const char *value, const char *type)
{
    size_t len = strcspn(value, "; \t");
    return strlen(type) == len && strncasecmp(value, type, len) == 0;
}

static bool check_body_headers(struct request *r, struct MHD_Connection *connection)
{
    const char *type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *encoding = header(connection, MHD_HTTP_HEADER_CONTENT_ENCODING);
    const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (!length && !header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING))
        return refuse(r, 411, "a body is needed: send Content-Length or Transfer-Encoding: chunked");
    if (length && strtoull(length, NULL, 10) > r->http->body_max)
        return refuse(r, 413, "the body is longer than http.body_bytes allows; send fewer transactions at a time");
    r->ndjson = type && (is_media_type(type, CONTENT_NDJSON) || is_media_type(type, "application/jsonl") ||
                         is_media_type(type, "application/ndjson"));
    if (type && !r->ndjson && !is_media_type(type, CONTENT_JSON))
        return refuse(r, 415, "send Content-Type: application/json, or application/x-ndjson for a transaction a line");
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return refuse(r, 415, "compressed bodies are not supported; leave Content-Encoding out");
    return true;
}

static bool check_record(struct request *r, struct MHD_Connection *connection)
{
    const char *record = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "record");
    r->record = true;
    if (!record || strcmp(record, "true") == 0)
        return true;
    r->record = false;
    return strcmp(record, "false") == 0 || refuse(r, 400, "record must be true or false");
}

static void route(struct request *r, struct MHD_Connection *connection, const char *url, const char *method)
{
    r->route = NULL;
    for (size_t i = 0; i < ROUTES && !r->route; i++)
        r->route = strcmp(url, routes[i].path) == 0 ? &routes[i] : NULL;
    bool post = strcmp(method, "POST") == 0;
    bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (!r->route)
        (void)refuse(r, 404, "no such path; there are /v1/score, /healthz, /readyz and /metrics");
    else if (r->route->post ? !post : !get)
        (void)refuse(r, 405, "this path takes other methods; see Allow");
    else if (post && check_body_headers(r, connection))
        (void)check_record(r, connection);
}

static uint32_t status_label(unsigned status)
{
    static const unsigned known[] = {200, 400, 404, 405, 411, 413, 415, 500, 503}; /* as in metrics.def */
    for (uint32_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] == status)
            return i;
    }
    return 0;
}

static enum MHD_Result send_answer(struct request *r, struct http_thread *t, struct MHD_Connection *connection, struct answer answer)
{
    struct metrics_shard *metrics = worker_metrics(t->worker);
    if (r->answer.failed) {
        buf_clear(&r->answer);
        answer = http_problem(r, 500, "out of memory for the answer");
    }
    /* The buffer belongs to the connection, which sends one answer at a time: it stays until this one is out. */
    struct MHD_Response *response = MHD_create_response_from_buffer(r->answer.len, (void *)(uintptr_t)buf_text(&r->answer), MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.content_type);
    (void)MHD_add_response_header(response, "X-Request-Id", r->id);
    if (r->traceparent[0])
        (void)MHD_add_response_header(response, "traceparent", r->traceparent);
    if (answer.status == 405 && r->route)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, r->route->allow);
    if (answer.status == 503)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (atomic_load_explicit(&r->http->draining, memory_order_relaxed))
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    metrics_add(metrics, METRIC_HTTP_REQUESTS, status_label(answer.status), 1);
    metrics_add(metrics, METRIC_BYTES, SOURCE_HTTP * 2, r->body.len);
    metrics_add(metrics, METRIC_BYTES, SOURCE_HTTP * 2 + 1, r->answer.len);
    return result;
}

/* The headers are in. */
static enum MHD_Result begin(struct request *r, struct http_thread *t, struct MHD_Connection *connection, const char *url, const char *method)
{
    r->received_ns = clock_monotonic_ns();
    r->refused = 0;
    r->dropped = 0;
    r->ndjson = false;
    buf_clear(&r->body);
    buf_clear(&r->answer);
    r->began = true;
    (void)atomic_fetch_add_explicit(&r->http->active, 1, memory_order_relaxed);
    take_ids(r, t, connection);
    route(r, connection, url, method);
    if (r->refused == 413)
        return send_answer(r, t, connection, http_problem(r, 413, r->refusal));
    return MHD_YES;
}

static enum MHD_Result take_body(struct request *r, const char *upload, size_t size)
{
    if (!r->refused && size > r->http->body_max - r->body.len)
        (void)refuse(r, 413, "the body is longer than http.body_bytes allows; send fewer transactions at a time");
    if (!r->refused) {
        buf_append(&r->body, upload, size);
        return r->body.failed ? MHD_NO : MHD_YES;
    }
    r->dropped += size;
    return r->dropped > r->http->body_max ? MHD_NO : MHD_YES; /* nobody sends that much by mistake: hang up */
}

enum MHD_Result http_access(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                            const char *upload, size_t *upload_size, void **request)
{
    (void)version;
    struct http *http = context;
    struct http_thread *t = http_thread_get(http);
    struct request *r = *request;
    if (!t)
        return MHD_NO;
    if (!r) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        r = info ? info->socket_context : NULL;
        if (!r)
            return MHD_NO;
        *request = r;
        return begin(r, t, connection, url, method);
    }
    if (*upload_size > 0) {
        enum MHD_Result result = take_body(r, upload, *upload_size);
        *upload_size = 0;
        return result;
    }
    if (r->refused)
        return send_answer(r, t, connection, http_problem(r, (unsigned)r->refused, r->refusal));
    (void)buf_text(&r->body); /* never NULL from here on */
    return send_answer(r, t, connection, r->route->handle(r, t));
}

void http_completed(void *context, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode code)
{
    (void)connection, (void)code;
    struct http *http = context;
    struct request *r = *request;
    if (r && r->began) {
        r->began = false;
        (void)atomic_fetch_sub_explicit(&http->active, 1, memory_order_relaxed);
    }
    *request = NULL;
}

void http_connection(void *context, struct MHD_Connection *connection, void **request, enum MHD_ConnectionNotificationCode code)
{
    (void)connection;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct request *r = calloc(1, sizeof *r);
        if (r)
            r->http = context;
        *request = r;
        return;
    }
    struct request *r = *request;
    if (!r)
        return;
    buf_free(&r->body);
    buf_free(&r->answer);
    free(r);
    *request = NULL;
}
