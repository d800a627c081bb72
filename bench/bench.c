#include "bench/bench.h"

#include "server/cmd/args.h"

static const struct bench {
    const char *name;
    bench_run *run;
} benches[] = {
#define BENCH(name, function, summary) {name, function},
#include "bench/benches.def"
#undef BENCH
};

enum { BENCHES = sizeof benches / sizeof benches[0] };

int cmd_bench(const struct parts *parts, int argc, char **argv)
{
    static const struct args_option options[] = {{.name = NULL}};
    static const struct args_spec spec = {
        .usage = "assay bench NAME [OPTIONS]     (assay bench NAME --help for each)",
        .summary = "Measures ours against a baseline in the same run: interleaved, medians.\n"
#define BENCH(name, function, summary) "\n  " name "\t" summary
#include "bench/benches.def"
#undef BENCH
        ,
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
