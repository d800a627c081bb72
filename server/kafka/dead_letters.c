/*
 * The dead-letter topic read and sent back, over clients with the settings of the server. Reading joins no group, so it
 * disturbs nobody.
 */
#include "server/dead_letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/clock.h"
#include "server/kafka/client.h"
#include "server/kafka/headers.h"
#include "server/kafka/properties.h"
#include "server/kafka/source_kafka.h"
#include "server/kafka/walk.h"

enum { HEADERS_MAX = 64, TEXT_MAX = 512, QUEUE_FULL_WAIT_MS = 10, FLUSH_MS = 60000, CONTACT_MS = 5000 };

/* The message as a letter, with the space that its texts need. */
struct reading {
    struct letter letter;
    struct letter_header headers[HEADERS_MAX];
    char reason[TEXT_MAX], error[TEXT_MAX], source[TEXT_MAX];
};

static void take_text(const struct letter *letter, const char *name, char out[TEXT_MAX])
{
    out[0] = '\0';
    for (size_t i = 0; i < letter->header_count; i++) {
        const struct letter_header *h = &letter->headers[i];
        if (strcmp(h->name, name) == 0 && h->value)
            (void)snprintf(out, TEXT_MAX, "%.*s", (int)(h->len < TEXT_MAX ? h->len : TEXT_MAX - 1), h->value);
    }
}

static bool has(const struct letter *letter, const char *name)
{
    for (size_t i = 0; i < letter->header_count; i++) {
        if (strcmp(letter->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

static void read_letter(struct reading *r, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_timestamp_type_t type;
    struct letter *l = &r->letter;
    *l = (struct letter){.partition = message->partition, .offset = message->offset, .time_ms = rd_kafka_message_timestamp(message, &type),
                         .key = message->key, .key_len = message->key_len, .value = message->payload, .value_len = message->len,
                         .reason = r->reason, .error = r->error, .source = r->source, .headers = r->headers};
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const void *value;
        for (size_t i = 0; i < HEADERS_MAX; i++) {
            struct letter_header *h = &r->headers[i];
            if (rd_kafka_header_get_all(headers, i, &h->name, &value, &h->len) != RD_KAFKA_RESP_ERR_NO_ERROR)
                break;
            h->value = value;
            l->header_count = i + 1;
        }
    }
    take_text(l, HEADER_REASON, r->reason);
    take_text(l, HEADER_ERROR, r->error);
    take_text(l, HEADER_SOURCE, r->source);
    l->cut = has(l, HEADER_CUT);
    l->masked = has(l, HEADER_MASKED);
}

/* Why a broker can't be reached; the last one counts. */
static void on_error(rd_kafka_t *consumer, int code, const char *text, void *why)
{
    (void)consumer;
    struct error *err = why;
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        (void)snprintf(err->message, sizeof err->message, "%s", text);
}

/* why: borrowed until the consumer is destroyed. */
static enum status open_consumer(const struct settings *settings, struct error *why, rd_kafka_t **out, struct error *err)
{
    rd_kafka_conf_t *conf = NULL;
    if (!settings->stream_dead_letter[0])
        return error_set(err, STATUS_INVALID, "stream.dead_letter is not set: the topic of dead letters");
    enum status status = properties_conf(settings, CLIENT_CONSUMER, 0, 1, &conf, err);
    if (status != STATUS_OK)
        return status;
    (void)rd_kafka_conf_set(conf, "enable.partition.eof", "true", NULL, 0);
    rd_kafka_conf_set_opaque(conf, why);
    rd_kafka_conf_set_error_cb(conf, on_error);
    return client_create(RD_KAFKA_CONSUMER, conf, out, err);
}

struct visitor {
    letters_visit *visit;
    void *owner;
};

static bool show(void *owner, rd_kafka_message_t *message)
{
    const struct visitor *v = owner;
    struct reading reading;
    read_letter(&reading, message);
    return v->visit(v->owner, &reading.letter);
}

static enum status walk_letters(const struct settings *settings, const struct letters_range *range, walk_visit *visit, void *owner,
                                struct error *err)
{
    rd_kafka_t *consumer = NULL;
    const struct walk_range walk = {.topic = settings->stream_dead_letter, .partition = range->partition, .offset = range->offset,
                                    .contact_ms = CONTACT_MS};
    struct error why = {""};
    enum status status = open_consumer(settings, &why, &consumer, err);
    if (status != STATUS_OK)
        return status;
    status = walk_topic(consumer, &walk, visit, owner, err);
    if (status == STATUS_UNAVAILABLE) {
        rd_kafka_message_t *news = rd_kafka_consumer_poll(consumer, 0); /* brings on_error */
        if (news)
            rd_kafka_message_destroy(news);
        if (why.message[0])
            status = error_set(err, status, "no broker answered: %s", why.message);
    }
    rd_kafka_destroy(consumer);
    return status;
}

static enum status each(const struct settings *settings, const struct letters_range *range, letters_visit *visit, void *owner,
                        struct error *err)
{
    struct visitor visitor = {.visit = visit, .owner = owner};
    return walk_letters(settings, range, show, &visitor, err);
}

/* --- sending back --------------------------------------------------------------------------------------------------------- */

struct replayer {
    struct visitor wanted;
    rd_kafka_t *producer;
    rd_kafka_topic_t *topic;
    uint64_t acknowledged;
    bool failed;
    char why[256];
};

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    struct replayer *r = opaque;
    r->acknowledged += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && !r->failed)
        (void)snprintf(r->why, sizeof r->why, "%s", rd_kafka_err2str(message->err));
    r->failed = r->failed || message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool send_back(void *owner, rd_kafka_message_t *message)
{
    struct replayer *r = owner;
    struct reading reading;
    read_letter(&reading, message);
    if (!r->wanted.visit(r->wanted.owner, &reading.letter))
        return !r->failed;
    rd_kafka_headers_t *headers = headers_take(message); /* without ours */
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && headers) {
        const rd_kafka_vu_t parts[] = {
            {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = r->topic},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = message->payload, .size = message->len}},
            {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = message->key, .size = message->key_len}},
            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        };
        rd_kafka_error_t *error = rd_kafka_produceva(r->producer, parts, sizeof parts / sizeof parts[0]);
        code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        (void)rd_kafka_poll(r->producer, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? QUEUE_FULL_WAIT_MS : 0);
    }
    if (headers && code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return !r->failed;
    if (headers)
        rd_kafka_headers_destroy(headers);
    r->failed = true;
    (void)snprintf(r->why, sizeof r->why, "%s", headers ? rd_kafka_err2str(code) : status_text(STATUS_NO_MEMORY));
    return false;
}

