/* Clients, topics and committed offsets. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "tests/support/kafka_tool.h"

enum { TIMEOUT_MS = 30000 };

_Noreturn void kafka_tool_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "kafka_tool: ");
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_FAILED);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        kafka_tool_fail("%s", why);
}

rd_kafka_conf_t *kafka_tool_conf(const char *broker, const char *const *properties, size_t n)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", broker);
    set(conf, "socket.nagle.disable", "true");
    set(conf, "reconnect.backoff.max.ms", "500");
    for (size_t i = 0; i < n; i++) {
        char name[256];
        const char *equals = strchr(properties[i], '=');
        if (!equals || (size_t)(equals - properties[i]) >= sizeof name)
            kafka_tool_fail("%s: name=value is needed", properties[i]);
        (void)snprintf(name, sizeof name, "%.*s", (int)(equals - properties[i]), properties[i]);
        set(conf, name, equals + 1);
    }
    return conf;
}

rd_kafka_t *kafka_tool_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256];
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof why);
    if (!client)
        kafka_tool_fail("%s", why);
    return client;
}

rd_kafka_t *kafka_tool_client(rd_kafka_type_t type, const char *broker, const char *const *properties, size_t n)
{
    return kafka_tool_new(type, kafka_tool_conf(broker, properties, n));
}

/* Waits for the answer to an admin request and ends with its error, if it has one. */
static void await(rd_kafka_queue_t *queue, const rd_kafka_topic_result_t **(*topics)(const rd_kafka_event_t *, size_t *))
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (!event)
        kafka_tool_fail("no answer in %d s", TIMEOUT_MS / 1000);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_tool_fail("%s", rd_kafka_event_error_string(event));
    size_t count = 0;
    const rd_kafka_topic_result_t **results = topics(event, &count);
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_topic_result_error(results[i]) != RD_KAFKA_RESP_ERR_NO_ERROR)
            kafka_tool_fail("topic %s: %s", rd_kafka_topic_result_name(results[i]), rd_kafka_topic_result_error_string(results[i]));
    }
    rd_kafka_event_destroy(event);
}

static const rd_kafka_topic_result_t **created(const rd_kafka_event_t *event, size_t *count)
{
    return rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result((rd_kafka_event_t *)(uintptr_t)event), count);
}

static const rd_kafka_topic_result_t **deleted(const rd_kafka_event_t *event, size_t *count)
{
    return rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result((rd_kafka_event_t *)(uintptr_t)event), count);
}

int kafka_tool_create(int argc, char **argv)
{
    const char *broker = "", *topic = "";
    int64_t partitions = 1, replicas = 1;
    struct args_list configs = {.size = 0};
    const struct args_option options[] = {
        {.name = "broker", .kind = ARGS_TEXT, .out = &broker, .value = "HOST:PORT", .help = "where"},
        {.name = "topic", .kind = ARGS_TEXT, .out = &topic, .value = "NAME", .help = "the topic"},
        {.name = "partitions", .kind = ARGS_INT, .out = &partitions, .value = "N", .help = "of the topic", .min = 1, .max = 10000},
        {.name = "replicas", .kind = ARGS_INT, .out = &replicas, .value = "N", .help = "of each partition", .min = 1, .max = 16},
        {.name = "config", .kind = ARGS_LIST, .out = &configs, .value = "NAME=VALUE", .help = "of the topic"},
        {.name = NULL},
    };
    const struct args_spec spec = {.usage = "kafka_tool create --broker B --topic T", .summary = "Makes a topic.", .options = options};
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    rd_kafka_t *client = kafka_tool_client(RD_KAFKA_PRODUCER, broker, NULL, 0);
    char why[256];
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, (int)partitions, (int)replicas, why, sizeof why);
    if (!wanted)
        kafka_tool_fail("%s", why);
    for (size_t i = 0; i < configs.size; i++) {
        char name[256];
        const char *equals = strchr(configs.items[i], '=');
        if (!equals)
            kafka_tool_fail("--config %s: name=value is needed", configs.items[i]);
        (void)snprintf(name, sizeof name, "%.*s", (int)(equals - configs.items[i]), configs.items[i]);
        (void)rd_kafka_NewTopic_set_config(wanted, name, equals + 1);
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &wanted, 1, NULL, queue);
    await(queue, created);
    rd_kafka_NewTopic_destroy(wanted);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return EXIT_DONE;
}

