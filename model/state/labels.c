#include "model/state/labels.h"

/* Lags are kept in 40 bits of microseconds from a day before the event: to 11.7 days after it. */
#define LAG_BIAS (INT64_C(86400) * 1000000)
#define LAG_END (INT64_C(1) << 40)

static int compare_items(const struct label_item *a, const struct label_item *b, enum label_order order)
{
    int since = (a->since_us > b->since_us) - (a->since_us < b->since_us);
    int event = (a->time_us > b->time_us) - (a->time_us < b->time_us);
    if (event == 0)
        event = (a->ordinal > b->ordinal) - (a->ordinal < b->ordinal);
    return order == BY_SINCE ? (since ? since : event) : (event ? event : since);
}

static uint32_t list_cap(unsigned class)
{
    return (uint32_t)((arena_class_bytes(class) - sizeof(struct label_list)) / sizeof(struct label_item));
}

static bool list_grow(uint32_t *list, struct arena *arena)
{
    struct label_list *old = label_list_at(*list, arena);
    uint32_t count = old ? old->count : 0;
    unsigned class = arena_class(sizeof(struct label_list) + (count + count / 4 + 1) * sizeof(struct label_item));
    uint32_t block = class < ARENA_CLASSES ? arena_take(arena, class) : 0;
    if (!block)
        return false;
    struct label_list *l = arena_at(arena, block);
    *l = (struct label_list){.count = count, .class = class};
    if (old) {
        memcpy(l->items, old->items, count * sizeof *l->items);
        arena_give(arena, *list, old->class);
    }
    *list = block;
    return true;
}

bool label_list_put(uint32_t *list, struct arena *arena, const struct label_item *item, enum label_order order)
{
    struct label_list *l = label_list_at(*list, arena);
    uint32_t at = l ? l->count : 0;
    while (at > 0 && compare_items(&l->items[at - 1], item, order) > 0)
        at--;
    if (at > 0 && compare_items(&l->items[at - 1], item, order) == 0) {
        l->items[at - 1] = *item;
        return true;
    }
    if (!l || l->count == list_cap(l->class)) {
        if (!list_grow(list, arena))
            return false;
        l = label_list_at(*list, arena);
    }
    memmove(&l->items[at + 1], &l->items[at], (l->count - at) * sizeof *l->items);
    l->items[at] = *item;
    l->count++;
    return true;
}

void label_list_drop(uint32_t *list, struct arena *arena, uint32_t from, uint32_t n)
{
    struct label_list *l = label_list_at(*list, arena);
    if (!l || n == 0)
        return;
    memmove(&l->items[from], &l->items[from + n], (l->count - from - n) * sizeof *l->items);
    l->count -= n;
    if (l->count == 0)
        label_list_free(list, arena);
}

void label_list_free(uint32_t *list, struct arena *arena)
{
    struct label_list *l = label_list_at(*list, arena);
    if (l)
        arena_give(arena, *list, l->class);
    *list = 0;
}

uint32_t view_ordinal(const struct view *v, uint32_t i)
{
    uint64_t time = entry_time48(view_at(v, i));
    uint32_t first = i;
    while (first > 0 && entry_time48(view_at(v, first - 1)) == time)
        first--;
    return i - first;
}

uint32_t view_find(const struct view *v, int64_t time_us, uint32_t ordinal)
{
    uint32_t i = view_upper(v, time_us - 1);
    if (i >= v->count || ordinal >= v->count - i)
        return v->count;
    i += ordinal;
    return entry_time(view_at(v, i), v->newest) == time_us ? i : v->count;
}

/* The items of an event: *first is where the first one is or would be. Returns how many there are. */
static uint32_t event_items(const struct label_list *l, int64_t time_us, uint32_t ordinal, uint32_t *first)
{
    uint32_t low = 0, high = l ? l->count : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct label_item *m = &l->items[middle];
        if (m->time_us < time_us || (m->time_us == time_us && m->ordinal < ordinal))
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    uint32_t n = 0;
    while (l && low + n < l->count && l->items[low + n].time_us == time_us && l->items[low + n].ordinal == ordinal)
        n++;
    return n;
}

int64_t label_since(const struct key_layout *k, const uint8_t *entry, int64_t newest)
{
    uint64_t lag = 0;
    memcpy(&lag, entry + k->lag_at, 5);
    return entry_time(entry, newest) + (int64_t)lag - LAG_BIAS;
}

