/*
 * A chunk of events, with their cache misses overlapped: what an event will touch is fetched in steps, each step for all of
 * the chunk before the next one needs it. A fetch is a hint; it changes nothing and may be wrong by the time it is used.
 *
 *     buckets ─► records ─► ring, running aggregates, neighbours in order of use ─► where a long ring's frames begin and end ─► apply
 */
#include "model/base/check.h"
#include "model/state/internal.h"
#include "model/state/running.h"

enum { CHUNK = 16, LINE = 64 };

static void fetch(const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LINE)
        __builtin_prefetch((const char *)from + i);
}

static struct stripe *lock_of(struct state *state, const struct hashes *hashes, size_t key)
{
    struct stripe *stripe = &state->stripes[stripe_number(state, hashes->keys[key])];
    lock_take(&stripe->lock);
    return stripe;
}

/* A bucket's head, marks and first records. */
static void fetch_bucket(const struct table *t, const struct arena *arena, uint64_t hash, size_t bytes)
{
    const void *bucket = table_bucket(t, arena, hash);
    if (bucket)
        fetch(bucket, bytes);
}

static void fetch_buckets(struct state *state, const struct state_event *event, struct hashes *hashes)
{
    event_hashes(state, event, hashes);
    if (event->id.data) {
        const struct id_stripe *s = &state->ids.stripes[hashes->id.high & state->ids.mask];
        fetch_bucket(&s->ids, &state->arena, hashes->id.low, 6 * LINE);
    }
    for (size_t i = 0; i < state->key_count; i++) {
        if (!has_key(state, event, i))
            continue;
        const struct stripe *stripe = &state->stripes[stripe_number(state, hashes->keys[i])];
        fetch_bucket(&stripe->keys[i].index, &state->arena, hashes->keys[i].low, 4 * LINE);
    }
}

static void fetch_records(struct state *state, const struct state_event *event, struct hashes *hashes)
{
    for (size_t i = 0; i < state->key_count; i++) {
        if (!has_key(state, event, i))
            continue;
        struct stripe *stripe = lock_of(state, hashes, i);
        const struct keys *keys = &stripe->keys[i];
        hashes->found[i] = (struct found){.at = keys_find(keys, &state->arena, hashes->keys[i].low), .removed = keys->removed};
        if (hashes->found[i].at)
            fetch(keys_record(keys, &state->arena, hashes->found[i].at - 1), sizeof(struct record));
        lock_give(&stripe->lock);
    }
}

/* A short ring whole, of a long one where it begins and ends. Returns whether it is long. */
static bool fetch_ring(const struct key_layout *k, const struct arena *arena, const struct record *r)
{
    if (!r->block)
        return false;
    if (!r->running) {
        fetch(arena_at(arena, r->block), arena_class_bytes(record_class(r)));
        return false;
    }
    struct view v = ring_view(k, arena, r);
    fetch(arena_at(arena, r->running), k->running_bytes + LINE - 1);
    __builtin_prefetch(view_at(&v, 0));
    fetch(view_at(&v, v.count - 1), 2 * LINE);
    return true;
}

/* Returns bits of the keys whose rings are long. */
static uint32_t fetch_rings(struct state *state, const struct state_event *event, const struct hashes *hashes)
{
    uint32_t longs = 0;
    for (size_t i = 0; i < state->key_count; i++) {
        if (!has_key(state, event, i) || !hashes->found[i].at)
            continue;
        struct stripe *stripe = lock_of(state, hashes, i);
        const struct keys *keys = &stripe->keys[i];
        const struct record *r = keys_record(keys, &state->arena, hashes->found[i].at - 1); /* of another key by now, perhaps */
        longs |= (uint32_t)fetch_ring(&state->layouts[i], &state->arena, r) << i;
        if (r->block && r->previous)
            __builtin_prefetch(keys_record(keys, &state->arena, r->previous - 1));
        if (r->block && r->next)
            __builtin_prefetch(keys_record(keys, &state->arena, r->next - 1));
        lock_give(&stripe->lock);
    }
    return longs;
}

static void fetch_frames(struct state *state, const struct hashes *hashes, uint32_t longs)
{
    for (; longs; longs &= longs - 1) {
        size_t i = (size_t)__builtin_ctz(longs);
        struct stripe *stripe = lock_of(state, hashes, i);
        const struct record *r = keys_record(&stripe->keys[i], &state->arena, hashes->found[i].at - 1);
        if (r->running) /* still */
            running_prefetch(&state->layouts[i], &state->arena, r);
        lock_give(&stripe->lock);
    }
}

void state_apply_batch(struct state *state, const struct state_event *events, size_t n, double *out, uint32_t *flags)
{
    struct hashes ahead[CHUNK];
    uint32_t longs[CHUNK];
    bool small = arena_bytes(&state->arena) <= state->small_bytes;
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t chunk = n - first < CHUNK ? n - first : CHUNK;
        const struct state_event *e = events + first;
        for (size_t i = 0; i < chunk && !small; i++)
            fetch_buckets(state, &e[i], &ahead[i]);
        for (size_t i = 0; i < chunk && !small; i++)
            fetch_records(state, &e[i], &ahead[i]);
        for (size_t i = 0; i < chunk && !small; i++)
            longs[i] = fetch_rings(state, &e[i], &ahead[i]);
        for (size_t i = 0; i < chunk && !small; i++)
            fetch_frames(state, &ahead[i], longs[i]);
        for (size_t i = 0; i < chunk; i++) {
            double *row = out + (first + i) * state->windows_count;
            flags[first + i] = small ? state_apply(state, &e[i], row) : apply_hashed(state, &e[i], &ahead[i], row);
        }
    }
}
