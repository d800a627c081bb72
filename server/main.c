/*
 * assay: one binary, one subcommand a job. This file alone names concrete backends, sources and sinks.
 */
#include <stdio.h>
#include <string.h>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cuda/backend_cuda.h"
#include "kernels/ref/backend_reference.h"
#include "kernels/synthetic/backend_synthetic.h"
#include "model/base/nearest.h"
#include "server/cmd/command.h"
#include "server/http/source_http.h"
#include "server/kafka/source_kafka.h"

static const struct command {
    const char *name, *summary;
    command_run *run;
} commands[] = {
#define COMMAND(name, function, summary) {name, summary, function},
#include "server/cmd/commands.def"
#undef COMMAND
    {NULL, NULL, NULL},
};

static const struct backend *const backends[] = {&backend_cpu, &backend_reference, &backend_cpu_scalar,
                                                 &backend_cpu_avx2, &backend_cpu_avx512, &backend_cuda, &backend_synthetic, NULL};
static const struct source *const sources[] = {&source_labels, &source_http, &source_kafka, NULL};

static void print_usage(FILE *out)
{
    (void)fprintf(out, "assay " ASSAY_VERSION ": real-time fraud scoring, transactions in, decisions out\n\n"
                       "usage: assay COMMAND [OPTIONS]     (assay COMMAND --help for each)\n\n");
    for (const struct command *c = commands; c->name; c++)
        (void)fprintf(out, "  %-10s %s\n", c->name, c->summary);
}

static int unknown_command(const char *word)
{
    const char *names[sizeof commands / sizeof commands[0]];
    size_t n = 0;
    for (const struct command *c = commands; c->name; c++)
        names[n++] = c->name;
    names[n] = NULL;
    const char *near = nearest_word(word, names, n);
    (void)fprintf(stderr, "assay: unknown command '%s'%s%s%s; see assay --help\n", word, near ? ", did you mean '" : "",
                  near ? near : "", near ? "'?" : "");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        (void)printf("assay " ASSAY_VERSION "\n");
        return EXIT_DONE;
    }
    const struct parts parts = {.backends = backends, .sources = sources, .decision_topic = kafka_decision_topic,
                                .dead_letters = &kafka_dead_letters};
    for (const struct command *c = commands; c->name; c++) {
        if (strcmp(argv[1], c->name) == 0)
            return c->run(&parts, argc - 1, argv + 1);
    }
    return unknown_command(argv[1]);
}
