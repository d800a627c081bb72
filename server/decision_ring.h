/*
 * A ring of equal entries from one producer to one consumer; private to the decision log.
 *
 * Each side keeps its own index on its own cache line, with a copy of the other's that it refreshes only when it seems to
 * be out of room or of work: mostly, neither touches the other's line. Full: ring_claim gives NULL.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct ring {
    char *entries; /* [size] of entry_bytes */
    size_t entry_bytes;
    uint64_t size; /* a power of two */
    _Alignas(64) _Atomic uint64_t tail; /* written by the producer: entries put */
    uint64_t head_seen;
    _Alignas(64) _Atomic uint64_t head; /* written by the consumer: entries taken */
    uint64_t tail_seen;
};

/* Where the next entry goes, or NULL where the ring is full. ring_push makes it visible. */
static inline void *ring_claim(struct ring *r)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed); /* its own */
    if (tail - r->head_seen == r->size) {
        /* acquire: the consumer has read the entry before it is overwritten */
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
        if (tail - r->head_seen == r->size)
            return NULL;
    }
    return r->entries + (tail & (r->size - 1)) * r->entry_bytes;
}

/* Returns the entries put so far. */
static inline uint64_t ring_push(struct ring *r)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed) + 1;
    atomic_store_explicit(&r->tail, tail, memory_order_release); /* the entry is whole before it is seen */
    return tail;
}

/* The oldest entry, or NULL where there is none. ring_pop frees it. */
static inline const void *ring_front(struct ring *r)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed); /* its own */
    if (head == r->tail_seen) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire); /* pairs with ring_push */
        if (head == r->tail_seen)
            return NULL;
    }
    return r->entries + (head & (r->size - 1)) * r->entry_bytes;
}

static inline void ring_pop(struct ring *r)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    atomic_store_explicit(&r->head, head + 1, memory_order_release); /* pairs with ring_claim */
}