unsigned label_status(const struct key_layout *k, const struct arena *arena, const struct record *r, const struct view *v, uint32_t i,
                      int64_t t)
{
    const uint8_t *entry = view_at(v, i);
    unsigned label = entry[k->flags_at] & LABEL_BITS;
    if (label == LABEL_NONE)
        return label;
    if (label != LABEL_HISTORY)
        return label_since(k, entry, v->newest) <= t ? label : LABEL_NONE;
    const struct label_list *l = label_list_at(r->labels, arena);
    uint32_t first, n = event_items(l, entry_time(entry, v->newest), view_ordinal(v, i), &first);
    while (n > 0 && l->items[first + n - 1].since_us > t)
        n--;
    if (n == 0)
        return LABEL_NONE;
    return l->items[first + n - 1].fraud ? LABEL_FRAUD : LABEL_LEGIT;
}

static void entry_set_label(const struct key_layout *k, uint8_t *entry, unsigned label, int64_t lag)
{
    uint64_t kept = (uint64_t)(lag + LAG_BIAS);
    entry[k->flags_at] = (uint8_t)((entry[k->flags_at] & (0xff ^ LABEL_BITS)) | label);
    memcpy(entry + k->lag_at, &kept, 5);
}

static enum state_labelled put_in_history(struct arena *arena, struct record *r, const struct label_item *item)
{
    const struct label_list *l = label_list_at(r->labels, arena);
    uint32_t first, n = event_items(l, item->time_us, item->ordinal, &first);
    for (uint32_t i = 0; i < n; i++)
        if (l->items[first + i].since_us == item->since_us && l->items[first + i].fraud == item->fraud)
            return STATE_LABEL_REPEATED;
    if (n >= LABELS_MAX)
        return STATE_LABEL_DROPPED;
    return label_list_put(&r->labels, arena, item, BY_EVENT) ? STATE_LABEL_APPLIED : STATE_LABEL_DROPPED;
}

/* Moves the label in the entry, and another one, to the history of the event. */
static enum state_labelled start_history(const struct key_layout *k, struct arena *arena, struct record *r, uint8_t *entry,
                                         const struct label_item *item)
{
    unsigned label = entry[k->flags_at] & LABEL_BITS;
    struct label_item before = *item;
    before.since_us = label_since(k, entry, record_newest(r));
    before.fraud = label == LABEL_FRAUD;
    if (label != LABEL_NONE && !label_list_put(&r->labels, arena, &before, BY_EVENT))
        return STATE_LABEL_DROPPED;
    if (!label_list_put(&r->labels, arena, item, BY_EVENT))
        return STATE_LABEL_DROPPED; /* an item of an entry that does not say LABEL_HISTORY is never looked at */
    entry_set_label(k, entry, LABEL_HISTORY, -LAG_BIAS);
    return STATE_LABEL_APPLIED;
}

enum state_labelled label_put(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t i, bool fraud, int64_t since_us)
{
    struct view v = ring_view(k, arena, r);
    uint8_t *entry = (uint8_t *)arena_at(arena, r->block) + (view_at(&v, i) - v.base);
    struct label_item item = {.time_us = entry_time(entry, v.newest), .since_us = since_us, .ordinal = view_ordinal(&v, i), .fraud = fraud};
    int64_t lag = since_us - item.time_us;
    unsigned had = entry[k->flags_at] & LABEL_BITS, label = fraud ? LABEL_FRAUD : LABEL_LEGIT;
    if (had == LABEL_HISTORY)
        return put_in_history(arena, r, &item);
    bool fits = lag >= -LAG_BIAS && lag + LAG_BIAS < LAG_END;
    if (had == LABEL_NONE && !fits)
        return start_history(k, arena, r, entry, &item);
    if (had != LABEL_NONE) {
        int64_t before = label_since(k, entry, v.newest) - item.time_us;
        if (lag == before && had == label)
            return STATE_LABEL_REPEATED;
        /* Two labels that are both there before any window looks at the event: the later one alone is enough. */
        bool either = lag == before || (lag <= k->least_delay_us && before <= k->least_delay_us);
        if (!either || !fits)
            return start_history(k, arena, r, entry, &item);
        if (lag < before)
            return STATE_LABEL_APPLIED;
    }
    entry_set_label(k, entry, label, lag);
    return STATE_LABEL_APPLIED;
}

void labels_pop(struct arena *arena, struct record *r, int64_t time_us)
{
    const struct label_list *l = label_list_at(r->labels, arena);
    uint32_t n = 0;
    while (l && n < l->count && l->items[n].time_us <= time_us)
        n++;
    label_list_drop(&r->labels, arena, 0, n);
}
