/*
 * From the bytes of a body to the bytes of its answer, a group of transactions at a time.
 *
 * A group takes its slots, decodes into them, looks each up in the table of answers, asks whether what is new can be answered in
 * time, scores it, writes the records in the order of the body, and gives the slots back. Where the batcher scores, the connection
 * is suspended meanwhile, and the walk goes on from there. A body larger than a group continues with the next one when its answer is
 * wanted, so it never holds more than a group's slots, however long it is.
 *
 * What is wrong with one transaction is said in its place, and the others are scored.
 */
#include <stdlib.h>
#include <time.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/http/http.h"

/* --- scoring ----------------------------------------------------------------------------------------------------------- */

/* The row that goes with an answer, where records show features. */
static void *row_of(const struct http *http, const struct txn *txn)
{
    return http->server->record.features ? pool_row(http->server->pool, txn->number) : NULL;
}

/* Tells the table of answers what became of the claimed ones. */
static void complete(struct http_thread *thread, struct http_group *group)
{
    struct answers *answers = thread->http->answers;
    for (uint32_t i = 0; i < group->claimed_count; i++) {
        const struct txn *txn = group->claimed[i];
        const struct answer answer = {.verdict = txn->verdict, .reasons = txn->reasons, .state = txn->state};
        if (!answers || txn->trial)
            continue;
        if (txn->outcome == OUTCOME_SCORED)
            answers_complete(answers, group->keys[i], &answer, row_of(thread->http, txn));
        else
            answers_abandon(answers, group->keys[i]);
    }
    group->claimed_count = 0;
}

/* Another thread is scoring the same transaction, which takes microseconds. Called without claims of one's own, so two
 * threads cannot wait for each other, and without a connection that could be suspended instead. */
static void wait_briefly(void)
{
    const struct timespec t = {.tv_nsec = 20000};
    (void)nanosleep(&t, NULL);
}

static void refuse(struct txn *txn, enum refusal refusal)
{
    txn->outcome = OUTCOME_REFUSED;
    txn->refusal = (uint8_t)refusal;
}

/* With the rivals' policy nothing is ever late. */
static bool has_deadline(const struct http *http)
{
    return http->server->settings && http->server->settings->batch_policy != BATCHER_WINDOW;
}

/* Puts a transaction among those that are scored now, unless it would be answered too late. */
static void admit(struct http_thread *thread, struct http_group *group, struct txn *txn, const struct hash128 *key)
{
    enum refusal refusal = pipeline_admit(thread->worker, txn, group->claimed_count);
    if (refusal != REFUSAL_NONE) {
        refuse(txn, refusal);
        if (key)
            answers_abandon(thread->http->answers, *key);
        return;
    }
    txn->outcome = OUTCOME_SCORED; /* until the engine says otherwise */
    if (key)
        group->keys[group->claimed_count] = *key;
    group->claimed[group->claimed_count++] = txn;
}

/* A decoded transaction is answered from the table, put among those that are scored, or left open for a moment, as the same one is
 * being scored. */
static void claim(struct http_thread *thread, struct http_group *group, uint32_t i, int64_t now_ns)
{
    struct answers *answers = thread->http->answers;
    struct txn *txn = group->slots[i];
    struct answer known;
    group->open[i] = false;
    if (!answers || txn->trial) {
        admit(thread, group, txn, NULL);
        return;
    }
    struct hash128 key = answers_key(answers, txn->input.values[schema_id(txn->bundle->schema)].text);
    switch (answers_claim(answers, key, now_ns, &known, row_of(thread->http, txn))) {
    case ANSWERS_NEW:
        admit(thread, group, txn, &key);
        break;
    case ANSWERS_KNOWN:
        txn->verdict = known.verdict;
        txn->reasons = known.reasons;
        txn->state = known.state;
        txn->outcome = OUTCOME_REPEATED;
        break;
    case ANSWERS_PENDING:
        if (has_deadline(thread->http) && clock_monotonic_ns() > txn->deadline_ns) {
            refuse(txn, REFUSAL_LATE);
            break;
        }
        group->open[i] = true;
        group->open_count++;
        break;
    }
}

