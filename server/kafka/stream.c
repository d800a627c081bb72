#include "server/kafka/stream.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "model/state/state.h"
#include "server/log.h"

enum {
    NICENESS = 5, /* beside HTTP threads: a caller waits there, here only the lag grows */
    IDLE_WAIT_MS = 100,
    BLOCKED_WAIT_MS = 10,
    FENCES_MAX = 3,
};
static const int64_t SECOND_NS = 1000000000;
static const int64_t HOUSEKEEPING_NS = 100 * (int64_t)1000000;
static const int64_t BLOCKED_NS = 5 * (int64_t)1000000000; /* so long without room is an outage and no burst */
static const int64_t STEADY_NS = 60 * (int64_t)1000000000; /* a session that lasted so long was a good one */

void stream_fail(struct stream *stream, const char *format, ...)
{
    if (stream->failed)
        return;
    stream->failed = true;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(stream->why, sizeof stream->why, format, arguments);
    va_end(arguments);
}

/* An error where a record was expected. */
static void take_error(struct stream *s, const rd_kafka_message_t *message)
{
    const char *text = rd_kafka_message_errstr(message);
    metrics_add(s->metrics, METRIC_KAFKA_ERRORS, KAFKA_ERROR_FETCH, 1);
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__FATAL: /* comes again and again, and nothing else does */
        session_fatal(s);
        break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        s->barred = true;
        watch_problem(s, "topic %s: %s", s->settings->stream_input, text);
        break;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: /* kafka.auto.offset.reset says error, and the partition stands still */
        stream_fail(s, "topic %s, partition %d: the committed offset is not there any more and kafka.auto.offset.reset is error: %s",
                    s->settings->stream_input, message->partition, text);
        break;
    default:
        log_warn("kafka.fetch_error", LOG_INT("consumer", s->with.number), LOG_TEXT("why", text));
    }
}

/* Nothing may be read since nothing is acknowledged: wait for the broker, but not so long that the group gives us up. */
static void wait_for_room(struct stream *s)
{
    sink_poll(&s->sink, BLOCKED_WAIT_MS);
    int64_t blocked_ns = clock_monotonic_ns() - s->polled_ns;
    if (tracker_room(s->tracker) > 0 || blocked_ns < BLOCKED_NS)
        return;
    s->barred = true;
    watch_problem(s, "topic %s takes no results: %u wait for their acknowledgement", s->settings->stream_output,
                  tracker_in_flight(s->tracker));
    if (blocked_ns > s->max_poll_ns / 5 * 4)
        stream_fail(s, "no result was acknowledged for %d s", (int)(blocked_ns / SECOND_NS));
}

/* The same by lanes: the common queue has only news of the group. */
static void gather_lanes(struct stream *s, uint32_t most, int wait_ms)
{
    rd_kafka_message_t *news = rd_kafka_consumer_poll(s->consumer, 0);
    s->polled_ns = clock_monotonic_ns();
    if (news) {
        take_error(s, news);
        rd_kafka_message_destroy(news);
    }
    uint32_t n = s->failed ? 0 : lanes_gather(s->lanes, s->gathered, most);
    for (uint32_t i = 0; i < n; i++) {
        if (s->gathered[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            s->gathered[s->gathered_count++] = s->gathered[i];
        } else {
            take_error(s, s->gathered[i]);
            rd_kafka_message_destroy(s->gathered[i]);
        }
    }
    if (n == 0 && !news)
        lanes_wait(s->lanes, wait_ms);
}

/* Fills the chunk with what is there, waiting only for the first record. */
static void gather(struct stream *s)
{
    uint32_t room = tracker_room(s->tracker);
    if (room == 0) {
        wait_for_room(s);
        return;
    }
    uint32_t most = room < s->chunk ? room : s->chunk;
    /* With results in flight their reports want to be served soon. */
    int wait_ms = tracker_in_flight(s->tracker) > 0 ? 1 : IDLE_WAIT_MS;
    if (s->lanes) {
        gather_lanes(s, most, wait_ms);
        return;
    }
    rd_kafka_message_t *message = rd_kafka_consumer_poll(s->consumer, wait_ms);
    s->polled_ns = clock_monotonic_ns();
    while (message) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            s->gathered[s->gathered_count++] = message;
        } else {
            take_error(s, message);
            rd_kafka_message_destroy(message);
        }
        if (s->gathered_count == most || s->failed)
            break;
        message = rd_kafka_consumer_poll(s->consumer, 0);
    }
}

static void bury(struct stream *s, const struct txn *txn)
{
    uint32_t reason = DEAD_LETTER_ENGINE;
    buf_clear(&s->text);
    if (txn->outcome == OUTCOME_REJECTED) {
        reason = (uint32_t)txn->fault.reason;
        decode_fault_describe(s->with.server->bundle->schema, &txn->fault, &s->text);
    } else {
        buf_string(&s->text, "the model could not be computed");
    }
    sink_dead_letter(&s->sink, (uint32_t)txn->origin_item, txn->origin, reason, buf_text(&s->text));
}

