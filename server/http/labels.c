/*
 * POST /v1/labels: what transactions turned out to be. One label, an array or NDJSON, answered in kind; what is wrong with one
 * is said in its place, and the others are taken. A label takes no slot and no engine, so a body is worked through at once.
 */
#include <string.h>

#include "model/base/check.h"
#include "model/input/scan.h"
#include "server/http/http.h"
#include "server/labels/told.h"

struct labels_walk {
    struct http_thread *thread;
    struct buf *out;
    const char *request_id;
    uint64_t items;
    bool array, object; /* else lines */
};

static unsigned write_item(struct labels_walk *w, const struct label *label, const struct decode_fault *fault)
{
    if (w->array)
        buf_char(w->out, w->items ? ',' : '[');
    if (label) {
        enum state_labelled outcome = label_tell(w->thread->http->server->history, label);
        metrics_add(w->thread->metrics, METRIC_LABELS, label_metric(SOURCE_HTTP, outcome), 1);
        buf_string(w->out, "{\"transaction_id\":");
        buf_json_string(w->out, label->id.data, label->id.len);
        buf_format(w->out, ",\"label\":\"%s\"}", label_outcome(outcome));
    } else {
        const struct problem problem = {.status = 400, .fault = fault};
        metrics_add(w->thread->metrics, METRIC_LABELS, label_metric_rejected(SOURCE_HTTP), 1);
        problem_write(w->out, &problem, w->thread->labels.schema, w->object ? -1 : (int64_t)w->items, w->object ? w->request_id : NULL);
    }
    if (!w->array)
        buf_char(w->out, '\n');
    w->items++;
    return label || !w->object ? 200 : 400;
}

/* A label that fills the text. */
static unsigned take_whole(struct labels_walk *w, const char *text, size_t len)
{
    struct label label;
    struct decode_fault fault;
    bool read = label_read_whole(&w->thread->labels, text, len, &label, &fault) == STATUS_OK;
    return write_item(w, read ? &label : NULL, &fault);
}

static void take_lines(struct labels_walk *w, const struct buf *body)
{
    const char *end = body->data + body->len;
    for (const char *at = body->data; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline ? newline : end) - at);
        if (decode_skip_space(at, len) < len)
            (void)take_whole(w, at, len);
        at += len + 1;
    }
}

/* The body is known to be JSON, and an array. */
static void take_array(struct labels_walk *w, const struct buf *body)
{
    struct scan s = {.at = body->data, .start = body->data, .end = body->data + body->len};
    CHECK(scan_take(&s, '['));
    while (scan_peek(&s) != ']') {
        struct label label;
        struct decode_fault fault;
        size_t consumed, offset = (size_t)(s.at - s.start);
        bool read = label_read(&w->thread->labels, s.at, body->len - offset, &label, &consumed, &fault) == STATUS_OK;
        if (!read)
            fault.offset += (uint32_t)offset;
        (void)write_item(w, read ? &label : NULL, &fault);
        CHECK(scan_skip_value(&s, 1));
        if (scan_peek(&s) == ',')
            s.at++;
    }
    buf_string(w->out, w->items ? "]\n" : "[]\n");
}

bool labels_answer(struct http_thread *thread, const struct buf *body, bool lines, const char *request_id, struct buf *out, unsigned *status,
                   struct decode_fault *fault)
{
    struct walk walk;
    struct labels_walk w = {.thread = thread, .out = out, .request_id = request_id};
    *status = 200;
    if (!walk_begin(&walk, body, lines, false, 0, fault))
        return false;
    w.array = walk.form == WALK_ARRAY;
    w.object = walk.form == WALK_OBJECT;
    if (w.array)
        take_array(&w, body);
    else if (w.object)
        *status = take_whole(&w, body->data, body->len);
    else if (body->len > 0)
        take_lines(&w, body);
    return true;
}
