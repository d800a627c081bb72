/*
 * POST /v1/score. One transaction is answered with its record or a problem; an array or NDJSON body is worked through in
 * chunks of at most HTTP_CHUNK slots and answered in the same form and order, a refused transaction by a problem in its
 * place. An array that is not JSON to its end is refused whole, before anything is scored; a line of NDJSON stands alone.
 */
#include <string.h>

#include "model/base/clock.h"
#include "model/input/scan.h"
#include "server/http/http.h"

static void nothing(void *owner, struct txn *const *txns, uint32_t n)
{
    (void)owner, (void)txns, (void)n; /* the answers are read from the slots, in order, by write_chunk */
}

/* Decodes text, which holds one transaction; `whole`: nothing but space may follow it. */
static size_t take(struct request *r, struct http_thread *t, struct txn *txn, const char *text, size_t len, bool whole)
{
    size_t consumed;
    enum status status = pipeline_decode(t->worker, txn, text, len, r->received_ns, &consumed);
    if (status != STATUS_OK || !whole)
        return consumed;
    size_t after = consumed + decode_skip_space(text + consumed, len - consumed);
    if (after < len) {
        txn->outcome = OUTCOME_REJECTED;
        txn->fault = (struct decode_fault){DECODE_TRAILING, -1, (uint32_t)after};
    }
    return consumed;
}

/* Scores what was decoded and not answered before. */
static void score_chunk(struct request *r, struct http_thread *t, uint32_t n)
{
    struct answers *answers = r->record ? r->http->answers : NULL;
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct txn *txn = t->taken[i];
        if (txn->outcome == OUTCOME_REJECTED)
            continue;
        if (answers) {
            t->keys[accepted] = answers_key(answers, txn);
            if (answers_find(answers, t->keys[accepted], r->received_ns, txn)) {
                txn->outcome = OUTCOME_REPEATED;
                continue;
            }
        }
        t->accepted[accepted++] = txn;
    }
    if (accepted == 0)
        return;
    pipeline_score(t->worker, t->accepted, accepted, nothing, NULL);
    for (uint32_t i = 0; answers && i < accepted; i++) {
        if (t->accepted[i]->outcome == OUTCOME_SCORED)
            answers_keep(answers, t->keys[i], r->received_ns, t->accepted[i]);
    }
}

/* Appends the answers of a chunk in order; first: position of its first transaction in the body. */
static void write_chunk(struct request *r, struct http_thread *t, uint32_t n, int64_t first, const char *between)
{
    const struct server *server = r->http->server;
    for (uint32_t i = 0; i < n; i++) {
        const struct txn *txn = t->taken[i];
        if (first + i > 0)
            buf_string(&r->answer, between);
        if (txn->outcome == OUTCOME_SCORED || txn->outcome == OUTCOME_REPEATED)
            record_write(&r->answer, txn, pool_rows(server->pool), &server->record);
        else
            http_problem_transaction(&r->answer, r, txn, first + i);
    }
}

static void finish_chunk(struct request *r, struct http_thread *t, uint32_t n)
{
    int64_t now = clock_monotonic_ns();
    for (uint32_t i = 0; i < n; i++)
        pipeline_finish(t->worker, t->taken[i], now);
    pool_give(r->http->server->pool, t->taken, n);
}

static struct answer no_slot(struct request *r, struct http_thread *t)
{
    metrics_add(worker_metrics(t->worker), METRIC_TRANSACTIONS, SOURCE_HTTP * OUTCOME_COUNT + OUTCOME_REFUSED, 1);
    return http_problem(r, 503, "all slots for HTTP are taken (http.slots); try again");
}

static struct answer score_object(struct request *r, struct http_thread *t)
{
    const struct server *server = r->http->server;
    if (pool_take(server->pool, SOURCE_HTTP, t->taken, 1) == 0)
        return no_slot(r, t);
    struct txn *txn = t->taken[0];
    txn->outcome = OUTCOME_FAILED;
    (void)take(r, t, txn, r->body.data, r->body.len, true);
    score_chunk(r, t, 1);
    struct answer answer = {200, CONTENT_JSON};
    if (txn->outcome == OUTCOME_SCORED || txn->outcome == OUTCOME_REPEATED) {
        record_write(&r->answer, txn, pool_rows(server->pool), &server->record);
    } else {
        http_problem_transaction(&r->answer, r, txn, -1);
        answer = (struct answer){txn->outcome == OUTCOME_FAILED ? 500 : 400, CONTENT_PROBLEM};
    }
    finish_chunk(r, t, 1);
    return answer;
}

