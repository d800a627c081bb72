#include "server/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "model/base/clock.h"

enum { PERIOD_NS = 200000000, BAR_WIDTH = 30 };

void progress_begin(struct progress *p, uint64_t total)
{
    *p = (struct progress){.shown = isatty(STDERR_FILENO), .start_ns = clock_monotonic_ns(), .total = total};
    p->next_ns = p->start_ns + PERIOD_NS;
}

static void print_bar(double part)
{
    char bar[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < (int)(part * BAR_WIDTH) ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    (void)fprintf(stderr, "[%s] %3.0f %%  ", bar, part * 100);
}

/* \033[K clears what an earlier, longer line left behind. */
static void print(const struct progress *p, uint64_t rows, uint64_t done, int64_t now)
{
    double seconds = (double)(now - p->start_ns) / 1e9;
    double part = p->total == 0 ? 0 : done < p->total ? (double)done / (double)p->total : 1;
    (void)fputs("\r\033[K", stderr);
    if (p->total)
        print_bar(part);
    (void)fprintf(stderr, "%llu rows, %.0f rows/s", (unsigned long long)rows, (double)rows / seconds);
    if (part > 0 && part < 1)
        (void)fprintf(stderr, ", %.0f s left", seconds / part - seconds);
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
