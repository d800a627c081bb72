#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "server/gen/kafka_writer.h"

enum { LINES = 2000, PARTITIONS = 4 };

/* A broker inside this process. */
static rd_kafka_t *host;
static rd_kafka_mock_cluster_t *cluster;

static int start_broker(void **state)
{
    (void)state;
    char why[256];
    host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    assert_non_null(host);
    cluster = rd_kafka_mock_cluster_new(host, 1);
    assert_non_null(cluster);
    return rd_kafka_mock_topic_create(cluster, "lines", PARTITIONS, 1);
}

static int stop_broker(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(host);
    return 0;
}

/* Reads the topic from its beginning until n lines came; seen[i]: how often line i. */
static void read_back(int n, int *seen)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), why, sizeof why);
    (void)rd_kafka_conf_set(conf, "group.id", "reader", why, sizeof why);
    (void)rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", why, sizeof why);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    assert_non_null(consumer);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int i = 0; i < PARTITIONS; i++)
        rd_kafka_topic_partition_list_add(all, "lines", i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(consumer, all), 0);
    rd_kafka_topic_partition_list_destroy(all);
    for (int read = 0; read < n;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 10000);
        assert_non_null(message);
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            int line = -1, key = -1;
            char text[64];
            (void)snprintf(text, sizeof text, "%.*s", (int)message->len, (const char *)message->payload);
            assert_int_equal(sscanf(text, "line %d", &line), 1);
            (void)snprintf(text, sizeof text, "%.*s", (int)message->key_len, (const char *)message->key);
            assert_int_equal(sscanf(text, "key %d", &key), 1);
            assert_int_equal(key, line % 10);
            seen[line]++;
            read++;
        }
        rd_kafka_message_destroy(message);
    }
    (void)rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

static void every_line_is_acknowledged_once(void **state)
{
    (void)state;
    static int seen[LINES];
    volatile sig_atomic_t stop = 0;
    /* A queue of a hundred lines fills up again and again: sending waits. */
    const char *const properties[] = {"queue.buffering.max.messages=100", "linger.ms=1"};
    struct kafka_writer *writer = NULL;
    struct error err;
    assert_int_equal(kafka_writer_create(rd_kafka_mock_cluster_bootstraps(cluster), "lines", properties, 2, &writer, &err), STATUS_OK);
    for (int i = 0; i < LINES; i++) {
        char line[32], key[32];
        int len = snprintf(line, sizeof line, "line %d", i), key_len = snprintf(key, sizeof key, "key %d", i % 10);
        assert_int_equal(kafka_writer_send(writer, key, (size_t)key_len, line, (size_t)len, &stop, &err), STATUS_OK);
    }
    assert_int_equal(kafka_writer_flush(writer, 30000, &stop, &err), STATUS_OK);
    struct kafka_writer_counts counts;
    kafka_writer_counts(writer, &counts);
    assert_int_equal(counts.sent, LINES);
    assert_int_equal(counts.acknowledged, LINES);
    assert_int_equal(counts.failed, 0);
    kafka_writer_free(writer);
    read_back(LINES, seen);
    for (int i = 0; i < LINES; i++)
        assert_int_equal(seen[i], 1);
}

static void wrong_properties_are_named(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"no.such.property=1", "no.such.property"}, {"linger.ms=soon", "linger.ms"}, {"linger.ms", "name=value is needed"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct kafka_writer *writer = NULL;
        struct error err;
        assert_int_equal(kafka_writer_create("127.0.0.1:1", "lines", &wrong[i][0], 1, &writer, &err), STATUS_INVALID);
        assert_non_null(strstr(err.message, wrong[i][1]));
    }
}

static void an_absent_broker_is_told(void **state)
{
    (void)state;
    volatile sig_atomic_t stop = 0;
    const char *const properties[] = {"queue.buffering.max.messages=1", "log_level=0"};
    struct kafka_writer *writer = NULL;
    struct error err;
    assert_int_equal(kafka_writer_create("127.0.0.1:1", "lines", properties, 2, &writer, &err), STATUS_OK);
    assert_int_equal(kafka_writer_send(writer, "k", 1, "v", 1, &stop, &err), STATUS_OK);
    assert_int_equal(kafka_writer_flush(writer, 200, &stop, &err), STATUS_TIMEOUT);
    assert_non_null(strstr(err.message, "1 lines were not acknowledged"));
    stop = 1; /* an interrupt ends the waiting for room */
    assert_int_equal(kafka_writer_send(writer, "k", 1, "v", 1, &stop, &err), STATUS_CLOSED);
    kafka_writer_free(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_acknowledged_once),
        cmocka_unit_test(wrong_properties_are_named),
        cmocka_unit_test(an_absent_broker_is_told),
    };
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
