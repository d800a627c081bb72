/*
 * A chunk of events, with their cache misses overlapped: what an event will touch is fetched in steps, each step for all of
 * the chunk before the next one needs it. A fetch is a hint; it changes nothing and may be wrong by the time it is used.
 *
 *     index buckets, id buckets ─► records ─► ring, running aggregates, neighbours in order of use ─► apply
 */
#include "model/base/check.h"
#include "model/state/internal.h"

enum { CHUNK = 16, LINE = 64, WHOLE_RING_BYTES = 2048 };

struct ahead {
    struct hashes hashes;
    uint32_t records[STATE_KEYS_MAX]; /* number + 1; 0: not known */
};

static void fetch(const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LINE)
        __builtin_prefetch((const char *)from + i);
}

static struct stripe *lock_of(struct state *state, const struct ahead *a, size_t key)
{
    struct stripe *stripe = &state->stripes[stripe_number(state, a->hashes.keys[key])];
    (void)pthread_mutex_lock(&stripe->lock);
    return stripe;
}

/* A bucket's head, marks and first records. */
static void fetch_bucket(const struct table *t, const struct arena *arena, uint64_t hash, size_t bytes)
{
    const void *bucket = table_bucket(t, arena, hash);
    if (bucket)
        fetch(bucket, bytes);
}

static void fetch_buckets(struct state *state, const struct state_event *event, struct ahead *a)
{
    event_hashes(state, event, &a->hashes);
    if (event->id.data) {
        struct id_stripe *s = &state->ids.stripes[a->hashes.id.high & state->ids.mask];
        (void)pthread_mutex_lock(&s->lock);
        fetch_bucket(&s->ids, &state->arena, a->hashes.id.low, 6 * LINE);
        (void)pthread_mutex_unlock(&s->lock);
    }
    for (size_t i = 0; i < state->key_count; i++) {
        if (!has_key(state, event, i))
            continue;
        struct stripe *stripe = lock_of(state, a, i);
        fetch_bucket(&stripe->keys[i].index, &state->arena, a->hashes.keys[i].low, 4 * LINE);
        (void)pthread_mutex_unlock(&stripe->lock);
    }
}

static void fetch_records(struct state *state, const struct state_event *event, struct ahead *a)
{
    for (size_t i = 0; i < state->key_count; i++) {
        a->records[i] = 0;
        if (!has_key(state, event, i))
            continue;
        struct stripe *stripe = lock_of(state, a, i);
        a->records[i] = keys_find(&stripe->keys[i], &state->arena, a->hashes.keys[i].low);
        if (a->records[i])
            fetch(keys_record(&stripe->keys[i], &state->arena, a->records[i] - 1), sizeof(struct record));
        (void)pthread_mutex_unlock(&stripe->lock);
    }
}

/* A short ring whole, of a long one where it begins and ends. */
static void fetch_ring(const struct key_layout *k, const struct arena *arena, const struct record *r)
{
    if (!r->block)
        return;
    size_t bytes = arena_class_bytes(record_class(r));
    if (r->running)
        fetch(arena_at(arena, r->running), k->running_bytes);
    if (bytes <= WHOLE_RING_BYTES) {
        fetch(arena_at(arena, r->block), bytes);
    } else {
        struct view v = ring_view(k, arena, r);
        fetch(view_at(&v, 0), LINE);
        fetch(view_at(&v, v.count - 1), 2 * LINE);
    }
}

static void fetch_rings(struct state *state, const struct state_event *event, const struct ahead *a)
{
    for (size_t i = 0; i < state->key_count; i++) {
        if (!has_key(state, event, i) || !a->records[i])
            continue;
        struct stripe *stripe = lock_of(state, a, i);
        const struct keys *keys = &stripe->keys[i];
        const struct record *r = keys_record(keys, &state->arena, a->records[i] - 1); /* of another key by now, perhaps */
        fetch_ring(&state->layouts[i], &state->arena, r);
        if (r->block && r->previous)
            __builtin_prefetch(keys_record(keys, &state->arena, r->previous - 1));
        if (r->block && r->next)
            __builtin_prefetch(keys_record(keys, &state->arena, r->next - 1));
        (void)pthread_mutex_unlock(&stripe->lock);
    }
}

void state_apply_batch(struct state *state, const struct state_event *events, size_t n, double *out, uint32_t *flags)
{
    struct ahead ahead[CHUNK];
    bool small = arena_bytes(&state->arena) <= state->small_bytes;
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t chunk = n - first < CHUNK ? n - first : CHUNK;
        const struct state_event *e = events + first;
        for (size_t i = 0; i < chunk && !small; i++)
            fetch_buckets(state, &e[i], &ahead[i]);
        for (size_t i = 0; i < chunk && !small; i++)
            fetch_records(state, &e[i], &ahead[i]);
        for (size_t i = 0; i < chunk && !small; i++)
            fetch_rings(state, &e[i], &ahead[i]);
        for (size_t i = 0; i < chunk; i++) {
            double *row = out + (first + i) * state->windows_count;
            flags[first + i] = small ? state_apply(state, &e[i], row) : apply_hashed(state, &e[i], &ahead[i].hashes, row);
        }
    }
}
