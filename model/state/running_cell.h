/* What one cell adds up as its frame moves over the ring. Private to model/state. */
#pragma once

#include "model/state/running.h"

/* An entry enters or leaves the frame; status: its label, of CELL_RISK. enter: false: no memory. */
MUST_USE bool cell_enter(const struct key_layout *k, struct arena *arena, const struct cell *c, char *stored, const uint8_t *entry,
                         int64_t newest, unsigned status);
void cell_leave(const struct key_layout *k, struct arena *arena, const struct cell *c, char *stored, const uint8_t *entry, int64_t newest,
                unsigned status);

/* CELL_RISK: a member's label is another one now. */
void cell_relabel(char *stored, unsigned before, unsigned after);

void cell_total(const struct arena *arena, const struct cell *c, const char *stored, struct total *total);
void cell_free(struct arena *arena, const struct cell *c, char *stored);
void cell_init(const struct cell *c, char *stored); /* stored is zero */
