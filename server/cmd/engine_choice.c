#include "server/cmd/engine_choice.h"

#include <stdio.h>
#include <string.h>

static enum status try_backend(const struct backend *backend, const char *options, const struct model *model, struct engine *engine,
                               struct prepared **prepared, struct error *err)
{
    enum status status = engine_open(backend, engine, err);
    if (status != STATUS_OK)
        return status;
    status = engine_configure(engine, options, err);
    if (status == STATUS_OK)
        status = engine_prepare(engine, model, prepared, err);
    if (status != STATUS_OK)
        engine_close(engine);
    return status;
}

static enum status refuse_name(const struct parts *parts, const char *name, struct error *err)
{
    char names[128] = "auto";
    size_t used = 4;
    for (const struct backend *const *b = parts->backends; *b && used < sizeof names; b++) {
        int n = snprintf(names + used, sizeof names - used, ", %s", (*b)->name);
        used += n > 0 ? (size_t)n : 0;
    }
    return error_set(err, STATUS_USAGE, "there is no engine '%s'; there are: %s", name, names);
}

enum status engine_choose(const struct parts *parts, const char *name, const struct model *model, struct engine *engine,
                          struct prepared **prepared, struct error *err)
{
    size_t len = strcspn(name, ":");
    const char *options = name[len] ? name + len + 1 : "";
    bool any = len == 4 && memcmp(name, "auto", len) == 0;
    enum status status = STATUS_USAGE;
    for (const struct backend *const *b = parts->backends; *b; b++) {
        if (any ? (*b)->only_by_name : strlen((*b)->name) != len || memcmp(name, (*b)->name, len) != 0)
            continue;
        status = try_backend(*b, options, model, engine, prepared, err);
        if (status == STATUS_OK || !any)
            return status;
    }
    return status == STATUS_USAGE ? refuse_name(parts, name, err) : status;
}
