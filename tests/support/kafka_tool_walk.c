/* Every record that a topic has now. */
#include "model/base/clock.h"
#include "tests/support/kafka_tool.h"

enum { TIMEOUT_MS = 60000 };

/* Assigns all partitions from their beginning and finds their ends. Returns how many have records left. */
static int begin(rd_kafka_t *client, const char *topic, int64_t *ends)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, handle, &metadata, TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_tool_fail("topic %s: %s", topic, rd_kafka_err2str(code ? code : metadata->topics[0].err));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    int left = 0, count = metadata->topics[0].partition_cnt;
    if (count > KAFKA_TOOL_PARTITIONS_MAX)
        kafka_tool_fail("more than %d partitions", KAFKA_TOOL_PARTITIONS_MAX);
    for (int i = 0; i < count; i++) {
        int64_t low = 0;
        code = rd_kafka_query_watermark_offsets(client, topic, i, &low, &ends[i], TIMEOUT_MS);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            kafka_tool_fail("partition %d: %s", i, rd_kafka_err2str(code));
        if (ends[i] == low)
            continue;
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = low;
        left++;
    }
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    (void)rd_kafka_assign(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return left;
}

/* Takes a message; returns whether it was the last of its partition. */
static bool take(rd_kafka_message_t *message, int64_t *ends, void (*each)(void *owner, rd_kafka_message_t *message), void *owner)
{
    bool record = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!record && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return false; /* a broker that is away for a moment, say */
    int64_t *end = &ends[message->partition];
    if (record && message->offset < *end)
        each(owner, message);
    /* The last offsets may be markers of transactions, which are no records: then the end of the partition says it. */
    bool last = *end >= 0 && (record ? message->offset + 1 >= *end : message->offset >= *end);
    if (last)
        *end = -1;
    return last;
}

void kafka_tool_walk(const char *broker, const char *topic, void (*each)(void *owner, rd_kafka_message_t *message), void *owner)
{
    const char *const properties[] = {"group.id=kafka_tool", "enable.auto.commit=false", "enable.partition.eof=true",
                                      "isolation.level=read_committed", "fetch.wait.max.ms=10"};
    rd_kafka_t *client = kafka_tool_client(RD_KAFKA_CONSUMER, broker, properties, sizeof properties / sizeof properties[0]);
    static int64_t ends[KAFKA_TOOL_PARTITIONS_MAX];
    (void)rd_kafka_poll_set_consumer(client);
    int left = begin(client, topic, ends);
    int64_t patience_ns = clock_monotonic_ns() + TIMEOUT_MS * (int64_t)1000000;
    while (left > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 1000);
        if (!message && clock_monotonic_ns() > patience_ns)
            kafka_tool_fail("topic %s: nothing came for %d s", topic, TIMEOUT_MS / 1000);
        if (!message)
            continue;
        patience_ns = clock_monotonic_ns() + TIMEOUT_MS * (int64_t)1000000;
        left -= take(message, ends, each, owner);
        rd_kafka_message_destroy(message);
    }
    (void)rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}
