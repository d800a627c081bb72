/*
 * A mock broker (librdkafka's own) in a process of its own, with faults on demand.
 *
 *     stdout: the address, then `ok` or `error …` after every command
 *     stdin:  down | up | rtt MS | error API CODE COUNT | clear API | create NAME PARTITIONS | topic_error NAME CODE
 *     API and CODE are numbers of the Kafka protocol: `error 0 3 5` lets the next 5 Produce requests fail with 3.
 */
/* clang-format off: the order matters */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
/* clang-format on */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "tests/support/kafka_tool.h"

enum { FAULTS_MAX = 10000 };

struct mock {
    rd_kafka_mock_cluster_t *cluster;
    int brokers;
};

static rd_kafka_resp_err_t push_errors(struct mock *mock, int api, int code, int count)
{
    if (count < 1 || count > FAULTS_MAX)
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    for (int i = 0; i < count; i++)
        rd_kafka_mock_push_request_errors(mock->cluster, (int16_t)api, 1, (rd_kafka_resp_err_t)code);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t obey(struct mock *mock, const char *line)
{
    rd_kafka_resp_err_t result = RD_KAFKA_RESP_ERR_NO_ERROR;
    char name[250];
    int a = 0, b = 0, c = 0;
    if (strcmp(line, "down") == 0 || strcmp(line, "up") == 0 || sscanf(line, "rtt %d", &a) == 1) {
        for (int id = 1; id <= mock->brokers && result == RD_KAFKA_RESP_ERR_NO_ERROR; id++) {
            if (line[0] == 'd')
                result = rd_kafka_mock_broker_set_down(mock->cluster, id);
            else if (line[0] == 'u')
                result = rd_kafka_mock_broker_set_up(mock->cluster, id);
            else
                result = rd_kafka_mock_broker_set_rtt(mock->cluster, id, a);
        }
        return result;
    }
    if (sscanf(line, "error %d %d %d", &a, &b, &c) == 3)
        return push_errors(mock, a, b, c);
    if (sscanf(line, "clear %d", &a) == 1) {
        rd_kafka_mock_clear_request_errors(mock->cluster, (int16_t)a);
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    if (sscanf(line, "create %249s %d", name, &a) == 2)
        return rd_kafka_mock_topic_create(mock->cluster, name, a, 1);
    if (sscanf(line, "topic_error %249s %d", name, &a) == 2) {
        rd_kafka_mock_topic_set_error(mock->cluster, name, (rd_kafka_resp_err_t)a);
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return RD_KAFKA_RESP_ERR__INVALID_ARG;
}

static void create_topics(struct mock *mock, const struct args_list *topics)
{
    for (size_t i = 0; i < topics->size; i++) {
        char name[250];
        int partitions = 1;
        if (sscanf(topics->items[i], "%249[^:]:%d", name, &partitions) < 1)
            kafka_tool_fail("--topic %s: NAME:PARTITIONS is needed", topics->items[i]);
        rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(mock->cluster, name, partitions, 1);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            kafka_tool_fail("topic %s: %s", name, rd_kafka_err2str(code));
    }
}

/* The client that a mock cluster hangs on; it connects to nothing. */
static rd_kafka_t *owner_client(void)
{
    char why[256];
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    if (!client)
        kafka_tool_fail("%s", why);
    return client;
}

int kafka_tool_mock(int argc, char **argv)
{
    int64_t brokers = 1;
    struct args_list topics = {.size = 0};
    const struct args_option options[] = {
        {.name = "brokers", .kind = ARGS_INT, .out = &brokers, .value = "N", .help = "how many", .min = 1, .max = 16},
        {.name = "topic", .kind = ARGS_LIST, .out = &topics, .value = "NAME:PARTITIONS", .help = "a topic that is there from the start"},
        {.name = NULL},
    };
    const struct args_spec spec = {.usage = "kafka_tool mock [--brokers N] [--topic NAME:PARTITIONS]...",
                                   .summary = "A mock broker until stdin ends; prints its address, then takes commands:\n"
                                              "down, up, rtt MS, error API CODE COUNT, clear API, create NAME PARTITIONS, topic_error NAME CODE.",
                                   .options = options};
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    rd_kafka_t *owner = owner_client();
    struct mock mock = {.cluster = rd_kafka_mock_cluster_new(owner, (int)brokers), .brokers = (int)brokers};
    if (!mock.cluster)
        kafka_tool_fail("no mock cluster");
    create_topics(&mock, &topics);
    (void)printf("%s\n", rd_kafka_mock_cluster_bootstraps(mock.cluster));
    (void)fflush(stdout);
    char line[512];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        rd_kafka_resp_err_t code = obey(&mock, line);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            (void)printf("ok\n");
        else
            (void)printf("error %s\n", rd_kafka_err2str(code));
        (void)fflush(stdout);
    }
    rd_kafka_mock_cluster_destroy(mock.cluster);
    rd_kafka_destroy(owner);
    return EXIT_DONE;
}
