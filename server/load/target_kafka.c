/*
 * Transactions into a Kafka topic, results out of another, matched by the transaction's id. The consumer has no group: it
 * reads every partition of the output from where it ended when the run began.
 *
 * librdkafka's threads do the network; they write a byte into a pipe when a record comes, so that one thread here can wait
 * for results and for the next moment of sending at once.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/gen/kafka_writer.h"
#include "server/load/feed.h"
#include "server/load/field.h"
#include "server/load/pending.h"
#include "server/load/target.h"

enum { METADATA_MS = 10000, PROPERTIES_MAX = 72 };
static const int64_t EXPIRE_NS = 10000000;

struct kafka_target {
    struct target base;
    struct feed *feed;
    struct kafka_writer *writer;
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    int wake[2];
    struct pending *pending;
    int64_t next_expire_ns;
    char text[320], output[256], dead_letter[256];
    const char *id_field; /* of a dead letter, which is the transaction as it came */
};

static void report(struct kafka_target *t, int64_t intended_ns, enum reply_kind kind, const char *text, size_t len)
{
    const struct reply reply = {.kind = kind, .intended_ns = intended_ns, .done_ns = clock_monotonic_ns(), .transactions = 1, .text = text, .text_len = len};
    t->base.on_reply(t->base.context, &reply);
}

static void take_message(struct kafka_target *t, const rd_kafka_message_t *message)
{
    int64_t intended_ns;
    if (message->err || !message->payload)
        return;
    bool dead = strcmp(rd_kafka_topic_name(message->rkt), t->dead_letter) == 0;
    struct span id = field_text((struct span){message->payload, (uint32_t)message->len}, dead ? t->id_field : "transaction_id");
    if (!id.data || !pending_take(t->pending, id.data, id.len, &intended_ns))
        return; /* of somebody else, or a second time: delivery is at least once */
    static const char why[] = "the record went to the dead-letter topic: ";
    if (!dead) {
        report(t, intended_ns, REPLY_ANSWERED, message->payload, message->len);
        return;
    }
    char text[400];
    int n = snprintf(text, sizeof text, "%s%.*s", why, (int)(message->len < 300 ? message->len : 300), (const char *)message->payload);
    report(t, intended_ns, REPLY_STATUS, text, (size_t)n);
}

static void expire(struct kafka_target *t, int64_t now_ns)
{
    struct kafka_writer_counts counts;
    int64_t intended_ns;
    if (now_ns < t->next_expire_ns)
        return;
    t->next_expire_ns = now_ns + EXPIRE_NS;
    while (pending_expire(t->pending, now_ns - t->base.timeout_ns, &intended_ns)) {
        kafka_writer_counts(t->writer, &counts);
        char text[400];
        int n = snprintf(text, sizeof text, "no result within the timeout%s%s", counts.failed ? "; the producer said: " : "", counts.reason);
        report(t, intended_ns, REPLY_TIMEOUT, text, (size_t)n);
    }
}

static bool ready(struct target *target)
{
    return pending_room(((struct kafka_target *)target)->pending);
}

static void send_record(struct target *target, int64_t intended_ns, uint32_t transactions)
{
    static const volatile sig_atomic_t never = 0;
    struct kafka_target *t = (struct kafka_target *)target;
    struct feed_item item;
    struct error err;
    CHECK(transactions == 1);
    feed_next(t->feed, &item);
    pending_add(t->pending, item.id.data, item.id.len, intended_ns);
    if (kafka_writer_send(t->writer, item.key.data, item.key.len, item.json.data, item.json.len, &never, &err) == STATUS_OK)
        return;
    if (pending_take(t->pending, item.id.data, item.id.len, &intended_ns))
        report(t, intended_ns, REPLY_LOST, err.message, strlen(err.message));
}

static bool take_all(struct kafka_target *t)
{
    enum { AT_A_TIME = 64 }; /* then it is time to look whether something is due */
    int n = 0;
    for (; n < AT_A_TIME; n++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(t->consumer, 0);
        if (!message)
            break;
        take_message(t, message);
        rd_kafka_message_destroy(message);
    }
    return n > 0;
}

