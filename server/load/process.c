#include "server/load/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum status process_cpu_s(pid_t pid, double *out, struct error *err)
{
    clockid_t clock; /* the kernel keeps one for every process, finer than the ticks of /proc/PID/stat */
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return error_set(err, STATUS_NOT_FOUND, "there is no process %ld", (long)pid);
    *out = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    return STATUS_OK;
}

int64_t process_rss(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    FILE *f = fopen(path, "r");
    int64_t pages = 0;
    if (f && fscanf(f, "%*d %" SCNd64, &pages) != 1)
        pages = 0;
    if (f)
        (void)fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}
