#include "server/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "model/base/clock.h"

enum { PERIOD_NS = 200000000 };

void progress_begin(struct progress *p, uint64_t total)
{
    *p = (struct progress){.shown = isatty(STDERR_FILENO), .start_ns = clock_monotonic_ns(), .total = total};
    p->next_ns = p->start_ns + PERIOD_NS;
}

static void print(const struct progress *p, uint64_t rows, uint64_t done, int64_t now)
{
    double seconds = (double)(now - p->start_ns) / 1e9;
    (void)fprintf(stderr, "\r%llu rows, %.0f rows/s", (unsigned long long)rows, (double)rows / seconds);
    if (p->total && done) {
        double part = (double)done / (double)p->total;
        (void)fprintf(stderr, ", %.0f %%, %.0f s left   ", part * 100, seconds / part - seconds);
    }
    (void)fflush(stderr);
}

void progress_update(struct progress *p, uint64_t rows, uint64_t done)
{
    int64_t now = p->shown ? clock_monotonic_ns() : 0;
    if (!p->shown || now < p->next_ns)
        return;
    p->next_ns = now + PERIOD_NS;
    print(p, rows, done, now);
}

void progress_end(struct progress *p, uint64_t rows)
{
    if (!p->shown)
        return;
    print(p, rows, p->total, clock_monotonic_ns());
    (void)fputc('\n', stderr);
}
