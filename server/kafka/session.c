/*
 * One life of the clients. Opening waits for the brokers and for the topics that results go to, so that nothing is read that
 * could not be delivered; closing commits what is finished and gives the rest back to whoever reads next.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model/base/clock.h"
#include "server/kafka/properties.h"
#include "server/kafka/stream.h"
#include "server/log.h"

enum { CHECK_TIMEOUT_MS = 1000, PROBE_TIMEOUT_MS = 500, RETRY_MS = 200, LEAVE_POLL_MS = 20 };
static const int64_t SECOND_NS = 1000000000;
/* For the last commit and for leaving the group, with brokers that answer and with brokers that are away. */
static const int64_t LAST_WORDS_NS = 5 * (int64_t)1000000000, AWAY_NS = 500 * (int64_t)1000000;
static const int64_t DESTROY_NS = 2 * (int64_t)1000000000; /* takes milliseconds where it works */

void session_error(void *stream, int code, const char *text)
{
    struct stream *s = stream;
    metrics_add(s->metrics, METRIC_KAFKA_ERRORS, KAFKA_ERROR_CLIENT, 1);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        s->down = true; /* session_probe tells an idle connection that was closed from an outage */
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        (void)snprintf(s->last_error, sizeof s->last_error, "%s", text);
}

static void on_error(rd_kafka_t *consumer, int code, const char *text, void *stream)
{
    (void)consumer;
    struct stream *s = stream;
    if (code != RD_KAFKA_RESP_ERR__FATAL) {
        session_error(s, code, text);
        return;
    }
    session_fatal(s);
}

void session_fatal(struct stream *s)
{
    char why[256] = "";
    rd_kafka_resp_err_t cause = rd_kafka_fatal_error(s->consumer, why, sizeof why);
    s->fenced = cause == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
    metrics_add(s->metrics, METRIC_KAFKA_ERRORS, KAFKA_ERROR_CLIENT, 1);
    stream_fail(s, "%s", why);
}

