#include "bench/bench.h"

#include <stdio.h>

#include "model/base/check.h"
#include "server/cmd/args.h"

static const struct bench {
    const char *name;
    const char *summary;
    bench_run *run;
} benches[] = {
#define BENCH(name, function, summary) {name, summary, function},
#include "bench/benches.def"
#undef BENCH
};

enum { BENCHES = sizeof benches / sizeof benches[0] };

static const char *summary_text(void)
{
    static char text[2048];
    int n = snprintf(text, sizeof text, "Measures ours against a baseline in the same run: interleaved, medians.\n");
    for (size_t i = 0; i < BENCHES; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "\n  %-10s %s", benches[i].name, benches[i].summary);
    CHECK((size_t)n < sizeof text);
    return text;
}

int cmd_bench(const struct parts *parts, int argc, char **argv)
{
    static const struct args_option options[] = {{.name = NULL}};
    const struct args_spec spec = {
        .usage = "assay bench NAME [OPTIONS]     (assay bench NAME --help for each)",
        .summary = summary_text(),
        .examples = "  assay bench decode\n  assay bench decode --json",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *names[BENCHES + 1] = {0};
    for (size_t i = 0; i < BENCHES; i++)
        names[i] = benches[i].name;
    if (argc < 2 || (argv[1][0] == '-' && argv[1][1] != '\0')) {
        const char *operand;
        size_t operands;
        return args_parse(&spec, argc < 2 ? argc : 2, argv, &operand, &operands) == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    }
    int chosen = args_choice(&spec, "benchmark", argv[1], names);
    return chosen < 0 ? EXIT_USAGE : benches[chosen].run(parts, argc - 1, argv + 1);
}
