#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/models/contenders.h"
#include "kernels/cpu/backend_cpu.h"
#include "kernels/ref/backend_reference.h"
#include "model/backend.h"
#include "model/model.h"

enum { BATCH_MAX = 4096 };

struct assay {
    struct contender contender;
    struct engine engine;
    struct model *model;
    struct prepared *prepared;
    struct rows rows;
    struct buf text;
    uint32_t slots[BATCH_MAX];
    double scores[BATCH_MAX];
};

static void ignore_done(struct batch *batch, enum status status)
{
    (void)batch;
    (void)status;
}

static int run(struct contender *contender, uint32_t first, uint32_t n, double *out)
{
    struct assay *assay = (struct assay *)contender;
    for (uint32_t i = 0; i < n; i++)
        assay->slots[i] = first + i;
    struct batch batch = {
        .rows = &assay->rows, .slots = assay->slots, .n = n, .margins = out, .scores = assay->scores, .done = ignore_done};
    return engine_submit(&assay->engine, assay->prepared, &batch) == STATUS_OK ? 0 : -1;
}

static void close_assay(struct contender *contender)
{
    struct assay *assay = (struct assay *)contender;
    if (assay->prepared)
        engine_release(&assay->engine, assay->prepared);
    engine_close(&assay->engine);
    model_free(assay->model);
    free((void *)(uintptr_t)assay->rows.base);
    buf_free(&assay->text);
    free(assay);
}

/* Rows as the server holds them: 64 bytes apart or a multiple, in the model's type. */
static int copy_rows(struct assay *assay, const struct contender_rows *rows)
{
    enum number_type type = model_info(assay->model)->input_type;
    size_t bytes = rows->columns * number_type_bytes(type);
    assay->rows = (struct rows){.stride = (bytes + 63) / 64 * 64, .columns = rows->columns, .type = type};
    char *base = aligned_alloc(64, assay->rows.stride * rows->count);
    if (!base)
        return -1;
    for (uint32_t i = 0; i < rows->count; i++) {
        size_t at = (size_t)i * rows->columns;
        memcpy(base + i * assay->rows.stride, type == NUMBER_F32 ? (const void *)(rows->f32 + at) : (const void *)(rows->f64 + at), bytes);
    }
    assay->rows.base = base;
    return 0;
}

static const struct backend *find_backend(const char *name)
{
    static const struct backend *const backends[] = {&backend_cpu, &backend_cpu_scalar, &backend_cpu_avx2, &backend_cpu_avx512,
                                                     &backend_reference};
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    }
    return NULL;
}

struct contender *contender_assay(const struct contender_rows *rows, const char *engine, const char *model, char *error, size_t error_bytes)
{
    struct error err = {.message = "out of memory, or no such engine"};
    const struct backend *backend = find_backend(engine);
    struct assay *assay = calloc(1, sizeof *assay);
    if (!assay || !backend || engine_open(backend, &assay->engine, &err) != STATUS_OK) {
        (void)snprintf(error, error_bytes, "%s", err.message);
        free(assay);
        return NULL;
    }
    assay->contender = (struct contender){.rows = rows, .run = run, .close = close_assay};
    if (model_load(model, NULL, &assay->model, &err) != STATUS_OK || copy_rows(assay, rows) != 0 ||
        engine_prepare(&assay->engine, assay->model, &assay->prepared, &err) != STATUS_OK) {
        (void)snprintf(error, error_bytes, "%s", err.message);
        close_assay(&assay->contender);
        return NULL;
    }
    return &assay->contender;
}

const char *contender_assay_describe(struct contender *contender)
{
    struct assay *assay = (struct assay *)contender;
    buf_clear(&assay->text);
    engine_describe(&assay->engine, assay->prepared, &assay->text);
    return buf_text(&assay->text);
}
