#include "server/kafka/sink.h"

#include <stdio.h>
#include <string.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/kafka/client.h"
#include "server/kafka/headers.h"
#include "server/kafka/mask.h"
#include "server/kafka/properties.h"
#include "server/log.h"

enum { QUEUE_FULL_WAIT_MS = 5, SOURCE_MAX = 256 + SOURCE_DIGITS }; /* a topic's name has at most 249 bytes */

static void fail(struct sink *sink, enum sink_topic topic, const char *why)
{
    if (sink->failed)
        return; /* the first reason is the cause */
    sink->failed = true;
    /* Of a fatal error the producer alone knows the cause, topic and all; the records that it takes along only say that there
     * was one, and may say so first. */
    if (rd_kafka_fatal_error(sink->producer, sink->why, sizeof sink->why) == RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)snprintf(sink->why, sizeof sink->why, "topic %s: %s", sink->names[topic], why);
    metrics_add(sink->metrics, METRIC_KAFKA_ERRORS, KAFKA_ERROR_DELIVERY, 1);
}

/* A delivery report. */
static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    struct sink *sink = opaque;
    enum sink_topic topic = message->rkt == sink->topics[SINK_RESULT] ? SINK_RESULT : SINK_DEAD_LETTER;
    uint32_t entry = (uint32_t)((uintptr_t)message->_private - 1);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        sink->delivered[topic]++;
        spare_headers_give(&sink->spare, message);
        tracker_done(sink->tracker, entry);
        return;
    }
    /* Where the partition was taken away, its new owner reads the record again: nothing is owed. */
    if (tracker_counts(sink->tracker, entry))
        fail(sink, topic, rd_kafka_err2str(message->err));
    else
        tracker_done(sink->tracker, entry);
}

static void on_error(rd_kafka_t *producer, int code, const char *text, void *opaque)
{
    (void)producer;
    struct sink *sink = opaque;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        fail(sink, SINK_RESULT, text);
    else
        sink->on_error(sink->owner, code, text);
}

enum status sink_open(struct sink *sink, const struct settings *settings, struct error *err)
{
    rd_kafka_conf_t *conf = NULL;
    enum status status = spare_headers_create(&sink->spare, tracker_room(sink->tracker), err);
    if (status == STATUS_OK)
        status = properties_conf(settings, CLIENT_PRODUCER, 0, 1, &conf, err);
    if (status != STATUS_OK)
        return status;
    sink->max_bytes = (size_t)properties_number(conf, "message.max.bytes");
    rd_kafka_conf_set_opaque(conf, sink);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_error_cb(conf, on_error);
    status = client_create(RD_KAFKA_PRODUCER, conf, &sink->producer, err);
    if (status != STATUS_OK)
        return status;
    sink->mask = settings->stream_dead_letter_mask != 0;
    sink->names[SINK_RESULT] = settings->stream_output;
    sink->names[SINK_DEAD_LETTER] = settings->stream_dead_letter;
    for (int i = 0; i < SINK_TOPICS; i++) {
        sink->topics[i] = rd_kafka_topic_new(sink->producer, sink->names[i], NULL);
        if (!sink->topics[i]) {
            const char *why = rd_kafka_err2str(rd_kafka_last_error());
            status = error_set(err, STATUS_INVALID, "topic %s: %s", sink->names[i], why);
            sink_close(sink, clock_monotonic_ns());
            return status;
        }
    }
    return STATUS_OK;
}

void sink_close(struct sink *sink, int64_t deadline_ns)
{
    for (int i = 0; i < SINK_TOPICS; i++) {
        if (sink->topics[i])
            rd_kafka_topic_destroy(sink->topics[i]);
        sink->topics[i] = NULL;
    }
    if (sink->producer && !client_destroy(sink->producer, deadline_ns))
        log_warn("kafka.abandoned", LOG_TEXT("why", "the producer could not be closed in time"));
    sink->producer = NULL;
    spare_headers_free(&sink->spare);
    buf_free(&sink->masked);
    sink->failed = false;
    sink->why[0] = '\0';
}

