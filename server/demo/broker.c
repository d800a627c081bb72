#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

#include "server/demo/demo.h"

struct demo_broker {
    rd_kafka_t *owner; /* the mock cluster lives in a client of its own */
    rd_kafka_mock_cluster_t *cluster;
};

/* The mock cluster tells of every connection that ends; nobody watching the demo wants to know. */
static void silent(const rd_kafka_t *rk, int level, const char *facility, const char *message)
{
    (void)rk, (void)level, (void)facility, (void)message;
}

enum status demo_broker_start(struct demo_broker **out, struct error *err)
{
    char reason[256] = "out of memory";
    struct demo_broker *b = calloc(1, sizeof *b);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!b || !conf)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the broker");
    rd_kafka_conf_set_log_cb(conf, silent);
    b->owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    b->cluster = b->owner ? rd_kafka_mock_cluster_new(b->owner, 1) : NULL;
    const char *const topics[] = {DEMO_INPUT, DEMO_OUTPUT, DEMO_DEAD_LETTER};
    bool made = b->cluster != NULL;
    for (int i = 0; made && i < 3; i++)
        made = rd_kafka_mock_topic_create(b->cluster, topics[i], DEMO_PARTITIONS, 1) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!made) {
        demo_broker_stop(b);
        return error_set(err, STATUS_UNAVAILABLE, "the embedded broker did not start: %s", reason);
    }
    *out = b;
    return STATUS_OK;
}

const char *demo_broker_address(const struct demo_broker *broker)
{
    return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}

void demo_broker_stop(struct demo_broker *broker)
{
    if (!broker)
        return;
    if (broker->cluster)
        rd_kafka_mock_cluster_destroy(broker->cluster);
    if (broker->owner)
        rd_kafka_destroy(broker->owner);
    free(broker);
}
