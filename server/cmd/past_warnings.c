#include "server/cmd/past_warnings.h"

#include <stdio.h>

static void warn_of_disorder(const char *command, struct history *history, uint64_t transactions)
{
    struct state_statistics statistics;
    state_statistics(history_state(history), &statistics);
    if (statistics.late > 0)
        (void)fprintf(stderr, "assay %s: %llu of %llu transactions were late (older than state.disorder_s against their key's newest): sort the file by time\n",
                      command, (unsigned long long)statistics.late, (unsigned long long)transactions);
}

void past_warnings(const char *command, struct history *history, const struct label_file *labels, uint64_t transactions)
{
    if (history)
        warn_of_disorder(command, history, transactions);
    size_t unmet = label_file_unmet(labels);
    if (unmet > 0)
        (void)fprintf(stderr, "assay %s: %zu of %zu labels belong to no transaction of the file\n", command, unmet, labels->count);
}
