#include "model/history.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "model/base/check.h"

struct history {
    const struct schema *schema;
    const struct plan *plan;
    struct state *state;
    const struct window_input *inputs; /* [input_count] */
    size_t input_count, window_count;
    uint16_t keys[WINDOW_KEYS_MAX]; /* [key_count] fields */
    uint16_t places[WINDOW_INPUTS_MAX]; /* an input's position among the numbers, hashes or filters of an event */
    size_t key_count, number_count, hash_count, filter_count;
    int64_t reach_us, disorder_us;
    /* The earliest time that was taken in, since what came before it is not known; and the latest. */
    _Atomic int64_t begin_us, newest_us;
};

struct history_writer {
    struct history *history;
    uint32_t most;
    struct state_event *events; /* [most], each with its part of the arrays below */
    struct span *keys;
    double *numbers;
    uint64_t *hashes;
    double *inputs, *windows; /* [input_count]; [most][window_count] */
    uint32_t *flags;
};

/* --- the layout -------------------------------------------------------------------------------------------------------- */

static uint16_t key_number(struct history *h, uint16_t field)
{
    size_t i = 0;
    while (i < h->key_count && h->keys[i] != field)
        i++;
    if (i == h->key_count)
        h->keys[h->key_count++] = field; /* the compiler counted them */
    return (uint16_t)i;
}

static void place_inputs(struct history *h)
{
    for (size_t i = 0; i < h->input_count; i++) {
        switch (h->inputs[i].kind) {
        case WINDOW_NUMBER:
            h->places[i] = (uint16_t)h->number_count++;
            break;
        case WINDOW_VALUE:
        case WINDOW_TEXT:
            h->places[i] = (uint16_t)h->hash_count++;
            break;
        case WINDOW_FLAG:
            h->places[i] = (uint16_t)h->filter_count++;
            break;
        }
    }
}

static struct state_window state_window_of(struct history *h, const struct window *w)
{
    static const enum state_function functions[WINDOW_FUNCTIONS] = {
#define WINDOW(id, name, inputs, signature, help) [WINDOW_##id] = STATE_##id,
#include "model/features/windows.def"
#undef WINDOW
    };
    return (struct state_window){
        .key = key_number(h, w->key),
        .value = w->input == WINDOW_NONE ? 0 : h->places[w->input],
        .function = functions[w->function],
        .span_us = w->width_us == WINDOW_ALL ? STATE_ALL : w->width_us,
        .delay_us = w->delay_us,
        .filter = w->where == WINDOW_NONE ? STATE_NO_FILTER : (int)h->places[w->where],
        .prior = w->prior,
        .of_labelled = w->labelled,
    };
}

static enum status make_state(struct history *h, const struct window *windows, const struct state_options *options, struct error *err)
{
    struct state_window *made = calloc(h->window_count, sizeof *made);
    if (!made)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for windows");
    place_inputs(h);
    for (size_t i = 0; i < h->window_count; i++) {
        made[i] = state_window_of(h, &windows[i]);
        int64_t reach_us = windows[i].width_us == WINDOW_ALL ? 0 : windows[i].width_us + windows[i].delay_us;
        h->reach_us = reach_us > h->reach_us ? reach_us : h->reach_us;
    }
    const struct state_layout layout = {.keys = h->key_count, .numbers = h->number_count, .hashes = h->hash_count,
                                        .filters = h->filter_count, .windows_count = h->window_count, .windows = made};
    enum status status = state_create(&layout, options, &h->state, err);
    free(made);
    return status;
}

enum status history_create(const struct schema *schema, const struct plan *plan, const struct state_options *options,
                           struct history **out, struct error *err)
{
    size_t n;
    const struct window *windows = plan_windows(plan, &n);
    *out = NULL;
    if (n == 0)
        return STATUS_OK;
    struct history *h = calloc(1, sizeof *h);
    if (!h)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for windows");
    *h = (struct history){.schema = schema, .plan = plan, .window_count = n};
    h->inputs = plan_inputs(plan, &h->input_count);
    h->disorder_us = options->disorder_us;
    atomic_init(&h->begin_us, INT64_MAX);
    atomic_init(&h->newest_us, INT64_MIN);
    enum status status = make_state(h, windows, options, err);
    if (status == STATUS_OK)
        *out = h;
    else
        history_free(h);
    return status;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    state_free(history->state);
    free(history);
}

struct state *history_state(struct history *history)
{
    return history->state;
}

double history_reach_s(const struct history *history)
{
    return (double)history->reach_us / 1e6;
}

size_t history_keys(const struct history *history)
{
    return history->key_count;
}

