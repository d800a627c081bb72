/*
 * Labels of the events of one key. Private to model/state; under the lock of the key's stripe.
 *
 * Nearly every labelled event has one label, and it stands in the entry: two bits, and how long after the event it holds from.
 * Where that is not enough (a second label that has to be told from the first, a label weeks later) the entry says
 * LABEL_HISTORY and all labels of the event are in a list beside the ring.
 */
#pragma once

#include "model/state/total.h"

/* A label, of the ordinal-th event of its key with this time. */
struct label_item {
    int64_t time_us, since_us;
    uint32_t ordinal;
    uint32_t fraud;
};

enum { LABELS_MAX = 64 }; /* of one event; the ones beyond are dropped: its list is searched under the key's lock */

/* A list in a block of the arena. */
struct label_list {
    uint32_t count, class;
    struct label_item items[];
};

/* What an item is sorted by: its event (then since_us), or since_us (then its event). */
enum label_order { BY_EVENT, BY_SINCE };

/* Puts an item in its place, over one with the same event and since_us. false: no memory. */
MUST_USE bool label_list_put(uint32_t *list, struct arena *arena, const struct label_item *item, enum label_order order);
/* Drops items [from, from + n). */
void label_list_drop(uint32_t *list, struct arena *arena, uint32_t from, uint32_t n);
void label_list_free(uint32_t *list, struct arena *arena);
static inline struct label_list *label_list_at(uint32_t list, const struct arena *arena)
{
    return list ? arena_at(arena, list) : NULL;
}

/* How many entries before i have its time; and the entry that is the ordinal-th of its time, or count where there is none. */
uint32_t view_ordinal(const struct view *v, uint32_t i);
uint32_t view_find(const struct view *v, int64_t time_us, uint32_t ordinal);

/* LABEL_NONE, LABEL_LEGIT or LABEL_FRAUD: what is known of entry i at time t. */
unsigned label_status(const struct key_layout *k, const struct arena *arena, const struct record *r, const struct view *v, uint32_t i,
                      int64_t t);

/* When the first label of an entry with a label in it holds from. */
int64_t label_since(const struct key_layout *k, const uint8_t *entry, int64_t newest);

/* Labels entry i. STATE_LABEL_APPLIED, _REPEATED, _DROPPED (no memory: nothing changed). */
enum state_labelled label_put(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t i, bool fraud, int64_t since_us);

/* Drops the histories of events that are not later than time_us: they left the ring. */
void labels_pop(struct arena *arena, struct record *r, int64_t time_us);
