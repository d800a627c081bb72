#include "model/state/ring.h"

#include <math.h>

#include "model/base/check.h"
#include "model/state/exact.h"

static double kept_number(double x)
{
    if (x > EXACT_LIMIT)
        return EXACT_LIMIT;
    if (x < -EXACT_LIMIT)
        return -EXACT_LIMIT;
    return x + 0.0; /* so that -0 is 0: min and max don't depend on an order */
}

void entry_write(const struct key_layout *k, uint8_t *entry, const struct state_event *event, uint16_t check)
{
    uint64_t time = (uint64_t)event->time_us;
    memcpy(entry, &time, 6);
    for (unsigned i = 0; i < k->number_count; i++) {
        double x = kept_number(event->numbers[k->numbers[i]]);
        memcpy(entry + 6 + 8 * i, &x, 8);
    }
    for (unsigned i = 0; i < k->hash_count; i++)
        memcpy(entry + k->hashes_at + 8 * i, &event->hashes[k->hashes[i]], 8);
    uint32_t flags = 0;
    for (unsigned i = 0; i < k->filter_count; i++)
        flags |= (event->filters >> k->filters[i] & 1) << (i + (k->labelled ? 2 : 0));
    memcpy(entry + k->flags_at, &flags, k->flag_bytes);
    if (k->labelled) {
        memset(entry + k->lag_at, 0, 5);
        memcpy(entry + k->lag_at + 5, &check, 2);
    }
}

/* How many of n entries, one behind the other, are not later. Half of what is left goes at each step, whichever half it is:
 * there is nothing for the processor to guess, and it works ahead on the next frame's search meanwhile. */
static uint32_t upper_straight(const uint8_t *first, uint32_t n, size_t stride, struct cutoff cutoff)
{
    uint32_t at = 0;
    while (n > 1) {
        uint32_t half = n / 2;
        at += half & -(uint32_t)entry_until(first + (at + half - 1) * stride, cutoff);
        n -= half;
    }
    return at + entry_until(first + at * stride, cutoff);
}

uint32_t view_upper(const struct view *v, int64_t time_us)
{
    if (v->count == 0 || time_us >= v->newest)
        return v->count;
    if (v->newest - time_us > (int64_t)TIME48)
        return 0;
    struct cutoff cutoff = cutoff_at(v->newest, time_us);
    uint32_t straight = view_run(v, 0, v->count);
    if (straight < v->count && entry_until(v->base, cutoff))
        return straight + upper_straight(v->base, v->count - straight, v->stride, cutoff);
    return upper_straight(view_at(v, 0), straight, v->stride, cutoff);
}

uint32_t view_upper_from(const struct view *v, uint32_t least, int64_t time_us)
{
    if (time_us >= v->newest)
        return v->count;
    if (v->newest - time_us > (int64_t)TIME48)
        return least;
    struct cutoff cutoff = cutoff_at(v->newest, time_us);
    while (least < v->count && entry_until(view_at(v, least), cutoff))
        least++;
    return least;
}

/* Copies the ring into a block of another class, from its start on. */
static bool ring_move(const struct key_layout *k, struct arena *arena, struct record *r, unsigned class)
{
    uint32_t block = class < ARENA_CLASSES ? arena_take(arena, class) : 0;
    if (!block)
        return false;
    if (r->block) {
        uint8_t *from = arena_at(arena, r->block), *to = arena_at(arena, block);
        uint32_t cap = k->caps[record_class(r)], straight = cap - r->head < r->count ? cap - r->head : r->count;
        memcpy(to, from + (size_t)r->head * k->stride, (size_t)straight * k->stride);
        memcpy(to + (size_t)straight * k->stride, from, (size_t)(r->count - straight) * k->stride);
        arena_give(arena, r->block, record_class(r));
    }
    r->block = block;
    r->head = 0;
    r->newest_high_class = (r->newest_high_class & ~UINT32_C(0xff)) | class;
    return true;
}

static uint8_t *entry_at(const struct key_layout *k, struct arena *arena, const struct record *r, uint32_t i)
{
    uint32_t cap = k->caps[record_class(r)], at = r->head + i;
    return (uint8_t *)arena_at(arena, r->block) + (size_t)(at < cap ? at : at - cap) * k->stride;
}

bool ring_insert(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t position, const uint8_t *entry)
{
    if (!r->block || r->count == k->caps[record_class(r)]) {
        if (r->count == UINT32_MAX || !ring_move(k, arena, r, arena_class(((size_t)r->count + r->count / 16 + 1) * k->stride)))
            return false;
    }
    for (uint32_t i = r->count; i > position; i--)
        memcpy(entry_at(k, arena, r, i), entry_at(k, arena, r, i - 1), k->stride);
    memcpy(entry_at(k, arena, r, position), entry, k->stride);
    r->count++;
    return true;
}

void ring_pop(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t n)
{
    CHECK(n <= r->count);
    uint32_t cap = k->caps[record_class(r)];
    r->head = r->head + n < cap ? r->head + n : r->head + n - cap;
    r->count -= n;
    unsigned needed = arena_class(((size_t)r->count + 1) * k->stride);
    if (needed + 2 <= record_class(r))
        (void)ring_move(k, arena, r, needed); /* no memory: it stays as large as it is */
}

void ring_free(struct arena *arena, struct record *r)
{
    arena_give(arena, r->block, record_class(r));
    r->block = 0;
    r->count = r->head = 0;
}
