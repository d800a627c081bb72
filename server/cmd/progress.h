/*
 * A progress line on stderr, where that is a terminal: rows done, rate, time left. Elsewhere nothing is written.
 *
 *     struct progress progress;
 *     progress_begin(&progress, "gen", total);     total 0: not known
 *     progress_step(&progress, done);              as often as one likes: it looks at the clock every 1024 steps
 *     progress_end(&progress);                     takes the line away
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what;
    uint64_t total;
    int64_t started_ns, shown_ns;
    uint32_t steps;
    bool terminal, drawn;
};

void progress_begin(struct progress *progress, const char *what, uint64_t total);
void progress_step(struct progress *progress, uint64_t done);
void progress_end(struct progress *progress);
