/*
 * Memory of the state: blocks of size classes, named by 32-bit references (half a pointer, in millions of keys).
 *
 *     reference = region (18 bits) | offset in it in units of 16 bytes (14 bits)        0: none
 *     region    = 256 KiB, either eight pages of 32 KiB (blocks to 4 KiB), or one page (blocks to 32 KiB),
 *                 or a larger block of its own, which the system gets back when it is freed
 *     class     = 16, 32 … 128 bytes, then eight steps a doubling: at most an eighth is lost
 *
 * A page serves one class while any of its blocks is in use, and any other afterwards; so the memory follows the load and
 * does not grow over days. Pages are kept for reuse, not given back to the system.
 *
 * Threads: any. Each keeps a few free blocks of the small classes for itself; behind them there is one lock a class and one for pages.
 * The hard limit counts what was taken from the system.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

enum {
    ARENA_UNIT = 16,
    ARENA_OFFSET_BITS = 14,
    ARENA_REGION_BITS = 18,
    ARENA_REGION_BYTES = ARENA_UNIT << ARENA_OFFSET_BITS,
    ARENA_PAGED_CLASSES = 72, /* to 32 KiB */
    ARENA_CLASSES = 184,      /* to 512 MiB */
};

struct arena {
    char **bases; /* [regions] */
    struct arena_parts *parts;
}; /* never written after arena_init: every thread reads it all the time */

/* limit_bytes 0: as many as references reach (64 GiB). STATUS_NO_MEMORY. */
MUST_USE enum status arena_init(struct arena *arena, uint64_t limit_bytes, struct error *err);
void arena_free_all(struct arena *arena);

/* A block of a class, not cleared, aligned to 16 bytes; 0: the limit is reached or the system has no more. */
MUST_USE uint32_t arena_take(struct arena *arena, unsigned class);
void arena_give(struct arena *arena, uint32_t reference, unsigned class);

/* Taken from the system, bookkeeping included; and of this, in blocks handed out. */
uint64_t arena_bytes(const struct arena *arena);
uint64_t arena_used_bytes(const struct arena *arena);

/* Less than an eighth of the limit is left: time to let go of something for all that is new, so that what is there can still grow. */
bool arena_low(const struct arena *arena);

static inline void *arena_at(const struct arena *arena, uint32_t reference)
{
    return arena->bases[reference >> ARENA_OFFSET_BITS] + (size_t)(reference & ((1u << ARENA_OFFSET_BITS) - 1)) * ARENA_UNIT;
}

static inline size_t arena_class_bytes(unsigned class)
{
    if (class < 8)
        return (size_t)ARENA_UNIT * (class + 1);
    unsigned step = class - 8;
    return (size_t)(9 + step % 8) << (4 + step / 8);
}

/* The least class that holds so many bytes (1 … 512 MiB); ARENA_CLASSES where none does. */
static inline unsigned arena_class(size_t bytes)
{
    if (bytes <= 128)
        return bytes ? (unsigned)((bytes - 1) / ARENA_UNIT) : 0;
    unsigned power = 63 - (unsigned)__builtin_clzll(bytes - 1); /* 2^power <= bytes - 1 */
    unsigned class = 8 + (power - 7) * 8 + (unsigned)((bytes - 1) >> (power - 3)) - 8;
    return class < ARENA_CLASSES ? class : ARENA_CLASSES;
}
