/* A label's way: the id says which records its event is in, and where. */
#include "model/state/passage.h"
#include "model/state/running.h"

enum state_labelled label_entry(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t i, bool fraud, int64_t since_us)
{
    struct view v = ring_view(k, arena, r);
    unsigned before = label_status(k, arena, r, &v, i, v.newest);
    enum state_labelled result = label_put(k, arena, r, i, fraud, since_us);
    if (r->running && result == STATE_LABEL_APPLIED)
        running_label(k, arena, r, i, before, since_us);
    return result;
}

/* Applies a label to the rings that the record names. */
enum state_labelled label_event(struct state *state, const struct id_record *record, uint16_t check, bool fraud, int64_t since_us)
{
    enum state_labelled best = STATE_LABEL_EXPIRED;
    for (size_t i = 0; i < state->key_count; i++) {
        const struct key_layout *k = &state->layouts[i];
        if (!k->labelled || record->ordinals[i] == ORDINAL_NONE)
            continue;
        uint32_t where = record->records[state->label_place[i]], number = where & ((1u << RECORD_NUMBER_BITS) - 1);
        struct stripe *stripe = &state->stripes[where >> RECORD_NUMBER_BITS];
        lock_take(&stripe->lock);
        struct record *r = keys_record(&stripe->keys[i], &state->arena, number);
        struct view v = ring_view(k, &state->arena, r);
        uint32_t position = passage_place(k, &v, record->time_us, record->ordinals[i], check);
        uint16_t found = 0;
        if (position < v.count)
            memcpy(&found, view_at(&v, position) + k->lag_at + 5, 2);
        if (position < v.count && found == check) { /* else its key has left, and the record may be another one's */
            enum state_labelled result = label_entry(k, &state->arena, r, position, fraud, since_us);
            if (best == STATE_LABEL_EXPIRED || result == STATE_LABEL_APPLIED)
                best = result;
        }
        lock_give(&stripe->lock);
    }
    return best;
}

enum state_labelled state_label(struct state *state, struct span id, bool fraud, int64_t time_us)
{
    if (!state->labels)
        return STATE_LABEL_UNUSED;
    struct id_record record = {0};
    struct hash128 hash = siphash128(&state->id_secret, id.data, id.len);
    enum state_labelled result = ids_label(&state->ids, hash, fraud, time_us, &record);
    if (result == STATE_LABEL_APPLIED)
        result = label_event(state, &record, id_check(hash), fraud, time_us);
    atomic_fetch_add_explicit(&state->labelled[result], 1, memory_order_relaxed); /* a figure */
    return result;
}
