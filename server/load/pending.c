#include "server/load/pending.h"

#include <stdlib.h>

#include "model/base/check.h"
#include "server/gen/random.h"

enum { SLOTS = 2 * PENDING_MAX, SLOT_MASK = SLOTS - 1, RING_MASK = PENDING_MAX - 1 };

struct entry {
    uint64_t hash; /* 0: free */
    int64_t intended_ns;
};

struct pending {
    struct entry *slots; /* [SLOTS] */
    struct entry *ring;  /* [PENDING_MAX] */
    uint64_t first, end; /* of the ring, ever rising */
    uint64_t size;       /* of the table */
};

static uint64_t hash_of(const char *id, size_t len)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325); /* FNV-1a, mixed, so that near ids lie apart */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)id[i]) * UINT64_C(0x100000001B3);
    hash = random_mix(hash);
    return hash ? hash : 1;
}

struct pending *pending_create(void)
{
    struct pending *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->slots = calloc(SLOTS, sizeof *p->slots); /* its pages come as they are touched */
    p->ring = calloc(PENDING_MAX, sizeof *p->ring);
    if (p->slots && p->ring)
        return p;
    pending_free(p);
    return NULL;
}

void pending_free(struct pending *pending)
{
    if (!pending)
        return;
    free(pending->slots);
    free(pending->ring);
    free(pending);
}

uint64_t pending_size(const struct pending *pending)
{
    return pending->size;
}

bool pending_room(const struct pending *pending)
{
    return pending->end - pending->first < PENDING_MAX;
}

/* Where a hash is, or the free slot that ends its run. */
static size_t find(const struct pending *p, uint64_t hash)
{
    size_t at = hash & SLOT_MASK;
    while (p->slots[at].hash != 0 && p->slots[at].hash != hash)
        at = (at + 1) & SLOT_MASK;
    return at;
}

/* Frees a slot and moves those behind it up that it had displaced. */
static void remove_at(struct pending *p, size_t hole)
{
    p->size--;
    for (size_t at = (hole + 1) & SLOT_MASK; p->slots[at].hash != 0; at = (at + 1) & SLOT_MASK) {
        size_t home = p->slots[at].hash & SLOT_MASK;
        if (((at - home) & SLOT_MASK) >= ((at - hole) & SLOT_MASK)) {
            p->slots[hole] = p->slots[at];
            hole = at;
        }
    }
    p->slots[hole].hash = 0;
}

/* Is this entry of the ring still waited for? */
static bool waits(const struct pending *p, const struct entry *e, size_t *at)
{
    *at = find(p, e->hash);
    return p->slots[*at].hash == e->hash && p->slots[*at].intended_ns == e->intended_ns;
}

void pending_add(struct pending *pending, const char *id, size_t len, int64_t intended_ns)
{
    CHECK(pending_room(pending));
    const struct entry e = {hash_of(id, len), intended_ns};
    size_t at = find(pending, e.hash);
    pending->size += pending->slots[at].hash == 0;
    pending->slots[at] = e;
    pending->ring[pending->end++ & RING_MASK] = e;
}

bool pending_take(struct pending *pending, const char *id, size_t len, int64_t *intended_ns)
{
    size_t at = find(pending, hash_of(id, len));
    if (pending->slots[at].hash == 0)
        return false;
    *intended_ns = pending->slots[at].intended_ns;
    remove_at(pending, at);
    while (pending->first < pending->end && !waits(pending, &pending->ring[pending->first & RING_MASK], &at))
        pending->first++;
    return true;
}

bool pending_expire(struct pending *pending, int64_t before_ns, int64_t *intended_ns)
{
    size_t at;
    for (; pending->first < pending->end; pending->first++) {
        const struct entry *e = &pending->ring[pending->first & RING_MASK];
        if (!waits(pending, e, &at))
            continue;
        if (e->intended_ns >= before_ns)
            return false;
        *intended_ns = e->intended_ns;
        remove_at(pending, at);
        pending->first++;
        return true;
    }
    return false;
}
