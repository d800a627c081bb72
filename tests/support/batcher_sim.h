/*
 * The batcher under a virtual clock: a schedule of arrivals, engines that are slow, uneven, stuck or failing, and checks of what
 * must hold whatever happens: no row lost or doubled, none that waits passed by one with a later deadline, no batch over a
 * limit. A failed check aborts. Everything follows from the seed.
 */
#pragma once

#include "server/engine/batcher.h"

enum { SIM_ROWS_MAX = 200000, SIM_ENGINES_MAX = 4, SIM_BATCH_MAX = 256 };

struct sim_flight {
    int64_t back_ns; /* INT64_MAX: none */
    uint32_t place, n;
    struct row rows[SIM_BATCH_MAX];
    bool fails;
};

struct sim_engine {
    double fixed_ns, row_ns, jitter; /* l(b) = (fixed + row * b) * (1 .. 1 + jitter) */
    uint32_t batch_max, streams;
    uint32_t stall_one_in, fail_one_in; /* batches; 0: never; a stall is 50 ms */
    struct sim_flight flights[ROUTE_IN_FLIGHT_MAX];
};

struct sim {
    struct batcher batcher;
    struct sim_engine engines[SIM_ENGINES_MAX];
    uint32_t engine_count;
    uint32_t row_count, arrived;
    bool admits;                       /* asks before a caller's row is added, as a server does */
    int64_t now_ns;
    uint64_t answered[ROW_KINDS], late, dropped, refused; /* late: of answered */
    int64_t late_ns;                   /* the latest answer against its deadline */
    struct row arrivals[SIM_ROWS_MAX]; /* [row_count] by arrival; slot: position */
    uint8_t seen[SIM_ROWS_MAX];        /* answered or dropped */
};

/* One for a process, as it is large. sim_reset empties it and sets the seed; engines and arrivals are then filled in. */
extern struct sim sim;
void sim_reset(uint64_t seed);
uint64_t sim_random_below(uint64_t n);
double sim_engine_ns(const struct sim_engine *engine, uint32_t n);

/* The batcher knows the engines' curves from here on. */
void sim_start(const struct batcher_options *options);
/* To the next thing that happens; false: nothing will. */
bool sim_step(void);
/* To the end; frees the batcher. */
void sim_run(void);
