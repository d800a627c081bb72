#include "server/cmd/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "model/base/clock.h"

static const int64_t every_ns = 200000000;

void progress_begin(struct progress *progress, const char *what, uint64_t total)
{
    int64_t now = clock_monotonic_ns();
    *progress = (struct progress){
        .what = what, .total = total, .started_ns = now, .shown_ns = now, .terminal = isatty(STDERR_FILENO) == 1};
}

static void put_bar(double part)
{
    enum { WIDTH = 30 };
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < (int)(part * WIDTH) ? '#' : '.';
    bar[WIDTH] = '\0';
    (void)fprintf(stderr, "[%s] %5.1f %%  ", bar, part * 100);
}

static void draw(struct progress *progress, uint64_t done, int64_t now_ns)
{
    double seconds = (double)(now_ns - progress->started_ns) / 1e9;
    double rate = (double)done / seconds;
    (void)fprintf(stderr, "\r\033[K%s: ", progress->what);
    if (progress->total > 0)
        put_bar(done < progress->total ? (double)done / (double)progress->total : 1);
    (void)fprintf(stderr, "%" PRIu64 " rows, %.0f rows/s", done, rate);
    if (progress->total > done && rate > 0)
        (void)fprintf(stderr, ", %.0f s left", (double)(progress->total - done) / rate);
    (void)fflush(stderr);
    progress->drawn = true;
}

void progress_step(struct progress *progress, uint64_t done)
{
    if (!progress->terminal || (progress->steps++ & 1023) != 0)
        return;
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns - progress->shown_ns < every_ns)
        return;
    progress->shown_ns = now_ns;
    draw(progress, done, now_ns);
}

void progress_end(struct progress *progress)
{
    if (progress->drawn)
        (void)fprintf(stderr, "\r\033[K");
    progress->drawn = false;
}
