/*
 * Running aggregates of a key whose ring is long: where each frame begins and ends in the ring as of the newest event, and the total of
 * each cell. They move with every event by what enters and what leaves. Always a copy of what a scan of the ring would find, so they
 * can be dropped and made again at any time; without memory they are. Private to model/state.
 *
 *     block   | labels | start, end of each frame | what each cell adds up |
 *
 * labels: those that hold from a time after the newest event, and back to as long before it as an event may be recomputed.
 */
#pragma once

#include "model/state/asof.h"

/* Rings get them when they have grown to RUNNING_FROM entries, and lose them below RUNNING_UNTIL. Shorter ones are scanned. */
enum { RUNNING_FROM = 64, RUNNING_UNTIL = 48 };

uint32_t running_frames_bytes(unsigned frames);
uint32_t running_cell_bytes(const struct cell *cell);

/* Makes them for the ring as it is. Without memory there are none. */
void running_build(const struct key_layout *k, struct arena *arena, struct record *r);
void running_free(const struct key_layout *k, struct arena *arena, struct record *r);

/* The steps of an event that is the newest, in this order: time moves on to its own, the oldest n entries leave (before ring_pop),
 * it is there (after ring_insert). */
void running_advance(const struct key_layout *k, struct arena *arena, struct record *r, int64_t time_us);
void running_pop(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t n);
void running_append(const struct key_layout *k, struct arena *arena, struct record *r);

/* After ring_insert of an entry that is not the newest. */
void running_insert(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t position);

/* After a label of entry i: what it was as of the newest event before, and from when the label holds. */
void running_label(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t i, unsigned before, int64_t since_us);

/* For rewinding: the entries of a cell's frame as of the newest event, what they add up to, and the list of labels (0: none). */
struct range running_range(const struct arena *arena, const struct record *r, const struct cell *cell);
void running_total(const struct arena *arena, const struct record *r, const struct cell *cell, struct total *total);
uint32_t running_labels(const struct arena *arena, const struct record *r);

/* Fetches the entries that the next event will move frames over. */
void running_prefetch(const struct key_layout *k, const struct arena *arena, const struct record *r);

/* The features of the newest event, which is p. */
void running_features(const struct place *p, double *out);
