/* An event's way through the state: its id, then each of its keys, then its id again. */
#include "model/state/all.h"
#include "model/state/passage.h"
#include "model/state/running.h"

/* Drops what no window can see any more once the newest event is at time_us. Without memory to fold it, it stays. */
static void let_go(const struct key_layout *k, struct arena *arena, struct keys *keys, struct record *r, int64_t time_us)
{
    struct view v = ring_view(k, arena, r);
    int64_t cutoff = time_us - k->retention_us;
    uint32_t n = view_upper_from(&v, 0, cutoff);
    if (n == 0 || !all_fold(k, arena, r, n))
        return;
    if (r->running)
        running_pop(k, arena, r, n);
    labels_pop(arena, r, cutoff);
    ring_pop(k, arena, r, n);
    keys->events -= n;
}

/* Puts the entry into the ring at its place; *position is where. false: no memory, not there. */
static bool take_in(struct state *state, struct stripe *stripe, size_t key, uint32_t number, int64_t time_us, const uint8_t *entry,
                    uint32_t *position)
{
    const struct key_layout *k = &state->layouts[key];
    struct arena *arena = &state->arena;
    struct keys *keys = &stripe->keys[key];
    struct record *r = keys_record(keys, arena, number);
    bool newest = r->count == 0 || time_us >= record_newest(r);
    if (newest) {
        if (r->running)
            running_advance(k, arena, r, time_us);
        let_go(k, arena, keys, r, time_us);
    }
    if (r->count > 0 && r->count == k->caps[record_class(r)] && arena_low(arena))
        (void)evict_longest_idle(state, stripe, key, number);
    struct view v = ring_view(k, arena, r);
    *position = newest ? v.count : view_upper(&v, time_us);
    bool ok = ring_insert(k, arena, r, *position, entry);
    for (int tries = 0; !ok && tries < EVICT_TRIES && evict_longest_idle(state, stripe, key, number); tries++)
        ok = ring_insert(k, arena, r, *position, entry);
    if (!ok) {
        running_free(k, arena, r);
        return false;
    }
    keys->events++;
    if (newest)
        record_set_newest(r, time_us);
    if (r->running && newest)
        running_append(k, arena, r);
    else if (r->running)
        running_insert(k, arena, r, *position);
    if (!r->running && r->count >= RUNNING_FROM)
        running_build(k, arena, r);
    else if (r->running && r->count < RUNNING_UNTIL)
        running_free(k, arena, r);
    return true;
}

/* The record number + 1 of a key that is not known, made; 0: no memory. */
static uint32_t add_key(struct state *state, struct stripe *stripe, size_t key, uint64_t hash)
{
    struct keys *keys = &stripe->keys[key];
    if (arena_low(&state->arena))
        (void)evict_longest_idle(state, stripe, key, UINT32_MAX);
    uint32_t at = keys_add(keys, &state->arena, hash);
    for (int tries = 0; !at && tries < EVICT_TRIES && evict_longest_idle(state, stripe, key, UINT32_MAX); tries++)
        at = keys_add(keys, &state->arena, hash);
    return at;
}

static uint8_t kept_ordinal(const struct state *state, size_t key, const struct record *r, uint32_t position)
{
    struct view v = ring_view(&state->layouts[key], &state->arena, r);
    uint64_t time = entry_time48(view_at(&v, position));
    uint8_t ordinal = 0; /* not view_ordinal: where times are days, a key may have thousands of one time */
    while (ordinal < ORDINAL_MANY && ordinal < position && entry_time48(view_at(&v, position - ordinal - 1)) == time)
        ordinal++;
    return ordinal;
}

