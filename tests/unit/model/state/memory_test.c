/* What the state keeps: in how many bytes, for how long, and what leaves where memory is short. */
#include <stdlib.h>

#include "tests/support/state_fixture.h"

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
        cmocka_unit_test(idle_keys_leave),
        cmocka_unit_test(a_limit_is_kept),
        cmocka_unit_test(is_as_small_as_it_says),
        cmocka_unit_test(describes_what_it_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
