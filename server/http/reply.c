/* Answers handed to libmicrohttpd. A small body stays in the connection's buffer while it goes out: nothing is copied. */
#include "server/http/http.h"

#include <microhttpd.h>
#include <string.h>

#include "model/base/check.h"

enum { STREAM_BLOCK = 32768 };

static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static void count(struct connection *c, unsigned status)
{
    /* In the order of the label values in metrics.def. */
    static const unsigned codes[] = {200, 400, 404, 405, 411, 413, 415, 429, 500, 503};
    enum { CODES = sizeof codes / sizeof codes[0] };
    for (uint32_t i = 0; i < CODES; i++) {
        if (codes[i] == status)
            metrics_add(c->thread->metrics, METRIC_HTTP_REQUESTS, i, 1);
    }
}

/* Adds the headers that every answer has, queues it and lets go of it. */
static int queue(struct connection *c, struct MHD_Connection *mhd, unsigned status, const char *type, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    bool ok = add_header(response, "Content-Type", type) && add_header(response, "X-Request-Id", c->request_id);
    if (c->traceparent[0])
        ok = add_header(response, "traceparent", c->traceparent) && ok;
    if (c->refusal.allow)
        ok = add_header(response, "Allow", c->refusal.allow) && ok;
    if (c->refusal.retry_after)
        ok = add_header(response, "Retry-After", "1") && ok;
    if (atomic_load_explicit(&c->http->draining, memory_order_relaxed)) /* a hint: a request later is soon enough */
        ok = add_header(response, "Connection", "close") && ok;
    int result = ok ? (int)MHD_queue_response(mhd, status, response) : (int)MHD_NO;
    MHD_destroy_response(response);
    count(c, status);
    return result;
}

int reply_answer(struct connection *c, struct MHD_Connection *mhd, unsigned status, const char *type)
{
    if (c->answer.failed)
        return MHD_NO; /* no memory even for the answer */
    metrics_add(c->thread->metrics, METRIC_BYTES, SOURCE_HTTP * 2 + 1, c->answer.len);
    return queue(c, mhd, status, type, MHD_create_response_from_buffer(c->answer.len, c->answer.data, MHD_RESPMEM_PERSISTENT));
}

int reply_problem(struct connection *c, struct MHD_Connection *mhd, const struct problem *problem)
{
    c->refusal = *problem;
    buf_clear(&c->answer);
    problem_write(&c->answer, problem, c->http->server->bundle->schema, -1, c->request_id);
    buf_char(&c->answer, '\n');
    return reply_answer(c, mhd, problem->status, "application/problem+json");
}

/* libmicrohttpd asks for the next bytes, once the client has room for them; with none yet, the connection is suspended. */
static ssize_t stream_read(void *context, uint64_t position, char *to, size_t max)
{
    struct connection *c = context;
    (void)position;
    CHECK(c->magic == CONNECTION_MAGIC);
    if (c->streamed == c->answer.len) {
        if (!walk_has_more(&c->walk))
            return MHD_CONTENT_READER_END_OF_STREAM;
        buf_clear(&c->answer);
        c->streamed = 0;
        enum walk_step step = walk_group(&c->walk, c->thread, c, c->request_id, &c->answer);
        if (step == WALK_NO_SLOT && !connection_pause(c))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        if (step != WALK_WROTE)
            return 0;
        if (c->answer.failed)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        metrics_add(c->thread->metrics, METRIC_BYTES, SOURCE_HTTP * 2 + 1, c->answer.len);
    }
    size_t n = c->answer.len - c->streamed;
    n = n < max ? n : max;
    memcpy(to, c->answer.data + c->streamed, n);
    c->streamed += n;
    return n ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

int reply_stream(struct connection *c, struct MHD_Connection *mhd, const char *type)
{
    if (c->answer.failed)
        return MHD_NO;
    c->streamed = 0;
    c->walk.streamed = true;
    metrics_add(c->thread->metrics, METRIC_BYTES, SOURCE_HTTP * 2 + 1, c->answer.len);
    return queue(c, mhd, 200, type, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, c, NULL));
}