/* The chunk's answers, in the order in which its records were read. */
static void deliver(void *owner, struct txn *const *txns, uint32_t n)
{
    struct stream *s = owner;
    const struct server *server = s->with.server;
    if (clock_monotonic_ns() - s->polled_ns > s->max_poll_ns / 5 * 4) {
        stream_fail(s, "no engine gave scores for so long that the group may have another reader by now");
        return;
    }
    for (uint32_t i = 0; i < n && !s->sink.failed && !s->late; i++) {
        s->late = txns[i]->outcome == OUTCOME_REFUSED; /* drain_s is over; what comes after it would be out of order */
        if (s->late)
            break;
        if (txns[i]->outcome != OUTCOME_SCORED) {
            bury(s, txns[i]);
            continue;
        }
        buf_clear(&s->record);
        record_write(&s->record, txns[i], pool_rows(server->pool), &server->record);
        if (s->record.failed)
            stream_fail(s, "%s", status_text(STATUS_NO_MEMORY));
        else
            sink_result(&s->sink, (uint32_t)txns[i]->origin_item, txns[i]->origin, s->record.data, s->record.len);
    }
}

/* Tracks and decodes the chunk; bad records go their way, the good ones are moved to the front of txns. */
static uint32_t decode_chunk(struct stream *s, struct txn **rejected, uint32_t *rejected_count)
{
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < s->gathered_count && !s->failed; i++) {
        rd_kafka_message_t *message = s->gathered[i];
        struct txn *txn = s->txns[i];
        uint32_t entry = 0;
        if (tracker_add(s->tracker, message->partition, message->offset, &entry) != STATUS_OK) {
            stream_fail(s, "%s", status_text(STATUS_NO_MEMORY));
            break;
        }
        txn->origin = message;
        txn->origin_item = entry;
        const char *json = message->payload ? message->payload : "";
        if (pipeline_decode_whole(s->worker, txn, json, message->len, s->polled_ns) == STATUS_OK) {
            txn->state_source = message->partition < STATE_SOURCES_MAX ? message->partition : -1;
            txn->state_offset = message->offset;
            s->accepted[accepted++] = txn;
        } else {
            rejected[(*rejected_count)++] = txn;
            bury(s, txn);
        }
        metrics_add(s->metrics, METRIC_BYTES, SOURCE_KAFKA * 2, message->len);
    }
    return accepted;
}

/* Too many bad records in a row are no bad data but a bad deployment: reading on would only bury the topic. In the order in
 * which the chunk was read, since its bad records were dealt with before its good ones. */
static void count_run(struct stream *s, uint32_t n)
{
    uint64_t limit = (uint64_t)s->settings->stream_bad_run;
    for (uint32_t i = 0; i < n && !s->stopped && !s->late; i++) {
        s->bad_run = s->txns[i]->outcome == OUTCOME_SCORED ? 0 : s->bad_run + 1;
        s->stopped = limit > 0 && s->bad_run >= limit;
    }
    if (!s->stopped)
        return;
    metrics_move(s->metrics, METRIC_KAFKA_STOPPED, 0, 1);
    log_error("kafka.stopped", LOG_INT("consumer", s->with.number), LOG_INT("records", s->bad_run),
              LOG_TEXT("why", "records in a row that can't be scored; see the dead-letter topic, correct the cause, restart"));
}

static void process(struct stream *s)
{
    struct pool *pool = s->with.server->pool;
    uint32_t n = s->gathered_count, rejected = 0;
    CHECK(pool_take(pool, SOURCE_KAFKA, s->txns, n) == n); /* stream_create made sure of the quota */
    uint32_t accepted = decode_chunk(s, s->rejected, &rejected);
    if (accepted > 0 && !s->failed)
        pipeline_score(s->worker, s->accepted, accepted, deliver, s);
    if (!s->failed)
        count_run(s, n);
    int64_t now_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < accepted; i++)
        pipeline_finish(s->worker, s->accepted[i], now_ns);
    for (uint32_t i = 0; i < rejected; i++)
        pipeline_finish(s->worker, s->rejected[i], now_ns);
    pool_give(pool, s->txns, n);
    for (uint32_t i = 0; i < n; i++)
        rd_kafka_message_destroy(s->gathered[i]);
    s->gathered_count = 0;
}

static void housekeep(struct stream *s, int64_t now_ns)
{
    s->housekept_ns = now_ns;
    int64_t unfinished = tracker_in_flight(s->tracker);
    metrics_move(s->metrics, METRIC_KAFKA_UNFINISHED, 0, unfinished - s->unfinished);
    s->unfinished = unfinished;
    watch_update(s, s->consumer);
    session_probe(s, now_ns);
}

