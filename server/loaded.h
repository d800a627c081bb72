/*
 * A bundle ready to score: loaded, its model prepared on an engine, its golden rows checked. What serve, score, verify and
 * `config check` begin with.
 */
#pragma once

#include "model/backend.h"
#include "model/bundle.h"
#include "server/cmd/command.h"

enum { LOADED_ENGINES_MAX = 16 };

/* An engine with the model prepared on it. */
struct loaded_engine {
    struct engine engine;
    struct prepared *prepared;
};

struct loaded {
    struct bundle *bundle;
    struct engine engine; /* the first */
    struct prepared *prepared;
    struct loaded_engine more[LOADED_ENGINES_MAX - 1]; /* [more_count] where several are wanted */
    uint32_t more_count;
    bool more_optional; /* they were found, not asked for */
    uint64_t golden_rows; /* checked; 0: the bundle has none */
};

/* engines: one or several words as engine_choose has them, each with *n for n of them: "auto", "cpu*2", "cpu synthetic:gpu".
 * Fails as bundle_load, engine_choose and golden_check do, and then leaves nothing to close. */
MUST_USE enum status loaded_open(const struct parts *parts, const char *dir, const char *engines, struct loaded *out, struct error *err);
/* The same, golden rows unread: for who writes new ones. */
MUST_USE enum status loaded_open_unchecked(const struct parts *parts, const char *dir, const char *engines, struct loaded *out, struct error *err);
/* For a server: auto is the best engine that answers at once, and one for each device beside it, as far as they can be had (the
 * log says what was found and left out); a name of engines with devices means one for each device, and the best that answers
 * at once beside them, for when a device is down. */
MUST_USE enum status loaded_open_serving(const struct parts *parts, const char *dir, const char *engines, struct loaded *out, struct error *err);
/* Ends the engines alone, so that memory which they were given may go. */
void loaded_close_engines(struct loaded *loaded);
void loaded_close(struct loaded *loaded);
