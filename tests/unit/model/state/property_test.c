/*
 * The state against a model that keeps everything and counts everything anew: random layouts, events, disorder, repeats, labels
 * early, late, repeated and withdrawn, trials and evictions. Every feature of every event is equal to the bit.
 *
 * ASSAY_TEST_ALL=1: a million events. ASSAY_SEED=N: starts from that seed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/state/internal.h"
#include "tests/support/window_model.h"

enum { WINDOWS = 14, EVENTS = 1200 };
#ifdef __SANITIZE_THREAD__
enum { MANY_EVENTS = 100000 }; /* one thread only, ten times as slow */
#else
enum { MANY_EVENTS = 1000000 };
#endif

static uint64_t random_state;

static uint64_t next_random(void) /* splitmix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t below(uint64_t n)
{
    return next_random() % n;
}

static bool chance(unsigned percent)
{
    return below(100) < percent;
}

/* A round: what it is made of, and the two sides. */
struct round {
    uint64_t seed;
    struct state_window windows[WINDOWS];
    struct state_layout layout;
    struct state_options options;
    int64_t step_us, unit_us; /* mean time between events; times are multiples of the unit */
    uint32_t keys[MODEL_KEYS];
    struct state *state;
    struct model model;
    int64_t now_us;
    uint32_t next_id;
    bool whole_numbers, evicts;
};

static int64_t some_span(const struct round *r)
{
    static const int64_t factors[] = {1, 3, 10, 40, 150, 300};
    return r->step_us * factors[below(6)] * (int64_t)(1 + below(3)) + (int64_t)below(3) - 1 + 1;
}

static void make_windows(struct round *r)
{
    for (size_t i = 0; i < WINDOWS; i++) {
        struct state_window *w = &r->windows[i];
        *w = (struct state_window){.key = (uint16_t)below(MODEL_KEYS), .function = (enum state_function)below(STATE_FUNCTION_COUNT),
                                   .span_us = some_span(r), .filter = chance(30) ? (int)below(3) : STATE_NO_FILTER};
        if (state_function_reads(w->function) == STATE_READS_NUMBER)
            w->value = (uint16_t)below(MODEL_NUMBERS);
        if (chance(30))
            w->delay_us = some_span(r);
        if (chance(15) && w->function != STATE_DISTINCT && w->function != STATE_RISK)
            w->span_us = STATE_ALL;
        if (w->function == STATE_RISK) {
            w->of_labelled = chance(40);
            w->prior = chance(50) ? 0 : 0.25;
        }
        if (i > 0 && chance(30)) { /* frames and cells are shared */
            w->key = r->windows[i - 1].key;
            w->span_us = w->function == STATE_DISTINCT || w->function == STATE_RISK ? w->span_us : r->windows[i - 1].span_us;
            w->delay_us = r->windows[i - 1].delay_us;
        }
    }
    r->layout = (struct state_layout){.keys = MODEL_KEYS, .numbers = MODEL_NUMBERS, .hashes = MODEL_HASHES, .filters = 3,
                                      .windows_count = 1 + below(WINDOWS), .windows = r->windows};
}

static void begin(struct round *r, uint64_t seed)
{
    static const int64_t units[] = {1, 1000, 1000000};
    struct error err;
    random_state = seed;
    *r = (struct round){.seed = seed, .unit_us = units[below(3)], .next_id = 1, .whole_numbers = chance(50), .evicts = chance(50)};
    r->step_us = r->unit_us * (int64_t)(1 + below(20));
    r->now_us = (int64_t)(1500000000 + below(500000000)) * 1000000 / r->unit_us * r->unit_us;
    for (size_t i = 0; i < MODEL_KEYS; i++)
        r->keys[i] = (uint32_t)(chance(50) ? 1 + below(3) : 1 + below(60));
    make_windows(r);
    r->options = (struct state_options){.disorder_us = r->step_us * (int64_t)below(60), .dedupe_us = r->step_us * (int64_t)below(200),
                                        .future_us = 0, .stripes = 1, .secret = {seed, ~seed}};
    if (state_create(&r->layout, &r->options, &r->state, &err) != STATUS_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, err.message);
    if (chance(50))
        r->state->small_bytes = 0; /* batches fetch ahead, however small the state */
    window_model_init(&r->model, &r->layout, &r->options);
}

static double some_number(const struct round *r)
{
    if (chance(8))
        return NAN;
    if (r->whole_numbers)
        return (double)below(6) - 2;
    return ldexp((double)(int64_t)next_random(), -63) * (chance(50) ? 10000 : 3);
}

/* Not older than what an eviction promises to leave alone. */
static bool recent_enough(const struct round *r, int64_t time_us)
{
    int64_t keep = r->options.disorder_us > r->options.dedupe_us ? r->options.disorder_us : r->options.dedupe_us;
    return !r->evicts || time_us >= r->now_us - keep;
}

static struct model_event some_event(struct round *r)
{
    struct model_event e = {0};
    r->now_us += (int64_t)below((uint64_t)(2 * r->step_us / r->unit_us + 1)) * r->unit_us;
    if (chance(1) && chance(20))
        r->now_us += r->step_us * 2000;
    e.time_us = r->now_us;
    if (chance(25))
        e.time_us -= (int64_t)below((uint64_t)((r->options.disorder_us + r->options.disorder_us / 4) / r->unit_us + 2)) * r->unit_us;
    if (!recent_enough(r, e.time_us))
        e.time_us = r->now_us;
    if (r->model.count > 0 && chance(12)) {
        const struct model_event *again = &r->model.events[r->model.count - 1 - below(r->model.count < 400 ? r->model.count : 400)];
        if (recent_enough(r, again->time_us))
            return *again;
    }
    e.id = chance(95) ? r->next_id++ : 0;
    for (size_t i = 0; i < MODEL_KEYS; i++)
        e.keys[i] = chance(97) ? (uint32_t)(1 + below(r->keys[i])) : 0;
    for (size_t i = 0; i < MODEL_NUMBERS; i++)
        e.numbers[i] = some_number(r);
    e.hashes[0] = chance(5) ? 0 : 1 + below(chance(50) ? 5 : 1000);
    e.hashes[0] *= 0x9e3779b97f4a7c15u;
    e.filters = (uint32_t)below(8);
    return e;
}

