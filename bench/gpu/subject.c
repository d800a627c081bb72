#include "bench/gpu/gpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/clock.h"
#include "model/forest.h"

enum { ROWS_MOST = 1 << 18, PAGE = 4096 };

static const size_t ROW_BYTES_MOST = (size_t)512 << 20;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12; /* xorshift64*, S. Vigna (2016) */
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static double uniform(uint64_t *state)
{
    return (double)(next_random(state) >> 11) * 0x1p-53;
}

static void put(const struct rows *rows, uint32_t row, uint32_t column, double x)
{
    char *at = (char *)(uintptr_t)rows->base + (size_t)row * rows->stride;
    if (rows->type == NUMBER_F32)
        ((float *)(void *)at)[column] = (float)x;
    else
        ((double *)(void *)at)[column] = x;
}

/* Numbers as a scaler gives them; where the model has thresholds, values around those, so that rows part where it makes them. */
static void fill(struct subject *s)
{
    const struct forest *f = model_forest(s->model);
    for (uint32_t r = 0; r < s->row_count; r++) {
        for (uint32_t c = 0; c < s->rows.columns; c++)
            put(&s->rows, r, c, uniform(&s->random) < 0.02 && f ? (double)NAN : uniform(&s->random) * 4 - 2);
        for (uint32_t i = 0; f && i < s->rows.columns; i++) {
            const struct forest_node *node = &f->nodes[next_random(&s->random) % f->node_count];
            if (node->op == FOREST_MEMBER)
                put(&s->rows, r, node->feature, floor(uniform(&s->random) * 32 * f->sets[node->set].words));
            else if (node->op != FOREST_LEAF)
                put(&s->rows, r, node->feature, node->threshold * (0.9 + 0.2 * uniform(&s->random)));
        }
    }
}

static enum status make_rows(struct subject *s, struct error *err)
{
    const struct model_info *info = model_info(s->model);
    size_t stride = (info->features * number_type_bytes(info->input_type) + 63) / 64 * 64;
    size_t fit = ROW_BYTES_MOST / (stride ? stride : 64);
    s->row_count = fit < ROWS_MOST ? (uint32_t)fit : ROWS_MOST;
    s->rows = (struct rows){.stride = stride ? stride : 64, .columns = info->features, .type = info->input_type};
    s->rows.base = aligned_alloc(PAGE, (s->rows.stride * s->row_count + PAGE - 1) / PAGE * PAGE);
    if (!s->rows.base)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for rows");
    fill(s);
    return STATUS_OK;
}

static enum status open_all(const struct backend *backend, const char *options, const struct subject *from, struct subject *s, struct error *err)
{
    enum status status = from ? STATUS_OK : model_load(s->path, NULL, &s->model, err);
    if (status == STATUS_OK)
        status = engine_open(backend, &s->engine, err);
    if (status == STATUS_OK)
        status = engine_configure(&s->engine, options, err);
    if (status == STATUS_OK)
        status = engine_prepare(&s->engine, s->model, &s->prepared, err);
    if (status == STATUS_OK && !from)
        status = make_rows(s, err);
    return status == STATUS_OK ? engine_attach(&s->engine, (void *)(uintptr_t)s->rows.base, s->rows.stride * s->row_count, err) : status;
}

enum status subject_open(const struct backend *backend, const char *options, const char *path, const struct subject *from, struct subject *out,
                         struct error *err)
{
    *out = (struct subject){.path = path, .random = 88172645463325252};
    if (from) {
        out->model = from->model;
        out->rows = from->rows;
        out->row_count = from->row_count;
    }
    enum status status = open_all(backend, options, from, out, err);
    if (status != STATUS_OK) {
        if (from) /* they are not ours */
            out->model = NULL, out->rows.base = NULL;
        subject_close(out);
        return status;
    }
    struct backend_limits limits;
    engine_limits(&out->engine, out->prepared, &limits);
    out->batch_max = limits.batch_max;
    out->in_flight_max = limits.synchronous ? 1 : limits.in_flight_max;
    return STATUS_OK;
}

void subject_close(struct subject *s)
{
    engine_release(&s->engine, s->prepared);
    engine_close(&s->engine);
    model_free(s->model);
    free((void *)(uintptr_t)s->rows.base);
    *s = (struct subject){.path = NULL};
}

/* --- calls ------------------------------------------------------------------------------------------------------------- */

static void on_done(struct batch *batch, enum status status)
{
    struct call *call = batch->owner;
    call->status = status;
    call->done = true;
}

enum status call_init(struct call *call, const struct subject *s, uint32_t most, struct error *err)
{
    const struct model_info *info = model_info(s->model);
    *call = (struct call){.done = true};
    call->slots = calloc(most, sizeof *call->slots);
    call->margins = calloc((size_t)most * info->margins, sizeof *call->margins);
    call->scores = calloc((size_t)most * info->scores, sizeof *call->scores);
    return call->slots && call->margins && call->scores ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for a batch");
}

void call_free(struct call *call)
{
    free(call->slots);
    free(call->margins);
    free(call->scores);
}

void call_pick(struct call *call, struct subject *s, uint32_t n, bool in_a_row)
{
    uint32_t first = (uint32_t)(next_random(&s->random) % s->row_count);
    for (uint32_t i = 0; i < n; i++)
        call->slots[i] = in_a_row ? (first + i) % s->row_count : (uint32_t)(next_random(&s->random) % s->row_count);
    call->batch.n = n;
}

enum status call_send(struct call *call, const struct subject *s)
{
    call->done = false;
    call->batch = (struct batch){.rows = &s->rows, .slots = call->slots, .n = call->batch.n, .margins = call->margins, .scores = call->scores,
                                 .done = on_done, .owner = call};
    return engine_submit(&s->engine, s->prepared, &call->batch);
}

enum status call_run(struct call *call, const struct subject *s, int64_t *ns)
{
    int64_t start_ns = clock_monotonic_ns();
    enum status status = call_send(call, s);
    while (status == STATUS_OK && !call->done)
        (void)engine_poll(&s->engine);
    *ns = clock_monotonic_ns() - start_ns;
    return status == STATUS_OK ? call->status : status;
}
