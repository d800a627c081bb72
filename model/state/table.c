#include "model/state/table.h"

#include "model/base/check.h"

enum {
    MEAN_RECORDS = 12, /* per bucket when the next one is split: buckets hold 12 on the mean, 24 just before their turn */
};

struct bucket {
    uint8_t class;
    uint8_t unused;
    uint16_t count;
    uint8_t marks[]; /* [cap], then the records */
};

enum { TAG_BYTES = 7 };

static void slot_set(_Atomic uint32_t *slot, uint32_t value)
{
    atomic_store_explicit(slot, value, memory_order_release);
}

bool segments_push(struct segments *s, struct arena *arena, uint32_t value)
{
    uint32_t i = segments_size(s);
    unsigned segment = i >> SEGMENT_FIRST_BITS ? 32 - SEGMENT_FIRST_BITS - (unsigned)__builtin_clz(i) : 0;
    if (!s->blocks[segment]) {
        size_t elements = (size_t)1 << (SEGMENT_FIRST_BITS + (segment ? segment - 1 : 0));
        s->blocks[segment] = arena_take(arena, arena_class(elements * sizeof(uint32_t)));
        if (!s->blocks[segment])
            return false;
    }
    slot_set(segments_slot(s, arena, i), value);
    atomic_store_explicit(&s->size, i + 1, memory_order_release);
    return true;
}

void segments_free(struct segments *s, struct arena *arena)
{
    for (unsigned i = 0; i < SEGMENTS; i++) {
        size_t elements = (size_t)1 << (SEGMENT_FIRST_BITS + (i ? i - 1 : 0));
        arena_give(arena, s->blocks[i], arena_class(elements * sizeof(uint32_t)));
    }
    memset(s, 0, sizeof *s);
}

static size_t record_bytes(const struct table *t)
{
    return TAG_BYTES + (size_t)t->payload;
}

static uint32_t class_cap(const struct table *t, unsigned class)
{
    return (uint32_t)((arena_class_bytes(class) - sizeof(struct bucket)) / (1 + record_bytes(t)));
}

static unsigned class_for(const struct table *t, uint32_t records)
{
    return arena_class(sizeof(struct bucket) + records * (1 + record_bytes(t)));
}

static uint8_t *record_at(const struct table *t, struct bucket *b, uint32_t i)
{
    return b->marks + class_cap(t, b->class) + i * record_bytes(t);
}

static uint64_t record_hash(const struct bucket *b, uint32_t i, const uint8_t *record)
{
    uint64_t high = 0;
    memcpy(&high, record, TAG_BYTES); /* little-endian hosts only, as the rest of this program */
    return high << 8 | b->marks[i];
}

/* The buckets of the last doubling that is complete, or would be with this size: a power of two. */
static uint32_t doubled(uint32_t size)
{
    return size > 1 ? 1u << (31 - (unsigned)__builtin_clz(size - 1)) : 1;
}

/* Bits 8 and up choose the bucket: the lowest eight are the mark, which has to tell records of one bucket apart. */
static uint32_t bucket_of(uint32_t size, uint64_t hash)
{
    uint32_t bits = (uint32_t)(hash >> 8), full = doubled(size), bucket = bits & ((full << 1) - 1);
    return bucket < size ? bucket : bits & (full - 1);
}

static _Atomic uint32_t *slot_of(const struct table *t, const struct arena *arena, uint64_t hash)
{
    return segments_slot(&t->directory, arena, bucket_of(segments_size(&t->directory), hash));
}

static struct bucket *bucket_in(const struct arena *arena, _Atomic uint32_t *slot)
{
    uint32_t reference = atomic_load_explicit(slot, memory_order_acquire);
    return reference ? arena_at(arena, reference) : NULL;
}

void table_free(struct table *t, struct arena *arena)
{
    for (uint32_t i = 0; i < segments_size(&t->directory); i++) {
        uint32_t reference = segments_at(&t->directory, arena, i);
        if (reference)
            arena_give(arena, reference, ((const struct bucket *)arena_at(arena, reference))->class);
    }
    segments_free(&t->directory, arena);
}

const void *table_bucket(const struct table *t, const struct arena *arena, uint64_t hash)
{
    return segments_size(&t->directory) ? bucket_in(arena, slot_of(t, arena, hash)) : NULL;
}

