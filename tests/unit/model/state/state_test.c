/* The state at its edges: refusals, flags, positions, labels, ties, limits, and sums that only exact arithmetic gets right. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/state/exact.h"
#include "model/state/state.h"

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)
#define START (INT64_C(1532476800) * SECOND)

static const struct state_window windows[] = {
    {.key = 0, .function = STATE_COUNT, .span_us = DAY, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_SUM, .span_us = DAY, .filter = STATE_NO_FILTER},
    {.key = 1, .function = STATE_COUNT, .span_us = 2 * DAY, .filter = STATE_NO_FILTER},
    {.key = 1, .function = STATE_RISK, .span_us = 2 * DAY, .delay_us = 0, .filter = STATE_NO_FILTER, .prior = 0.5},
};
enum { CARD_COUNT, CARD_SUM, TERMINAL_COUNT, TERMINAL_RISK, WINDOWS };

static const struct state_layout layout = {.keys = 2, .numbers = 1, .windows_count = WINDOWS, .windows = windows};
static const struct state_options options = {.disorder_us = 60 * SECOND, .dedupe_us = 3600 * SECOND, .future_us = 10 * SECOND, .secret = {1, 2}};

static struct state *create(const struct state_layout *l, const struct state_options *o)
{
    struct state *state;
    struct error err;
    if (state_create(l, o, &state, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    return state;
}

static struct span text(const char *s)
{
    return s ? (struct span){.data = s, .len = (uint32_t)strlen(s)} : (struct span){.data = NULL};
}

/* Applies one event; NULL: that text is absent. */
static uint32_t apply(struct state *state, const char *id, const char *card, const char *terminal, int64_t time_us, double amount, double *out)
{
    struct span keys[2] = {text(card), text(terminal)};
    struct state_event event = {.time_us = time_us, .id = text(id), .keys = keys, .numbers = &amount, .source = -1};
    return state_apply(state, &event, out);
}

static struct state_statistics statistics(const struct state *state)
{
    struct state_statistics s;
    state_statistics(state, &s);
    return s;
}

static void refused(struct state_window window, struct state_options o, enum status status, const char *words)
{
    struct state_layout l = {.keys = 1, .numbers = 1, .hashes = 1, .filters = 1, .windows_count = 1, .windows = &window};
    struct state *state;
    struct error err = {{0}};
    assert_int_equal(state_create(&l, &o, &state, &err), status);
    assert_null(state);
    if (!strstr(err.message, words))
        fail_msg("'%s' says nothing of '%s'", err.message, words);
}

static void says_what_is_wrong(void **unused)
{
    (void)unused;
    struct state_window good = {.function = STATE_COUNT, .span_us = DAY, .filter = STATE_NO_FILTER}, w = good;
    struct state_options o = options;
    w.key = 1;
    refused(w, o, STATUS_INVALID, "window 0: key 1 of 1");
    w = good;
    w.span_us = 0;
    refused(w, o, STATUS_INVALID, "span");
    w.span_us = STATE_SPAN_MAX_US + 1;
    refused(w, o, STATUS_INVALID, "three years");
    w = good;
    w.delay_us = -1;
    refused(w, o, STATUS_INVALID, "delay");
    w = good;
    w.filter = 1;
    refused(w, o, STATUS_INVALID, "filter 1 of 1");
    w = (struct state_window){.function = STATE_DISTINCT, .span_us = STATE_ALL, .filter = STATE_NO_FILTER};
    refused(w, o, STATUS_UNSUPPORTED, "distinct");
    w.function = STATE_RISK;
    refused(w, o, STATUS_UNSUPPORTED, "risk");
    w = (struct state_window){.function = STATE_RISK, .span_us = DAY, .filter = STATE_NO_FILTER, .prior = NAN};
    refused(w, o, STATUS_INVALID, "prior");
    w = (struct state_window){.function = STATE_MEAN, .value = 1, .span_us = DAY, .filter = STATE_NO_FILTER};
    refused(w, o, STATUS_INVALID, "value 1 of 1");
    o.disorder_us = -1;
    refused(good, o, STATUS_INVALID, "disorder");
    o = options;
    o.stripes = 3;
    refused(good, o, STATUS_INVALID, "power of two");
    o.stripes = 0;
    o.memory_bytes = 1000;
    refused(good, o, STATUS_INVALID, "8 MiB");
}

