/*
 * From the bytes of a body to the bytes of its answer, a group of transactions at a time.
 *
 * A group takes its slots, decodes into them, looks each up in the table of answers, scores what is new in one call of the
 * engine, writes the records in the order of the body, and gives the slots back. A body larger than a group continues with
 * the next one when its answer is wanted, so it never holds more than a group's slots, however long it is.
 *
 * What is wrong with one transaction is said in its place, and the others are scored.
 */
#include <string.h>
#include <time.h>

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

bool walk_begin(struct walk *walk, const struct buf *body, bool lines, bool trial, struct decode_fault *fault)
{
    *walk = (struct walk){.data = body->data, .len = body->len, .trial = trial, .status = 200, .received_ns = clock_monotonic_ns()};
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

/* --- where items start and end ----------------------------------------------------------------------------------------- */

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

static bool next_item(struct walk *walk, struct http_thread *thread, struct txn *txn)
{
    if (walk->form == WALK_ARRAY)
        return next_element(walk, thread, txn);
    if (walk->form == WALK_LINES)
        return next_line(walk, thread, txn);
    decode_whole(walk, thread, txn, walk->len);
    return true;
}

/* --- scoring ----------------------------------------------------------------------------------------------------------- */

/* The row that goes with an answer, where records show features. */
static void *row_of(const struct http *http, const struct txn *txn)
{
    return http->server->record.features ? pool_row(http->server->pool, txn->number) : NULL;
}

/* Scores what was claimed so far, and tells the table of answers. */
static void settle(struct http_thread *thread)
{
    if (thread->claimed_count == 0)
        return;
    struct answers *answers = thread->http->answers;
    pipeline_score(thread->worker, thread->claimed, thread->claimed_count, NULL, NULL);
    for (uint32_t i = 0; i < thread->claimed_count; i++) {
        const struct txn *txn = thread->claimed[i];
        const struct answer answer = {.verdict = txn->verdict, .reasons = txn->reasons, .state = txn->state};
        if (!answers || txn->trial)
            continue;
        if (txn->outcome == OUTCOME_SCORED)
            answers_complete(answers, thread->keys[i], &answer, row_of(thread->http, txn));
        else
            answers_abandon(answers, thread->keys[i]);
    }
    thread->claimed_count = 0;
}

/* Another thread is scoring the same transaction, which takes microseconds. Called without claims of one's own, so two
 * threads cannot wait for each other. */
static void wait_briefly(void)
{
    const struct timespec t = {.tv_nsec = 20000};
    (void)nanosleep(&t, NULL);
}

/* A decoded transaction is either answered from the table or put among those to be scored. */
static void admit(struct http_thread *thread, struct txn *txn, bool trial, int64_t now_ns)
{
    struct answers *answers = thread->http->answers;
    struct answer known;
    txn->trial = trial;
    if (answers && !trial) {
        struct hash128 key = answers_key(answers, txn->input.values[schema_id(txn->bundle->schema)].text);
        enum answers_found found = answers_claim(answers, key, now_ns, &known, row_of(thread->http, txn));
        while (found == ANSWERS_PENDING) {
            if (thread->claimed_count > 0)
                settle(thread); /* the same id twice in one body */
            else
                wait_briefly();
            found = answers_claim(answers, key, now_ns, &known, row_of(thread->http, txn));
        }
        if (found == ANSWERS_KNOWN) {
            txn->verdict = known.verdict;
            txn->reasons = known.reasons;
            txn->state = known.state;
            txn->outcome = OUTCOME_REPEATED;
            return;
        }
        thread->keys[thread->claimed_count] = key;
    }
    txn->outcome = OUTCOME_SCORED; /* until the engine says otherwise */
    thread->claimed[thread->claimed_count++] = txn;
}

/* --- the answer -------------------------------------------------------------------------------------------------------- */

static void write_item(struct walk *walk, struct http_thread *thread, const struct txn *txn, uint64_t item, const char *request_id,
                       struct buf *out)
{
    const struct server *server = thread->http->server;
    if (walk->form == WALK_ARRAY)
        buf_char(out, walk->open ? ',' : '[');
    walk->open = true;
    if (txn->outcome == OUTCOME_SCORED || txn->outcome == OUTCOME_REPEATED) {
        record_write(out, txn, pool_rows(server->pool), &server->record);
    } else {
        bool rejected = txn->outcome == OUTCOME_REJECTED, object = walk->form == WALK_OBJECT;
        const struct problem problem = {.status = rejected ? 400 : 500, .detail = "the engine failed; the log says why",
                                        .fault = rejected ? &txn->fault : NULL};
        problem_write(out, &problem, server->bundle->schema, object ? -1 : (int64_t)item, object ? request_id : NULL);
        if (object)
            walk->status = problem.status;
    }
    if (walk->form != WALK_ARRAY)
        buf_char(out, '\n');
}

/* Slots for the next group: as many as there can be items in what is left, and not many more, since most bodies are small. */
static uint32_t slots_wanted(const struct walk *walk)
{
    size_t left = (walk->len - walk->at) / 64 + 1;
    return walk->form == WALK_OBJECT ? 1 : left < HTTP_GROUP ? (uint32_t)left : HTTP_GROUP;
}

bool walk_group(struct walk *walk, struct http_thread *thread, const char *request_id, struct buf *out)
{
    struct pool *pool = thread->http->server->pool;
    uint32_t got = pool_take(pool, SOURCE_HTTP, thread->slots, slots_wanted(walk)), n = 0;
    if (got == 0)
        return false;
    uint64_t first = walk->items;
    if (first > 0)
        walk->received_ns = clock_monotonic_ns(); /* how long the client took to read the last group is not our time */
    while (n < got && !walk->ended) {
        struct txn *txn = thread->slots[n];
        txn->outcome = OUTCOME_SCORED;
        bool more = next_item(walk, thread, txn);
        walk->ended = !more || walk->form == WALK_OBJECT;
        if (!more)
            break;
        if (txn->outcome != OUTCOME_REJECTED)
            admit(thread, txn, walk->trial, walk->received_ns);
        n++;
        walk->items++;
    }
    settle(thread);
    for (uint32_t i = 0; i < n; i++)
        write_item(walk, thread, thread->slots[i], first + i, request_id, out);
    if (walk->ended && walk->form == WALK_ARRAY)
        buf_string(out, walk->open ? "]\n" : "[]\n");
    int64_t now = clock_monotonic_ns();
    for (uint32_t i = 0; i < n; i++)
        pipeline_finish(thread->worker, thread->slots[i], now);
    pool_give(pool, thread->slots, got);
    return true;
}
