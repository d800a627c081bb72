#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gpu/gpu.h"
#include "model/base/clock.h"

enum { WARM = 20, SAMPLES_MOST = 20000, FLIGHTS_MOST = 16 };

const uint32_t gpu_sizes[SIZES] = {1, 8, 64, 512, 1024, 4096, 16384, 65536};

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nearest rank of ascending values: the smallest one that at least the part q of all is not above. */
static double quantile(const double *values, uint32_t n, double q)
{
    uint32_t rank = (uint32_t)ceil(q * n);
    return values[rank > 0 ? rank - 1 : 0];
}

static enum status failed(const struct subject *s, enum status status, struct error *err)
{
    struct engine_state state;
    bool told = engine_state(&s->engine, &state) && !state.up;
    return error_set(err, status, "%s: a batch failed: %s", s->engine.backend->name, told ? state.reason : status_text(status));
}

enum status measure_latency(struct subject *s, uint32_t n, double seconds, struct latency *out, struct error *err)
{
    struct call call;
    double *us = calloc(SAMPLES_MOST, sizeof *us);
    uint32_t count = 0;
    enum status status = us ? call_init(&call, s, n, err) : error_set(err, STATUS_NO_MEMORY, "out of memory");
    int64_t end_ns = clock_monotonic_ns() + (int64_t)(seconds * 1e9), ns;
    for (int i = 0; i < WARM && status == STATUS_OK && (i < 2 || clock_monotonic_ns() < end_ns); i++) {
        call_pick(&call, s, n, false);
        status = call_run(&call, s, &ns);
    }
    end_ns = clock_monotonic_ns() + (int64_t)(seconds * 1e9);
    while (status == STATUS_OK && count < SAMPLES_MOST && (count < 3 || clock_monotonic_ns() < end_ns)) {
        call_pick(&call, s, n, false); /* rows that no cache has seen lately, as in production */
        status = call_run(&call, s, &ns);
        us[count++] = (double)ns / 1e3;
    }
    if (status == STATUS_OK) {
        qsort(us, count, sizeof *us, by_time);
        *out = (struct latency){quantile(us, count, 0.5), quantile(us, count, 0.99), quantile(us, count, 0.999), count};
    } else if (us && status != STATUS_NO_MEMORY) {
        (void)failed(s, status, err);
    }
    if (us)
        call_free(&call);
    free(us);
    return status;
}

/* Keeps all calls under way until the time is over, then takes the last ones back. */
static enum status keep_full(struct subject *s, struct call *calls, uint32_t count, uint32_t n, int64_t end_ns, uint64_t *rows)
{
    enum status status = STATUS_OK;
    bool open = true, flying = true;
    while (flying) {
        flying = false;
        for (uint32_t i = 0; i < count; i++) {
            struct call *call = &calls[i];
            if (call->done && call->batch.owner) {
                status = status == STATUS_OK ? call->status : status;
                *rows += n;
                call->batch.owner = NULL;
            }
            open = open && status == STATUS_OK && clock_monotonic_ns() < end_ns;
            if (call->done && open) {
                enum status sent = call_send(call, s);
                status = sent == STATUS_OK || sent == STATUS_BUSY ? status : sent;
                call->done = call->done || sent != STATUS_OK;
                call->batch.owner = sent == STATUS_OK ? call : NULL;
            }
            flying = flying || !call->done || call->batch.owner || open;
        }
        (void)engine_poll(&s->engine);
    }
    return status;
}

enum status measure_rate(struct subject *s, uint32_t n, double seconds, double *rows_per_s, struct error *err)
{
    struct call calls[FLIGHTS_MOST] = {{.done = false}};
    uint32_t count = s->in_flight_max < FLIGHTS_MOST ? s->in_flight_max : FLIGHTS_MOST;
    uint64_t rows = 0;
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        status = call_init(&calls[i], s, n, err);
        if (status == STATUS_OK)
            call_pick(&calls[i], s, n, false);
    }
    int64_t start_ns = clock_monotonic_ns();
    if (status == STATUS_OK) {
        status = keep_full(s, calls, count, n, start_ns + (int64_t)(seconds * 1e9), &rows);
        if (status != STATUS_OK)
            (void)failed(s, status, err);
    }
    *rows_per_s = (double)rows / ((double)(clock_monotonic_ns() - start_ns) / 1e9);
    for (uint32_t i = 0; i < count; i++)
        call_free(&calls[i]);
    return status;
}

static double read_number(const char *bus, const char *file)
{
    char path[128], line[64] = "";
    int length = snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", bus, file);
    for (int i = 0; i < length; i++)
        path[i] = path[i] >= 'A' && path[i] <= 'F' ? (char)(path[i] - 'A' + 'a') : path[i];
    FILE *in = fopen(path, "r");
    if (!in)
        return 0;
    bool there = fgets(line, sizeof line, in) != NULL;
    (void)fclose(in);
    return there ? strtod(line, NULL) : 0;
}

double bus_bytes_per_s(const char *bus)
{
    double giga_transfers = read_number(bus, "max_link_speed"), width = read_number(bus, "max_link_width");
    double encoding = giga_transfers > 5 ? 128.0 / 130 : 8.0 / 10; /* from PCIe 3 on; before */
    return *bus ? giga_transfers * 1e9 * width / 8 * encoding : 0;
}

double crossover(const struct latency *gpu, const struct latency *cpu, uint32_t count)
{
    uint32_t first = count;
    while (first > 0 && gpu[first - 1].p50_us <= cpu[first - 1].p50_us)
        first--;
    if (first == count)
        return 0;
    if (first == 0)
        return gpu_sizes[0];
    double below = gpu[first - 1].p50_us - cpu[first - 1].p50_us, above = cpu[first].p50_us - gpu[first].p50_us;
    return gpu_sizes[first - 1] + (gpu_sizes[first] - gpu_sizes[first - 1]) * below / (below + above);
}
