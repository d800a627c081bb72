/*
 * Command-line options, declared in a table a subcommand, from which parsing, --help and messages come.
 *
 *     --name VALUE, --name=VALUE, --flag; -h and --help everywhere; "--" ends options; the rest are operands.
 *     An unknown option: message with the nearest name, exit code 2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum args_kind { ARGS_FLAG, ARGS_TEXT, ARGS_INT, ARGS_REAL, ARGS_LIST };

struct args_option {
    const char *name;    /* without dashes; one letter goes with one dash ("X": -X VALUE); NULL ends the table */
    enum args_kind kind;
    void *out;           /* bool *, const char **, int64_t *, double *, struct args_list *: holds the default on entry */
    const char *value;   /* what VALUE is called in the help: "FILE" */
    const char *help;    /* without the default, which is added */
    double min, max;     /* INT, REAL: allowed range, where min < max */
};

struct args_list {
    const char *items[64];
    size_t size;
};

struct args_spec {
    const char *usage;    /* "assay score --bundle DIR [--in FILE] [--out FILE]" */
    const char *summary;  /* a paragraph */
    const char *examples; /* lines, or NULL */
    const struct args_option *options;
    size_t operands_min, operands_max;
};

enum args_result { ARGS_RUN, ARGS_EXIT_DONE, ARGS_EXIT_USAGE };

/* Parses argv[1..argc) into the option outs and the operands (borrowed from argv, at most operands_max; the count may
 * be NULL where only one is possible). Prints help to
 * stdout (ARGS_EXIT_DONE: return 0) or the message to stderr (ARGS_EXIT_USAGE: return 2). */
enum args_result args_parse(const struct args_spec *spec, int argc, char **argv, const char **operands, size_t *operand_count);

/* The position of word among names (ended by NULL): a verb, a choice. Where it is none of them: prints the message with
 * `what` it should be and the nearest name to stderr, and gives -1 (return 2). */
int args_choice(const struct args_spec *spec, const char *what, const char *word, const char *const *names);