static void claim_open(struct http_thread *thread, struct http_group *group, int64_t now_ns)
{
    group->open_count = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->open[i])
            claim(thread, group, i, now_ns);
    }
}

/* Takes what the batcher had, if it had any. */
static void take_back(struct http_thread *thread, struct http_group *group)
{
    if (group->submitted && group->claimed_count > 0) {
        pipeline_take(thread->worker, group->claimed, group->claimed_count);
        complete(thread, group);
    }
    group->submitted = false;
}

/* The server ends and waits for nobody any more. */
static void give_up(struct http_thread *thread, struct http_group *group)
{
    for (uint32_t i = 0; i < group->claimed_count; i++)
        refuse(group->claimed[i], REFUSAL_STOPPING);
    complete(thread, group);
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->open[i])
            refuse(group->slots[i], REFUSAL_STOPPING);
    }
    group->open_count = 0;
}

/* Leaves the claimed ones to the batcher, or what is open to time, and its thread to others. false: the server ends. */
static bool step_aside(struct http_thread *thread, struct http_group *group)
{
    if (group->claimed_count == 0) {
        pipeline_pause(thread->worker);
        return connection_pause(group->connection);
    }
    if (!connection_suspend(group->connection))
        return false;
    group->submitted = true;
    pipeline_submit(thread->worker, &group->ticket, group->claimed, group->claimed_count);
    return true;
}

/* Has all of the group answered. false: the connection is suspended, and this is to be called again. */
static bool settle(struct http_thread *thread, struct http_group *group, int64_t now_ns)
{
    take_back(thread, group);
    for (;;) {
        claim_open(thread, group, now_ns);
        bool claimed = group->claimed_count > 0;
        if (!claimed && group->open_count == 0)
            return true;
        /* What another request scores is never waited for here where it can be helped: its connection may be this thread's own. */
        if (group->connection && (!claimed || pipeline_batches(thread->worker))) {
            if (step_aside(thread, group))
                return false;
            give_up(thread, group);
            return true;
        }
        if (!claimed) {
            wait_briefly();
            continue;
        }
        pipeline_score(thread->worker, group->claimed, group->claimed_count, NULL, NULL);
        complete(thread, group);
        if (group->open_count == 0)
            return true; /* else perhaps it was the same id twice in one body */
    }
}

/* --- the answer -------------------------------------------------------------------------------------------------------- */

static struct problem problem_of(const struct txn *txn)
{
    if (txn->outcome == OUTCOME_REJECTED)
        return (struct problem){.status = 400, .fault = &txn->fault};
    if (txn->outcome != OUTCOME_REFUSED)
        return (struct problem){.status = 500, .detail = "the engine failed; the log says why"};
    if (txn->refusal == REFUSAL_ENGINE)
        return (struct problem){.status = 503, .detail = "no engine works just now; try again"};
    if (txn->refusal == REFUSAL_STOPPING)
        return (struct problem){.status = 503, .detail = "the server is ending"};
    return (struct problem){.status = 429, .detail = "it can't be answered in time; try again (http.slo_ms, X-Deadline-Ms)"};
}

/* The decision that stands in for a score that would come too late, or not at all; false: none is wanted. A server that ends
 * gives none: another one can score. */
static bool fall_back(const struct http_thread *thread, struct txn *txn)
{
    const struct settings *settings = thread->http->server->settings;
    if (txn->outcome != OUTCOME_REFUSED || txn->refusal == REFUSAL_STOPPING || !settings || settings->http_on_late == 0)
        return false;
    pipeline_fall_back(thread->worker, txn, (enum decision)(settings->http_on_late - 1));
    return true;
}

