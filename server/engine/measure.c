#include "server/engine/measure.h"

#include <stdlib.h>
#include <time.h>

#include "model/base/clock.h"

enum { TRIES_LEAST = 2, TRIES_MOST = 15 };

struct trial {
    enum status status;
    bool done;
};

static void on_done(struct batch *batch, enum status status)
{
    struct trial *trial = batch->owner;
    *trial = (struct trial){.status = status, .done = true};
}

/* Submits and waits. */
static enum status time_batch(const struct measure_options *with, struct batch *batch, double *ns)
{
    struct trial trial = {.done = false};
    batch->owner = &trial;
    int64_t start_ns = clock_monotonic_ns();
    enum status status = engine_submit(with->engine, with->prepared, batch);
    while (status == STATUS_OK && !trial.done)
        (void)engine_poll(with->engine);
    *ns = (double)(clock_monotonic_ns() - start_ns);
    return status == STATUS_OK ? trial.status : status;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The median, after one try that is not counted. */
static enum status measure_size(const struct measure_options *with, struct batch *batch, int64_t budget_ns, double *median_ns)
{
    double ns[TRIES_MOST], first_ns;
    uint32_t n = 0;
    enum status status = time_batch(with, batch, &first_ns);
    int64_t end_ns = clock_monotonic_ns() + budget_ns;
    while (status == STATUS_OK && n < TRIES_MOST && (n < TRIES_LEAST || clock_monotonic_ns() < end_ns))
        status = time_batch(with, batch, &ns[n++]);
    if (status != STATUS_OK)
        return status;
    qsort(ns, n, sizeof ns[0], compare);
    *median_ns = ns[(n - 1) / 2];
    return STATUS_OK;
}

enum status measure_cost(const struct measure_options *with, struct cost *out, struct error *err)
{
    struct batch batch = {.rows = with->rows, .done = on_done};
    uint32_t *slots = calloc(with->batch_max, sizeof *slots);
    batch.margins = calloc((size_t)with->batch_max * with->margins, sizeof(double));
    batch.scores = calloc((size_t)with->batch_max * with->scores, sizeof(double));
    enum status status = STATUS_OK;
    if (!slots || !batch.margins || !batch.scores)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for measuring an engine");
    for (uint32_t i = 0; slots && i < with->batch_max; i++)
        slots[i] = i % with->row_count;
    batch.slots = slots;
    cost_init(out, with->batch_max, 1);
    for (uint32_t i = 0; i < out->count && status == STATUS_OK; i++) {
        double ns = 0;
        batch.n = out->sizes[i];
        status = measure_size(with, &batch, with->budget_ns / out->count, &ns);
        if (status == STATUS_OK)
            cost_set(out, i, ns);
        else
            status = error_set(err, status, "engine %s failed while it was measured: %s", with->engine->backend->name, status_text(status));
    }
    free(slots);
    free(batch.margins);
    free(batch.scores);
    return status;
}
