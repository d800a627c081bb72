/*
 * The decision log's topic. Lines come from the log's own thread, so waiting here while the brokers are away only fills the
 * log's buffer, which then makes scoring wait: a decision that should be on record is not dropped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/clock.h"
#include "server/kafka/client.h"
#include "server/kafka/properties.h"
#include "server/kafka/source_kafka.h"

enum { QUEUE_FULL_WAIT_MS = 10, BUSY_MS = 1000, CLOSE_WAIT_MS = 10000 };

struct decision_topic {
    rd_kafka_t *producer;
    rd_kafka_topic_t *topic;
    const char *name;
    size_t taken;  /* of the lines that are offered again because the queue was full in their middle */
    char why[256]; /* of the last record that could not be delivered; empty: none */
};

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    struct decision_topic *t = opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)snprintf(t->why, sizeof t->why, "%s", rd_kafka_err2str(message->err));
}

/* STATUS_BUSY: the queue was full for BUSY_MS. The log then looks whether it may wait on. */
static enum status send_line(struct decision_topic *t, const char *line, size_t len, struct error *err)
{
    int64_t end_ns = clock_monotonic_ns() + BUSY_MS * INT64_C(1000000);
    while (rd_kafka_produce(t->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)line, len, NULL, 0, NULL) != 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return error_set(err, STATUS_IO, "decision_log.topic %s: %s", t->name, rd_kafka_err2str(code));
        if (clock_monotonic_ns() >= end_ns)
            return error_set(err, STATUS_BUSY, "decision_log.topic %s: the producer's queue is full", t->name);
        (void)rd_kafka_poll(t->producer, QUEUE_FULL_WAIT_MS);
    }
    return STATUS_OK;
}

static enum status write_lines(void *context, const char *lines, size_t len, struct error *err)
{
    struct decision_topic *t = context;
    enum status status = STATUS_OK;
    while (t->taken < len) {
        const char *at = lines + t->taken, *newline = memchr(at, '\n', len - t->taken);
        size_t line = newline ? (size_t)(newline - at) : len - t->taken;
        status = send_line(t, at, line, err);
        if (status != STATUS_OK)
            break;
        t->taken += newline ? line + 1 : line;
    }
    (void)rd_kafka_poll(t->producer, 0);
    if (status == STATUS_BUSY)
        return status;
    t->taken = 0;
    if (status == STATUS_OK && t->why[0])
        status = error_set(err, STATUS_IO, "decision_log.topic %s: %s", t->name, t->why);
    t->why[0] = '\0';
    return status;
}

static void drop_lines(void *context)
{
    struct decision_topic *t = context;
    t->taken = 0;
}

static void close_topic(void *context)
{
    struct decision_topic *t = context;
    if (t->producer)
        (void)rd_kafka_flush(t->producer, CLOSE_WAIT_MS);
    if (t->topic)
        rd_kafka_topic_destroy(t->topic);
    if (t->producer)
        rd_kafka_destroy(t->producer);
    free(t);
}

enum status kafka_decision_topic(const struct settings *settings, struct decision_writer *out, struct error *err)
{
    rd_kafka_conf_t *conf = NULL;
    struct decision_topic *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the decision log");
    t->name = settings->decision_log_topic;
    enum status status = properties_conf(settings, CLIENT_PRODUCER, 0, 1, &conf, err);
    if (status == STATUS_OK) {
        rd_kafka_conf_set_opaque(conf, t);
        rd_kafka_conf_set_dr_msg_cb(conf, on_report);
        status = client_create(RD_KAFKA_PRODUCER, conf, &t->producer, err);
    }
    if (status == STATUS_OK) {
        t->topic = rd_kafka_topic_new(t->producer, t->name, NULL);
        if (!t->topic)
            status = error_set(err, STATUS_INVALID, "decision_log.topic %s: %s", t->name, rd_kafka_err2str(rd_kafka_last_error()));
    }
    if (status != STATUS_OK) {
        close_topic(t);
        return status;
    }
    *out = (struct decision_writer){.write = write_lines, .drop = drop_lines, .close = close_topic, .context = t};
    return STATUS_OK;
}
