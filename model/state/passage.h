/* An event on its way through the state, and what the ways share. Private to model/state. */
#pragma once

#include "model/state/asof.h"
#include "model/state/internal.h"

/* An event on its way. */
struct passage {
    struct state *state;
    const struct state_event *event;
    const struct hashes *hashes;
    struct id_record record; /* KNOWN: where it went the first time; else: where it goes now */
    struct early_label early[EARLY_LABELS];
    size_t early_count;
    struct id_place place; /* of an id that was claimed */
    double *out;
};

/* out is filled with what is missing until it is known. */
void passage_begin(struct passage *p, struct state *state, const struct state_event *event, const struct hashes *hashes, double *out);
void passage_count(struct state *state, uint32_t flags);

bool event_passed(const struct state *state, const struct state_event *event); /* below its source's position */
bool event_in_future(const struct state *state, const struct state_event *event);

/* What labels that wait for the event's id are told apart from those of others by, in its entries. */
static inline uint16_t id_check(struct hash128 id)
{
    return (uint16_t)(id.high >> 48);
}

/* These are called under the lock of the key's stripe; r NULL: the key is not known. */
/* Features of an event that is not in the ring: as if it stood behind those of its time. */
void features_beside(const struct passage *p, size_t key, const struct record *r, int64_t time_us, const uint8_t *entry);
/* Features of the event at a position of the ring. */
void features_at(const struct passage *p, size_t key, const struct record *r, uint32_t position);
/* The position of an event that was applied before; count of the view: it is not in this ring. */
uint32_t passage_place(const struct key_layout *k, const struct view *v, int64_t time_us, uint8_t ordinal, uint16_t check);
/* Labels an entry, in the running aggregates too. */
enum state_labelled label_entry(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t i, bool fraud, int64_t since_us);

/* Without one: a label for the rings that the record names. */
enum state_labelled label_event(struct state *state, const struct id_record *record, uint16_t check, bool fraud, int64_t since_us);

/* Features under all keys that change nothing: as of its own place where it is known, else beside the rings. */
void passage_look(const struct passage *p, bool known);