static void write_item(struct walk *walk, struct http_thread *thread, struct txn *txn, uint64_t item, const char *request_id,
                       struct buf *out)
{
    const struct server *server = thread->http->server;
    if (walk->form == WALK_ARRAY)
        buf_char(out, walk->open ? ',' : '[');
    walk->open = true;
    if (txn->outcome == OUTCOME_SCORED || txn->outcome == OUTCOME_REPEATED) {
        record_write(out, txn, pool_rows(server->pool), &server->record);
    } else if (fall_back(thread, txn)) {
        record_write_fallback(out, txn);
    } else {
        bool object = walk->form == WALK_OBJECT;
        const struct problem problem = problem_of(txn);
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

/* --- groups ------------------------------------------------------------------------------------------------------------ */

static struct http_group *take_group(struct http_thread *thread)
{
    struct http_group *group = thread->free_groups;
    if (!group)
        return calloc(1, sizeof *group); /* as many as were ever under way at a time, at most one a slot */
    thread->free_groups = group->next;
    return group;
}

static void keep_group(struct http_thread *thread, struct http_group *group)
{
    group->next = thread->free_groups;
    thread->free_groups = group;
}

void walk_groups_free(struct http_thread *thread)
{
    while (thread->free_groups) {
        struct http_group *group = thread->free_groups;
        thread->free_groups = group->next;
        free(group);
    }
}

/* Takes slots and decodes into them; false: none is free. */
static bool begin_group(struct walk *walk, struct http_thread *thread, struct connection *connection)
{
    struct http_group *group = take_group(thread);
    if (!group)
        return false;
    group->got = pool_take(thread->http->server->pool, SOURCE_HTTP, group->slots, slots_wanted(walk));
    if (group->got == 0) {
        keep_group(thread, group);
        return false;
    }
    group->ticket = (struct ticket){.done = connection_resume, .gone = connection_gone};
    group->connection = connection;
    group->first = walk->items;
    group->count = group->claimed_count = group->open_count = 0;
    group->submitted = false;
    if (walk->streamed)
        walk->received_ns = clock_monotonic_ns(); /* how long the client took to read the last group is not our time */
    while (group->count < group->got && !walk->ended) {
        struct txn *txn = group->slots[group->count];
        txn->outcome = OUTCOME_SCORED;
        bool more = walk_next(walk, thread, txn);
        walk->ended = !more || walk->form == WALK_OBJECT;
        if (!more)
            break;
        txn->trial = walk->trial;
        txn->deadline_ns = walk->received_ns + walk->given_ns;
        group->open[group->count++] = txn->outcome != OUTCOME_REJECTED;
        walk->items++;
    }
    walk->group = group;
    return true;
}

/* Counts what became of the group and gives its slots back. */
static void finish_group(struct walk *walk, struct http_thread *thread)
{
    struct http_group *group = walk->group;
    int64_t now = clock_monotonic_ns(), scored_ns = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct txn *txn = group->slots[i];
        scored_ns = txn->scored_ns > scored_ns ? txn->scored_ns : scored_ns;
        if (txn->outcome == OUTCOME_REFUSED && txn->refusal == REFUSAL_STOPPING)
            (void)atomic_fetch_add_explicit(&thread->http->given_up, 1, memory_order_relaxed);
        pipeline_finish(thread->worker, txn, now);
    }
    if (scored_ns > 0) /* also of those that were late only because of this */
        dispatcher_replied(thread->http->server->dispatcher, now - scored_ns);
    pool_give(thread->http->server->pool, group->slots, group->got);
    keep_group(thread, group);
    walk->group = NULL;
}

static void end_group(struct walk *walk, struct http_thread *thread, const char *request_id, struct buf *out)
{
    struct http_group *group = walk->group;
    for (uint32_t i = 0; i < group->count; i++)
        write_item(walk, thread, group->slots[i], group->first + i, request_id, out);
    if (walk->ended && walk->form == WALK_ARRAY)
        buf_string(out, walk->open ? "]\n" : "[]\n");
    finish_group(walk, thread);
}

void walk_cut(struct walk *walk, struct http_thread *thread)
{
    struct http_group *group = walk->group;
    if (!group)
        return;
    take_back(thread, group);
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->open[i])
            refuse(group->slots[i], REFUSAL_GONE);
    }
    finish_group(walk, thread);
}

enum walk_step walk_group(struct walk *walk, struct http_thread *thread, struct connection *connection, const char *request_id,
                          struct buf *out)
{
    if (!walk->group && !begin_group(walk, thread, connection))
        return WALK_NO_SLOT;
    if (!settle(thread, walk->group, walk->received_ns))
        return WALK_WAITS;
    end_group(walk, thread, request_id, out);
    return WALK_WROTE;
}