bool table_full(const struct table *t, const struct arena *arena, uint64_t hash)
{
    const struct bucket *b = table_bucket(t, arena, hash);
    return b && b->count == class_cap(t, b->class);
}

void *table_find(const struct table *t, const struct arena *arena, uint64_t hash, const void *after)
{
    struct bucket *b = segments_size(&t->directory) ? bucket_in(arena, slot_of(t, arena, hash)) : NULL;
    if (!b)
        return NULL;
    uint64_t high = hash >> 8;
    uint8_t *first = record_at(t, b, 0);
    size_t bytes = record_bytes(t);
    uint32_t i = after ? (uint32_t)((size_t)((const uint8_t *)after - first) / bytes) + 1 : 0;
    while (i < b->count) {
        const uint8_t *mark = memchr(b->marks + i, (int)(hash & 0xff), b->count - i);
        if (!mark)
            return NULL;
        i = (uint32_t)(mark - b->marks);
        if (memcmp(first + i * bytes, &high, TAG_BYTES) == 0)
            return first + i * bytes + TAG_BYTES;
        i++;
    }
    return NULL;
}

/* A bucket of `class` with the contents of the old one, which is given back; NULL: no memory, nothing changed. */
static struct bucket *bucket_resize(const struct table *t, struct arena *arena, _Atomic uint32_t *slot, unsigned class)
{
    struct bucket *old = bucket_in(arena, slot);
    uint32_t reference = arena_take(arena, class);
    if (!reference)
        return NULL;
    struct bucket *b = arena_at(arena, reference);
    *b = (struct bucket){.class = (uint8_t)class, .count = old ? old->count : 0};
    if (old) {
        memcpy(b->marks, old->marks, old->count);
        memcpy(record_at(t, b, 0), record_at(t, old, 0), old->count * record_bytes(t));
        arena_give(arena, atomic_load_explicit(slot, memory_order_relaxed), old->class); /* our own writing */
    }
    slot_set(slot, reference);
    return b;
}

static void bucket_append(const struct table *t, struct bucket *b, uint8_t mark, const uint8_t *record)
{
    CHECK(b->count < class_cap(t, b->class));
    b->marks[b->count] = mark;
    memcpy(record_at(t, b, b->count++), record, record_bytes(t));
}

/* Splits the next bucket in turn: those of its records whose next bit is set go to a new bucket at the end. Without memory
 * nothing happens; the next insert tries again. Returns how many were moved. */
static uint32_t split(struct table *t, struct arena *arena)
{
    uint32_t size = segments_size(&t->directory), bit = doubled(size + 1);
    _Atomic uint32_t *slot = segments_slot(&t->directory, arena, size - bit);
    struct bucket *old = bucket_in(arena, slot);
    uint32_t leaving = 0;
    for (uint32_t i = 0; old && i < old->count; i++)
        leaving += (record_hash(old, i, record_at(t, old, i)) >> 8 & bit) != 0;
    uint32_t staying = old ? old->count - leaving : 0;
    /* With room for the record that is about to be added, whichever half it belongs to. */
    unsigned low_class = class_for(t, staying + 1), high_class = class_for(t, leaving + 1);
    uint32_t low = staying ? arena_take(arena, low_class) : 0, high = leaving ? arena_take(arena, high_class) : 0;
    if ((staying && !low) || (leaving && !high) || !segments_push(&t->directory, arena, high)) {
        arena_give(arena, low, low_class);
        arena_give(arena, high, high_class);
        return 0;
    }
    struct bucket *halves[2] = {low ? arena_at(arena, low) : NULL, high ? arena_at(arena, high) : NULL};
    if (low)
        *halves[0] = (struct bucket){.class = (uint8_t)low_class};
    if (high)
        *halves[1] = (struct bucket){.class = (uint8_t)high_class};
    for (uint32_t i = 0; old && i < old->count; i++) {
        const uint8_t *record = record_at(t, old, i);
        bucket_append(t, halves[(record_hash(old, i, record) >> 8 & bit) != 0], old->marks[i], record);
    }
    uint32_t moved = old ? old->count : 0;
    if (old)
        arena_give(arena, atomic_load_explicit(slot, memory_order_relaxed), old->class); /* our own writing */
    slot_set(slot, low);
    return moved;
}