int kafka_tool_delete(int argc, char **argv)
{
    const char *broker = "", *topic = "";
    const struct args_option options[] = {
        {.name = "broker", .kind = ARGS_TEXT, .out = &broker, .value = "HOST:PORT", .help = "where"},
        {.name = "topic", .kind = ARGS_TEXT, .out = &topic, .value = "NAME", .help = "the topic"},
        {.name = NULL},
    };
    const struct args_spec spec = {.usage = "kafka_tool delete --broker B --topic T", .summary = "Deletes a topic.", .options = options};
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    rd_kafka_t *client = kafka_tool_client(RD_KAFKA_PRODUCER, broker, NULL, 0);
    rd_kafka_DeleteTopic_t *doomed = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteTopics(client, &doomed, 1, NULL, queue);
    await(queue, deleted);
    rd_kafka_DeleteTopic_destroy(doomed);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return EXIT_DONE;
}

int kafka_tool_trim(int argc, char **argv)
{
    const char *broker = "", *topic = "";
    int64_t partition = 0, before = 0;
    const struct args_option options[] = {
        {.name = "broker", .kind = ARGS_TEXT, .out = &broker, .value = "HOST:PORT", .help = "where"},
        {.name = "topic", .kind = ARGS_TEXT, .out = &topic, .value = "NAME", .help = "the topic"},
        {.name = "partition", .kind = ARGS_INT, .out = &partition, .value = "N", .help = "of the topic", .min = 0, .max = 10000},
        {.name = "before", .kind = ARGS_INT, .out = &before, .value = "OFFSET", .help = "the first that stays", .min = 0, .max = 1e15},
        {.name = NULL},
    };
    const struct args_spec spec = {.usage = "kafka_tool trim --broker B --topic T --partition P --before OFFSET",
                                   .summary = "Deletes the oldest records of a partition, as retention does.", .options = options};
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    rd_kafka_t *client = kafka_tool_client(RD_KAFKA_PRODUCER, broker, NULL, 0);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, (int32_t)partition)->offset = before;
    rd_kafka_DeleteRecords_t *wanted = rd_kafka_DeleteRecords_new(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteRecords(client, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (!event || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_tool_fail("%s", event ? rd_kafka_event_error_string(event) : "no answer");
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return EXIT_DONE;
}

int kafka_tool_committed(int argc, char **argv)
{
    const char *broker = "", *topic = "", *group = "";
    const struct args_option options[] = {
        {.name = "broker", .kind = ARGS_TEXT, .out = &broker, .value = "HOST:PORT", .help = "where"},
        {.name = "topic", .kind = ARGS_TEXT, .out = &topic, .value = "NAME", .help = "the topic"},
        {.name = "group", .kind = ARGS_TEXT, .out = &group, .value = "ID", .help = "the consumer group"},
        {.name = NULL},
    };
    const struct args_spec spec = {.usage = "kafka_tool committed --broker B --group G --topic T",
                                   .summary = "Prints a line `partition committed end` for every partition; committed is 0 where nothing is.",
                                   .options = options};
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    char property[300];
    (void)snprintf(property, sizeof property, "group.id=%s", group);
    const char *properties[] = {property};
    rd_kafka_t *client = kafka_tool_client(RD_KAFKA_CONSUMER, broker, properties, 1);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, handle, &metadata, TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_tool_fail("%s", rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
        (void)rd_kafka_topic_partition_list_add(list, topic, metadata->topics[0].partitions[i].id);
    rd_kafka_metadata_destroy(metadata);
    code = rd_kafka_committed(client, list, TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_tool_fail("%s", rd_kafka_err2str(code));
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        int64_t low = 0, end = 0;
        code = rd_kafka_query_watermark_offsets(client, topic, p->partition, &low, &end, TIMEOUT_MS);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            kafka_tool_fail("partition %d: %s", p->partition, rd_kafka_err2str(code));
        (void)printf("%d %lld %lld\n", p->partition, p->offset >= 0 ? (long long)p->offset : 0, (long long)end);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(client);
    return EXIT_DONE;
}
