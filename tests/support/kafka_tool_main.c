/*
 * kafka_tool COMMAND …: a mock broker, topics, records in, records out. See --help of each.
 *
 *     kafka_tool mock --topic transactions:4       a mock broker until stdin ends; takes faults to inject from stdin
 *     kafka_tool send --broker B --topic T --file F --key customer_id --rate 5000
 *     kafka_tool read --broker B --topic T > records.jsonl
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cmd/command.h"
#include "tests/support/kafka_tool.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"mock", kafka_tool_mock, "a mock broker until stdin ends"},
    {"create", kafka_tool_create, "make a topic"},
    {"delete", kafka_tool_delete, "delete a topic"},
    {"trim", kafka_tool_trim, "delete the oldest records of a partition"},
    {"committed", kafka_tool_committed, "the committed offsets of a group"},
    {"send", kafka_tool_send, "records from JSONL into a topic"},
    {"read", kafka_tool_read, "records of a topic as JSONL"},
    {"echo", kafka_tool_echo, "answers records without looking at them, the yardstick for latency"},
    {"ledger", kafka_tool_ledger, "what went in against what came out"},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    (void)fprintf(stderr, "usage: kafka_tool COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        (void)fprintf(stderr, "  %-10s %s\n", commands[i].name, commands[i].summary);
    return EXIT_USAGE;
}
