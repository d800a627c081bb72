/* Looking without touching: repeats and trials. */
#include "model/state/passage.h"

/* Features of an event under one of its keys that change nothing: as of its own place, or beside the ring. */
static void look_at_key(const struct passage *p, size_t key, struct hash128 hash, bool known)
{
    struct state *state = p->state;
    const struct key_layout *k = &state->layouts[key];
    struct stripe *stripe = &state->stripes[stripe_number(state, hash)];
    int64_t time = known ? p->record.time_us : p->event->time_us;
    uint8_t entry[ENTRY_BYTES_MAX];
    struct state_event event = *p->event;
    event.time_us = time;
    entry_write(k, entry, &event, 0);
    lock_take(&stripe->lock);
    uint32_t at = keys_find(&stripe->keys[key], &state->arena, hash.low);
    const struct record *r = at ? keys_record(&stripe->keys[key], &state->arena, at - 1) : NULL;
    struct view v = ring_view(k, &state->arena, r);
    uint32_t position = known && r ? passage_place(k, &v, time, p->record.ordinals[key], id_check(p->hashes->id)) : v.count;
    if (position < v.count)
        features_at(p, key, r, position);
    else
        features_beside(p, key, r, time, entry);
    lock_give(&stripe->lock);
}

static bool too_late_for(const struct passage *p, size_t key, struct hash128 hash)
{
    struct stripe *stripe = &p->state->stripes[stripe_number(p->state, hash)];
    lock_take(&stripe->lock);
    uint32_t at = keys_find(&stripe->keys[key], &p->state->arena, hash.low);
    const struct record *r = at ? keys_record(&stripe->keys[key], &p->state->arena, at - 1) : NULL;
    bool late = r && record_newest(r) - p->event->time_us > p->state->options.disorder_us;
    lock_give(&stripe->lock);
    return late;
}

void passage_look(const struct passage *p, bool known)
{
    for (size_t i = 0; i < p->state->key_count; i++)
        if (has_key(p->state, p->event, i))
            look_at_key(p, i, p->hashes->keys[i], known);
}

uint32_t state_trial(struct state *state, const struct state_event *event, double *out)
{
    if (event_in_future(state, event))
        return STATE_FUTURE;
    struct hashes hashes;
    struct passage p;
    event_hashes(state, event, &hashes);
    passage_begin(&p, state, event, &hashes, out);
    bool old = false, known = false;
    if (event->id.data)
        known = ids_look(&state->ids, hashes.id, event->time_us, &p.record, &old, p.early, &p.early_count) == ID_KNOWN;
    uint32_t flags = known ? STATE_REPEAT | (old ? STATE_LATE : 0) : event_passed(state, event) ? STATE_REPEAT : 0;
    passage_look(&p, known);
    for (size_t i = 0; i < state->key_count && !flags; i++)
        if (has_key(state, event, i) && too_late_for(&p, i, hashes.keys[i]))
            flags = STATE_LATE;
    return flags;
}
