#include "bench/bench.h"

#include <stdio.h>
#include <string.h>

#include "model/base/nearest.h"

static const struct bench {
    const char *name, *summary;
    bench_run *run;
} benches[] = {
#define BENCH(name, function, summary) {name, summary, function},
#include "bench/benches.def"
#undef BENCH
    {NULL, NULL, NULL},
};

static void print_usage(FILE *out)
{
    (void)fprintf(out, "usage: assay bench NAME [OPTIONS]     (assay bench NAME --help for each)\n\n"
                       "Measures ours against a baseline in the same run: interleaved, medians.\n\n");
    for (const struct bench *b = benches; b->name; b++)
        (void)fprintf(out, "  %-10s %s\n", b->name, b->summary);
}

int cmd_bench(const struct parts *parts, int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    const char *names[sizeof benches / sizeof benches[0]];
    size_t n = 0;
    for (const struct bench *b = benches; b->name; b++) {
        if (strcmp(argv[1], b->name) == 0)
            return b->run(parts, argc - 1, argv + 1);
        names[n++] = b->name;
    }
    const char *near = nearest_word(argv[1], names, n);
    (void)fprintf(stderr, "assay: unknown benchmark '%s'%s%s%s; see assay bench --help\n", argv[1], near ? ", did you mean '" : "",
                  near ? near : "", near ? "'?" : "");
    return EXIT_USAGE;
}