/* The next transaction of a body: where it starts and ends, false at the end. */
struct walk {
    const char *at, *end;
    bool ndjson;
};

static bool next_line(struct walk *w, const char **text, size_t *len)
{
    while (w->at < w->end) {
        const char *newline = memchr(w->at, '\n', (size_t)(w->end - w->at));
        const char *stop = newline ? newline : w->end;
        *text = w->at;
        *len = (size_t)(stop - w->at);
        w->at = newline ? newline + 1 : w->end;
        if (decode_skip_space(*text, *len) < *len)
            return true;
    }
    return false;
}

/* In an array that is known to be well-formed: moves to the next element. */
static bool next_element(struct walk *w)
{
    w->at += decode_skip_space(w->at, (size_t)(w->end - w->at));
    if (*w->at == '[' || *w->at == ',')
        w->at++;
    w->at += decode_skip_space(w->at, (size_t)(w->end - w->at));
    return *w->at != ']';
}

/* Decodes up to n transactions into taken; returns how many there were. */
static uint32_t fill_chunk(struct request *r, struct http_thread *t, struct walk *w, uint32_t n)
{
    uint32_t filled = 0;
    while (filled < n) {
        struct txn *txn = t->taken[filled];
        txn->outcome = OUTCOME_FAILED;
        const char *text;
        size_t len;
        if (w->ndjson) {
            if (!next_line(w, &text, &len))
                break;
            (void)take(r, t, txn, text, len, true);
        } else {
            if (!next_element(w))
                break;
            w->at += take(r, t, txn, w->at, (size_t)(w->end - w->at), false);
        }
        filled++;
    }
    return filled;
}

static struct answer score_many(struct request *r, struct http_thread *t, struct walk *w)
{
    struct pool *pool = r->http->server->pool;
    const char *between = w->ndjson ? "\n" : ",";
    for (int64_t done = 0;;) {
        uint32_t got = pool_take(pool, SOURCE_HTTP, t->taken, HTTP_CHUNK);
        if (got == 0)
            return no_slot(r, t);
        uint32_t n = fill_chunk(r, t, w, got);
        pool_give(pool, t->taken + n, got - n);
        if (n == 0)
            break;
        score_chunk(r, t, n);
        write_chunk(r, t, n, done, between);
        finish_chunk(r, t, n);
        done += n;
    }
    if (w->ndjson && r->answer.len > 0)
        buf_char(&r->answer, '\n');
    return (struct answer){200, w->ndjson ? CONTENT_NDJSON : CONTENT_JSON};
}

/* An array must be JSON to its end before its first transaction is scored. */
static struct answer score_array(struct request *r, struct http_thread *t)
{
    struct scan s = {.at = r->body.data, .start = r->body.data, .end = r->body.data + r->body.len};
    if (scan_skip_value(&s, 0) && scan_peek(&s) == '\0' && s.at == s.end) {
        struct walk w = {.at = r->body.data, .end = s.end};
        buf_char(&r->answer, '[');
        /* next_element takes the opening bracket as it would a comma */
        struct answer answer = score_many(r, t, &w);
        if (answer.status == 200)
            buf_char(&r->answer, ']');
        return answer;
    }
    struct txn broken = {.outcome = OUTCOME_REJECTED,
                         .fault = {s.reason != DECODE_NONE ? s.reason : DECODE_TRAILING, -1, (uint32_t)(s.at - s.start)}};
    http_problem_transaction(&r->answer, r, &broken, -1);
    metrics_add(worker_metrics(t->worker), METRIC_TRANSACTIONS, SOURCE_HTTP * OUTCOME_COUNT + OUTCOME_REJECTED, 1);
    metrics_add(worker_metrics(t->worker), METRIC_DECODE_FAULTS, (uint32_t)broken.fault.reason, 1);
    return (struct answer){400, CONTENT_PROBLEM};
}

struct answer http_score(struct request *r, struct http_thread *t)
{
    size_t first = decode_skip_space(r->body.data, r->body.len);
    if (r->ndjson) {
        struct walk w = {.at = r->body.data, .end = r->body.data + r->body.len, .ndjson = true};
        return score_many(r, t, &w);
    }
    if (first < r->body.len && r->body.data[first] == '[')
        return score_array(r, t);
    return score_object(r, t);
}
