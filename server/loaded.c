#include "server/loaded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cmd/engine_choice.h"
#include "server/golden.h"
#include "server/log.h"

enum { WORD_MAX = 256 };

static enum status open_one(const struct parts *parts, const char *word, struct loaded *out, struct error *err)
{
    if (!out->prepared)
        return engine_choose(parts, word, out->bundle->model, &out->engine, &out->prepared, err);
    if (out->more_count == LOADED_ENGINES_MAX - 1)
        return error_set(err, STATUS_USAGE, "engine: at most %d", LOADED_ENGINES_MAX);
    struct loaded_engine *e = &out->more[out->more_count];
    enum status status = engine_choose(parts, word, out->bundle->model, &e->engine, &e->prepared, err);
    out->more_count += status == STATUS_OK;
    return status;
}

/* name[*n][:options] */
static enum status open_word(const struct parts *parts, const char *text, size_t len, struct loaded *out, struct error *err)
{
    char word[WORD_MAX];
    size_t name = 0;
    unsigned long n = 1;
    if (len >= sizeof word)
        return error_set(err, STATUS_USAGE, "engine: '%.*s' is too long", (int)len, text);
    memcpy(word, text, len);
    word[len] = '\0';
    name = strcspn(word, "*:");
    if (word[name] == '*') {
        char *end;
        n = strtoul(word + name + 1, &end, 10);
        if (end == word + name + 1 || (*end && *end != ':') || n == 0)
            return error_set(err, STATUS_USAGE, "engine: after '%.*s*' a number is expected", (int)name, word);
        memmove(word + name, end, strlen(end) + 1);
    }
    enum status status = STATUS_OK;
    for (; n > 0 && status == STATUS_OK; n--)
        status = open_one(parts, word, out, err);
    return status;
}

static enum status open_engines(const struct parts *parts, const char *engines, struct loaded *out, struct error *err)
{
    enum status status = STATUS_OK;
    const char *at = engines + strspn(engines, " ");
    if (!*at)
        return error_set(err, STATUS_USAGE, "engine: none is named; auto takes the best");
    while (*at && status == STATUS_OK) {
        size_t len = strcspn(at, " ");
        status = open_word(parts, at, len, out, err);
        at += len;
        at += strspn(at, " ");
    }
    return status;
}

enum status loaded_open_unchecked(const struct parts *parts, const char *dir, const char *engines, struct loaded *out, struct error *err)
{
    *out = (struct loaded){.bundle = NULL};
    enum status status = bundle_load(dir, &out->bundle, err);
    if (status == STATUS_OK)
        status = open_engines(parts, engines, out, err);
    if (status != STATUS_OK)
        loaded_close(out);
    return status;
}

/* The rows on every backend that is used, once each where those of a kind stand together. */
static enum status check_golden(struct loaded *loaded, struct error *err)
{
    enum status status = golden_check(loaded, err);
    for (uint32_t i = 0; i < loaded->more_count && status == STATUS_OK; i++) {
        struct loaded other = *loaded;
        other.engine = loaded->more[i].engine;
        other.prepared = loaded->more[i].prepared;
        const struct backend *before = i > 0 ? loaded->more[i - 1].engine.backend : loaded->engine.backend;
        if (other.engine.backend != before)
            status = golden_check(&other, err);
    }
    return status;
}

enum status loaded_open(const struct parts *parts, const char *dir, const char *engines, struct loaded *out, struct error *err)
{
    enum status status = loaded_open_unchecked(parts, dir, engines, out, err);
    if (status == STATUS_OK)
        status = check_golden(out, err);
    if (status != STATUS_OK)
        loaded_close(out);
    return status;
}

/* --- devices ----------------------------------------------------------------------------------------------------------- */

/* The backend with devices that a word names, where it does not say which of them; else NULL. */
static const struct backend *devices_meant(const struct parts *parts, const char *word)
{
    size_t len = strcspn(word, "*:");
    for (const struct backend *const *b = parts->backends; *b; b++) {
        if ((*b)->devices && strlen((*b)->name) == len && memcmp((*b)->name, word, len) == 0)
            return word[len] == '*' || strstr(word, "device=") ? NULL : *b;
    }
    return NULL;
}

/* One engine for each device of the backend. needed: else what can't be had is left out. */
static enum status open_devices(const struct parts *parts, const struct backend *backend, const char *options, bool needed, struct loaded *out,
                                struct error *err)
{
    struct error found = {""};
    uint32_t count = backend_devices(backend, options, &found);
    log_info("engine.found", LOG_TEXT("name", backend->name), LOG_TEXT("found", found.message));
    if (needed && count == 0)
        return error_set(err, STATUS_UNSUPPORTED, "%s", found.message);
    for (uint32_t i = 0; i < count; i++) {
        char word[WORD_MAX];
        (void)snprintf(word, sizeof word, "%s:%.200s%sdevice=%u", backend->name, options, *options ? "," : "", i);
        enum status status = open_one(parts, word, out, err);
        if (status != STATUS_OK && needed)
            return status;
        if (status != STATUS_OK)
            log_warn("engine.left_out", LOG_TEXT("name", word), LOG_TEXT("reason", err->message));
    }
    return STATUS_OK;
}

static bool has_synchronous(const struct loaded *loaded)
{
    struct backend_limits limits;
    engine_limits(&loaded->engine, loaded->prepared, &limits);
    for (uint32_t i = 0; i < loaded->more_count && !limits.synchronous; i++)
        engine_limits(&loaded->more[i].engine, loaded->more[i].prepared, &limits);
    return limits.synchronous;
}

static enum status open_serving(const struct parts *parts, const char *engines, struct loaded *out, struct error *err)
{
    bool any = strcmp(engines, "auto") == 0;
    const struct backend *meant = devices_meant(parts, engines);
    if (!any && !meant)
        return open_engines(parts, engines, out, err);
    if (meant) {
        size_t len = strlen(meant->name);
        enum status status = open_devices(parts, meant, engines[len] ? engines + len + 1 : "", true, out, err);
        return status != STATUS_OK || has_synchronous(out) ? status : open_one(parts, "auto", out, err);
    }
    enum status status = open_one(parts, "auto", out, err);
    out->more_optional = true;
    for (const struct backend *const *b = parts->backends; *b && status == STATUS_OK; b++) {
        if ((*b)->devices)
            status = open_devices(parts, *b, "", false, out, err);
    }
    return status;
}

enum status loaded_open_serving(const struct parts *parts, const char *dir, const char *engines, struct loaded *out, struct error *err)
{
    *out = (struct loaded){.bundle = NULL};
    enum status status = bundle_load(dir, &out->bundle, err);
    if (status == STATUS_OK)
        status = open_serving(parts, engines, out, err);
    if (status == STATUS_OK)
        status = check_golden(out, err);
    if (status != STATUS_OK)
        loaded_close(out);
    return status;
}

/* --- ending ------------------------------------------------------------------------------------------------------------ */

void loaded_close_engines(struct loaded *loaded)
{
    for (uint32_t i = 0; i < loaded->more_count; i++) {
        engine_release(&loaded->more[i].engine, loaded->more[i].prepared);
        engine_close(&loaded->more[i].engine);
    }
    engine_release(&loaded->engine, loaded->prepared);
    engine_close(&loaded->engine);
    loaded->more_count = 0;
    loaded->prepared = NULL;
}

void loaded_close(struct loaded *loaded)
{
    loaded_close_engines(loaded);
    bundle_free(loaded->bundle);
    *loaded = (struct loaded){.bundle = NULL};
}