enum status sink_check(struct sink *sink, int timeout_ms, struct error *err)
{
    for (int i = 0; i < SINK_TOPICS; i++) {
        const struct rd_kafka_metadata *metadata = NULL;
        rd_kafka_resp_err_t code = rd_kafka_metadata(sink->producer, 0, sink->topics[i], &metadata, timeout_ms);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return error_set(err, STATUS_UNAVAILABLE, "no broker answers: %s", rd_kafka_err2str(code));
        code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        rd_kafka_metadata_destroy(metadata);
        if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            return error_set(err, STATUS_NOT_FOUND, "topic %s does not exist", sink->names[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return error_set(err, STATUS_IO, "topic %s: %s", sink->names[i], rd_kafka_err2str(code));
    }
    return STATUS_OK;
}

struct outgoing {
    const void *key, *value;
    size_t key_len, len; /* of the value */
    bool plain;          /* it has no headers but ours */
};

/* What a request and a record need besides key, value and headers, at most; and what our own headers do. */
enum { FRAME_BYTES = 256, HEADER_FRAME_BYTES = 10, OURS_BYTES = 4096 };

/* librdkafka looks at key and value when it takes a record and at the headers only when it sends it, which is too late to do
 * anything about it but begin anew. */
static bool is_too_large(const struct sink *sink, const struct outgoing *record, const rd_kafka_headers_t *headers)
{
    size_t size = record->key_len + record->len + FRAME_BYTES, max = sink->max_bytes;
    if (record->plain && size + OURS_BYTES <= max)
        return false;
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        size += strlen(name) + len + HEADER_FRAME_BYTES;
    return size > max;
}

/* Hands a record to the producer, which takes the headers if it takes the record. */
static rd_kafka_resp_err_t produce(struct sink *sink, enum sink_topic topic, uint32_t entry, const struct outgoing *record,
                                   rd_kafka_headers_t *headers)
{
    if (is_too_large(sink, record, headers))
        return RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    for (;;) {
        const rd_kafka_vu_t parts[] = {
            {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = sink->topics[topic]},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = (void *)(uintptr_t)record->value, .size = record->len}},
            {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = (void *)(uintptr_t)record->key, .size = record->key_len}},
            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
            {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)((uintptr_t)entry + 1)},
        };
        rd_kafka_error_t *error = rd_kafka_produceva(sink->producer, parts, sizeof parts / sizeof parts[0]);
        if (!error) {
            metrics_add(sink->metrics, METRIC_KAFKA_PRODUCED, topic, 1);
            metrics_add(sink->metrics, METRIC_BYTES, SOURCE_KAFKA * 2 + 1, record->len);
            return RD_KAFKA_RESP_ERR_NO_ERROR;
        }
        rd_kafka_resp_err_t code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || sink->failed || sink->give_up)
            return code;
        (void)rd_kafka_poll(sink->producer, QUEUE_FULL_WAIT_MS);
    }
}

static enum status add_model(const struct bundle *bundle, rd_kafka_headers_t *headers)
{
    enum status status = headers_add(headers, HEADER_MODEL, bundle->name, strlen(bundle->name));
    return status == STATUS_OK ? headers_add(headers, HEADER_VERSION, bundle->version, strlen(bundle->version)) : status;
}

static enum status add_source(const rd_kafka_message_t *message, rd_kafka_headers_t *headers)
{
    char source[SOURCE_MAX];
    const char *topic = rd_kafka_topic_name(message->rkt);
    size_t topic_len = strlen(topic);
    CHECK(topic_len + SOURCE_DIGITS <= sizeof source);
    size_t len = headers_source(source, topic, topic_len, message->partition, message->offset);
    return headers_add(headers, HEADER_SOURCE, source, len);
}

static enum status add_reason(const rd_kafka_message_t *message, uint32_t reason, const char *text, rd_kafka_headers_t *headers)
{
    static const char *const others[] = {"engine", "too_large"};
    const char *label = reason < DECODE_REASON_COUNT ? decode_reason_label((enum decode_reason)reason) : others[reason - DECODE_REASON_COUNT];
    char number[32];
    rd_kafka_timestamp_type_t type;
    int len = snprintf(number, sizeof number, "%lld", (long long)rd_kafka_message_timestamp(message, &type));
    enum status status = headers_add(headers, HEADER_REASON, label, strlen(label));
    if (status == STATUS_OK)
        status = headers_add(headers, HEADER_ERROR, text, strlen(text));
    if (status == STATUS_OK)
        status = headers_add(headers, HEADER_TIMESTAMP, number, (size_t)len);
    return status;
}

/* Puts a copy with masked card numbers in place of a dead letter that has any. */
static enum status mask(struct sink *sink, struct outgoing *letter, rd_kafka_headers_t *headers)
{
    struct buf *copy = &sink->masked;
    char number[32];
    buf_clear(copy);
    buf_append(copy, letter->key, letter->key_len);
    buf_append(copy, letter->value, letter->len);
    if (copy->failed)
        return STATUS_NO_MEMORY;
    size_t count = 0;
    if (letter->key_len > 0)
        count += mask_cards(copy->data, letter->key_len);
    if (letter->len > 0)
        count += mask_cards(copy->data + letter->key_len, letter->len);
    if (count == 0)
        return STATUS_OK;
    letter->key = letter->key ? copy->data : NULL;
    letter->value = letter->value ? copy->data + letter->key_len : NULL;
    return headers_add(headers, HEADER_MASKED, number, (size_t)snprintf(number, sizeof number, "%zu", count));
}

/* Takes away from a dead letter that is too large: its value by halves, then headers that are not ours, then its key. False:
 * there is nothing left to take. */
