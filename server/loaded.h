/*
 * A bundle ready to score: loaded, its model prepared on an engine, its golden rows checked. What serve, score, verify and
 * `config check` begin with.
 */
#pragma once

#include "model/backend.h"
#include "model/bundle.h"
#include "server/cmd/command.h"

struct loaded {
    struct bundle *bundle;
    struct engine engine;
    struct prepared *prepared;
    uint64_t golden_rows; /* checked; 0: the bundle has none */
};

/* engine: "auto" or the name of a backend. Fails as bundle_load, engine_choose and golden_check do, and then leaves nothing
 * to close. */
MUST_USE enum status loaded_open(const struct parts *parts, const char *dir, const char *engine, struct loaded *out, struct error *err);
/* The same, golden rows unread: for who writes new ones. */
MUST_USE enum status loaded_open_unchecked(const struct parts *parts, const char *dir, const char *engine, struct loaded *out, struct error *err);
void loaded_close(struct loaded *loaded);
