/*
 * A hash table that grows a bucket at a time: linear hashing (W. Litwin, 1980) over buckets of variable size.
 *
 *     directory   | b0 | b1 | b2 | … | b(size-1) |            references of blocks; segments that double, never copied
 *     bucket      | class | - | count | marks [cap] | records [cap] |
 *     record      | seven bytes of hash | payload |           the mark is the eighth, the lowest
 *
 * A bucket holds 12 to 24 records, found by comparing marks, and is a block of the least class that holds it; so the table is
 * nine tenths full whatever its size. When the mean passes its mark, the next bucket in turn is split in two: an insert moves
 * the records of one bucket at most. Which bucket a hash belongs to is decided by its low bits, as stored in the record.
 *
 * The records of a bucket stand in the order in which they came, but where one was taken out by table_remove or table_sweep.
 *
 * Several records may have one hash. Not safe for threads, the owner's lock guards it; except for table_bucket.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "model/state/arena.h"

/*
 * An array of references in segments of 16, 16, 32, 64 …: grows without copying, so an element that is there stays where it is until
 * segments_free. One thread writes (under the owner's lock), others may read meanwhile: size is released after the element, an element
 * after what it refers to.
 */
enum { SEGMENTS = 28, SEGMENT_FIRST_BITS = 4 };
struct segments {
    uint32_t blocks[SEGMENTS]; /* written once each, before size takes it in */
    _Atomic uint32_t size;
};

static inline uint32_t segments_size(const struct segments *s)
{
    return atomic_load_explicit(&s->size, memory_order_acquire);
}

static inline _Atomic uint32_t *segments_slot(const struct segments *s, const struct arena *arena, uint32_t i)
{
    unsigned segment = i >> SEGMENT_FIRST_BITS ? 32 - SEGMENT_FIRST_BITS - (unsigned)__builtin_clz(i) : 0;
    uint32_t first = segment ? 1u << (SEGMENT_FIRST_BITS + segment - 1) : 0;
    return (_Atomic uint32_t *)arena_at(arena, s->blocks[segment]) + (i - first);
}

static inline uint32_t segments_at(const struct segments *s, const struct arena *arena, uint32_t i)
{
    return atomic_load_explicit(segments_slot(s, arena, i), memory_order_acquire);
}
/* Adds an element; false: no memory. */
MUST_USE bool segments_push(struct segments *s, struct arena *arena, uint32_t value);
void segments_free(struct segments *s, struct arena *arena);

struct table {
    struct segments directory;
    uint64_t count;
    uint16_t payload;    /* bytes */
    uint16_t most_moved; /* by one insert */
};

static inline void table_init(struct table *t, size_t payload)
{
    memset(t, 0, sizeof *t);
    t->payload = (uint16_t)payload;
}
void table_free(struct table *t, struct arena *arena);

/* The payload of the first record with this hash after `after` (NULL: of all); NULL: none. Valid until the table changes. */
void *table_find(const struct table *t, const struct arena *arena, uint64_t hash, const void *after);

/* Adds a record and returns its payload, to be filled in; NULL: no memory, nothing changed. */
MUST_USE void *table_insert(struct table *t, struct arena *arena, uint64_t hash);

/* Takes out the record whose payload this is. */
void table_remove(struct table *t, struct arena *arena, uint64_t hash, const void *payload);

/* Takes out of the bucket of `hash`, or of bucket number `bucket`, what is expired(payload, context). Returns how many. */
typedef bool table_expired(const void *payload, const void *context);
uint32_t table_sweep(struct table *t, struct arena *arena, uint64_t hash, table_expired *expired, const void *context);
uint32_t table_sweep_bucket(struct table *t, struct arena *arena, uint32_t bucket, table_expired *expired, const void *context);

/* Takes the first records out of the bucket of `hash`, as long as they are expired(payload, context). Returns how many. */
uint32_t table_drop_first(struct table *t, struct arena *arena, uint64_t hash, table_expired *expired, const void *context);

/* Whether the bucket of a hash has no room for another record: the next insert there takes a larger block. */
bool table_full(const struct table *t, const struct arena *arena, uint64_t hash);

/* For the batch: where the bucket of a hash is, to prefetch; NULL: none. Any thread may ask, without the lock: what is there may be
 * another bucket's by now. */
const void *table_bucket(const struct table *t, const struct arena *arena, uint64_t hash);
