#include <string.h>

#include "server/http/http.h"

#define CONTENT_TEXT "text/plain; charset=utf-8"

/* Alive: the process answers. */
struct answer http_healthz(struct request *r, struct http_thread *t)
{
    (void)t;
    buf_string(&r->answer, "ok\n");
    return (struct answer){200, CONTENT_TEXT};
}

/* Ready: every source is; else 503 with a line for each that is not. */
struct answer http_readyz(struct request *r, struct http_thread *t)
{
    (void)t;
    if (r->http->server->ready(r->http->server, &r->answer)) {
        buf_clear(&r->answer);
        buf_string(&r->answer, "ready\n");
        return (struct answer){200, CONTENT_TEXT};
    }
    return (struct answer){503, CONTENT_TEXT};
}

struct answer http_metrics(struct request *r, struct http_thread *t)
{
    (void)t;
    metrics_expose(r->http->server->metrics, &r->answer);
    return (struct answer){200, METRICS_CONTENT_TYPE};
}