static bool shrink(struct outgoing *letter, rd_kafka_headers_t *headers)
{
    if (letter->len > 0) {
        letter->len /= 2;
    } else if (!letter->plain) {
        headers_keep_ours(headers);
        letter->plain = true;
    } else if (letter->key_len > 0) {
        letter->key = NULL;
        letter->key_len = 0;
    } else {
        return false;
    }
    return true;
}

/* Sends the original with its reason; takes headers. One that is larger than a message may be is cut to what goes through,
 * and says so: better the beginning on record than the stream standing still. */
static void bury(struct sink *sink, uint32_t entry, rd_kafka_message_t *message, rd_kafka_headers_t *headers, uint32_t reason,
                 const char *text)
{
    struct outgoing letter = {.key = message->key, .key_len = message->key_len, .value = message->payload, .len = message->len,
                              .plain = rd_kafka_header_cnt(headers) == 0};
    enum status status = add_model(sink->bundle, headers);
    if (status == STATUS_OK)
        status = add_source(message, headers);
    if (status == STATUS_OK)
        status = add_reason(message, reason, text, headers);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (status == STATUS_OK && sink->mask)
        status = mask(sink, &letter, headers);
    if (status == STATUS_OK)
        code = produce(sink, SINK_DEAD_LETTER, entry, &letter, headers);
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        char whole[32];
        int digits = snprintf(whole, sizeof whole, "%zu", message->len);
        status = headers_add(headers, HEADER_CUT, whole, (size_t)digits);
    }
    while (status == STATUS_OK && code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && shrink(&letter, headers))
        code = produce(sink, SINK_DEAD_LETTER, entry, &letter, headers);
    if (status == STATUS_OK && code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        metrics_add(sink->metrics, METRIC_KAFKA_DEAD_LETTERS, reason, 1);
        return;
    }
    rd_kafka_headers_destroy(headers);
    fail(sink, SINK_DEAD_LETTER, status == STATUS_OK ? rd_kafka_err2str(code) : status_text(status));
}

/* The headers of the message with ours. STATUS_NO_MEMORY; out is to be destroyed then too, where it is not NULL. */
static enum status result_headers(struct sink *sink, rd_kafka_message_t *message, bool *plain, rd_kafka_headers_t **out)
{
    rd_kafka_headers_t *theirs;
    *plain = rd_kafka_message_headers(message, &theirs) == RD_KAFKA_RESP_ERR__NOENT;
    *out = *plain ? spare_headers_take(&sink->spare) : NULL;
    if (*out)
        return add_source(message, *out);
    *out = headers_take(message);
    if (!*out)
        return STATUS_NO_MEMORY;
    *plain = rd_kafka_header_cnt(*out) == 0;
    enum status status = add_model(sink->bundle, *out);
    return status == STATUS_OK ? add_source(message, *out) : status;
}

void sink_result(struct sink *sink, uint32_t entry, rd_kafka_message_t *message, const char *record, size_t len)
{
    rd_kafka_headers_t *headers = NULL;
    struct outgoing result = {.key = message->key, .key_len = message->key_len, .value = record, .len = len};
    enum status status = result_headers(sink, message, &result.plain, &headers);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (status == STATUS_OK)
        code = produce(sink, SINK_RESULT, entry, &result, headers);
    if (status == STATUS_OK && code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    if (status == STATUS_OK && code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        headers_strip(headers);
        bury(sink, entry, message, headers, DEAD_LETTER_TOO_LARGE, "the result is larger than kafka.message.max.bytes");
        return;
    }
    if (headers)
        rd_kafka_headers_destroy(headers);
    fail(sink, SINK_RESULT, status == STATUS_OK ? rd_kafka_err2str(code) : status_text(status));
}

void sink_dead_letter(struct sink *sink, uint32_t entry, rd_kafka_message_t *message, uint32_t reason, const char *text)
{
    rd_kafka_headers_t *headers = headers_take(message);
    if (headers)
        bury(sink, entry, message, headers, reason, text);
    else
        fail(sink, SINK_DEAD_LETTER, status_text(STATUS_NO_MEMORY));
}

void sink_poll(struct sink *sink, int timeout_ms)
{
    (void)rd_kafka_poll(sink->producer, timeout_ms);
    for (uint32_t i = 0; i < SINK_TOPICS; i++) {
        if (sink->delivered[i] > 0)
            metrics_add(sink->metrics, METRIC_KAFKA_DELIVERED, i, sink->delivered[i]);
        sink->delivered[i] = 0;
    }
}

bool sink_flush(struct sink *sink, int64_t deadline_ns)
{
    while (!sink->failed && rd_kafka_outq_len(sink->producer) > 0) {
        int64_t left_ms = (deadline_ns - clock_monotonic_ns()) / 1000000;
        if (left_ms <= 0)
            break;
        (void)rd_kafka_flush(sink->producer, left_ms < 100 ? (int)left_ms : 100);
    }
    sink_poll(sink, 0);
    return !sink->failed && rd_kafka_outq_len(sink->producer) == 0;
}