static enum status open_producer(struct replayer *r, const struct settings *settings, const char *topic, struct error *err)
{
    rd_kafka_conf_t *conf = NULL;
    enum status status = properties_conf(settings, CLIENT_PRODUCER, 0, 1, &conf, err);
    if (status != STATUS_OK)
        return status;
    rd_kafka_conf_set_opaque(conf, r);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    status = client_create(RD_KAFKA_PRODUCER, conf, &r->producer, err);
    if (status != STATUS_OK)
        return status;
    r->topic = rd_kafka_topic_new(r->producer, topic, NULL);
    return r->topic ? STATUS_OK : error_set(err, STATUS_INVALID, "topic %s: %s", topic, rd_kafka_err2str(rd_kafka_last_error()));
}

static enum status replay(const struct settings *settings, const struct letters_range *range, const char *topic, letters_visit *wanted,
                          void *owner, uint64_t *sent, struct error *err)
{
    struct replayer r = {.wanted = {.visit = wanted, .owner = owner}};
    enum status status = open_producer(&r, settings, topic, err);
    if (status == STATUS_OK)
        status = walk_letters(settings, range, send_back, &r, err);
    if (r.producer && rd_kafka_flush(r.producer, FLUSH_MS) != RD_KAFKA_RESP_ERR_NO_ERROR && status == STATUS_OK)
        status = error_set(err, STATUS_TIMEOUT, "topic %s: %d records were not acknowledged in %d s", topic, rd_kafka_outq_len(r.producer),
                           FLUSH_MS / 1000);
    if (r.failed && status == STATUS_OK)
        status = error_set(err, STATUS_IO, "topic %s: %s", topic, r.why);
    *sent = r.acknowledged;
    if (r.topic)
        rd_kafka_topic_destroy(r.topic);
    if (r.producer)
        rd_kafka_destroy(r.producer);
    return status;
}

const struct dead_letters kafka_dead_letters = {.each = each, .replay = replay};
