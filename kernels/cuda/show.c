/* What others may see of the engine: for people, for metrics. */
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/engine_private.h"

static uint64_t read_figure(const _Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}

void engine_state_cuda(void *context, struct engine_state *out)
{
    struct engine_cuda *e = context;
    (void)pthread_mutex_lock(&e->lock);
    (void)snprintf(out->device, sizeof out->device, "GPU %u, %.80s", (unsigned)e->with.device, e->name);
    (void)snprintf(out->bus, sizeof out->bus, "%s", e->bus);
    (void)snprintf(out->reason, sizeof out->reason, "%s", e->reason);
    (void)pthread_mutex_unlock(&e->lock);
    out->up = atomic_load_explicit(&e->figures.up, memory_order_relaxed);
}

/* Neighbours that are computed alike are one line. */
static void describe_ways(const struct engine_cuda *e, const struct prepared *p, struct buf *out)
{
    for (uint32_t b = 0; b < p->bucket_count;) {
        const struct way *way = &p->ways[b];
        uint32_t last = b;
        while (last + 1 < p->bucket_count && p->ways[last + 1].launch.kernel == way->launch.kernel && p->ways[last + 1].copied == way->copied)
            last++;
        buf_format(out, "kernel: %s, %u to %u rows%s, %.1f to %.1f us\n", e->module->kernels[way->launch.kernel].name, b ? (1u << (b - 1)) + 1 : 1,
                   1u << last, way->copied ? ", copied to the device first" : "", way->us, p->ways[last].us);
        b = last + 1;
    }
}

void engine_describe_cuda(void *context, const struct prepared *p, struct buf *out)
{
    struct engine_cuda *e = context;
    struct engine_state state;
    engine_state_cuda(e, &state);
    buf_format(out, "device: %s, %s%s%s\n", state.device, e->table->name, state.up ? "" : ", down: ", state.up ? "" : state.reason);
    buf_format(out, "memory: %zu bytes on the device for the model\n", p->image_bytes);
    describe_ways(e, p, out);
}

/* --- figures ----------------------------------------------------------------------------------------------------------- */

#define BYTES_HELP "Bytes of rows read by the device, of margins written by it."
#define PHASE_HELP "Time of batches by phase: wait (for a stream), send (gather and launch), device (from launch to answer), return (scores)."
#define BATCH_HELP "Pieces of batches sent to the device, by the most rows of their size class."
#define MEMORY_HELP "Memory of the device when its models were last put on it."

size_t engine_figures_cuda(void *context, struct engine_figure *out, size_t max)
{
    static const char *const phases[PHASES] = {"wait", "send", "device", "return"};
    static const char *const sizes[BUCKETS_MAX] = {"1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024", "2048", "4096"};
    struct engine_cuda *e = context;
    const struct figures *f = &e->figures;
    size_t n = 0;
#define PUT(name_, type_, help_, label_, label_value_, value_) \
    do { \
        if (n < max) \
            out[n] = (struct engine_figure){name_, type_, help_, label_, label_value_, (double)(value_)}; \
        n++; \
    } while (0)
    PUT("assay_device_up", "gauge", "1: the device computes; 0: it is down, and tried again.", NULL, NULL,
        atomic_load_explicit(&f->up, memory_order_relaxed));
    PUT("assay_device_rows_total", "counter", "Rows computed by the device.", NULL, NULL, read_figure(&f->rows));
    PUT("assay_device_bytes_total", "counter", BYTES_HELP, "direction", "in", read_figure(&f->bytes_in));
    PUT("assay_device_bytes_total", "counter", BYTES_HELP, "direction", "out", read_figure(&f->bytes_out));
    for (uint32_t i = 0; i < PHASES; i++)
        PUT("assay_device_phase_seconds_total", "counter", PHASE_HELP, "phase", phases[i], (double)read_figure(&f->phase_ns[i]) / 1e9);
    for (uint32_t i = 0; i < BUCKETS_MAX; i++)
        PUT("assay_device_batches_total", "counter", BATCH_HELP, "rows", sizes[i], read_figure(&f->batches[i]));
    PUT("assay_device_busy_seconds_total", "counter", "Time with something under way on the device; its rate is the utilisation.", NULL, NULL,
        (double)read_figure(&f->busy_ns) / 1e9);
    PUT("assay_device_faults_total", "counter", "Times that the device failed, was lost or hung, and was taken down.", NULL, NULL, read_figure(&f->faults));
    PUT("assay_device_recoveries_total", "counter", "Times that it was brought back.", NULL, NULL, read_figure(&f->recoveries));
    PUT("assay_device_abandoned_batches_total", "counter", "Batches given up because a call of the driver did not return.", NULL, NULL, read_figure(&f->hung));
    PUT("assay_device_memory_bytes", "gauge", MEMORY_HELP, "state", "free", read_figure(&f->memory_free));
    PUT("assay_device_memory_bytes", "gauge", MEMORY_HELP, "state", "total", read_figure(&f->memory_total));
#undef PUT
    return n;
}
