#include "server/gen/kafka_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

struct kafka_writer {
    rd_kafka_t *producer;
    rd_kafka_topic_t *topic;
    struct kafka_writer_counts counts;
    uint64_t unpolled; /* lines since acknowledgements were last served */
};

/* Runs in kafka_writer_poll and _flush, in the caller's thread. */
static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    struct kafka_writer *writer = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        writer->counts.acknowledged++;
        return;
    }
    writer->counts.failed++;
    (void)snprintf(writer->counts.reason, sizeof writer->counts.reason, "%s", rd_kafka_err2str(message->err));
}

/* From librdkafka's threads: what it would print itself, in our form. */
static void on_log(const rd_kafka_t *producer, int level, const char *facility, const char *line)
{
    (void)producer, (void)level, (void)facility;
    (void)fprintf(stderr, "assay: kafka: %s\n", line);
}

static enum status set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
    char why[256] = "";
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "kafka: %s: %s", name, why);
}

static enum status set_property(rd_kafka_conf_t *conf, const char *property, struct error *err)
{
    char name[256];
    const char *equals = strchr(property, '=');
    if (!equals || equals == property || (size_t)(equals - property) >= sizeof name)
        return error_set(err, STATUS_INVALID, "kafka: '%s': name=value is needed", property);
    (void)snprintf(name, sizeof name, "%.*s", (int)(equals - property), property);
    return set(conf, name, equals + 1, err);
}

static enum status configure(rd_kafka_conf_t *conf, const char *brokers, const char *const *properties, size_t n, struct error *err)
{
    /* murmur2_random puts a key where the Java clients put it. */
    static const char *const basics[][2] = {
        {"client.id", "assay-gen"},      {"enable.idempotence", "true"}, {"acks", "all"},
        {"partitioner", "murmur2_random"}, {"linger.ms", "5"},             {"compression.type", "lz4"},
        {"socket.nagle.disable", "true"},  {"log.thread.name", "false"},
    };
    enum status status = set(conf, "bootstrap.servers", brokers, err);
    for (size_t i = 0; i < sizeof basics / sizeof basics[0] && status == STATUS_OK; i++)
        status = set(conf, basics[i][0], basics[i][1], err);
    for (size_t i = 0; i < n && status == STATUS_OK; i++)
        status = set_property(conf, properties[i], err);
    return status;
}

enum status kafka_writer_create(const char *brokers, const char *topic, const char *const *properties, size_t n,
                                struct kafka_writer **out, struct error *err)
{
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct kafka_writer *writer = calloc(1, sizeof *writer);
    enum status status = writer ? configure(conf, brokers, properties, n, err) : error_set(err, STATUS_NO_MEMORY, "kafka: out of memory");
    if (status != STATUS_OK) {
        rd_kafka_conf_destroy(conf);
        free(writer);
        return status;
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_opaque(conf, writer);
    writer->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!writer->producer) {
        rd_kafka_conf_destroy(conf); /* rd_kafka_new takes it only when it succeeds */
        free(writer);
        return error_set(err, STATUS_INVALID, "kafka: %s", why);
    }
    writer->topic = rd_kafka_topic_new(writer->producer, topic, NULL);
    if (!writer->topic) {
        status = error_set(err, STATUS_INVALID, "kafka: topic %s: %s", topic, rd_kafka_err2str(rd_kafka_last_error()));
        kafka_writer_free(writer);
        return status;
    }
    *out = writer;
    return STATUS_OK;
}

enum status kafka_writer_send(struct kafka_writer *writer, const char *key, size_t key_len, const char *value, size_t value_len,
                              const volatile sig_atomic_t *stop, struct error *err)
{
    enum { POLL_EVERY = 256, WAIT_MS = 20 };
    if (++writer->unpolled >= POLL_EVERY)
        kafka_writer_poll(writer);
    /* produce() copies the value (MSG_F_COPY) and the key, and writes to neither. */
    while (rd_kafka_produce(writer->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value, value_len, key,
                            key_len, NULL) != 0) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return error_set(err, STATUS_IO, "kafka: %s", rd_kafka_err2str(code));
        if (*stop)
            return STATUS_CLOSED;
        (void)rd_kafka_poll(writer->producer, WAIT_MS);
    }
    writer->counts.sent++;
    return STATUS_OK;
}

void kafka_writer_poll(struct kafka_writer *writer)
{
    writer->unpolled = 0;
    (void)rd_kafka_poll(writer->producer, 0);
}

enum status kafka_writer_flush(struct kafka_writer *writer, int timeout_ms, const volatile sig_atomic_t *stop, struct error *err)
{
    enum { SLICE_MS = 100 };
    sig_atomic_t before = *stop;
    for (int waited_ms = 0; waited_ms < timeout_ms && *stop == before; waited_ms += SLICE_MS) {
        if (rd_kafka_flush(writer->producer, SLICE_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
            return STATUS_OK;
    }
    return error_set(err, STATUS_TIMEOUT, "kafka: %d lines were not acknowledged; is the broker there?", rd_kafka_outq_len(writer->producer));
}

void kafka_writer_counts(const struct kafka_writer *writer, struct kafka_writer_counts *out)
{
    *out = writer->counts;
}

void kafka_writer_free(struct kafka_writer *writer)
{
    if (!writer)
        return;
    (void)rd_kafka_purge(writer->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (writer->topic)
        rd_kafka_topic_destroy(writer->topic);
    rd_kafka_destroy(writer->producer);
    free(writer);
}
