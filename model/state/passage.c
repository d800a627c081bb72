#include "model/state/passage.h"

#include <math.h>

#include "model/base/check.h"
#include "model/input/time.h"
#include "model/state/running.h"

static void count(struct state *state, enum counter counter)
{
    /* Counts order nothing. */
    atomic_fetch_add_explicit(&state->counters[thread_share()].counts[counter], 1, memory_order_relaxed);
}

void passage_count(struct state *state, uint32_t flags)
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

static void missing_outputs(const struct passage *p)
{
    for (size_t i = 0; i < p->state->windows_count; i++)
        p->out[i] = NAN;
}

bool event_passed(const struct state *state, const struct state_event *event)
{
    return event->source >= 0 && event->offset < state_position(state, event->source);
}

bool event_in_future(const struct state *state, const struct state_event *event)
{
    return event->clock_us > 0 && event->time_us - event->clock_us > state->options.future_us;
}

void event_hashes(const struct state *state, const struct state_event *event, struct hashes *out)
{
    out->id = event->id.data ? siphash128(&state->id_secret, event->id.data, event->id.len) : (struct hash128){0};
    for (size_t i = 0; i < state->key_count; i++) {
        out->found[i] = (struct found){0};
        if (has_key(state, event, i))
            out->keys[i] = key_hash(state, i, event->keys[i]);
    }
}

void passage_begin(struct passage *p, struct state *state, const struct state_event *event, const struct hashes *hashes, double *out)
{
    CHECK(event->time_us >= 0 && event->time_us <= TIME_US_MAX);
    p->state = state;
    p->event = event;
    p->hashes = hashes;
    p->early_count = 0;
    p->out = out;
    missing_outputs(p);
}

/* What the labels that came before their event say at its own time. */
static unsigned passage_own_label(const struct passage *p, int64_t time_us)
{
    const struct early_label *latest = NULL;
    for (size_t i = 0; i < p->early_count; i++)
        if (p->early[i].since_us <= time_us && (!latest || p->early[i].since_us > latest->since_us))
            latest = &p->early[i];
    return !latest ? LABEL_NONE : latest->fraud ? LABEL_FRAUD : LABEL_LEGIT;
}

void features_beside(const struct passage *p, size_t key, const struct record *r, int64_t time_us, const uint8_t *entry)
{
    struct place place = {.key = &p->state->layouts[key], .arena = &p->state->arena, .record = r, .entry = entry, .time_us = time_us,
                          .view = ring_view(&p->state->layouts[key], &p->state->arena, r), .own = passage_own_label(p, time_us)};
    place.position = view_upper(&place.view, time_us);
    asof_features(&place, p->out);
}

void features_at(const struct passage *p, size_t key, const struct record *r, uint32_t position)
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

uint32_t passage_place(const struct key_layout *k, const struct view *v, int64_t time_us, uint8_t ordinal, uint16_t check)
{
    if (ordinal == ORDINAL_NONE)
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
