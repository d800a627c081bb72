#include "bench/kafka_echo.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench/report.h"
#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/kafka/client.h"
#include "server/kafka/properties.h"

enum { ANSWER_MAX = 65536, IDLE_WAIT_MS = 100, QUEUE_FULL_WAIT_MS = 1 };
static const int64_t SECOND_NS = 1000000000, PATIENCE_NS = 60 * (int64_t)1000000000;

struct echo {
    rd_kafka_t *consumer, *producer;
    rd_kafka_topic_t *output;
    const char *input;
    bool headers;
    size_t answer_bytes;
    uint64_t read, acknowledged, refused;
    int64_t begun_ns;               /* when it last looked and nothing was acknowledged yet */
    int64_t committed_ns, moved_ns; /* when it last committed, and last got on */
};

static char answer[ANSWER_MAX];

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    struct echo *e = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        e->acknowledged++;
    else
        e->refused++;
}

static enum status open_clients(struct echo *e, const struct settings *settings, struct error *err)
{
    rd_kafka_conf_t *conf = NULL;
    enum status status = properties_conf(settings, CLIENT_PRODUCER, 0, 1, &conf, err);
    if (status != STATUS_OK)
        return status;
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_opaque(conf, e);
    status = client_create(RD_KAFKA_PRODUCER, conf, &e->producer, err);
    if (status == STATUS_OK)
        status = properties_conf(settings, CLIENT_CONSUMER, 0, 1, &conf, err);
    if (status == STATUS_OK)
        status = client_create(RD_KAFKA_CONSUMER, conf, &e->consumer, err);
    if (status != STATUS_OK)
        return status;
    e->output = rd_kafka_topic_new(e->producer, settings->stream_output, NULL);
    CHECK(e->output);
    (void)rd_kafka_poll_set_consumer(e->consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(topics, settings->stream_input, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(e->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? STATUS_OK : error_set(err, STATUS_IO, "%s", rd_kafka_err2str(code));
}

static void close_clients(struct echo *e)
{
    if (e->consumer) {
        (void)rd_kafka_consumer_close(e->consumer);
        rd_kafka_destroy(e->consumer);
    }
    if (e->output)
        rd_kafka_topic_destroy(e->output);
    if (e->producer)
        rd_kafka_destroy(e->producer);
}

static rd_kafka_resp_err_t hand_over(struct echo *e, const rd_kafka_message_t *message)
{
    if (!e->headers) {
        int result = rd_kafka_produce(e->output, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, answer, e->answer_bytes, message->key,
                                      message->key_len, NULL);
        return result == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
    }
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
    char source[256];
    int len = snprintf(source, sizeof source, "%s/%d/%lld", e->input, message->partition, (long long)message->offset);
    (void)rd_kafka_header_add(headers, "assay-model", -1, "bench-card", -1);
    (void)rd_kafka_header_add(headers, "assay-version", -1, "100x6-1", -1);
    (void)rd_kafka_header_add(headers, "assay-source", -1, source, len);
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = e->output},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = answer, .size = e->answer_bytes}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = message->key, .size = message->key_len}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(e->producer, parts, sizeof parts / sizeof parts[0]);
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    if (error) {
        rd_kafka_headers_destroy(headers);
        rd_kafka_error_destroy(error);
    }
    return code;
}

static void pass_on(struct echo *e, rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_resp_err_t code = hand_over(e, message);
        while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            (void)rd_kafka_poll(e->producer, QUEUE_FULL_WAIT_MS);
            code = hand_over(e, message);
        }
        e->refused += code != RD_KAFKA_RESP_ERR_NO_ERROR;
        e->read++;
    }
    rd_kafka_message_destroy(message);
}

static void commit(struct echo *e)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (rd_kafka_assignment(e->consumer, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    if (list->cnt > 0 && rd_kafka_position(e->consumer, list) == RD_KAFKA_RESP_ERR_NO_ERROR)
        (void)rd_kafka_commit(e->consumer, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Ten times a second: commit, and see whether to go on. */
static enum status look_around(struct echo *e, int64_t now_ns, struct error *err)
{
    static const struct timespec at_once = {0};
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    e->committed_ns = now_ns;
    commit(e);
    if (sigtimedwait(&signals, NULL, &at_once) > 0)
        return error_set(err, STATUS_CLOSED, "interrupted");
    if (e->refused > 0)
        return error_set(err, STATUS_IO, "the broker refused %llu records of the echo", (unsigned long long)e->refused);
    if (now_ns - e->moved_ns > PATIENCE_NS)
        return error_set(err, STATUS_IO, "the echo is stuck: %llu read, %llu acknowledged", (unsigned long long)e->read,
                         (unsigned long long)e->acknowledged);
    return STATUS_OK;
}

/* As the server gathers: waits for a first record, then takes what is there. */
static void turn(struct echo *e, int64_t chunk)
{
    uint64_t before = e->acknowledged;
    if (before == 0)
        e->begun_ns = clock_monotonic_ns();
    rd_kafka_message_t *message = rd_kafka_consumer_poll(e->consumer, e->read > e->acknowledged ? 1 : IDLE_WAIT_MS);
    for (int64_t i = 0; message; i++) {
        pass_on(e, message);
        message = i + 1 < chunk ? rd_kafka_consumer_poll(e->consumer, 0) : NULL;
    }
    (void)rd_kafka_poll(e->producer, 0);
    if (e->acknowledged > before)
        e->moved_ns = clock_monotonic_ns();
}

enum status kafka_echo_run(const struct settings *settings, uint64_t records, size_t answer_bytes, bool headers,
                           struct kafka_pass *out, struct error *err)
{
    CHECK(answer_bytes <= sizeof answer);
    memset(answer, 'x', answer_bytes);
    struct echo e = {.input = settings->stream_input, .headers = headers, .answer_bytes = answer_bytes, .moved_ns = clock_monotonic_ns()};
    double cpu_s = report_cpu_s();
    enum status status = open_clients(&e, settings, err);
    while (status == STATUS_OK && e.acknowledged < records) {
        turn(&e, settings->stream_chunk);
        int64_t now_ns = clock_monotonic_ns();
        if (now_ns - e.committed_ns >= settings->stream_commit_ms * 1000000)
            status = look_around(&e, now_ns, err);
    }
    if (status == STATUS_OK) {
        out->cpu_us = (report_cpu_s() - cpu_s) / (double)records * 1e6;
        out->rate = (double)records / ((double)(e.moved_ns - e.begun_ns) / (double)SECOND_NS);
    }
    close_clients(&e);
    return status;
}