static void flags_what_happened(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    double out[WINDOWS], again[WINDOWS];
    assert_int_equal(apply(s, "1", "a", NULL, START + 100 * SECOND, 5, out), 0);
    assert_true(out[CARD_COUNT] == 1 && out[CARD_SUM] == 5 && isnan(out[TERMINAL_COUNT]) && isnan(out[TERMINAL_RISK]));
    assert_int_equal(apply(s, "2", "a", "t", START + 40 * SECOND, 7, out), STATE_DISORDER);
    assert_true(out[CARD_COUNT] == 1 && out[CARD_SUM] == 7 && out[TERMINAL_COUNT] == 1);
    assert_int_equal(apply(s, "3", "a", "t", START + 39 * SECOND, 9, out), STATE_LATE | STATE_DISORDER);
    assert_true(out[CARD_COUNT] == 1 && out[CARD_SUM] == 9); /* not in the ring, but in its own window */
    assert_int_equal(apply(s, "4", "a", NULL, START + 100 * SECOND, 1, again), 0);
    assert_true(again[CARD_COUNT] == 3 && again[CARD_SUM] == 13);
    assert_int_equal(apply(s, "1", "a", NULL, START + 100 * SECOND, 5, again), STATE_REPEAT);
    assert_true(again[CARD_COUNT] == 2 && again[CARD_SUM] == 12); /* the late one below it counts, the one above doesn't */
    struct state_statistics n = statistics(s);
    assert_true(n.applied == 4 && n.repeats == 1 && n.late == 1 && n.disorder == 2 && n.keys == 2 && n.events == 5);
    state_free(s);
}

static void refuses_the_future(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    struct span keys[2] = {text("a"), text("t")};
    double amount = 1, out[WINDOWS] = {-1, -1, -1, -1};
    struct state_event event = {.time_us = START + 11 * SECOND, .clock_us = START, .id = text("1"), .keys = keys, .numbers = &amount, .source = 0, .offset = 7};
    assert_int_equal(state_apply(s, &event, out), STATE_FUTURE);
    assert_true(out[CARD_COUNT] == -1 && statistics(s).keys == 0 && statistics(s).ids == 0 && statistics(s).future == 1);
    assert_int_equal(state_position(s, 0), 0);
    event.time_us = START + 10 * SECOND;
    assert_int_equal(state_apply(s, &event, out), 0);
    state_free(s);
}

static void lower_offsets_change_nothing(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    struct span keys[2] = {text("a"), text("t")};
    double amount = 1, out[WINDOWS];
    struct state_event event = {.time_us = START, .keys = keys, .numbers = &amount, .source = 3};
    for (event.offset = 0; event.offset < 5; event.offset++)
        assert_int_equal(state_apply(s, &event, out), 0);
    assert_int_equal(state_position(s, 3), 5);
    event.offset = 2;
    assert_int_equal(state_apply(s, &event, out), STATE_REPEAT);
    assert_true(statistics(s).events == 10);
    state_position_set(s, 3, 2);
    assert_int_equal(state_apply(s, &event, out), 0);
    assert_int_equal(state_position(s, 3), 3);
    state_free(s);
}

static void trials_leave_no_trace(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    struct span keys[2] = {text("a"), text("t")};
    double amount = 4, out[WINDOWS];
    struct state_event event = {.time_us = START, .id = text("1"), .keys = keys, .numbers = &amount, .source = 0, .offset = 9};
    struct state_statistics before = statistics(s);
    assert_int_equal(state_trial(s, &event, out), 0);
    assert_true(out[CARD_COUNT] == 1 && out[CARD_SUM] == 4);
    struct state_statistics after = statistics(s);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(state_position(s, 0), 0);
    state_free(s);
}

