/* What a state is made of. Private to model/state. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "model/state/ids.h"
#include "model/state/keys.h"
#include "model/state/lock.h"

enum { EVICT_TRIES = 64 };

/* Everything under one lock: a share of the keys of every key field. */
struct stripe {
    _Alignas(64) pthread_mutex_t lock;
    struct keys *keys; /* [key_count] */
    int64_t newest_us; /* event time of the newest event of the stripe */
    uint64_t evicted_idle, evicted_memory;
};

/* Counted by the thread that applies, each in its share; read together. */
enum counter { COUNTED_APPLIED, COUNTED_DISORDER, COUNTED_LATE, COUNTED_REPEATS, COUNTED_FUTURE, COUNTED_DROPPED, COUNTERS };
struct counter_slot {
    _Alignas(64) _Atomic uint64_t counts[COUNTERS];
};

struct state {
    struct key_layout layouts[STATE_KEYS_MAX];
    uint8_t label_place[STATE_KEYS_MAX]; /* of a key with labels: its position in id_record.records */
    size_t key_count, windows_count;
    struct state_options options;
    struct hash_secret key_secrets[STATE_KEYS_MAX], id_secret;
    struct arena arena;
    struct ids ids;
    struct stripe *stripes; /* [mask + 1] */
    uint32_t mask;
    bool labels; /* any RISK window */
    uint64_t small_bytes; /* a state not larger than this is in the caches: a batch fetches nothing ahead */
    struct counter_slot counters[THREAD_SHARES];
    _Atomic uint64_t labelled[STATE_LABEL_UNUSED + 1]; /* by what became of them */
    _Atomic int64_t positions[STATE_SOURCES_MAX];
};

static inline struct hash128 key_hash(const struct state *state, size_t key, struct span text)
{
    return siphash128(&state->key_secrets[key], text.data, text.len);
}

static inline uint32_t stripe_number(const struct state *state, struct hash128 hash)
{
    return (uint32_t)(hash.high & state->mask);
}

/* The hashes of an event, worked out once, and where the batch found its keys. */
struct hashes {
    struct hash128 id, keys[STATE_KEYS_MAX];
    struct found found[STATE_KEYS_MAX];
};
void event_hashes(const struct state *state, const struct state_event *event, struct hashes *out);

/* state_apply with the hashes at hand. */
uint32_t apply_hashed(struct state *state, const struct state_event *event, const struct hashes *hashes, double *out);

/* Whether windows are over this key of the event, and it is there. */
static inline bool has_key(const struct state *state, const struct state_event *event, size_t key)
{
    return event->keys[key].data && state->layouts[key].output_count > 0;
}

/* Evicts the key of the stripe that is idle for the longest, whichever key field it is of, but not record number `except` of key
 * field `key`. Under the stripe's lock. false: there is no other. */
bool evict_longest_idle(struct state *state, struct stripe *stripe, size_t key, uint32_t except);
