/* An event's way through the state: its id, then each of its keys, then its id again. */
#include <math.h>

#include "model/base/check.h"
#include "model/input/time.h"
#include "model/state/all.h"
#include "model/state/internal.h"
#include "model/state/running.h"

/* An event on its way. */
struct passage {
    struct state *state;
    const struct state_event *event;
    const struct hashes *hashes;
    struct id_record record; /* KNOWN: where it went the first time; else: where it goes now */
    struct early_label early[EARLY_LABELS];
    size_t early_count;
    double *out;
};

static void count(struct state *state, enum counter counter)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned slot; /* + 1 */
    if (slot == 0)
        slot = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % COUNTER_SLOTS + 1; /* any distribution will do */
    /* Counts order nothing. */
    atomic_fetch_add_explicit(&state->counters[slot - 1].counts[counter], 1, memory_order_relaxed);
}

static void count_flags(struct state *state, uint32_t flags)
{
    static const struct {
        uint32_t flag;
        enum counter counter;
    } flagged[] = {{STATE_DISORDER, COUNTED_DISORDER}, {STATE_LATE, COUNTED_LATE}, {STATE_REPEAT, COUNTED_REPEATS},
                   {STATE_FUTURE, COUNTED_FUTURE},     {STATE_DROPPED, COUNTED_DROPPED}};
    if (!(flags & (STATE_FUTURE | STATE_REPEAT)))
        count(state, COUNTED_APPLIED);
    for (size_t i = 0; flags && i < sizeof flagged / sizeof flagged[0]; i++)
        if (flags & flagged[i].flag)
            count(state, flagged[i].counter);
}

static uint16_t id_check(struct hash128 id)
{
    return (uint16_t)(id.high >> 48);
}

/* What the labels that came before their event say at its own time. */
static unsigned early_status(const struct passage *p, int64_t time_us)
{
    const struct early_label *latest = NULL;
    for (size_t i = 0; i < p->early_count; i++)
        if (p->early[i].since_us <= time_us && (!latest || p->early[i].since_us > latest->since_us))
            latest = &p->early[i];
    return !latest ? LABEL_NONE : latest->fraud ? LABEL_FRAUD : LABEL_LEGIT;
}

/* Features of an event that is not in the ring: as if it stood behind those of its time. */
static void features_beside(const struct passage *p, size_t key, const struct record *r, int64_t time_us, const uint8_t *entry)
{
    struct place place = {.key = &p->state->layouts[key], .arena = &p->state->arena, .record = r, .entry = entry, .time_us = time_us,
                          .view = ring_view(&p->state->layouts[key], &p->state->arena, r), .own = early_status(p, time_us)};
    place.position = view_upper(&place.view, time_us);
    asof_features(&place, p->out);
}

static void features_at(const struct passage *p, size_t key, const struct record *r, uint32_t position)
{
    const struct key_layout *k = &p->state->layouts[key];
    struct place place = {.key = k, .arena = &p->state->arena, .record = r, .position = position, .view = ring_view(k, &p->state->arena, r)};
    place.entry = view_at(&place.view, position);
    place.time_us = entry_time(place.entry, place.view.newest);
    bool newest = position + 1 == place.view.count;
    if (newest && r->running) {
        running_features(&place, p->out);
        return;
    }
    if (k->labelled)
        place.own = label_status(k, place.arena, r, &place.view, position, place.time_us);
    asof_features(&place, p->out);
}

static void label_entry(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t i, bool fraud, int64_t since_us,
                        enum state_labelled *result)
{
    struct view v = ring_view(k, arena, r);
    unsigned before = label_status(k, arena, r, &v, i, v.newest);
    *result = label_put(k, arena, r, i, fraud, since_us);
    if (r->running && *result == STATE_LABEL_APPLIED)
        running_label(k, arena, r, i, before, since_us);
}

