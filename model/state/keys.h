/*
 * The keys of one key field in one stripe: an index from hash to record, the records, and the order in which they were
 * last used. Private to model/state; under the lock of the stripe.
 *
 *     index    hash ─► record number                 records stay where they are, so that a number can be kept
 *     records  blocks of 16                          a freed one is used again, for another key
 *     order    newest_used ⇄ … ⇄ longest_idle        through the records
 */
#pragma once

#include "model/state/labels.h"
#include "model/state/table.h"

enum {
    RECORDS_PER_BLOCK = 16,
    RECORD_NUMBER_BITS = 24, /* 16 M keys of a key field in a stripe; ids keep the stripe in the other 8 */
};

struct keys {
    struct table index;
    struct segments blocks;
    uint32_t fresh; /* numbers from here on were never used */
    uint32_t free;  /* first freed record, as number + 1 */
    uint32_t newest_used, longest_idle; /* as number + 1; 0: none */
    uint64_t count, events;
    uint32_t removed; /* so many keys were, round and round: while it stays the same, a number that was found is right */
};

/* Where a key was found a moment ago. */
struct found {
    uint32_t at; /* record number + 1; 0: nowhere */
    uint32_t removed;
};

void keys_init(struct keys *keys);
void keys_free(struct keys *keys, const struct key_layout *k, struct arena *arena);

static inline struct record *keys_record(const struct keys *keys, const struct arena *arena, uint32_t number)
{
    uint32_t block = segments_at(&keys->blocks, arena, number / RECORDS_PER_BLOCK);
    return (struct record *)arena_at(arena, block) + number % RECORDS_PER_BLOCK;
}

/* The record number + 1 of a hash; 0: not known. */
uint32_t keys_find(const struct keys *keys, const struct arena *arena, uint64_t hash);
/* The same with what was found before, while nothing was removed since. */
static inline uint32_t keys_find_again(const struct keys *keys, const struct arena *arena, uint64_t hash, const struct found *found)
{
    return found->at && found->removed == keys->removed ? found->at : keys_find(keys, arena, hash);
}
/* Makes a record for a hash that is not known and returns its number + 1; 0: no memory. It is the newest used. */
MUST_USE uint32_t keys_add(struct keys *keys, struct arena *arena, uint64_t hash);
/* Forgets a key and all that belongs to it. */
void keys_remove(struct keys *keys, const struct key_layout *k, struct arena *arena, uint32_t number);
/* Makes it the newest used. */
void keys_touch(struct keys *keys, const struct arena *arena, uint32_t number);
