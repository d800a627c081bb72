/* Who leaves, and when: keys idle for longer than their longest window, or for the memory limit. */
#include "model/state/internal.h"

enum { REMOVALS_PER_LOCK = 64 };

bool evict_longest_idle(struct state *state, struct stripe *stripe, size_t key, uint32_t except)
{
    int64_t oldest = INT64_MAX;
    size_t of = 0;
    uint32_t victim = UINT32_MAX;
    for (size_t i = 0; i < state->key_count; i++) {
        const struct keys *keys = &stripe->keys[i];
        uint32_t at = keys->longest_idle;
        if (at && i == key && at - 1 == except)
            at = keys_record(keys, &state->arena, at - 1)->previous;
        if (!at)
            continue;
        int64_t newest = record_newest(keys_record(keys, &state->arena, at - 1));
        if (newest < oldest) {
            oldest = newest;
            of = i;
            victim = at - 1;
        }
    }
    if (victim == UINT32_MAX)
        return false;
    keys_remove(&stripe->keys[of], &state->layouts[of], &state->arena, victim);
    stripe->evicted_memory++;
    return true;
}

/* Removes up to REMOVALS_PER_LOCK idle keys of a key field; returns how many. */
static uint32_t evict_some(struct state *state, struct stripe *stripe, size_t key, int64_t now_us)
{
    const struct key_layout *k = &state->layouts[key];
    struct keys *keys = &stripe->keys[key];
    uint32_t n = 0;
    lock_take(&stripe->lock);
    /* A stream that is behind the clock still needs what is old by the clock. */
    int64_t now = now_us < stripe->newest_us ? now_us : stripe->newest_us;
    while (n < REMOVALS_PER_LOCK && keys->longest_idle) {
        uint32_t number = keys->longest_idle - 1;
        if (record_newest(keys_record(keys, &state->arena, number)) + k->retention_us > now)
            break;
        keys_remove(keys, k, &state->arena, number);
        n++;
    }
    stripe->evicted_idle += n;
    lock_give(&stripe->lock);
    return n;
}

uint64_t state_evict(struct state *state, int64_t now_us)
{
    uint64_t gone = 0;
    for (uint32_t i = 0; i <= state->mask; i++) {
        for (size_t k = 0; k < state->key_count; k++) {
            uint32_t n = state->layouts[k].forever ? 0 : REMOVALS_PER_LOCK;
            while (n == REMOVALS_PER_LOCK) {
                n = evict_some(state, &state->stripes[i], k, now_us);
                gone += n;
            }
        }
    }
    ids_evict(&state->ids, now_us);
    return gone;
}