static double risk_at(struct state *s, int64_t time_us)
{
    double out[WINDOWS], amount = 0;
    struct span keys[2] = {text(NULL), text("t")};
    struct state_event event = {.time_us = time_us, .keys = keys, .numbers = &amount, .source = -1};
    (void)state_trial(s, &event, out);
    return out[TERMINAL_RISK];
}

static void labels_hold_from_their_time(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    double out[WINDOWS];
    assert_int_equal(state_label(s, text("1"), true, START + 10 * SECOND), STATE_LABEL_PENDING);
    assert_int_equal(state_label(s, text("1"), true, START + 10 * SECOND), STATE_LABEL_REPEATED);
    assert_int_equal(statistics(s).labels_pending, 1);
    (void)apply(s, "1", NULL, "t", START, 0, out);
    assert_int_equal(statistics(s).labels_pending, 0);
    assert_true(out[TERMINAL_RISK] == 0);
    assert_true(risk_at(s, START + 9 * SECOND) == 0 && risk_at(s, START + 10 * SECOND) == 0.5);
    assert_int_equal(state_label(s, text("1"), false, START + 30 * SECOND), STATE_LABEL_APPLIED); /* withdrawn */
    assert_true(risk_at(s, START + 29 * SECOND) == 0.5 && risk_at(s, START + 30 * SECOND) == 0);
    assert_int_equal(state_label(s, text("1"), false, START + 20 * SECOND), STATE_LABEL_APPLIED); /* it was known earlier */
    assert_true(risk_at(s, START + 19 * SECOND) == 0.5 && risk_at(s, START + 20 * SECOND) == 0);
    assert_int_equal(state_label(s, text("1"), false, START + 20 * SECOND), STATE_LABEL_REPEATED);
    assert_int_equal(state_label(s, text("1"), true, START + 40 * DAY), STATE_LABEL_APPLIED); /* weeks later */
    assert_true(risk_at(s, START + 40 * SECOND) == 0);
    (void)apply(s, "2", NULL, "u", START + 60 * DAY, 0, out);
    state_free(s);
}

/* More events at the same instant than an id has room to tell apart: labels and repeats still find their own. */
static void many_at_once(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    double out[WINDOWS];
    char id[16];
    for (int i = 0; i < 400; i++) {
        (void)snprintf(id, sizeof id, "t%d", i);
        assert_int_equal(apply(s, id, NULL, "t", START, i, out), 0);
    }
    for (int i = 0; i < 400; i += 50) {
        (void)snprintf(id, sizeof id, "t%d", i);
        assert_int_equal(apply(s, id, NULL, "t", START, i, out), STATE_REPEAT);
        assert_true(out[TERMINAL_COUNT] == i + 1);
        assert_int_equal(state_label(s, text(id), true, START), STATE_LABEL_APPLIED);
    }
    assert_true(risk_at(s, START) == 8.0 / 401);
    state_free(s);
}

static void idle_keys_leave(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    double out[WINDOWS];
    char key[16], id[16];
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(key, sizeof key, "c%d", i);
        (void)snprintf(id, sizeof id, "%d", i);
        (void)apply(s, id, key, "t", START + i * 60 * SECOND, 1, out);
    }
    assert_int_equal(state_evict(s, START), 0);
    uint64_t gone = state_evict(s, INT64_MAX); /* the clock may run ahead: the stream's own time decides */
    struct state_statistics n = statistics(s);
    assert_true(gone == n.evicted_idle && n.keys + gone == 2001);
    /* A day of one card a minute is there, and those that an event an hour back could still see; each stripe goes by its own newest. */
    assert_in_range(n.keys, 1440 + 60 + 1, 1440 + 60 + 1 + 64 * 3);
    assert_in_range(n.ids, 2 * 1440 / 2, 2000);
    state_free(s);
}

