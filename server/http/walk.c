/* Where the transactions of a body begin and end: one object, an array, or lines. */
#include <string.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "model/input/scan.h"
#include "server/http/http.h"

/* An array must be JSON to its end before its first transaction is scored: nobody can tell what a broken one meant. */
static bool is_whole(const char *data, size_t len, struct decode_fault *fault)
{
    struct scan s = {.at = data, .start = data, .end = data + len};
    scan_space(&s);
    bool whole = scan_skip_value(&s, 0);
    if (whole) {
        scan_space(&s);
        whole = s.at == s.end || scan_fail(&s, DECODE_TRAILING);
    }
    *fault = (struct decode_fault){.reason = s.reason, .field = -1, .offset = (uint32_t)(s.at - s.start)};
    return whole;
}

bool walk_begin(struct walk *walk, const struct buf *body, bool lines, bool trial, int64_t given_ns, struct decode_fault *fault)
{
    *walk = (struct walk){.data = body->data, .len = body->len, .trial = trial, .status = 200,
                          .received_ns = clock_monotonic_ns(), .given_ns = given_ns};
    size_t first = body->len ? decode_skip_space(body->data, body->len) : 0;
    if (lines) {
        walk->form = WALK_LINES;
    } else if (first == body->len) {
        *fault = (struct decode_fault){.reason = DECODE_EMPTY, .field = -1};
        return false;
    } else if (body->data[first] == '[') {
        walk->form = WALK_ARRAY;
        walk->at = first + 1;
        return is_whole(body->data, body->len, fault);
    } else {
        walk->form = WALK_OBJECT;
    }
    return true;
}

/* Decodes a document that must fill data[at..to). What is wrong with it stands in the slot. */
static void decode_whole(struct walk *walk, struct http_thread *thread, struct txn *txn, size_t to)
{
    (void)pipeline_decode_whole(thread->worker, txn, walk->data + walk->at, to - walk->at, walk->received_ns);
}

/* The next line that is not blank; false: there is none. */
static bool next_line(struct walk *walk, struct http_thread *thread, struct txn *txn)
{
    while (walk->at < walk->len) {
        const char *at = walk->data + walk->at, *newline = memchr(at, '\n', walk->len - walk->at);
        size_t end = newline ? (size_t)(newline - walk->data) : walk->len;
        bool blank = decode_skip_space(at, end - walk->at) == end - walk->at;
        if (!blank)
            decode_whole(walk, thread, txn, end);
        walk->at = newline ? end + 1 : end;
        if (!blank)
            return true;
    }
    return false;
}

/* The next element; false: there is none. The array is known to be JSON, so what is not said here is so. */
static bool next_element(struct walk *walk, struct http_thread *thread, struct txn *txn)
{
    walk->at += decode_skip_space(walk->data + walk->at, walk->len - walk->at);
    if (walk->data[walk->at] == ']')
        return false;
    if (walk->items > 0) {
        walk->at++; /* the comma */
        walk->at += decode_skip_space(walk->data + walk->at, walk->len - walk->at);
    }
    size_t consumed = 0, left = walk->len - walk->at;
    enum status status = pipeline_decode(thread->worker, txn, walk->data + walk->at, left, walk->received_ns, &consumed);
    if (status != STATUS_OK)
        txn->fault.offset += (uint32_t)walk->at; /* in the body, which is what the caller can look at */
    if (consumed == 0) { /* the decoder gave up inside; the scanner knows where the element ends */
        struct scan s = {.at = walk->data + walk->at, .start = walk->data, .end = walk->data + walk->len};
        CHECK(scan_skip_value(&s, 1));
        consumed = (size_t)(s.at - (walk->data + walk->at));
    }
    walk->at += consumed;
    return true;
}

bool walk_next(struct walk *walk, struct http_thread *thread, struct txn *txn)
{
    if (walk->form == WALK_ARRAY)
        return next_element(walk, thread, txn);
    if (walk->form == WALK_LINES)
        return next_line(walk, thread, txn);
    decode_whole(walk, thread, txn, walk->len);
    return true;
}
