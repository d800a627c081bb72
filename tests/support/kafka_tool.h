/* kafka_tool: what tests, benchmarks and people need beside a broker; one file a group of its commands. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/* argv[0] is the command; the exit codes of a subcommand. */
int kafka_tool_mock(int argc, char **argv);
int kafka_tool_create(int argc, char **argv);
int kafka_tool_delete(int argc, char **argv);
int kafka_tool_trim(int argc, char **argv);
int kafka_tool_committed(int argc, char **argv);
int kafka_tool_send(int argc, char **argv);
int kafka_tool_read(int argc, char **argv);
int kafka_tool_echo(int argc, char **argv);
int kafka_tool_ledger(int argc, char **argv);

/* A client for `broker` with "name=value" properties on top; prints what is wrong and exits with 1 where there is none. */
rd_kafka_t *kafka_tool_client(rd_kafka_type_t type, const char *broker, const char *const *properties, size_t n);
/* The same in two steps, for one who sets callbacks in between. */
rd_kafka_conf_t *kafka_tool_conf(const char *broker, const char *const *properties, size_t n);
rd_kafka_t *kafka_tool_new(rd_kafka_type_t type, rd_kafka_conf_t *conf);

/* Calls each for every record that the topic has now, those of a partition in order; the message is lent. Fails where nothing
 * comes for a minute. */
void kafka_tool_walk(const char *broker, const char *topic, void (*each)(void *owner, rd_kafka_message_t *message), void *owner);
/* Prints to stderr and ends with exit code 1. */
_Noreturn void kafka_tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
