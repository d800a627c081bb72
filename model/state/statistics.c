#include "model/state/internal.h"
#include "model/state/running.h"

static void add_stripe(const struct state *state, struct stripe *stripe, struct state_statistics *out)
{
    lock_take(&stripe->lock);
    for (size_t k = 0; k < state->key_count; k++) {
        const struct keys *keys = &stripe->keys[k];
        out->keys += keys->count;
        out->events += keys->events;
        if (keys->index.most_moved > out->most_moved)
            out->most_moved = keys->index.most_moved;
    }
    out->evicted_idle += stripe->evicted_idle;
    out->evicted_memory += stripe->evicted_memory;
    lock_give(&stripe->lock);
}

static void add_ids(struct id_stripe *stripe, struct state_statistics *out)
{
    lock_take(&stripe->lock);
    out->ids += stripe->ids.count;
    out->labels_pending += stripe->labels.count;
    out->ids_evicted_memory += stripe->evicted;
    if (stripe->ids.most_moved > out->most_moved)
        out->most_moved = stripe->ids.most_moved;
    if (stripe->labels.most_moved > out->most_moved)
        out->most_moved = stripe->labels.most_moved;
    lock_give(&stripe->lock);
}

static uint64_t counted(const struct state *state, enum counter counter)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < THREAD_SHARES; i++)
        sum += atomic_load_explicit(&state->counters[i].counts[counter], memory_order_relaxed); /* figures order nothing */
    return sum;
}

static uint64_t labelled(const struct state *state, enum state_labelled what)
{
    return atomic_load_explicit(&state->labelled[what], memory_order_relaxed); /* likewise */
}

void state_statistics(const struct state *state, struct state_statistics *out)
{
    *out = (struct state_statistics){
        .applied = counted(state, COUNTED_APPLIED),   .disorder = counted(state, COUNTED_DISORDER),
        .late = counted(state, COUNTED_LATE),         .repeats = counted(state, COUNTED_REPEATS),
        .future = counted(state, COUNTED_FUTURE),     .dropped = counted(state, COUNTED_DROPPED),
        .labels_applied = labelled(state, STATE_LABEL_APPLIED), .labels_repeated = labelled(state, STATE_LABEL_REPEATED),
        .labels_expired = labelled(state, STATE_LABEL_EXPIRED), .labels_dropped = labelled(state, STATE_LABEL_DROPPED),
        .bytes = arena_bytes(&state->arena) + sizeof *state,
        .used_bytes = arena_used_bytes(&state->arena),
    };
    for (uint32_t i = 0; i <= state->mask; i++) {
        add_stripe(state, &state->stripes[i], out);
        add_ids(&state->ids.stripes[i], out);
    }
    out->bytes += (state->mask + 1) * (sizeof(struct stripe) + sizeof(struct id_stripe) + state->key_count * sizeof(struct keys));
}

enum { INDEX_BYTES = 8 + sizeof(uint32_t) }; /* a key in the index, but for what its bucket has free */

void state_key_plan(const struct state *state, size_t key, struct state_key_plan *out)
{
    const struct key_layout *k = &state->layouts[key];
    *out = (struct state_key_plan){
        .windows = k->output_count,
        .entry_bytes = k->stride,
        .record_bytes = sizeof(struct record) + INDEX_BYTES,
        .running_bytes = k->running_bytes,
        .running_from = RUNNING_FROM,
        .all_bytes = k->all_bytes,
        .retention_us = k->retention_us,
        .forever = k->forever,
    };
    for (uint32_t i = 0; i <= state->mask; i++) {
        struct stripe *stripe = &state->stripes[i];
        lock_take(&stripe->lock);
        out->keys += stripe->keys[key].count;
        out->events += stripe->keys[key].events;
        lock_give(&stripe->lock);
    }
    out->bytes = out->keys * out->record_bytes + out->events * out->entry_bytes;
}

size_t state_id_bytes(const struct state *state)
{
    return ids_record_bytes(&state->ids);
}
