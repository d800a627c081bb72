#include "bench/models/contenders.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int contender_load(const char *library, const char *const names[], void *functions[], size_t count, char *error, size_t error_bytes)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL); /* stays open: rivals do not expect to be unloaded */
    if (!handle) {
        (void)snprintf(error, error_bytes, "%s", dlerror());
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        functions[i] = dlsym(handle, names[i]);
        if (!functions[i]) {
            (void)snprintf(error, error_bytes, "%s has no %s", library, names[i]);
            return -1;
        }
    }
    return 0;
}

int contender_run(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    return contender->run(contender, first, n, out);
}

static double thread_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

double contender_time(struct contender *contender, uint32_t first, uint32_t n, uint32_t calls)
{
    uint32_t count = contender->rows->count, at = first % count;
    double *out = malloc(n * sizeof *out);
    if (!out || n > count) {
        free(out);
        return -1;
    }
    int failed = 0;
    double start = thread_us();
    for (uint32_t c = 0; c < calls && !failed; c++) {
        at = at + n > count ? 0 : at;
        failed = contender->run(contender, at, n, out);
        at += n;
    }
    double us = (thread_us() - start) / calls;
    free(out);
    return failed ? -1 : us;
}

void contender_close(struct contender *contender)
{
    if (contender)
        contender->close(contender);
}
