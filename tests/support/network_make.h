/*
 * Networks and rows out of a seed: operations of every kind, function and reduction, of widths around the sizes at which
 * kernels change their way.
 */
#pragma once

#include <stdint.h>

#include "model/backend.h"
#include "model/network.h"

/* A network that network_check accepts, of random operations; the same for the same seed. Owned: network_free. */
struct network *network_make(uint64_t seed);

/* Dense layers alone, of these widths, the row's first: widths[count], count of 2 at least. `function` bends all but the last. */
struct network *network_make_dense(const uint32_t *widths, uint32_t count, enum network_function function, uint64_t seed);

/* Rows for it; with `hostile` some numbers are missing, infinite, denormal, huge or zeros of either sign. rows->base is owned
 * by the caller (free). */
void network_make_rows(const struct network *network, uint32_t count, bool hostile, uint64_t seed, struct rows *out);