/* Drops what no window can see any more once the newest event is at time_us. Without memory to fold it, it stays. */
static void let_go(const struct key_layout *k, struct arena *arena, struct keys *keys, struct record *r, int64_t time_us)
{
    struct view v = ring_view(k, arena, r);
    int64_t cutoff = time_us - k->retention_us;
    if (v.count == 0 || entry_time(view_at(&v, 0), v.newest) > cutoff)
        return;
    uint32_t n = view_upper(&v, cutoff);
    if (!all_fold(k, arena, r, n))
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

/* The record number + 1 of a key, made where it is new; 0: no memory. */
static uint32_t find_or_add(struct state *state, struct stripe *stripe, size_t key, uint64_t hash)
{
    struct keys *keys = &stripe->keys[key];
    uint32_t at = keys_find(keys, &state->arena, hash);
    if (at) {
        keys_touch(keys, &state->arena, at - 1);
        return at;
    }
    if (arena_low(&state->arena))
        (void)evict_longest_idle(state, stripe, key, UINT32_MAX);
    at = keys_add(keys, &state->arena, hash);
    for (int tries = 0; !at && tries < EVICT_TRIES && evict_longest_idle(state, stripe, key, UINT32_MAX); tries++)
        at = keys_add(keys, &state->arena, hash);
    return at;
}

static uint8_t kept_ordinal(const struct state *state, size_t key, const struct record *r, uint32_t position)
{
    struct view v = ring_view(&state->layouts[key], &state->arena, r);
    uint32_t ordinal = view_ordinal(&v, position);
    return ordinal < ORDINAL_MANY ? (uint8_t)ordinal : ORDINAL_MANY;
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
    (void)pthread_mutex_lock(&stripe->lock);
    uint32_t at = keys_find(&stripe->keys[key], &state->arena, hash.low);
    struct record *r = at ? keys_record(&stripe->keys[key], &state->arena, at - 1) : NULL;
    if (r && time < record_newest(r)) {
        flags = record_newest(r) - time > state->options.disorder_us ? STATE_LATE : STATE_DISORDER;
    } else if (time > stripe->newest_us) {
        stripe->newest_us = time;
    }
    if (flags != STATE_LATE) {
        at = find_or_add(state, stripe, key, hash.low);
        r = at ? keys_record(&stripe->keys[key], &state->arena, at - 1) : NULL;
    }
    if (flags != STATE_LATE && at && take_in(state, stripe, key, at - 1, time, entry, &position)) {
        for (size_t i = 0; k->labelled && i < p->early_count; i++)
            label_entry(k, &state->arena, r, position, p->early[i].fraud, p->early[i].since_us, &(enum state_labelled){0});
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
    (void)pthread_mutex_unlock(&stripe->lock);
    return flags;
}

/* The place of an event that was applied before; count of the view: it is not in this ring. */
static uint32_t place_again(const struct key_layout *k, const struct view *v, int64_t time_us, uint8_t ordinal, uint16_t check)
{
    if (ordinal >= ORDINAL_IN_FLIGHT)
        return v->count;
    uint32_t i = view_find(v, time_us, ordinal);
    for (; ordinal == ORDINAL_MANY && k->labelled && i < v->count; i++) {
        uint16_t found;
        memcpy(&found, view_at(v, i) + k->lag_at + 5, 2);
        if (entry_time(view_at(v, i), v->newest) != time_us)
            return v->count;
        if (found == check)
            break;
    }
    return i;
}

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
    (void)pthread_mutex_lock(&stripe->lock);
    uint32_t at = keys_find(&stripe->keys[key], &state->arena, hash.low);
    const struct record *r = at ? keys_record(&stripe->keys[key], &state->arena, at - 1) : NULL;
    struct view v = ring_view(k, &state->arena, r);
    uint32_t position = known && r ? place_again(k, &v, time, p->record.ordinals[key], id_check(p->hashes->id)) : v.count;
    if (position < v.count)
        features_at(p, key, r, position);
    else
        features_beside(p, key, r, time, entry);
    (void)pthread_mutex_unlock(&stripe->lock);
}

static bool too_late_for(const struct passage *p, size_t key, struct hash128 hash)
{
    struct stripe *stripe = &p->state->stripes[stripe_number(p->state, hash)];
    (void)pthread_mutex_lock(&stripe->lock);
    uint32_t at = keys_find(&stripe->keys[key], &p->state->arena, hash.low);
    const struct record *r = at ? keys_record(&stripe->keys[key], &p->state->arena, at - 1) : NULL;
    bool late = r && record_newest(r) - p->event->time_us > p->state->options.disorder_us;
    (void)pthread_mutex_unlock(&stripe->lock);
    return late;
}

static void look_at_keys(const struct passage *p, bool known)
{
    for (size_t i = 0; i < p->state->key_count; i++)
        if (has_key(p->state, p->event, i))
            look_at_key(p, i, p->hashes->keys[i], known);
}

/* Applies a label to the rings that the record names. */
static enum state_labelled label_event(struct state *state, const struct id_record *record, uint16_t check, bool fraud, int64_t since_us)
{
    enum state_labelled best = STATE_LABEL_EXPIRED;
    for (size_t i = 0; i < state->key_count; i++) {
        const struct key_layout *k = &state->layouts[i];
        if (!k->labelled || record->ordinals[i] >= ORDINAL_IN_FLIGHT)
            continue;
        uint32_t where = record->records[state->label_place[i]], number = where & ((1u << RECORD_NUMBER_BITS) - 1);
        struct stripe *stripe = &state->stripes[where >> RECORD_NUMBER_BITS];
        (void)pthread_mutex_lock(&stripe->lock);
        struct record *r = keys_record(&stripe->keys[i], &state->arena, number);
        struct view v = ring_view(k, &state->arena, r);
        uint32_t position = place_again(k, &v, record->time_us, record->ordinals[i], check);
        uint16_t found = 0;
        if (position < v.count)
            memcpy(&found, view_at(&v, position) + k->lag_at + 5, 2);
        if (position < v.count && found == check) { /* else its key has left, and the record may be another one's */
            enum state_labelled result;
            label_entry(k, &state->arena, r, position, fraud, since_us, &result);
            if (best == STATE_LABEL_EXPIRED || result == STATE_LABEL_APPLIED)
                best = result;
        }
        (void)pthread_mutex_unlock(&stripe->lock);
    }
    return best;
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

static void missing_outputs(const struct passage *p)
{
    for (size_t i = 0; i < p->state->windows_count; i++)
        p->out[i] = NAN;
}

static bool before_position(const struct state *state, const struct state_event *event)
{
    return event->source >= 0 && event->offset < state_position(state, event->source);
}

static bool in_the_future(const struct state *state, const struct state_event *event)
{
    return event->clock_us > 0 && event->time_us - event->clock_us > state->options.future_us;
}

void event_hashes(const struct state *state, const struct state_event *event, struct hashes *out)
{
    out->id = event->id.data ? siphash128(&state->id_secret, event->id.data, event->id.len) : (struct hash128){0};
    for (size_t i = 0; i < state->key_count; i++)
        if (has_key(state, event, i))
            out->keys[i] = key_hash(state, i, event->keys[i]);
}

static void set_out(struct passage *p, struct state *state, const struct state_event *event, const struct hashes *hashes, double *out)
{
    CHECK(event->time_us >= 0 && event->time_us <= TIME_US_MAX);
    p->state = state;
    p->event = event;
    p->hashes = hashes;
    p->early_count = 0;
    p->out = out;
    missing_outputs(p);
}

static uint32_t apply_claimed(struct passage *p, enum id_claim claim)
{
    uint32_t flags = apply_new(p);
    struct early_label late;
    while (claim == ID_NEW && p->event->id.data && ids_finish(&p->state->ids, p->hashes->id, &p->record, &late))
        (void)label_event(p->state, &p->record, id_check(p->hashes->id), late.fraud, late.since_us);
    return claim == ID_NO_MEMORY ? flags | STATE_DROPPED : flags;
}

uint32_t apply_hashed(struct state *state, const struct state_event *event, const struct hashes *hashes, double *out)
{
    if (in_the_future(state, event)) {
        count_flags(state, STATE_FUTURE);
        return STATE_FUTURE;
    }
    struct passage p;
    set_out(&p, state, event, hashes, out);
    bool old = false, passed = before_position(state, event);
    enum id_claim claim = ID_NEW;
    if (event->id.data)
        claim = (passed ? ids_look : ids_claim)(&state->ids, hashes->id, event->time_us, &p.record, &old, p.early, &p.early_count);
    uint32_t flags;
    if (passed || claim == ID_KNOWN) {
        look_at_keys(&p, claim == ID_KNOWN);
        flags = STATE_REPEAT | (old ? STATE_LATE : 0);
    } else {
        flags = apply_claimed(&p, claim);
    }
    if (event->source >= 0 && !passed)
        state_position_set(state, event->source, event->offset + 1);
    count_flags(state, flags);
    return flags;
}

uint32_t state_apply(struct state *state, const struct state_event *event, double *out)
{
    struct hashes hashes;
    event_hashes(state, event, &hashes);
    return apply_hashed(state, event, &hashes, out);
}

uint32_t state_trial(struct state *state, const struct state_event *event, double *out)
{
    if (in_the_future(state, event))
        return STATE_FUTURE;
    struct hashes hashes;
    struct passage p;
    event_hashes(state, event, &hashes);
    set_out(&p, state, event, &hashes, out);
    bool old = false, known = false;
    if (event->id.data)
        known = ids_look(&state->ids, hashes.id, event->time_us, &p.record, &old, p.early, &p.early_count) == ID_KNOWN;
    uint32_t flags = known ? STATE_REPEAT | (old ? STATE_LATE : 0) : before_position(state, event) ? STATE_REPEAT : 0;
    look_at_keys(&p, known);
    for (size_t i = 0; i < state->key_count && !flags; i++)
        if (has_key(state, event, i) && too_late_for(&p, i, hashes.keys[i]))
            flags = STATE_LATE;
    return flags;
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