/* Waits until the brokers answer and have the topics for what goes out. */
static enum status await_topics(struct stream *s, struct error *err)
{
    while (!stream_stopping(s)) {
        sink_poll(&s->sink, 0); /* error callbacks, which say why nothing answers */
        enum status status = sink_check(&s->sink, CHECK_TIMEOUT_MS, err);
        if (status == STATUS_OK) {
            s->down = false;
            return STATUS_OK;
        }
        sink_poll(&s->sink, 0);
        bool silent = status == STATUS_UNAVAILABLE && s->last_error[0];
        watch_problem(s, "%s%s%s", silent ? "no broker answers: " : err->message, silent ? s->last_error : "", "");
        const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    return STATUS_CLOSED;
}

/* Transactions that are replayed want the labels that were there before them. */
static enum status await_labels(struct stream *s)
{
    /* acquire: what labels_topic.c told the state is there */
    while (!stream_stopping(s) && atomic_load_explicit(s->with.server->labels_behind, memory_order_acquire)) {
        watch_problem(s, "waiting for the labels of topic %s", s->settings->labels_topic);
        const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    return stream_stopping(s) ? STATUS_CLOSED : STATUS_OK;
}

static enum status open_consumer(struct stream *s, struct error *err)
{
    rd_kafka_conf_t *conf = NULL;
    enum status status = properties_conf(s->settings, CLIENT_CONSUMER, s->with.number, s->with.count, &conf, err);
    if (status != STATUS_OK)
        return status;
    s->cooperative = properties_cooperative(conf);
    s->max_poll_ns = properties_number(conf, "max.poll.interval.ms") * 1000000;
    rd_kafka_conf_set_opaque(conf, s);
    rd_kafka_conf_set_rebalance_cb(conf, rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, commit_answer);
    rd_kafka_conf_set_error_cb(conf, on_error);
    char why[128];
    if (s->lanes) /* a partition at its end holds up no other: it has to be told */
        (void)rd_kafka_conf_set(conf, "enable.partition.eof", "true", why, sizeof why);
    status = client_create(RD_KAFKA_CONSUMER, conf, &s->consumer, err);
    if (status != STATUS_OK)
        return status;
    (void)rd_kafka_poll_set_consumer(s->consumer);
    if (s->lanes)
        lanes_open(s->lanes, s->consumer, s->settings->stream_input);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(topics, s->settings->stream_input, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(s->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(err, STATUS_INVALID, "stream.input: topic %s: %s", s->settings->stream_input, rd_kafka_err2str(code));
    return STATUS_OK;
}

enum status session_open(struct stream *s, struct error *err)
{
    s->failed = s->fenced = s->closing = s->down = s->joined = s->commit_pending = false;
    s->why[0] = s->last_error[0] = '\0';
    uint32_t share = (uint32_t)s->settings->stream_slots / s->with.count;
    enum status status = tracker_create(share > s->chunk ? share : s->chunk, &s->tracker, err);
    if (status != STATUS_OK)
        return status;
    s->sink = (struct sink){.bundle = s->with.server->bundle, .tracker = s->tracker, .metrics = s->metrics, .on_error = session_error,
                            .owner = s};
    status = sink_open(&s->sink, s->settings, err);
    if (status == STATUS_OK)
        status = await_topics(s, err);
    if (status == STATUS_OK)
        status = await_labels(s);
    if (status == STATUS_OK)
        status = open_consumer(s, err);
    if (status == STATUS_OK)
        watch_joining(s);
    s->polled_ns = s->housekept_ns = clock_monotonic_ns();
    return status;
}

/* When the closing of a session is to be over. */
static int64_t closing_deadline_ns(const struct stream *s)
{
    int64_t now_ns = clock_monotonic_ns();
    if (!stream_stopping(s))
        return now_ns + (s->down ? AWAY_NS : LAST_WORDS_NS);
    return s->deadline_ns > now_ns + AWAY_NS ? s->deadline_ns : now_ns + AWAY_NS;
}

/* Serves what comes while the consumer closes. Records that were fetched come too, and are dropped; rd_kafka_queue_poll_callback
 * would abort over them. */
static void serve_closing(struct stream *s, rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, LEAVE_POLL_MS);
    if (!event)
        return;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
        rebalance(s->consumer, rd_kafka_event_error(event), rd_kafka_event_topic_partition_list(event), s);
    rd_kafka_event_destroy(event);
}

/* Leaves the group, if it can be told in time; rd_kafka_consumer_close would wait a session timeout for brokers that are away. */
static void leave(struct stream *s)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(s->consumer);
    int64_t end_ns = closing_deadline_ns(s);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(s->consumer, queue);
    while (!error && !rd_kafka_consumer_closed(s->consumer) && clock_monotonic_ns() < end_ns)
        serve_closing(s, queue);
    if (error)
        rd_kafka_error_destroy(error); /* it had a fatal error, and can only be destroyed */
    rd_kafka_queue_destroy(queue);
    if (!client_destroy(s->consumer, clock_monotonic_ns() + DESTROY_NS))
        log_warn("kafka.abandoned", LOG_INT("consumer", s->with.number), LOG_TEXT("why", "the consumer could not be closed in time"));
    s->consumer = NULL;
}

static void close_consumer(struct stream *s)
{
    if (!s->failed)
        (void)sink_flush(&s->sink, closing_deadline_ns(s)); /* an orderly end */
    else
        sink_poll(&s->sink, 0);
    if (!s->fenced && !s->down)
        commit_wait(s, NULL, closing_deadline_ns(s));
    watch_update(s, NULL);
    for (uint32_t i = 0; i < s->gathered_count; i++)
        rd_kafka_message_destroy(s->gathered[i]); /* closing waits for every message to be given back */
    s->gathered_count = 0;
    if (s->lanes)
        lanes_close(s->lanes);
    leave(s);
}

void session_close(struct stream *s)
{
    s->closing = true;
    if (s->consumer)
        close_consumer(s);
    bool unfinished = s->tracker && tracker_in_flight(s->tracker) > 0;
    /* Else the session failed or its partitions went: they are read again by the next one, or by their new owner. */
    s->cut = unfinished && stream_stopping(s) && clock_monotonic_ns() >= s->deadline_ns;
    if (unfinished)
        log_warn("kafka.unfinished", LOG_INT("consumer", s->with.number), LOG_INT("records", tracker_in_flight(s->tracker)),
                 LOG_TEXT("why", "not acknowledged in time; they are read and scored again"));
    sink_close(&s->sink, clock_monotonic_ns() + DESTROY_NS);
    tracker_free(s->tracker);
    s->tracker = NULL;
    metrics_move(s->metrics, METRIC_KAFKA_UNFINISHED, 0, -s->unfinished);
    s->unfinished = 0;
}

void session_probe(struct stream *s, int64_t now_ns)
{
    if (!s->down || now_ns - s->probed_ns < SECOND_NS)
        return;
    struct error err;
    enum status status = sink_check(&s->sink, PROBE_TIMEOUT_MS, &err);
    s->probed_ns = clock_monotonic_ns();
    if (status != STATUS_OK) {
        watch_problem(s, "no broker answers: %s", s->last_error[0] ? s->last_error : err.message);
        return;
    }
    s->down = false;
    if (s->joined)
        watch_ready(s);
}
