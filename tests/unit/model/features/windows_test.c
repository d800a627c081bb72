/* Windows in expressions: what a plan asks of the past, how it uses the answer, and what it says of a wrong question. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/buf.h"
#include "tests/support/feature_fixture.h"

static struct fixture fixture;
static const int64_t SECOND_US = 1000000, DAY_US = 86400 * INT64_C(1000000);

static struct plan *compiled(const char *expression)
{
    const char *message;
    struct plan *plan = fixture_compile(&fixture, expression, &message);
    if (!plan)
        fail_msg("%s", message);
    return plan;
}

/* The only window of an expression. */
static struct window only_window(const char *expression)
{
    size_t n;
    struct plan *plan = compiled(expression);
    const struct window *windows = plan_windows(plan, &n);
    assert_int_equal(n, 1);
    struct window window = windows[0];
    plan_free(plan);
    return window;
}

static void refused(const char *expression, const char *spot, const char *what)
{
    const char *message;
    struct plan *plan = fixture_compile(&fixture, expression, &message);
    if (plan)
        fail_msg("'%s' compiles", expression);
    struct buf want = {0};
    buf_format(&want, "bundle.yaml:12:%zu: f: %s\n    %s\n    %s", 18 + strlen(spot) - 1, what, expression, spot);
    assert_string_equal(message, buf_text(&want));
    buf_free(&want);
}