static void wait_replies(struct target *target, int64_t until_ns)
{
    struct kafka_target *t = (struct kafka_target *)target;
    char bytes[64];
    kafka_writer_poll(t->writer);
    expire(t, clock_monotonic_ns());
    if (take_all(t))
        return;
    int64_t now = clock_monotonic_ns();
    if (pending_size(t->pending) > 0 && until_ns > t->next_expire_ns)
        until_ns = t->next_expire_ns;
    int64_t sleep_ns = until_ns - now - TARGET_SPIN_NS;
    if (sleep_ns <= 0)
        return;
    const struct timespec timeout = {.tv_sec = sleep_ns / 1000000000, .tv_nsec = sleep_ns % 1000000000};
    struct pollfd wake = {.fd = t->wake[0], .events = POLLIN};
    if (ppoll(&wake, 1, &timeout, NULL) > 0 && read(t->wake[0], bytes, sizeof bytes) > 0)
        (void)take_all(t);
}

static uint64_t in_flight(const struct target *target)
{
    return pending_size(((const struct kafka_target *)target)->pending);
}

static void describe(const struct target *target, char *out, size_t size)
{
    (void)snprintf(out, size, "%s", ((const struct kafka_target *)target)->text);
}

static void close_target(struct target *target)
{
    struct kafka_target *t = (struct kafka_target *)target;
    if (t->queue)
        rd_kafka_queue_destroy(t->queue);
    if (t->consumer) {
        (void)rd_kafka_consumer_close(t->consumer);
        rd_kafka_destroy(t->consumer);
    }
    kafka_writer_free(t->writer);
    pending_free(t->pending);
    for (int i = 0; i < 2; i++) {
        if (t->wake[i] >= 0)
            (void)close(t->wake[i]);
    }
    free(t);
}

static const struct target_ops kafka_ops = {.name = "kafka", .ready = ready, .send = send_record, .wait = wait_replies, .in_flight = in_flight,
                                            .describe = describe, .close = close_target};

static enum status set(rd_kafka_conf_t *conf, const char *pair, struct error *err)
{
    char name[256], why[256] = "";
    const char *equals = strchr(pair, '=');
    size_t len = equals ? (size_t)(equals - pair) : 0;
    if (len == 0 || len >= sizeof name)
        return error_set(err, STATUS_INVALID, "kafka: '%s': name=value is needed", pair);
    (void)snprintf(name, sizeof name, "%.*s", (int)len, pair);
    if (rd_kafka_conf_set(conf, name, equals + 1, why, sizeof why) != RD_KAFKA_CONF_OK)
        return error_set(err, STATUS_INVALID, "kafka: %s: %s", name, why);
    return STATUS_OK;
}

/* A consumer that is no member of a group, though librdkafka wants a name for one. */
static enum status make_consumer(struct kafka_target *t, const struct kafka_target_options *o, struct error *err)
{
    static const char *const basics[] = {"group.id=assay-load", "client.id=assay-load", "enable.auto.commit=false", "enable.auto.offset.store=false",
                                         "fetch.wait.max.ms=5", "socket.nagle.disable=true", "log.thread.name=false"};
    char servers[1024], why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)snprintf(servers, sizeof servers, "bootstrap.servers=%s", o->brokers);
    enum status status = set(conf, servers, err);
    for (size_t i = 0; i < sizeof basics / sizeof basics[0] && status == STATUS_OK; i++)
        status = set(conf, basics[i], err);
    for (size_t i = 0; i < o->property_count && status == STATUS_OK; i++)
        status = set(conf, o->properties[i], err);
    if (status == STATUS_OK) {
        t->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
        if (t->consumer)
            return STATUS_OK;
        status = error_set(err, STATUS_INVALID, "kafka: %s", why);
    }
    rd_kafka_conf_destroy(conf);
    return status;
}

