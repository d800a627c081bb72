/*
 * assay model: what is in a model file, and what it answers.
 */
#include <stdio.h>
#include <string.h>

#include "server/cmd/args.h"
#include "server/cmd/model_command.h"

static const struct {
    const char *name;
    int (*run)(const struct parts *parts, int argc, char **argv);
} verbs[] = {
    {"show", model_show},
    {"predict", model_predict},
    {"golden", model_golden},
};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

int cmd_model(const struct parts *parts, int argc, char **argv)
{
    static const struct args_option options[] = {{.name = NULL}};
    static const struct args_spec spec = {
        .usage = "assay model show|predict|golden ...     (assay model VERB --help for each)",
        .summary = "What is in a model file of XGBoost (.json, .ubj), LightGBM (.txt), ONNX or CatBoost (.json), and what it answers.\n\n"
                   "  show      kind, writer, objective, trees, features with how often each splits, memory and speed\n"
                   "  predict   margin and score of each row of a CSV file, to the bit as the library that wrote the model\n"
                   "  golden    transactions with the scores that a bundle must give at every load",
        .examples = "  assay model show model.ubj\n  assay model predict model.ubj rows.csv > scores.csv",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *names[VERBS + 1] = {0};
    for (size_t i = 0; i < VERBS; i++)
        names[i] = verbs[i].name;
    if (argc < 2 || argv[1][0] == '-') {
        const char *operands[1];
        size_t n;
        return args_parse(&spec, argc < 2 ? argc : 2, argv, operands, &n) == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    }
    int verb = args_choice(&spec, "verb", argv[1], names);
    return verb < 0 ? EXIT_USAGE : verbs[verb].run(parts, argc - 1, argv + 1);
}