static void every_function_is_a_window(void **state)
{
    (void)state;
    static const char *const expressions[WINDOW_FUNCTIONS] = {
        [WINDOW_COUNT] = "count(card, 1d)",           [WINDOW_SUM] = "sum(amount, card, 1d)",
        [WINDOW_MEAN] = "mean(amount, card, 1d)",     [WINDOW_MIN] = "min(amount, card, 1d)",
        [WINDOW_MAX] = "max(amount, card, 1d)",       [WINDOW_STD] = "std(amount, card, 1d)",
        [WINDOW_DISTINCT] = "distinct(terminal, card, 1d)", [WINDOW_LAST] = "last(amount, card, 1d)",
        [WINDOW_SINCE] = "since(card, 1d)",           [WINDOW_FIRST_SEEN] = "first_seen(card, 1d)",
        [WINDOW_RISK] = "risk(card, 1d)",
    };
    for (unsigned i = 0; i < WINDOW_FUNCTIONS; i++) {
        struct window w = only_window(expressions[i]);
        assert_int_equal(w.function, i);
        assert_int_equal(w.key, FIXTURE_CARD);
        assert_int_equal(w.width_us, DAY_US);
        assert_int_equal(w.delay_us, 0);
        assert_int_equal(w.where, WINDOW_NONE);
        bool has_input = i != WINDOW_COUNT && i != WINDOW_SINCE && i != WINDOW_FIRST_SEEN && i != WINDOW_RISK;
        assert_int_equal(w.input, has_input ? 0 : WINDOW_NONE);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *expression;
        int64_t us;
    } cases[] = {{"count(card, 90s)", 90 * SECOND_US}, {"count(card, 15m)", 900 * SECOND_US}, {"count(card, 12h)", 43200 * SECOND_US},
                 {"count(card, 7d)", 7 * DAY_US},      {"count(card, 4w)", 28 * DAY_US},      {"count(card, 1.5h)", 5400 * SECOND_US},
                 {"count(card, 250ms)", 250000},       {"count(card, all)", WINDOW_ALL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(only_window(cases[i].expression).width_us == cases[i].us);
    assert_true(fixture_value(&fixture, "time - opened == 30d") == 1); /* compared and computed with, it is seconds */
    assert_true(fixture_value(&fixture, "1 * 15m") == 900);
}

static void named_arguments(void **state)
{
    (void)state;
    struct window w = only_window("risk(terminal, 30d, delay=7d, prior=0.01, of=labelled)");
    assert_int_equal(w.key, FIXTURE_TERMINAL);
    assert_true(w.delay_us == 7 * DAY_US && w.prior == 0.01 && w.labelled);
    assert_false(only_window("risk(terminal, 30d, of=all)").labelled);
    assert_true(only_window("count(card, 1d, delay = 0s)").delay_us == 0);
    assert_int_equal(only_window("count(card, 1d, where=amount == 3)").where, 0);
}

static void inputs_are_kept_once(void **state)
{
    (void)state;
    size_t n;
    struct plan *plan = compiled("sum(amount, card, 1d) / mean(amount, terminal, 7d, where=channel == 'web') + "
                                 "distinct(country, card, 1d, where=channel=='web') + max(amount * 2, card, 1d)");
    const struct window_input *inputs = plan_inputs(plan, &n);
    assert_int_equal(n, 4);
    assert_int_equal(inputs[0].kind, WINDOW_NUMBER);
    assert_int_equal(inputs[1].kind, WINDOW_FLAG);
    assert_int_equal(inputs[2].kind, WINDOW_TEXT);
    assert_int_equal(inputs[2].field, FIXTURE_COUNTRY);
    assert_int_equal(inputs[3].kind, WINDOW_NUMBER);
    assert_string_equal(plan_input_text(plan, 1), "channel == 'web'");
    assert_string_equal(plan_input_text(plan, 3), "amount * 2");
    double values[4];
    plan_run_inputs(plan, &fixture.tx, values);
    assert_true(values[0] == 57.25 && values[1] == 1 && isnan(values[2]) && values[3] == 114.5);
    fixture_text(&fixture, FIXTURE_CHANNEL, NULL);
    plan_run_inputs(plan, &fixture.tx, values);
    assert_true(values[1] == 0); /* what can't be told does not hold */
    fixture_text(&fixture, FIXTURE_CHANNEL, "web");
    plan_free(plan);
}

static void there_are_limits(void **state)
{
    (void)state;
    struct buf text = {0};
    const char *message;
    for (int i = 0; i <= WINDOW_FLAGS_MAX; i++)
        buf_format(&text, "%scount(card, 1d, where=amount > %d)", i ? " + " : "", i);
    assert_null(fixture_compile(&fixture, buf_text(&text), &message));
    assert_non_null(strstr(message, "windows look at too many different things: 64 in all, 16 in distinct, 30 in where="));
    buf_clear(&text);
    for (int i = 0; i <= WINDOWS_MAX; i++)
        buf_format(&text, "%scount(card, %ds)", i ? " + " : "", i + 1);
    assert_null(fixture_compile(&fixture, buf_text(&text), &message));
    assert_non_null(strstr(message, "more than 256 different windows"));
    buf_free(&text);
}

static void windows_are_asked_once(void **state)
{
    (void)state;
    size_t n;
    struct plan *plan = compiled("amount / mean(amount, card, 7d) + mean(amount, card, 7d) + mean(amount, card, 168h) + mean(amount, card, 8d)");
    (void)plan_windows(plan, &n);
    assert_int_equal(n, 2);
    fixture.windows[0] = 10;
    fixture.windows[1] = 1000;
    double value;
    plan_run(plan, &fixture.tx, NUMBER_F64, &value);
    assert_true(value == 57.25 / 10 + 10 + 10 + 1000);
    plan_free(plan);
}

static void min_and_max_keep_their_other_life(void **state)
{
    (void)state;
    assert_true(fixture_value(&fixture, "min(amount, 3)") == 3);
    assert_true(fixture_value(&fixture, "max(amount, 604800)") == 604800);
    fixture.windows[0] = 80;
    assert_true(fixture_value(&fixture, "max(amount, max(amount, card, 1d))") == 80);
}

static void durations_are_no_numbers(void **state)
{
    (void)state;
    refused("max(amount, 7d)", "            ^", "max over a window needs a key: max(amount, KEY, 7d); if seconds are meant, write 604800");
    refused("min(amount * 2, all)", "                ^", "min over a window needs a key: min(amount * 2, KEY, all)");
    refused("max(amount, amount, (1098d), where=present)", "                    ^",
            "max over a window needs a key: max(amount, KEY, (1098d)); if seconds are meant, write 94867200");
    static const struct {
        const char *expression, *spot;
    } days[] = {
        {"1d", "^"},
        {"max(1d, amount)", "    ^"},
        {"clip(amount, 0, 1d)", "                ^"},
        {"if(present, 1d, 0)", "            ^"},
        {"sum(1d, card, 1d)", "    ^"},
        {"lookup(channel, 'web', 1d, 0)", "                       ^"},
        {"risk(card, 1d, prior=1d)", "                     ^"},
        {"present and 1d", "            ^"},
        {"not 1d", "    ^"},
    };
    for (size_t i = 0; i < sizeof days / sizeof *days; i++)
        refused(days[i].expression, days[i].spot, "a number is needed here, this is a duration; if seconds are meant, write 86400");
    assert_true(fixture_value(&fixture, "max(amount, 2 * 7d)") == 1209600);
    assert_true(fixture_value(&fixture, "-1d / 12h") == -2);
    refused("count(card, 7 d)", "            ^", "no blank belongs within a duration: write 7d, not 7 d");
    assert_true(fixture_value(&fixture, "7 and 1") == 1);
}

static void names_from_elsewhere(void **state)
{
    (void)state;
    static const char *const habits[][2] = {{"avg", "mean"},          {"average", "mean"},     {"stddev", "std"},
                                            {"nunique", "distinct"}, {"count_distinct", "distinct"}};
    for (size_t i = 0; i < sizeof habits / sizeof *habits; i++) {
        struct buf expression = {0}, want = {0};
        buf_format(&expression, "%s(amount, card, 7d)", habits[i][0]);
        buf_format(&want, "unknown function '%s'; did you mean '%s'?", habits[i][0], habits[i][1]);
        refused(buf_text(&expression), "^", buf_text(&want));
        buf_free(&expression);
        buf_free(&want);
    }
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    refused("count(card)", "^", "count takes 2 arguments, not 1: count(key, window)");
    refused("min(amount, card)", "^", "min takes 3 arguments, not 2: min(x, key, window)");
    refused("count(amount, 1d)", "      ^", "a field of type key is needed here, such as a card: whose transactions the window holds");
    refused("count(channel, 1d)", "      ^", "a field of type key is needed here, such as a card: whose transactions the window holds");
    refused("count(card, 7)", "            ^", "a duration is needed here: 15m, 12h, 7d, or all");
    refused("count(card, amount)", "            ^", "a duration is needed here: 15m, 12h, 7d, or all");
    refused("count(card, 0s)", "            ^", "a window is longer than nothing");
    refused("count(card, 99999d)", "            ^", "this is longer than three years; all has no end");
    refused("count(card, 1d, delay=99999d)", "                      ^", "this is longer than three years");
    refused("distinct(channel, card, all)", "                        ^", "distinct needs a window with an end, three years (1098d) at most");
    refused("risk(card, all)", "           ^", "risk needs a window with an end, three years (1098d) at most");
    refused("count(card, 1d, delay=all)", "                      ^", "a duration is needed here: 15m, 12h, 7d");
    refused("count(card, 1d, dleay=1d)", "                ^", "count has no argument 'dleay'; did you mean 'delay'?");
    refused("count(card, 1d, prior=0.5)", "                ^", "count has no argument 'prior'; there are where=, delay=");
    refused("count(card, 1d, delay=1d, delay=2d)", "                          ^", "delay= is given twice");
    refused("count(card, delay=1d, 1d)", "                      ^", "arguments by name come last");
    refused("count(card, 1d, where=channel)", "                      ^",
            "a number is needed here, 'channel' is a category: compare it (channel == \"...\"), or use onehot or lookup");
    refused("count(card, 1d, where=count(card, 1d) > 3)", "                      ^",
            "a window looks at the transactions themselves: this depends on a window already");
    refused("sum(mean(amount, card, 1d), card, 1d)", "    ^",
            "a window looks at the transactions themselves: this depends on a window already");
    refused("sum(channel, card, 1d)", "    ^",
            "a number is needed here, 'channel' is a category: compare it (channel == \"...\"), or use onehot or lookup");
    refused("risk(card, 1d, prior=2)", "                     ^", "a prior is a share, 0 to 1");
    refused("risk(card, 1d, prior=amount)", "                     ^", "a fixed number is needed here");
    refused("risk(card, 1d, of=laballed)", "                  ^", "of is 'all' or 'labelled'");
    refused("cuont(card, 1d)", "^", "unknown function 'cuont'; did you mean 'count'?");
    refused("count + 1", "^", "'count' is a function: count(key, window)");
}

static int set_up(void **state)
{
    (void)state;
    fixture_init(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_free(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_a_window), cmocka_unit_test(durations),
        cmocka_unit_test(named_arguments),            cmocka_unit_test(inputs_are_kept_once),
        cmocka_unit_test(there_are_limits), cmocka_unit_test(windows_are_asked_once),     cmocka_unit_test(min_and_max_keep_their_other_life),
        cmocka_unit_test(durations_are_no_numbers), cmocka_unit_test(names_from_elsewhere), cmocka_unit_test(what_is_wrong_is_said),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
