#include "server/cmd/args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/base/nearest.h"

enum { HELP_COLUMN = 29, HELP_WIDTH = 110 };

/* A name of one letter goes with one dash. */
static const char *dashes(const char *name)
{
    return name[1] == '\0' ? "-" : "--";
}

/* Prints text from HELP_COLUMN on, broken at spaces. */
static void print_wrapped(const char *text)
{
    size_t room = HELP_WIDTH - HELP_COLUMN;
    while (strlen(text) > room) {
        size_t cut = room;
        while (cut > 0 && text[cut] != ' ')
            cut--;
        if (cut == 0)
            break;
        (void)printf("%.*s\n%*s", (int)cut, text, HELP_COLUMN, "");
        text += cut + 1;
    }
    (void)printf("%s\n", text);
}

static void print_option(const struct args_option *o)
{
    char left[64], text[1024], value[64] = "";
    (void)snprintf(left, sizeof left, "%s%s%s%s", dashes(o->name), o->name, o->value ? " " : "", o->value ? o->value : "");
    if (o->kind == ARGS_INT)
        (void)snprintf(value, sizeof value, "%" PRId64, *(const int64_t *)o->out);
    else if (o->kind == ARGS_REAL)
        (void)snprintf(value, sizeof value, "%g", *(const double *)o->out);
    else if (o->kind == ARGS_TEXT && *(const char *const *)o->out)
        (void)snprintf(value, sizeof value, "%s", *(const char *const *)o->out);
    (void)snprintf(text, sizeof text, "%s%s%s%s", o->help, value[0] ? " [" : "", value, value[0] ? "]" : "");
    (void)printf("  %-26s ", left);
    print_wrapped(text);
}

static void print_help(const struct args_spec *spec)
{
    (void)printf("usage: %s\n\n%s\n\noptions, with their defaults:\n", spec->usage, spec->summary);
    for (const struct args_option *o = spec->options; o->name; o++)
        print_option(o);
    (void)printf("  %-26s %s\n", "--help", "this text");
    if (spec->examples)
        (void)printf("\nexamples:\n%s\n", spec->examples);
    (void)printf("\nexit codes: 0 done, 1 failed, 2 the command line is wrong\n");
}

static enum args_result refuse(const struct args_spec *spec, const char *what, const char *word, const char *more)
{
    (void)fprintf(stderr, "assay: %s '%s'%s\nusage: %s\n", what, word, more, spec->usage);
    return ARGS_EXIT_USAGE;
}

static enum args_result refuse_unknown(const struct args_spec *spec, const char *word, size_t len)
{
    const char *names[64];
    size_t n = 0;
    for (const struct args_option *o = spec->options; o->name && n < 64; o++)
        names[n++] = o->name;
    char name[65], more[128] = "";
    (void)snprintf(name, sizeof name, "%.*s", (int)len, word);
    const char *near = nearest_word(name, names, n);
    if (near)
        (void)snprintf(more, sizeof more, ", did you mean --%s?", near);
    char option[80];
    (void)snprintf(option, sizeof option, "--%s", name);
    return refuse(spec, "unknown option", option, more);
}

static const struct args_option *find(const struct args_spec *spec, const char *name, size_t len)
{
    for (const struct args_option *o = spec->options; o->name; o++) {
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
    }
    return NULL;
}

static enum args_result set_number(const struct args_spec *spec, const struct args_option *o, const char *text)
{
    char *end = NULL;
    char range[96] = ", a number is needed";
    errno = 0;
    double real = 0;
    int64_t integer = 0;
    if (o->kind == ARGS_INT) {
        integer = strtoimax(text, &end, 10);
        real = (double)integer;
    } else {
        real = strtod(text, &end);
    }
    bool in_range = !(o->min < o->max) || (real >= o->min && real <= o->max);
    if (o->min < o->max)
        (void)snprintf(range, sizeof range, ", a number from %.15g to %.15g is needed", o->min, o->max);
    if (errno != 0 || end == text || *end != '\0' || !in_range) {
        char what[96];
        (void)snprintf(what, sizeof what, "%s%s cannot be", dashes(o->name), o->name);
        return refuse(spec, what, text, range);
    }
    if (o->kind == ARGS_INT)
        *(int64_t *)o->out = integer;
    else
        *(double *)o->out = real;
    return ARGS_RUN;
}

static enum args_result set_value(const struct args_spec *spec, const struct args_option *o, const char *text)
{
    if (o->kind == ARGS_TEXT) {
        *(const char **)o->out = text;
        return ARGS_RUN;
    }
    if (o->kind == ARGS_LIST) {
        struct args_list *list = o->out;
        if (list->size == sizeof list->items / sizeof list->items[0])
            return refuse(spec, "too many of option", o->name, "");
        list->items[list->size++] = text;
        return ARGS_RUN;
    }
    return set_number(spec, o, text);
}

/* Handles argv[*i], which starts with so many dashes, and moves *i past what it used. */
static enum args_result take_option(const struct args_spec *spec, size_t leading, int argc, char **argv, int *i)
{
    const char *word = argv[*i] + leading;
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const struct args_option *o = find(spec, word, len);
    if (!o)
        return refuse_unknown(spec, word, len);
    if (o->kind == ARGS_FLAG) {
        if (equals)
            return refuse(spec, "no value belongs to option", argv[*i], "");
        *(bool *)o->out = true;
        return ARGS_RUN;
    }
    if (equals)
        return set_value(spec, o, equals + 1);
    if (*i + 1 >= argc)
        return refuse(spec, "a value is missing after", argv[*i], "");
    return set_value(spec, o, argv[++*i]);
}

enum args_result args_parse(const struct args_spec *spec, int argc, char **argv, const char **operands, size_t *operand_count)
{
    size_t n = 0;
    bool options_over = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!options_over && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            print_help(spec);
            return ARGS_EXIT_DONE;
        }
        if (!options_over && strcmp(word, "--") == 0) {
            options_over = true;
        } else if (!options_over && strncmp(word, "--", 2) == 0) {
            enum args_result result = take_option(spec, 2, argc, argv, &i);
            if (result != ARGS_RUN)
                return result;
        } else if (!options_over && word[0] == '-' && word[1] != '\0' && word[2] == '\0' && find(spec, word + 1, 1)) {
            enum args_result result = take_option(spec, 1, argc, argv, &i);
            if (result != ARGS_RUN)
                return result;
        } else if (!options_over && word[0] == '-' && word[1] != '\0') {
            return refuse(spec, "unknown option", word, "; long options take two dashes");
        } else if (n == spec->operands_max) {
            return refuse(spec, "unexpected argument", word, "");
        } else {
            operands[n++] = word;
        }
    }
    if (n < spec->operands_min)
        return refuse(spec, "an argument is missing after", argc > 0 ? argv[argc - 1] : "", "");
    CHECK(operand_count || spec->operands_min == spec->operands_max);
    if (operand_count)
        *operand_count = n;
    return ARGS_RUN;
}

int args_choice(const struct args_spec *spec, const char *what, const char *word, const char *const *names)
{
    size_t n = 0;
    for (; names[n]; n++) {
        if (strcmp(names[n], word) == 0)
            return (int)n;
    }
    char kind[64], more[128] = "";
    (void)snprintf(kind, sizeof kind, "unknown %s", what);
    const char *near = nearest_word(word, names, n);
    if (near)
        (void)snprintf(more, sizeof more, ", did you mean '%s'?", near);
    (void)refuse(spec, kind, word, more);
    return -1;
}