static void turn(struct stream *s)
{
    gather(s);
    if (s->gathered_count > 0 && s->barred) {
        s->barred = false;
        watch_ready(s);
    }
    if (s->gathered_count > 0 && !s->failed)
        process(s);
    sink_poll(&s->sink, 0);
    if (s->sink.failed)
        stream_fail(s, "%s", s->sink.why);
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns - s->commit_sent_ns >= s->settings->stream_commit_ms * 1000000)
        commit_send(s, now_ns);
    if (now_ns - s->housekept_ns >= HOUSEKEEPING_NS)
        housekeep(s, now_ns);
}

/* Waits before the next session, unless asked to stop. Longer each time, since what failed twice may fail again. */
static void pause_for(struct stream *s, int64_t ns)
{
    const struct timespec step = {.tv_nsec = 50 * 1000000L};
    for (int64_t end_ns = clock_monotonic_ns() + ns; !stream_stopping(s) && clock_monotonic_ns() < end_ns;)
        (void)nanosleep(&step, NULL);
}

/* The session failed. Returns false where a new one makes no sense. */
static bool recover(struct stream *s, bool steady)
{
    const struct server *server = s->with.server;
    metrics_add(s->metrics, METRIC_KAFKA_RESTARTS, 0, 1);
    watch_problem(s, "%s", s->why);
    log_warn("kafka.restart", LOG_INT("consumer", s->with.number), LOG_TEXT("why", s->why));
    s->failures = steady ? 1 : s->failures + 1;
    s->fences = s->fenced ? (steady ? 1 : s->fences + 1) : 0;
    if (s->fences >= FENCES_MAX) {
        server->fail(server, "another member of the group has the same kafka.group.instance.id");
        return false;
    }
    int64_t ns = SECOND_NS / 4 << (s->failures < 6 ? s->failures : 6);
    pause_for(s, ns < 10 * SECOND_NS ? ns : 10 * SECOND_NS);
    return true;
}

static void *run(void *argument)
{
    struct stream *s = argument;
    const struct server *server = s->with.server;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    while (!stream_stopping(s)) {
        struct error err = {""};
        int64_t start_ns = clock_monotonic_ns();
        enum status status = session_open(s, &err);
        while (status == STATUS_OK && !stream_stopping(s) && !s->failed && !s->stopped)
            turn(s);
        bool steady = clock_monotonic_ns() - start_ns > STEADY_NS;
        session_close(s);
        if (status != STATUS_OK && status != STATUS_CLOSED) {
            server->fail(server, err.message);
            watch_problem(s, "%s", err.message);
            break;
        }
        if (s->stopped) {
            watch_problem(s, "stopped after %llu records in a row that could not be scored", (unsigned long long)s->bad_run);
            break;
        }
        if (s->failed && !recover(s, steady))
            break;
    }
    return NULL;
}

enum status stream_create(const struct stream_options *options, struct stream **out, struct error *err)
{
    struct stream *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a consumer thread");
    s->with = *options;
    s->settings = options->server->settings;
    s->chunk = (uint32_t)s->settings->stream_chunk;
    (void)pthread_mutex_init(&s->watch.lock, NULL);
    (void)snprintf(s->watch.problem, sizeof s->watch.problem, "starting");
    s->gathered = calloc(s->chunk, sizeof(void *));
    s->txns = calloc(s->chunk, sizeof(void *));
    s->accepted = calloc(s->chunk, sizeof(void *));
    s->rejected = calloc(s->chunk, sizeof(void *));
    enum status status = STATUS_OK;
    if (!s->gathered || !s->txns || !s->accepted || !s->rejected)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for a consumer thread");
    if (status == STATUS_OK)
        status = worker_create(options->server->pipeline, SOURCE_KAFKA, s->chunk, &s->worker, err);
    if (status == STATUS_OK && options->align)
        status = lanes_create(options->align, options->server->bundle->schema, s->settings->state_future_s * 1000000, &s->lanes, err);
    if (status != STATUS_OK) {
        stream_free(s);
        return status;
    }
    s->metrics = worker_metrics(s->worker);
    *out = s;
    return STATUS_OK;
}

enum status stream_start(struct stream *stream, struct error *err)
{
    int code = pthread_create(&stream->thread, NULL, run, stream);
    if (code != 0)
        return error_set(err, STATUS_LIMIT, "no thread for a consumer: %s", strerror(code));
    stream->started = true;
    return STATUS_OK;
}

void stream_stop(struct stream *stream, int64_t deadline_ns)
{
    stream->deadline_ns = deadline_ns;
    atomic_store_explicit(&stream->stopping, true, memory_order_release); /* release: deadline_ns is written before */
}

void stream_join(struct stream *stream)
{
    if (stream->started)
        (void)pthread_join(stream->thread, NULL);
    stream->started = false;
}

void stream_free(struct stream *stream)
{
    if (!stream)
        return;
    worker_free(stream->worker);
    lanes_free(stream->lanes);
    free(stream->gathered);
    free(stream->txns);
    free(stream->accepted);
    free(stream->rejected);
    free(stream->watch.views);
    buf_free(&stream->record);
    buf_free(&stream->text);
    (void)pthread_mutex_destroy(&stream->watch.lock);
    free(stream);
}
