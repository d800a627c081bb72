/*
 * Subcommands of the one binary. Each is a file of this folder and a line in commands.def.
 *
 * Exit codes: 0 done, 1 failed, 2 the command line is wrong.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

struct backend;
struct dead_letters;
struct decision_writer;
struct settings;
struct source;

/* The concrete parts that main.c puts in; NULL-terminated lists, best first. */
struct parts {
    const struct backend *const *backends;
    const struct source *const *sources;
    /* Opens the decision log's topic; NULL: this build has none. */
    enum status (*decision_topic)(const struct settings *settings, struct decision_writer *out, struct error *err);
    const struct dead_letters *dead_letters; /* NULL: this build has no Kafka */
};

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* argv[0] is the subcommand's name. */
typedef int command_run(const struct parts *parts, int argc, char **argv);

#define COMMAND(name, function, summary) command_run function;
#include "server/cmd/commands.def"
#undef COMMAND
