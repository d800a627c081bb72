/*
 * A network laid out for this processor: weights packed once (network_kernels.h), and a place for every wire.
 *
 * Rows go through all operations in tiles of a few dozen: a tile's activations stay in the cache from the first layer to the
 * last, and a layer's weights are read once for all rows of the tile. A wire's place is given to a later one when it has been
 * read for the last time. The bits are those of the reference, whichever instruction set computes them.
 */
#pragma once

#include "kernels/cpu/isa.h"
#include "model/backend.h"
#include "model/network.h"

struct network_plan;

/* By at most this instruction set, which the processor must have. network is borrowed and outlives *out, which is owned:
 * network_plan_destroy. STATUS_NO_MEMORY; and what plan_make of a forest within it says. */
MUST_USE enum status network_plan_make(const struct network *network, enum isa isa, struct network_plan **out, struct error *err);
void network_plan_destroy(struct network_plan *plan);

/* Margins of rows[slots[i]], i < n, into margins[n][outputs]. Any thread. Works on 256 KB of stack, 110 KB more for
 * a forest within, and allocates nothing, but for a network that needs more for a single row (over 65,536 numbers at once):
 * STATUS_NO_MEMORY is possible only there. */
MUST_USE enum status network_plan_margins(const struct network_plan *plan, const struct rows *rows, const uint32_t *slots, uint32_t n,
                                 double *margins);

/* Lines "key: value": the kernel, rows in a tile, bytes, and microseconds of 1, 64 and 1024 rows as measured here. */
void network_plan_describe(const struct network_plan *plan, struct buf *out);
