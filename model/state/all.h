/*
 * STATE_ALL windows: what left the ring is folded into totals that stay with the key. Private to model/state.
 */
#pragma once

#include "model/state/total.h"

uint32_t all_cell_bytes(const struct cell *cell);

/* Folds the oldest n entries. false: no memory for the totals, nothing changed. */
MUST_USE bool all_fold(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t n);
void all_free(const struct key_layout *k, struct arena *arena, struct record *r);

/* Adds what was folded for a cell (of a STATE_ALL frame) to a total. r NULL: nothing was. */
void all_merge(const struct arena *arena, const struct record *r, const struct cell *cell, struct total *total);