const struct field *history_key(const struct history *history, size_t key)
{
    CHECK(key < history->key_count);
    return schema_field(history->schema, history->keys[key]);
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

enum status history_writer_create(struct history *history, uint32_t most, struct history_writer **out, struct error *err)
{
    struct history_writer *w = calloc(1, sizeof *w);
    *out = w;
    if (!w)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for windows");
    *w = (struct history_writer){.history = history, .most = most};
    w->events = calloc(most, sizeof *w->events);
    w->keys = calloc(most * history->key_count, sizeof *w->keys);
    w->numbers = calloc(most * history->number_count + 1, sizeof *w->numbers);
    w->hashes = calloc(most * history->hash_count + 1, sizeof *w->hashes);
    w->inputs = calloc(history->input_count + 1, sizeof *w->inputs);
    w->windows = calloc(most * history->window_count, sizeof *w->windows);
    w->flags = calloc(most, sizeof *w->flags);
    if (w->events && w->keys && w->numbers && w->hashes && w->inputs && w->windows && w->flags)
        return STATUS_OK;
    history_writer_free(w);
    *out = NULL;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for windows");
}

void history_writer_free(struct history_writer *writer)
{
    if (!writer)
        return;
    free(writer->events);
    free(writer->keys);
    free(writer->numbers);
    free(writer->hashes);
    free(writer->inputs);
    free(writer->windows);
    free(writer->flags);
    free(writer);
}

/* Different numbers have different bits, and 0 and -0 are the same number. */
static uint64_t hash_value(const struct state *state, double value)
{
    double plain = value + 0.0; /* -0 + 0 is 0 */
    return isnan(value) ? 0 : state_hash(state, (struct span){.data = (const char *)&plain, .len = sizeof plain});
}

/* Event i of the writer, from a transaction. */
static void make_event(struct history_writer *w, uint32_t i, const struct history_entry *entry, int64_t clock_us)
{
    const struct history *h = w->history;
    const struct transaction *tx = entry->tx;
    struct span *keys = w->keys + (size_t)i * h->key_count;
    double *numbers = w->numbers + (size_t)i * h->number_count;
    uint64_t *hashes = w->hashes + (size_t)i * h->hash_count;
    uint32_t filters = 0;
    plan_run_inputs(h->plan, tx, w->inputs);
    for (size_t k = 0; k < h->key_count; k++)
        keys[k] = tx->values[h->keys[k]].text;
    for (size_t k = 0; k < h->input_count; k++) {
        uint16_t place = h->places[k];
        switch (h->inputs[k].kind) {
        case WINDOW_NUMBER:
            numbers[place] = w->inputs[k];
            break;
        case WINDOW_VALUE:
            hashes[place] = hash_value(h->state, w->inputs[k]);
            break;
        case WINDOW_TEXT:
            hashes[place] = state_hash(h->state, tx->values[h->inputs[k].field].text);
            break;
        case WINDOW_FLAG:
            filters |= (uint32_t)(w->inputs[k] != 0) << place;
            break;
        }
    }
    w->events[i] = (struct state_event){.time_us = tx->time_us, .clock_us = clock_us, .id = tx->values[schema_id(h->schema)].text,
                                        .keys = keys, .numbers = numbers, .hashes = hashes, .filters = filters,
                                        .source = entry->source, .offset = entry->offset};
}

static void take_answer(struct history_writer *w, uint32_t i, struct history_entry *entry)
{
    const struct history *h = w->history;
    entry->flags = w->flags[i];
    if (entry->flags & STATE_FUTURE)
        return;
    memcpy(entry->tx->windows, w->windows + (size_t)i * h->window_count, h->window_count * sizeof *w->windows);
    /* A hint for people, which orders nothing. */
    entry->complete = entry->tx->time_us - atomic_load_explicit(&h->begin_us, memory_order_relaxed) >= h->reach_us;
}

/* Moves the two ends apart to take in a time. Mostly nothing moves, and nothing is written. */
static void widen(struct history *h, int64_t from_us, int64_t to_us)
{
    int64_t begin_us = atomic_load_explicit(&h->begin_us, memory_order_relaxed);
    while (from_us < begin_us &&
           !atomic_compare_exchange_weak_explicit(&h->begin_us, &begin_us, from_us, memory_order_relaxed, memory_order_relaxed))
        ;
    int64_t newest_us = atomic_load_explicit(&h->newest_us, memory_order_relaxed);
    while (to_us > newest_us &&
           !atomic_compare_exchange_weak_explicit(&h->newest_us, &newest_us, to_us, memory_order_relaxed, memory_order_relaxed))
        ;
}

void history_apply(struct history_writer *writer, struct history_entry *entries, uint32_t n, int64_t clock_us)
{
    CHECK(n <= writer->most);
    for (uint32_t i = 0; i < n; i++)
        make_event(writer, i, &entries[i], clock_us);
    state_apply_batch(writer->history->state, writer->events, n, writer->windows, writer->flags);
    int64_t from_us = INT64_MAX, to_us = INT64_MIN;
    int64_t newest_us = atomic_load_explicit(&writer->history->newest_us, memory_order_relaxed); /* see widen */
    for (uint32_t i = 0; i < n; i++) {
        int64_t time_us = entries[i].tx->time_us;
        if (writer->flags[i] & (STATE_FUTURE | STATE_REPEAT | STATE_LATE)) /* not taken in, or before what is kept */
            continue;
        newest_us = time_us > newest_us ? time_us : newest_us;
        /* One that is too old to be put among the others, and whose key is not known, says nothing of what came after it. */
        if (time_us >= newest_us - writer->history->disorder_us && time_us < from_us)
            from_us = time_us;
        to_us = time_us > to_us ? time_us : to_us;
    }
    widen(writer->history, from_us, to_us);
    for (uint32_t i = 0; i < n; i++)
        take_answer(writer, i, &entries[i]);
}

uint64_t history_evict(struct history *history, int64_t wall_us)
{
    int64_t newest_us = atomic_load_explicit(&history->newest_us, memory_order_relaxed);
    int64_t now_us = newest_us < wall_us ? newest_us : wall_us;
    return now_us > 0 ? state_evict(history->state, now_us) : 0;
}

void history_trial(struct history_writer *writer, struct history_entry *entry, int64_t clock_us)
{
    make_event(writer, 0, entry, clock_us);
    writer->flags[0] = state_trial(writer->history->state, &writer->events[0], writer->windows);
    take_answer(writer, 0, entry);
}