/* A new event under one of its keys. */
static uint32_t apply_key(struct passage *p, size_t key, struct hash128 hash)
{
    struct state *state = p->state;
    const struct key_layout *k = &state->layouts[key];
    uint32_t number_of_stripe = stripe_number(state, hash), position, flags = 0;
    struct stripe *stripe = &state->stripes[number_of_stripe];
    uint8_t entry[ENTRY_BYTES_MAX];
    int64_t time = p->event->time_us;
    entry_write(k, entry, p->event, id_check(p->hashes->id));
    lock_take(&stripe->lock);
    uint32_t at = keys_find_again(&stripe->keys[key], &state->arena, hash.low, &p->hashes->found[key]);
    struct record *r = at ? keys_record(&stripe->keys[key], &state->arena, at - 1) : NULL;
    if (r && time < record_newest(r)) {
        flags = record_newest(r) - time > state->options.disorder_us ? STATE_LATE : STATE_DISORDER;
    } else if (time > stripe->newest_us) {
        stripe->newest_us = time;
    }
    if (!r) {
        at = add_key(state, stripe, key, hash.low);
        r = at ? keys_record(&stripe->keys[key], &state->arena, at - 1) : NULL;
    } else if (flags != STATE_LATE) {
        keys_touch(&stripe->keys[key], &state->arena, at - 1);
    }
    if (flags != STATE_LATE && at && take_in(state, stripe, key, at - 1, time, entry, &position)) {
        for (size_t i = 0; k->labelled && i < p->early_count; i++)
            (void)label_entry(k, &state->arena, r, position, p->early[i].fraud, p->early[i].since_us);
        features_at(p, key, r, position);
        p->record.ordinals[key] = kept_ordinal(state, key, r, position);
        if (k->labelled)
            p->record.records[state->label_place[key]] = number_of_stripe << RECORD_NUMBER_BITS | (at - 1);
    } else {
        if (flags != STATE_LATE)
            flags = STATE_DROPPED;
        features_beside(p, key, r, time, entry);
        if (r && r->count == 0 && !r->all)
            keys_remove(&stripe->keys[key], k, &state->arena, at - 1);
    }
    lock_give(&stripe->lock);
    return flags;
}

static uint32_t apply_new(struct passage *p)
{
    uint32_t flags = 0;
    memset(p->record.ordinals, ORDINAL_NONE, sizeof p->record.ordinals);
    for (size_t i = 0; i < p->state->key_count; i++)
        if (has_key(p->state, p->event, i))
            flags |= apply_key(p, i, p->hashes->keys[i]);
    return flags;
}

static uint32_t apply_claimed(struct passage *p, enum id_claim claim)
{
    uint32_t flags = apply_new(p);
    if (claim == ID_NEW && p->event->id.data) {
        struct early_label more; /* than EARLY_LABELS */
        while (p->early_count == EARLY_LABELS && ids_next_label(&p->state->ids, p->hashes->id, &p->place, &more))
            (void)label_event(p->state, &p->record, id_check(p->hashes->id), more.fraud, more.since_us);
        ids_settle(&p->state->ids, &p->place, &p->record);
    }
    return claim == ID_NO_MEMORY ? flags | STATE_DROPPED : flags;
}

uint32_t apply_hashed(struct state *state, const struct state_event *event, const struct hashes *hashes, double *out)
{
    if (event_in_future(state, event)) {
        passage_count(state, STATE_FUTURE);
        return STATE_FUTURE;
    }
    struct passage p;
    passage_begin(&p, state, event, hashes, out);
    bool old = false, passed = event_passed(state, event);
    enum id_claim claim = ID_NEW;
    if (event->id.data && passed)
        claim = ids_look(&state->ids, hashes->id, event->time_us, &p.record, &old, p.early, &p.early_count);
    else if (event->id.data)
        claim = ids_claim(&state->ids, hashes->id, event->time_us, &p.record, &old, p.early, &p.early_count, &p.place);
    uint32_t flags;
    if (passed || claim == ID_KNOWN) {
        passage_look(&p, claim == ID_KNOWN);
        flags = STATE_REPEAT | (old ? STATE_LATE : 0);
    } else {
        flags = apply_claimed(&p, claim);
    }
    if (event->source >= 0 && !passed)
        state_position_set(state, event->source, event->offset + 1);
    passage_count(state, flags);
    return flags;
}

uint32_t state_apply(struct state *state, const struct state_event *event, double *out)
{
    struct hashes hashes;
    event_hashes(state, event, &hashes);
    return apply_hashed(state, event, &hashes, out);
}