struct text {
    char data[3][16];
    struct span id, keys[MODEL_KEYS];
};

/* The event as the state takes it, with its texts in *text. */
static struct state_event as_state_event(const struct model_event *e, struct text *text)
{
    *text = (struct text){.id = {.data = NULL}};
    if (e->id)
        text->id = (struct span){.data = text->data[2], .len = (uint32_t)snprintf(text->data[2], 16, "t%u", e->id)};
    for (size_t i = 0; i < MODEL_KEYS; i++)
        if (e->keys[i])
            text->keys[i] = (struct span){.data = text->data[i], .len = (uint32_t)snprintf(text->data[i], 16, "%u", e->keys[i])};
    return (struct state_event){.time_us = e->time_us, .id = text->id, .keys = text->keys, .numbers = e->numbers, .hashes = e->hashes,
                                .filters = e->filters, .source = -1};
}

static void compare(const struct round *r, const char *what, const double *ours, const double *model, const bool *certain)
{
    for (size_t i = 0; i < r->layout.windows_count; i++) {
        bool same = memcmp(&ours[i], &model[i], sizeof ours[i]) == 0 || (isnan(ours[i]) && isnan(model[i]));
        if (!certain[i] || same)
            continue;
        const struct state_window *w = &r->windows[i];
        fail_msg("seed %llu, event %zu, %s: window %zu (%s of key %u, span %lld, delay %lld, filter %d): %.17g, the model says %.17g",
                 (unsigned long long)r->seed, r->model.count, what, i, state_function_word(w->function), w->key, (long long)w->span_us,
                 (long long)w->delay_us, w->filter, ours[i], model[i]);
    }
}

static void one_event(struct round *r)
{
    struct model_event e = some_event(r);
    struct text text;
    struct state_event event = as_state_event(&e, &text);
    double ours[WINDOWS], trial[WINDOWS], model[WINDOWS];
    bool certain[WINDOWS], tried = chance(20);
    uint32_t trial_flags = tried ? state_trial(r->state, &event, trial) : 0;
    uint32_t flags;
    if (chance(50))
        flags = state_apply(r->state, &event, ours);
    else
        state_apply_batch(r->state, &event, 1, ours, &flags);
    uint32_t expected = window_model_apply(&r->model, &e, model, certain);
    if (flags != expected)
        fail_msg("seed %llu, event %zu: flags %u, the model says %u", (unsigned long long)r->seed, r->model.count, flags, expected);
    compare(r, "applied", ours, model, certain);
    if (tried && (trial_flags & STATE_REPEAT) == (flags & STATE_REPEAT))
        compare(r, "tried before", trial, model, certain);
    if (e.id && chance(5) && r->model.newest_us - e.time_us <= r->model.keep_us) { /* else it is forgotten at once */
        flags = state_trial(r->state, &event, trial);
        assert_true(flags & STATE_REPEAT);
        compare(r, "tried afterwards", trial, model, certain);
    }
}

/* A label for an event of late, or for one that is still to come; at once, later, or withdrawn. */
static void one_label(struct round *r)
{
    uint32_t id = r->next_id > 1 && chance(85) ? (uint32_t)(r->next_id - 1 - below(r->next_id < 300 ? r->next_id - 1 : 299)) : r->next_id + (uint32_t)below(5);
    int64_t since = r->now_us + ((int64_t)below(200) - 60) * r->step_us;
    bool fraud = chance(60);
    if (since < r->now_us || id == 0)
        since = r->now_us;
    if (id >= r->next_id) /* waits for its event for no longer than a window reaches */
        since += 20 * r->step_us;
    if (!window_model_label(&r->model, id, fraud, since))
        return;
    char text[16];
    int len = snprintf(text, sizeof text, "t%u", id);
    enum state_labelled result = state_label(r->state, (struct span){.data = text, .len = (uint32_t)len}, fraud, since);
    assert_int_not_equal(result, STATE_LABEL_DROPPED);
}

static void one_round(uint64_t seed, size_t events)
{
    struct round r;
    begin(&r, seed);
    unsigned labels = (unsigned)below(60);
    for (size_t i = 0; i < events; i++) {
        one_event(&r);
        if (chance(labels))
            one_label(&r);
        if (r.evicts && chance(1))
            (void)state_evict(r.state, r.now_us);
    }
    struct state_statistics s;
    state_statistics(r.state, &s);
    assert_true(s.most_moved <= 64);
    assert_true(s.dropped == 0 && s.evicted_memory == 0);
    state_free(r.state);
    window_model_free(&r.model);
}

static void as_the_model(void **unused)
{
    (void)unused;
    const char *all = getenv("ASSAY_TEST_ALL"), *first = getenv("ASSAY_SEED");
    size_t rounds = all && *all ? MANY_EVENTS / EVENTS + 1 : 40;
    uint64_t seed = first ? strtoull(first, NULL, 10) : 1;
    printf("seeds %llu to %llu, %zu events\n", (unsigned long long)seed, (unsigned long long)(seed + rounds - 1), rounds * EVENTS);
    for (size_t i = 0; i < rounds; i++)
        one_round(seed + i, EVENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
