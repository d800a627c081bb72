/*
 * A bare echo from topic to topic until SIGTERM, the yardstick for latency: polls for a first record, takes what is there, produces an
 * answer as long as a result with the transaction's id in it, and commits ten times a second. One thread.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "model/base/clock.h"
#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "tests/support/kafka_tool.h"

enum { ANSWER_BYTES = 160, CHUNK = 64, IDLE_WAIT_MS = 100 };
static const int64_t COMMIT_NS = 100 * (int64_t)1000000;

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = number;
}

/* {"transaction_id":"...","pad":"..."} of ANSWER_BYTES. */
static size_t write_answer(char out[ANSWER_BYTES], const rd_kafka_message_t *message)
{
    static const char name[] = "\"tx_id\":\"";
    const char *at = memmem(message->payload, message->len, name, sizeof name - 1);
    const char *id = at ? at + sizeof name - 1 : "";
    const char *quote = at ? memchr(id, '"', message->len - (size_t)(id - (const char *)message->payload)) : NULL;
    int len = snprintf(out, ANSWER_BYTES, "{\"transaction_id\":\"%.*s\",\"pad\":\"", quote ? (int)(quote - id) : 0, id);
    if (len > ANSWER_BYTES - 2)
        kafka_tool_fail("an id longer than the answer");
    memset(out + len, 'x', (size_t)(ANSWER_BYTES - 2 - len));
    memcpy(out + ANSWER_BYTES - 2, "\"}", 2);
    return ANSWER_BYTES;
}

static void pass_on(rd_kafka_t *producer, rd_kafka_topic_t *output, rd_kafka_message_t *message)
{
    char answer[ANSWER_BYTES];
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        size_t len = write_answer(answer, message);
        while (rd_kafka_produce(output, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, answer, len, message->key, message->key_len, NULL) != 0)
            (void)rd_kafka_poll(producer, 1);
    }
    rd_kafka_message_destroy(message);
}

static void echo(rd_kafka_t *consumer, rd_kafka_t *producer, rd_kafka_topic_t *output)
{
    int64_t committed_ns = 0;
    while (!stop) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, rd_kafka_outq_len(producer) > 0 ? 1 : IDLE_WAIT_MS);
        for (int i = 0; message; i++) {
            pass_on(producer, output, message);
            message = i + 1 < CHUNK ? rd_kafka_consumer_poll(consumer, 0) : NULL;
        }
        (void)rd_kafka_poll(producer, 0);
        int64_t now_ns = clock_monotonic_ns();
        if (now_ns - committed_ns < COMMIT_NS)
            continue;
        (void)rd_kafka_commit(consumer, NULL, 1);
        committed_ns = now_ns;
    }
}

int kafka_tool_echo(int argc, char **argv)
{
    const char *broker = "", *topic = "", *target = "", *linger = "1";
    const struct args_option options[] = {
        {.name = "broker", .kind = ARGS_TEXT, .out = &broker, .value = "HOST:PORT", .help = "where"},
        {.name = "topic", .kind = ARGS_TEXT, .out = &topic, .value = "NAME", .help = "of transactions"},
        {.name = "output", .kind = ARGS_TEXT, .out = &target, .value = "NAME", .help = "of answers"},
        {.name = "linger", .kind = ARGS_TEXT, .out = &linger, .value = "MS", .help = "of the producer"},
        {.name = NULL},
    };
    const struct args_spec spec = {.usage = "kafka_tool echo --broker B --topic T --output T", .options = options,
                                   .summary = "Answers every record without looking at more than its tx_id, until SIGTERM."};
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    char group[300], linger_ms[40];
    (void)snprintf(group, sizeof group, "group.id=echo-%.250s", topic);
    (void)snprintf(linger_ms, sizeof linger_ms, "linger.ms=%.20s", linger);
    const char *consumer_properties[] = {group, "enable.auto.commit=false", "auto.offset.reset=earliest", "check.crcs=true"};
    const char *producer_properties[] = {linger_ms, "enable.idempotence=true", "partitioner=murmur2_random"};
    rd_kafka_t *consumer = kafka_tool_client(RD_KAFKA_CONSUMER, broker, consumer_properties, 4);
    rd_kafka_t *producer = kafka_tool_client(RD_KAFKA_PRODUCER, broker, producer_properties, 3);
    rd_kafka_topic_t *output = rd_kafka_topic_new(producer, target, NULL);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    (void)rd_kafka_poll_set_consumer(consumer);
    if (rd_kafka_subscribe(consumer, topics) != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_tool_fail("topic %s cannot be read", topic);
    rd_kafka_topic_partition_list_destroy(topics);
    (void)signal(SIGTERM, on_signal);
    echo(consumer, producer, output);
    (void)rd_kafka_flush(producer, 10000);
    rd_kafka_topic_destroy(output);
    rd_kafka_destroy(producer);
    (void)rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return EXIT_DONE;
}
