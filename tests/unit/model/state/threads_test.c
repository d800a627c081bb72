/*
 * Several threads at once on the same keys: nothing is lost or counted twice, and under ThreadSanitizer nothing races. Writers apply one by one
 * and in batches, others label, try, evict and read figures meanwhile.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/state/internal.h"

#define SECOND INT64_C(1000000)
#define START (INT64_C(1532476800) * SECOND)

enum { WRITERS = 3, EVENTS = 6000, KEYS = 40, BATCH = 8, WINDOWS = 7 };

static const struct state_window windows[WINDOWS] = {
    {.key = 0, .function = STATE_COUNT, .span_us = STATE_ALL, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_SUM, .span_us = STATE_ALL, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_MAX, .span_us = 400 * SECOND, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_DISTINCT, .span_us = 900 * SECOND, .filter = STATE_NO_FILTER},
    {.key = 1, .function = STATE_COUNT, .span_us = 100000 * SECOND, .filter = STATE_NO_FILTER},
    {.key = 1, .function = STATE_RISK, .span_us = 100000 * SECOND, .filter = STATE_NO_FILTER},
    {.key = 1, .function = STATE_STD, .span_us = 700 * SECOND, .filter = STATE_NO_FILTER},
};
static const struct state_layout layout = {.keys = 2, .numbers = 1, .hashes = 1, .windows_count = WINDOWS, .windows = windows};

static struct state *state;
static _Atomic bool stop;

struct text {
    char data[3][16];
    struct span keys[2];
    double amount;
    uint64_t hash;
};

static struct state_event make_event(int writer, int i, struct text *t)
{
    unsigned mixed = ((unsigned)i * 2654435761u) >> 8;
    t->keys[0] = (struct span){.data = t->data[0], .len = (uint32_t)snprintf(t->data[0], 16, "c%u", mixed % KEYS)};
    t->keys[1] = (struct span){.data = t->data[1], .len = (uint32_t)snprintf(t->data[1], 16, "t%u", mixed / KEYS % KEYS)};
    t->amount = i % 10;
    t->hash = mixed % 17 + 1;
    struct span id = {.data = t->data[2], .len = (uint32_t)snprintf(t->data[2], 16, "%d", writer * EVENTS + i)};
    return (struct state_event){.time_us = START + i * SECOND, .id = id, .keys = t->keys, .numbers = &t->amount, .hashes = &t->hash,
                                .source = writer, .offset = i};
}

static void *write_events(void *context)
{
    int writer = *(const int *)context;
    static _Thread_local struct text texts[BATCH];
    struct state_event events[BATCH];
    double out[BATCH * WINDOWS];
    uint32_t flags[BATCH];
    for (int i = 0; i < EVENTS; i += BATCH) {
        int n = EVENTS - i < BATCH ? EVENTS - i : BATCH;
        for (int k = 0; k < n; k++)
            events[k] = make_event(writer, i + k, &texts[k]);
        if (i / BATCH % 2) {
            state_apply_batch(state, events, (size_t)n, out, flags);
        } else {
            for (int k = 0; k < n; k++)
                flags[k] = state_apply(state, &events[k], out);
        }
        for (int k = 0; k < n; k++)
            assert_int_equal(flags[k] & ~(uint32_t)STATE_DISORDER, 0);
    }
    return NULL;
}

/* Every tenth transaction is a fraud, known at once; some are said twice, some before they come. */
static void *write_labels(void *unused)
{
    (void)unused;
    char id[16];
    for (int i = 0; i < WRITERS * EVENTS; i += 10) {
        uint32_t len = (uint32_t)snprintf(id, sizeof id, "%d", i);
        for (int again = 0; again < 1 + i / 10 % 2; again++)
            (void)state_label(state, (struct span){.data = id, .len = len}, true, START);
    }
    return NULL;
}

static void *look_on(void *unused)
{
    (void)unused;
    static _Thread_local struct text text;
    struct state_statistics figures;
    struct state_key_plan plan;
    double out[WINDOWS];
    for (int i = 0; !atomic_load(&stop); i++) {
        struct state_event event = make_event(WRITERS, i % EVENTS, &text);
        (void)state_trial(state, &event, out);
        if (i % 50 == 0) {
            state_statistics(state, &figures);
            state_key_plan(state, 1, &plan);
            (void)state_evict(state, START + EVENTS * SECOND);
            (void)state_position(state, 0);
        }
    }
    return NULL;
}

static void run_all(void)
{
    pthread_t writers[WRITERS], labels, watcher;
    int numbers[WRITERS];
    atomic_store(&stop, false);
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&writers[i], NULL, write_events, &numbers[i]), 0);
    }
    assert_int_equal(pthread_create(&labels, NULL, write_labels, NULL), 0);
    assert_int_equal(pthread_create(&watcher, NULL, look_on, NULL), 0);
    for (int i = 0; i < WRITERS; i++)
        (void)pthread_join(writers[i], NULL);
    (void)pthread_join(labels, NULL);
    atomic_store(&stop, true);
    (void)pthread_join(watcher, NULL);
}

static void all_at_once(void **unused)
{
    (void)unused;
    struct state_options options = {.disorder_us = 100000 * SECOND, .dedupe_us = 200000 * SECOND, .stripes = 4, .secret = {3, 4}};
    struct error err;
    assert_int_equal(state_create(&layout, &options, &state, &err), STATUS_OK);
    state->small_bytes = 0; /* batches fetch ahead */
    run_all();
    double cards = 0, sum = 0, terminals = 0, frauds = 0;
    for (int i = 0; i < KEYS; i++) {
        char card[16], terminal[16];
        struct span keys[2] = {{.data = card, .len = (uint32_t)snprintf(card, 16, "c%d", i)},
                               {.data = terminal, .len = (uint32_t)snprintf(terminal, 16, "t%d", i)}};
        double zero = 0, out[WINDOWS];
        uint64_t hash = 0;
        struct state_event event = {.time_us = START + EVENTS * SECOND, .keys = keys, .numbers = &zero, .hashes = &hash, .source = -1};
        (void)state_trial(state, &event, out);
        cards += out[0] - 1;
        sum += out[1];
        terminals += out[4] - 1;
        frauds += round(out[5] * out[4]);
    }
    assert_true(cards == WRITERS * EVENTS && terminals == WRITERS * EVENTS);
    assert_true(sum == WRITERS * (EVENTS / 10 * 45.0));
    assert_true(frauds == WRITERS * EVENTS / 10.0);
    struct state_statistics figures;
    state_statistics(state, &figures);
    assert_true(figures.applied == WRITERS * EVENTS && figures.late == 0 && figures.labels_pending == 0);
    state_free(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
