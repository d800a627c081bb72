/* The state at its edges: refusals, flags, positions, labels, ties, and sums that only exact arithmetic gets right. */
#include <math.h>
#include <stdlib.h>

#include "model/state/exact.h"
#include "tests/support/state_fixture.h"

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

static void a_transaction_keeps_so_many_labels(void **unused)
{
    (void)unused;
    struct state *s = create(&layout, &options);
    double out[WINDOWS];
    (void)apply(s, "1", NULL, "t", START, 1, out);
    for (int i = 0; i < 64; i++)
        assert_int_equal(state_label(s, text("1"), i % 2, START + (i + 1) * SECOND), STATE_LABEL_APPLIED);
    assert_int_equal(state_label(s, text("1"), true, START + 99 * SECOND), STATE_LABEL_DROPPED);
    assert_int_equal(state_label(s, text("1"), true, START + 64 * SECOND), STATE_LABEL_REPEATED);
    assert_true(statistics(s).labels_applied == 64 && statistics(s).labels_dropped == 1);
    assert_true(risk_at(s, START + 62 * SECOND) == 0.5 && risk_at(s, START + 63 * SECOND) == 0); /* the asking one is a member too */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(flags_what_happened),
        cmocka_unit_test(refuses_the_future),
        cmocka_unit_test(lower_offsets_change_nothing),
        cmocka_unit_test(trials_leave_no_trace),
        cmocka_unit_test(trials_forget_as_events_do),
        cmocka_unit_test(labels_hold_from_their_time),
        cmocka_unit_test(few_labels_wait_for_one_transaction),
        cmocka_unit_test(a_transaction_keeps_so_many_labels),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(sums_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