static void a_limit_is_kept(void **unused)
{
    (void)unused;
    struct state_options o = options;
    o.memory_bytes = UINT64_C(12) << 20;
    o.dedupe_us = SECOND;
    struct state *s = create(&layout, &o);
    double out[WINDOWS];
    char key[16], id[16];
    for (int i = 0; i < 150000; i++) {
        (void)snprintf(key, sizeof key, "c%d", i);
        (void)snprintf(id, sizeof id, "%d", i);
        uint32_t flags = apply(s, i % 2 ? id : NULL, key, NULL, START + i, 1, out);
        assert_true(out[CARD_COUNT] == 1);
        assert_int_equal(flags & ~(uint32_t)STATE_DROPPED, 0);
        if (i % 100 == 0) { /* used all the time: never the one that is idle for the longest */
            flags = apply(s, NULL, "often", NULL, START + i, 1, out);
            if (out[CARD_COUNT] != i / 100 + 1)
                fail_msg("event %d: flags %u, %g of %d counted", i, flags, out[CARD_COUNT], i / 100 + 1);
        }
    }
    struct state_statistics n = statistics(s);
    assert_true(n.bytes <= o.memory_bytes + 200000);
    assert_true(n.evicted_memory > 0 && n.keys + n.evicted_memory + n.dropped >= 150000);
    assert_true(n.keys > 20000);
    (void)apply(s, NULL, "c149999", NULL, START + 150000, 1, out);
    assert_true(out[CARD_COUNT] == 2);
    state_free(s);
}

/* 5,000 cards and 10,000 terminals over 80 days: what the FDH bundle keeps, and in how many bytes. */
static void is_as_small_as_it_says(void **unused)
{
    (void)unused;
    struct state_window w[12];
    static const int days[] = {1, 7, 30};
    for (size_t i = 0; i < 3; i++) {
        w[4 * i] = (struct state_window){.key = 0, .function = STATE_COUNT, .span_us = days[i] * DAY, .filter = STATE_NO_FILTER};
        w[4 * i + 1] = (struct state_window){.key = 0, .function = STATE_MEAN, .span_us = days[i] * DAY, .filter = STATE_NO_FILTER};
        w[4 * i + 2] = (struct state_window){.key = 1, .function = STATE_COUNT, .span_us = days[i] * DAY, .delay_us = 7 * DAY, .filter = STATE_NO_FILTER};
        w[4 * i + 3] = (struct state_window){.key = 1, .function = STATE_RISK, .span_us = days[i] * DAY, .delay_us = 7 * DAY, .filter = STATE_NO_FILTER};
    }
    struct state_layout l = {.keys = 2, .numbers = 1, .windows_count = 12, .windows = w};
    struct state_options o = options;
    o.dedupe_us = DAY;
    struct state *s = create(&l, &o);
    double out[12];
    char card[16], terminal[16], id[16];
    uint64_t random = 7;
    for (int i = 0; i < 600000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        (void)snprintf(card, sizeof card, "%u", (unsigned)(random >> 33) % 5000);
        (void)snprintf(terminal, sizeof terminal, "%u", (unsigned)(random >> 40) % 10000);
        (void)snprintf(id, sizeof id, "%d", i);
        (void)apply(s, id, card, terminal, START + (int64_t)i * 9 * SECOND, 1 + i % 977 / 7.0, out);
    }
    (void)state_evict(s, INT64_MAX);
    struct state_statistics n = statistics(s);
    printf("%llu keys, %llu (event, key) pairs, %llu ids in %llu bytes\n", (unsigned long long)n.keys, (unsigned long long)n.events,
           (unsigned long long)n.ids, (unsigned long long)n.used_bytes);
    assert_true(n.used_bytes <= 64 * n.keys + 16 * n.events + 24 * n.ids);
    assert_true(n.most_moved <= 64);
    state_free(s);
}

static void trials_forget_as_events_do(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    double tried[WINDOWS], out[WINDOWS], amount = 1;
    struct span keys[2] = {text("a"), text(NULL)};
    (void)apply(s, "1", "a", NULL, START, 1, out);
    struct state_event event = {.time_us = START + 9 * DAY, .id = text("1"), .keys = keys, .numbers = &amount, .source = -1};
    assert_int_equal(state_trial(s, &event, tried), 0); /* too old by then to be known */
    assert_int_equal(apply(s, "1", "a", NULL, START + 100 * SECOND, 1, out), STATE_REPEAT); /* the trial left it there */
    assert_int_equal(state_apply(s, &event, out), 0);
    assert_memory_equal(tried, out, sizeof out);
    state_free(s);
}

