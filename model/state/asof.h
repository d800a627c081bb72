/*
 * The features of an event, recomputed from the ring: the definition of every window, written out. It serves events that are not
 * the newest of their key, repeats and trials; and short rings, where it is as fast as anything. Private to model/state.
 */
#pragma once

#include "model/state/labels.h"

/*
 * What a place in a ring is: the entries before it, and the event itself, which may stand in the ring there or not at all
 * (a trial).
 */
struct place {
    const struct key_layout *key;
    struct arena *arena;
    const struct record *record; /* NULL: the key is not known */
    struct view view;
    uint32_t position;
    const uint8_t *entry;
    unsigned own; /* its own label at its own time: LABEL_NONE, LABEL_LEGIT, LABEL_FRAUD */
    int64_t time_us;
};

/* Entries [start, end) of the ring, and the event itself where it belongs to the frame. */
struct range {
    uint32_t start, end;
    bool self;
};

/* Looks up a cell of the kinds from CELL_LAST on. */
void asof_look_up(const struct place *p, const struct cell *cell, struct range range, struct total *total);

/* Writes out[window] of every window over the key. */
void asof_features(const struct place *p, double *out);
