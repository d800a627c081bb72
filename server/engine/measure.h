/* Measures l(b) of an engine, which also warms it up: its code, its caches, its clocks. */
#pragma once

#include "model/backend.h"
#include "server/engine/cost.h"

struct measure_options {
    const struct engine *engine;
    const struct prepared *prepared;
    const struct rows *rows; /* what is scored, over and over: rows[0..row_count) */
    uint32_t row_count, batch_max;
    uint32_t margins, scores; /* a row */
    int64_t budget_ns;        /* about so long in all; every size is tried twice at least */
};

/* Waits for every batch, so nobody else may use an engine that is not synchronous. STATUS_NO_MEMORY, or what the engine says. */
MUST_USE enum status measure_cost(const struct measure_options *options, struct cost *out, struct error *err);
