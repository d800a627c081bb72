/*
 * Engines as the batcher sees them, and which one gets the next batch: the one where it would be finished first. An engine
 * that is slow, overdue or failing is thereby gone round; it is tried with one row when it may have healed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/engine/cost.h"

enum { ROUTE_ENGINES_MAX = 16, ROUTE_IN_FLIGHT_MAX = 8 };

struct route_batch {
    int64_t sent_ns, expected_ns, tail_ns, overdue_ns; /* when it should be back; at the latest; when it is in trouble */
    uint32_t n;                                        /* 0: this place is free */
};

struct route_engine {
    struct cost cost;
    uint32_t batch_max;
    uint32_t in_flight, in_flight_max;
    struct route_batch batches[ROUTE_IN_FLIGHT_MAX];
    uint32_t failures; /* in a row */
    int64_t retry_ns;  /* a failing one is left alone until then */
    uint32_t cap;      /* rows of the largest batch that suits the deadlines; route_refresh */
};

enum route_health { ROUTE_GOOD, ROUTE_OVERDUE, ROUTE_FAILING };

enum route_health route_health(const struct route_engine *engine, int64_t now_ns);
/* Can it take a batch now? */
bool route_is_free(const struct route_engine *engine, int64_t now_ns);
/* When it is expected to be able to; INT64_MAX: nobody knows. */
int64_t route_free_ns(const struct route_engine *engine, int64_t now_ns);
/* The same by the tails of the batches it has. */
int64_t route_surely_free_ns(const struct route_engine *engine, int64_t now_ns);
/* Rows that it may be given: its cap, or one that shows how it is. */
uint32_t route_most(const struct route_engine *engine);
/* Works out cap: batches that take at most budget_ns at the tail. */
void route_refresh(struct route_engine *engine, double budget_ns, uint32_t batch_max, int64_t now_ns);

/* A batch begins (returns its place) or ends. */
uint32_t route_begin(struct route_engine *engine, uint32_t n, int64_t now_ns);
void route_end(struct route_engine *engine, uint32_t place, bool ok, int64_t now_ns);

/* Where the next of `waiting` rows go; -1: to none now, since a busy one will be done with them earlier. tail_ns_left: what
 * the first of them can spend (INT64_MAX: anything). */
int route_pick(const struct route_engine *engines, uint32_t count, uint32_t waiting, int64_t tail_ns_left, int64_t now_ns);
