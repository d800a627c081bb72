/* Is it alive, is it ready, what has it done: for probes and scrapers. */
#include "server/http/http.h"

unsigned health_answer(struct http *http, enum http_route route, struct buf *out, const char **type)
{
    *type = "text/plain; charset=utf-8";
    switch (route) {
    case ROUTE_METRICS:
        *type = METRICS_CONTENT_TYPE;
        metrics_expose(http->server->metrics, out);
        return 200;
    case ROUTE_READYZ: /* a line for each part that is not */
        if (!http->server->ready(http->server, out))
            return 503;
        buf_clear(out);
        buf_string(out, "ready\n");
        http->server->notes(http->server, out);
        return 200;
    default:
        buf_string(out, "ok\n");
        return 200;
    }
}
