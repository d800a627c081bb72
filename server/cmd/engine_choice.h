/* The engine that a command line or the configuration names: "auto", or the name of a backend; `:` and its options may follow. */
#pragma once

#include "model/backend.h"
#include "server/cmd/command.h"

/* Opens the backend and prepares the model on it; auto takes the first of parts->backends that can do both. A name that is
 * no backend's: STATUS_USAGE, with those there are. *prepared and *engine are owned: engine_release, engine_close. */
MUST_USE enum status engine_choose(const struct parts *parts, const char *name, const struct model *model, struct engine *engine,
                                   struct prepared **prepared, struct error *err);
