#include "model/backend.h"

#include "model/base/check.h"

enum status engine_open(const struct backend *backend, struct engine *out, struct error *err)
{
    out->backend = backend;
    out->context = NULL;
    return backend->open(&out->context, err);
}

enum status engine_configure(const struct engine *engine, const char *options, struct error *err)
{
    if (*options == '\0')
        return STATUS_OK;
    if (!engine->backend->configure)
        return error_set(err, STATUS_USAGE, "engine %s takes no options, and was given '%s'", engine->backend->name, options);
    return engine->backend->configure(engine->context, options, err);
}

void engine_close(struct engine *engine)
{
    if (!engine->backend)
        return;
    engine->backend->close(engine->context);
    engine->backend = NULL;
}

enum status engine_prepare(const struct engine *engine, const struct model *model, struct prepared **out, struct error *err)
{
    return engine->backend->prepare(engine->context, model, out, err);
}

void engine_release(const struct engine *engine, struct prepared *prepared)
{
    if (prepared)
        engine->backend->release(engine->context, prepared);
}

enum status engine_submit(const struct engine *engine, const struct prepared *prepared, struct batch *batch)
{
    CHECK(batch->n > 0 && batch->done);
    CHECK(((uintptr_t)batch->rows->base & 63) == 0 && (batch->rows->stride & 63) == 0);
    return engine->backend->submit(engine->context, prepared, batch);
}

unsigned engine_poll(const struct engine *engine)
{
    return engine->backend->poll ? engine->backend->poll(engine->context) : 0;
}

int64_t engine_due_ns(const struct engine *engine)
{
    return engine->backend->due ? engine->backend->due(engine->context) : 0;
}

void engine_limits(const struct engine *engine, const struct prepared *prepared, struct backend_limits *out)
{
    engine->backend->limits(engine->context, prepared, out);
}

void engine_describe(const struct engine *engine, const struct prepared *prepared, struct buf *out)
{
    if (engine->backend->describe)
        engine->backend->describe(engine->context, prepared, out);
}

uint32_t backend_devices(const struct backend *backend, const char *options, struct error *found)
{
    uint32_t count = 1;
    (void)error_set(found, STATUS_OK, "%s: %s", backend->name, backend->summary);
    if (backend->devices && backend->devices(options, &count, found) != STATUS_OK)
        count = 0;
    return count;
}

enum status engine_attach(const struct engine *engine, void *memory, size_t bytes, struct error *err)
{
    return engine->backend->attach ? engine->backend->attach(engine->context, memory, bytes, err) : STATUS_OK;
}

bool engine_notify(const struct engine *engine, void (*wake)(void *owner), void *owner)
{
    if (engine->backend->notify)
        engine->backend->notify(engine->context, wake, owner);
    return engine->backend->notify != NULL;
}

bool engine_state(const struct engine *engine, struct engine_state *out)
{
    if (engine->backend->state)
        engine->backend->state(engine->context, out);
    return engine->backend->state != NULL;
}

size_t engine_figures(const struct engine *engine, struct engine_figure *out, size_t max)
{
    return engine->backend->figures ? engine->backend->figures(engine->context, out, max) : 0;
}