/* Appends every partition of a topic at its end. */
static enum status at_end(struct kafka_target *t, const char *topic, rd_kafka_topic_partition_list_t *list, struct error *err)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(t->consumer, topic, NULL);
    if (!handle)
        return error_set(err, STATUS_INVALID, "kafka: topic %s: %s", topic, rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_resp_err_t code = rd_kafka_metadata(t->consumer, 0, handle, &metadata, METADATA_MS);
    rd_kafka_topic_destroy(handle);
    if (code)
        return error_set(err, STATUS_UNAVAILABLE, "kafka: %s; is the broker there?", rd_kafka_err2str(code));
    enum status status = STATUS_OK;
    if (metadata->topic_cnt != 1 || metadata->topics[0].err || metadata->topics[0].partition_cnt == 0)
        status = error_set(err, STATUS_NOT_FOUND, "kafka: there is no topic %s", topic);
    for (int i = 0; status == STATUS_OK && i < metadata->topics[0].partition_cnt; i++) {
        int64_t low, high;
        int32_t partition = metadata->topics[0].partitions[i].id;
        code = rd_kafka_query_watermark_offsets(t->consumer, topic, partition, &low, &high, METADATA_MS);
        if (code)
            status = error_set(err, STATUS_UNAVAILABLE, "kafka: the end of %s, partition %d: %s", topic, (int)partition, rd_kafka_err2str(code));
        else
            rd_kafka_topic_partition_list_add(list, topic, partition)->offset = high;
    }
    rd_kafka_metadata_destroy(metadata);
    return status;
}

static enum status take_place(struct kafka_target *t, struct error *err)
{
    (void)rd_kafka_poll_set_consumer(t->consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    enum status status = at_end(t, t->output, list, err);
    if (status == STATUS_OK && t->dead_letter[0] != '\0')
        status = at_end(t, t->dead_letter, list, err);
    if (status == STATUS_OK) {
        rd_kafka_resp_err_t code = rd_kafka_assign(t->consumer, list);
        if (code)
            status = error_set(err, STATUS_UNAVAILABLE, "kafka: %s", rd_kafka_err2str(code));
    }
    rd_kafka_topic_partition_list_destroy(list);
    t->queue = rd_kafka_queue_get_consumer(t->consumer);
    rd_kafka_queue_io_event_enable(t->queue, t->wake[1], "r", 1);
    return status;
}

static enum status make_writer(struct kafka_target *t, const struct kafka_target_options *o, struct error *err)
{
    const char *properties[PROPERTIES_MAX] = {"client.id=assay-load", "linger.ms=0"};
    size_t n = 2;
    for (size_t i = 0; i < o->property_count && n < PROPERTIES_MAX; i++)
        properties[n++] = o->properties[i];
    return kafka_writer_create(o->brokers, o->input, properties, n, &t->writer, err);
}

enum status target_kafka_open(const struct kafka_target_options *options, struct feed *feed, struct target **out, struct error *err)
{
    struct kafka_target *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the client");
    t->base = (struct target){.ops = &kafka_ops, .timeout_ns = options->timeout_ns};
    t->feed = feed;
    t->id_field = options->id_field;
    t->wake[0] = t->wake[1] = -1;
    (void)snprintf(t->output, sizeof t->output, "%s", options->output);
    (void)snprintf(t->dead_letter, sizeof t->dead_letter, "%s", options->dead_letter ? options->dead_letter : "");
    (void)snprintf(t->text, sizeof t->text, "%.100s, topic %.90s to %.90s", options->brokers, options->input, options->output);
    t->pending = pending_create();
    enum status status = t->pending && pipe2(t->wake, O_CLOEXEC | O_NONBLOCK) == 0 ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for the client");
    if (status == STATUS_OK)
        status = make_consumer(t, options, err);
    if (status == STATUS_OK)
        status = take_place(t, err);
    if (status == STATUS_OK)
        status = make_writer(t, options, err);
    if (status != STATUS_OK) {
        close_target(&t->base);
        return status;
    }
    *out = &t->base;
    return STATUS_OK;
}