void *table_insert(struct table *t, struct arena *arena, uint64_t hash)
{
    if (!segments_size(&t->directory) && !segments_push(&t->directory, arena, 0))
        return NULL;
    _Atomic uint32_t *slot = slot_of(t, arena, hash);
    struct bucket *b = bucket_in(arena, slot);
    uint32_t moved = 0;
    bool full = b && b->count == class_cap(t, b->class);
    /* One or the other in one insert: the split that is due, or the copy of a bucket that outgrows its block. */
    if (!full && t->count >= (uint64_t)MEAN_RECORDS * segments_size(&t->directory)) {
        moved = split(t, arena);
        slot = slot_of(t, arena, hash);
        b = bucket_in(arena, slot);
    }
    if (!b || full) {
        moved += b ? b->count : 0;
        b = bucket_resize(t, arena, slot, class_for(t, b ? b->count + b->count / 12u + 1 : 1));
        if (!b)
            return NULL;
    }
    if (moved > t->most_moved)
        t->most_moved = (uint16_t)moved;
    uint64_t high = hash >> 8;
    uint8_t *record = record_at(t, b, b->count);
    memcpy(record, &high, TAG_BYTES);
    b->marks[b->count++] = (uint8_t)hash;
    t->count++;
    return record + TAG_BYTES;
}

/* Fills a hole with the last record. */
static void bucket_drop(struct table *t, struct bucket *b, uint32_t i)
{
    uint32_t last = --b->count;
    if (i != last) {
        b->marks[i] = b->marks[last];
        memcpy(record_at(t, b, i), record_at(t, b, last), record_bytes(t));
    }
    t->count--;
}

/* Gives back what a bucket has too much: all of it when empty; a smaller block when it is two classes too large. */
static void bucket_trim(const struct table *t, struct arena *arena, _Atomic uint32_t *slot)
{
    struct bucket *b = bucket_in(arena, slot);
    if (b->count == 0) {
        arena_give(arena, atomic_load_explicit(slot, memory_order_relaxed), b->class); /* our own writing */
        slot_set(slot, 0);
    } else if (class_for(t, b->count + b->count / 12u + 1) + 1 < b->class) {
        (void)bucket_resize(t, arena, slot, class_for(t, b->count + b->count / 12u + 1)); /* no memory: stays as it is */
    }
}

void table_remove(struct table *t, struct arena *arena, uint64_t hash, const void *payload)
{
    _Atomic uint32_t *slot = slot_of(t, arena, hash);
    struct bucket *b = bucket_in(arena, slot);
    size_t offset = (size_t)((const uint8_t *)payload - TAG_BYTES - record_at(t, b, 0));
    bucket_drop(t, b, (uint32_t)(offset / record_bytes(t)));
    bucket_trim(t, arena, slot);
}

uint32_t table_sweep_bucket(struct table *t, struct arena *arena, uint32_t bucket, table_expired *expired, const void *context)
{
    _Atomic uint32_t *slot = segments_slot(&t->directory, arena, bucket);
    struct bucket *b = bucket_in(arena, slot);
    if (!b)
        return 0;
    uint32_t before = b->count;
    for (uint32_t i = b->count; i-- > 0;)
        if (expired(record_at(t, b, i) + TAG_BYTES, context))
            bucket_drop(t, b, i);
    uint32_t gone = before - b->count;
    if (gone)
        bucket_trim(t, arena, slot);
    return gone;
}

uint32_t table_sweep(struct table *t, struct arena *arena, uint64_t hash, table_expired *expired, const void *context)
{
    uint32_t size = segments_size(&t->directory);
    return size ? table_sweep_bucket(t, arena, bucket_of(size, hash), expired, context) : 0;
}

uint32_t table_drop_first(struct table *t, struct arena *arena, uint64_t hash, table_expired *expired, const void *context)
{
    _Atomic uint32_t *slot = segments_size(&t->directory) ? slot_of(t, arena, hash) : NULL;
    struct bucket *b = slot ? bucket_in(arena, slot) : NULL;
    uint32_t n = 0;
    while (b && n < b->count && expired(record_at(t, b, n) + TAG_BYTES, context))
        n++;
    if (n == 0)
        return 0;
    b->count = (uint16_t)(b->count - n);
    t->count -= n;
    memmove(b->marks, b->marks + n, b->count);
    memmove(record_at(t, b, 0), record_at(t, b, n), b->count * record_bytes(t));
    bucket_trim(t, arena, slot);
    return n;
}
