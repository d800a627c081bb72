/* Every record that a topic has now. */
#include "server/kafka/walk.h"
#include "tests/support/kafka_tool.h"

struct visitor {
    void (*each)(void *owner, rd_kafka_message_t *message);
    void *owner;
};

static bool visit(void *owner, rd_kafka_message_t *message)
{
    const struct visitor *v = owner;
    v->each(v->owner, message);
    return true;
}

void kafka_tool_walk(const char *broker, const char *topic, void (*each)(void *owner, rd_kafka_message_t *message), void *owner)
{
    const char *const properties[] = {"group.id=kafka_tool", "enable.auto.commit=false", "enable.partition.eof=true",
                                      "isolation.level=read_committed", "fetch.wait.max.ms=10"};
    rd_kafka_t *client = kafka_tool_client(RD_KAFKA_CONSUMER, broker, properties, sizeof properties / sizeof properties[0]);
    const struct walk_range range = {.topic = topic, .partition = -1, .offset = -1, .contact_ms = 60000};
    struct visitor visitor = {.each = each, .owner = owner};
    struct error err = {""};
    if (walk_topic(client, &range, visit, &visitor, &err) != STATUS_OK)
        kafka_tool_fail("%s", err.message);
    rd_kafka_destroy(client);
}
