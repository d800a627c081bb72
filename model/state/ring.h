/*
 * The ring of one key: its events in order of time, those of the same time in order of arrival. Private to model/state.
 *
 *     block:   | 4 | 5 | 6 | . . | 1 | 2 | 3 |      entry i stands at (head + i) mod cap
 *                            ^ free   ^ head
 *
 * The block is of the least size class that holds the ring; it is copied when the ring outgrows it, and when it has become two
 * classes too large. Under the lock of the key's stripe.
 */
#pragma once

#include <string.h>

#include "model/state/layout.h"

/* What is kept of a key: 44 bytes, so that 64 are enough with its place in the index. */
struct record {
    uint32_t hash;             /* bits of its hash, enough to find it in the index again */
    uint32_t newest_low;       /* time of the newest entry: low 32 bits … */
    uint32_t newest_high_class; /* … high 24 bits << 8, and the ring's size class in the low 8 */
    uint32_t block;            /* of the ring; 0: no entry yet, or the record is free */
    uint32_t head, count;
    uint32_t previous, next;   /* by when they were last used, as record number + 1; free: next */
    uint32_t running;          /* running aggregates; 0: none, the ring is short */
    uint32_t labels;           /* histories of labels that don't fit an entry; 0: none */
    uint32_t all;              /* what left the ring into STATE_ALL windows; 0: nothing did */
};

#define TIME48 ((UINT64_C(1) << 48) - 1)

static inline int64_t record_newest(const struct record *r)
{
    return (int64_t)((uint64_t)(r->newest_high_class >> 8) << 32 | r->newest_low);
}

static inline unsigned record_class(const struct record *r)
{
    return r->newest_high_class & 0xff;
}

static inline void record_set_newest(struct record *r, int64_t time_us)
{
    r->newest_low = (uint32_t)time_us;
    r->newest_high_class = (uint32_t)((uint64_t)time_us >> 32) << 8 | record_class(r);
}

/* Where the entries of a ring are; valid until the ring changes. */
struct view {
    const uint8_t *base;
    uint32_t head, count, cap, stride;
    int64_t newest;
};

static inline struct view ring_view(const struct key_layout *k, const struct arena *arena, const struct record *r)
{
    if (!r || !r->block)
        return (struct view){.base = NULL};
    return (struct view){.base = arena_at(arena, r->block), .head = r->head, .count = r->count, .cap = k->caps[record_class(r)],
                         .stride = k->stride, .newest = record_newest(r)};
}

static inline const uint8_t *view_at(const struct view *v, uint32_t i)
{
    uint32_t at = v->head + i;
    return v->base + (size_t)(at < v->cap ? at : at - v->cap) * v->stride;
}

/* How many of the entries [i, end) stand one behind the other from view_at(i) on. */
static inline uint32_t view_run(const struct view *v, uint32_t i, uint32_t end)
{
    uint32_t at = v->head + i, to_end = v->cap - (at < v->cap ? at : at - v->cap);
    return end - i < to_end ? end - i : to_end;
}

/* Of an entry, which is ENTRY_BYTES_MIN long at least. */
static inline uint64_t entry_time48(const uint8_t *entry)
{
    uint64_t time;
    memcpy(&time, entry, 8);
    return time & TIME48;
}

/* The whole time of an entry that is not newer than `newest`. */
static inline int64_t entry_time(const uint8_t *entry, int64_t newest)
{
    return newest - (int64_t)(((uint64_t)newest - entry_time48(entry)) & TIME48);
}

static inline double entry_number(const uint8_t *entry, unsigned offset)
{
    double x;
    memcpy(&x, entry + offset, 8);
    return x;
}

static inline uint64_t entry_hash(const uint8_t *entry, unsigned offset)
{
    uint64_t x;
    memcpy(&x, entry + offset, 8);
    return x;
}

static inline uint32_t entry_flags(const struct key_layout *k, const uint8_t *entry)
{
    uint32_t flags = 0;
    if (k->flag_bytes == 1)
        return entry[k->flags_at];
    memcpy(&flags, entry + k->flags_at, k->flag_bytes);
    return flags;
}

/* The largest entry there can be; the least is as long as what reads its time. */
enum { ENTRY_BYTES_MAX = 6 + 8 * STATE_NUMBERS_MAX + 8 * STATE_HASHES_MAX + 4 + 7 };

/* check: of the transaction id, for labels. */
void entry_write(const struct key_layout *k, uint8_t *entry, const struct state_event *event, uint16_t check);

/* What entries are compared with to see whether their time is later than another: the two in the upper 48 bits, since a difference there
 * wraps as one of 48 bits does. */
struct cutoff {
    uint64_t newest, age;
};

static inline struct cutoff cutoff_at(int64_t newest, int64_t time_us)
{
    return (struct cutoff){.newest = (uint64_t)newest << 16, .age = ((uint64_t)newest - (uint64_t)time_us) << 16};
}

static inline bool entry_until(const uint8_t *entry, struct cutoff cutoff)
{
    uint64_t time;
    memcpy(&time, entry, 8);
    return cutoff.newest - (time << 16) >= cutoff.age;
}

/* How many entries have a time not later than time_us. */
uint32_t view_upper(const struct view *v, int64_t time_us);

/* The same where `least` entries are known to, one after the other from there on: for what moves with the newest event. */
uint32_t view_upper_from(const struct view *v, uint32_t least, int64_t time_us);

/* Puts an entry at a position. The newest time is the caller's to set, before. false: no memory, nothing changed. */
MUST_USE bool ring_insert(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t position, const uint8_t *entry);
/* Drops the oldest n and returns memory that is not needed any more. */
void ring_pop(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t n);
void ring_free(struct arena *arena, struct record *r);
