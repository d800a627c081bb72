/*
 * assay verify: loads a bundle as the server would, golden rows and all, on every engine of this machine.
 */
#include <stdio.h>
#include <string.h>

#include "model/backend.h"
#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "server/loaded.h"

int cmd_verify(const struct parts *parts, int argc, char **argv)
{
    const char *dir = NULL;
    const struct args_option options[] = {{.name = NULL}};
    const struct args_spec spec = {
        .usage = "assay verify BUNDLE",
        .summary = "Loads a bundle as the server would and scores its golden rows (golden.jsonl) on every engine that this machine has:\n"
                   "each must give every score to the bit.",
        .examples = "  assay verify config/bundles/card-fraud",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
    };
    enum args_result parsed = args_parse(&spec, argc, argv, &dir, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    int code = EXIT_DONE;
    char said[sizeof ((struct error *)0)->message] = ""; /* what is wrong with the bundle itself is the same on every engine */
    for (const struct backend *const *b = parts->backends; *b; b++) {
        if ((*b)->only_by_name)
            continue;
        struct loaded loaded;
        struct error err = {""};
        enum status status = loaded_open(parts, dir, (*b)->name, &loaded, &err);
        if (status == STATUS_OK) {
            (void)printf("%-12s %s %s: %llu golden rows, all to the bit\n", (*b)->name, loaded.bundle->name, loaded.bundle->version,
                         (unsigned long long)loaded.golden_rows);
            if (loaded.golden_rows == 0)
                (void)printf("%-12s the bundle has no golden.jsonl; assay model golden makes one\n", "");
            loaded_close(&loaded);
        } else if (status == STATUS_UNSUPPORTED) {
            (void)printf("%-12s skipped: %s\n", (*b)->name, err.message);
        } else {
            if (strcmp(said, err.message) != 0)
                (void)fprintf(stderr, "assay: %s: %s\n", (*b)->name, err.message);
            (void)snprintf(said, sizeof said, "%s", err.message);
            code = EXIT_FAILED;
        }
    }
    return code;
}
