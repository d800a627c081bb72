/* A progress line on a terminal: rows, rate and, where the end is known, a bar and the time left. Silent elsewhere. One thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown;
    int64_t start_ns, next_ns;
    uint64_t total; /* bytes of input, rows to make …; 0: unknown */
};

/* total: in the measure of `done` below, or 0. */
void progress_begin(struct progress *p, uint64_t total);
/* Call as often as you like: it prints at most five times a second. */
void progress_update(struct progress *p, uint64_t rows, uint64_t done);
void progress_end(struct progress *p, uint64_t rows);
