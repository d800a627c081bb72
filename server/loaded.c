#include "server/loaded.h"

#include "server/cmd/engine_choice.h"
#include "server/golden.h"

enum status loaded_open_unchecked(const struct parts *parts, const char *dir, const char *engine, struct loaded *out, struct error *err)
{
    *out = (struct loaded){.bundle = NULL};
    enum status status = bundle_load(dir, &out->bundle, err);
    if (status == STATUS_OK)
        status = engine_choose(parts, engine, out->bundle->model, &out->engine, &out->prepared, err);
    if (status != STATUS_OK)
        loaded_close(out);
    return status;
}

enum status loaded_open(const struct parts *parts, const char *dir, const char *engine, struct loaded *out, struct error *err)
{
    enum status status = loaded_open_unchecked(parts, dir, engine, out, err);
    if (status == STATUS_OK)
        status = golden_check(out, err);
    if (status != STATUS_OK)
        loaded_close(out);
    return status;
}

void loaded_close(struct loaded *loaded)
{
    engine_release(&loaded->engine, loaded->prepared);
    engine_close(&loaded->engine);
    bundle_free(loaded->bundle);
    *loaded = (struct loaded){.bundle = NULL};
}