static void few_labels_wait_for_one_transaction(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    double out[WINDOWS];
    for (int i = 0; i < 64; i++)
        assert_int_equal(state_label(s, text("1"), i % 2, START + i * SECOND), STATE_LABEL_PENDING);
    for (int i = 64; i < 1000; i++)
        assert_int_equal(state_label(s, text("1"), true, START + i * SECOND), STATE_LABEL_DROPPED);
    assert_true(statistics(s).labels_pending == 64 && statistics(s).labels_dropped == 936);
    (void)apply(s, "1", NULL, "t", START + 63 * SECOND, 1, out);
    assert_true(out[TERMINAL_RISK] == 1 && statistics(s).labels_pending == 0);
    state_free(s);
}

static void sums_are_exact(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    double out[WINDOWS], rest[] = {1e15, 0.1, -1e15, 0.2, 0x1p62, INFINITY, -INFINITY, -0x1p62};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        (void)apply(s, NULL, "a", NULL, START, rest[i], out);
    assert_true(out[CARD_SUM] == (nearbyint(0.1 * 0x1p32) + nearbyint(0.2 * 0x1p32)) * 0x1p-32);
    state_free(s);
    struct exact_squares squares = {{0}};
    exact_sum sum = 0;
    for (int i = 1; i <= 4; i++) { /* 2^61 + 1, … + 4: the deviation is that of 1 … 4 */
        exact_sum x = exact_from(0x1p61) + exact_from(i);
        sum += x;
        exact_square_add(&squares, x);
    }
    assert_true(exact_std(sum, &squares, 4) == sqrt(20.0 / 12));
    exact_square_subtract(&squares, exact_from(0x1p61) + exact_from(4));
    assert_true(exact_std(sum - exact_from(0x1p61) - exact_from(4), &squares, 3) == 1);
    assert_true(isnan(exact_std(0, &squares, 1)));
}

static void describes_what_it_keeps(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    double out[WINDOWS];
    (void)apply(s, "1", "a", "t", START, 1, out);
    struct state_key_plan card, terminal;
    state_key_plan(s, 0, &card);
    state_key_plan(s, 1, &terminal);
    assert_true(card.windows == 2 && card.entry_bytes == 14 && card.keys == 1 && card.events == 1 && !card.forever);
    assert_true(terminal.windows == 2 && terminal.entry_bytes == 14 && terminal.retention_us > 2 * DAY);
    assert_true(card.record_bytes <= 64 && card.bytes == card.record_bytes + 14);
    assert_true(state_id_bytes(s) <= 24);
    assert_int_equal(state_function_find("first_seen", 10), STATE_FIRST_SEEN);
    assert_int_equal(state_function_find("first", 5), -1);
    assert_string_equal(state_function_word(STATE_RISK), "risk");
    assert_int_equal(state_function_reads(STATE_DISTINCT), STATE_READS_HASH);
    assert_true(state_hash(s, text(NULL)) == 0 && state_hash(s, text("x")) != 0 && state_hash(s, text("x")) != state_hash(s, text("y")));
    state_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_wrong),    cmocka_unit_test(flags_what_happened),  cmocka_unit_test(refuses_the_future),
        cmocka_unit_test(lower_offsets_change_nothing), cmocka_unit_test(trials_leave_no_trace), cmocka_unit_test(labels_hold_from_their_time),
        cmocka_unit_test(many_at_once),          cmocka_unit_test(idle_keys_leave),      cmocka_unit_test(a_limit_is_kept),
        cmocka_unit_test(is_as_small_as_it_says), cmocka_unit_test(sums_are_exact),      cmocka_unit_test(describes_what_it_keeps),
        cmocka_unit_test(trials_forget_as_events_do), cmocka_unit_test(few_labels_wait_for_one_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
