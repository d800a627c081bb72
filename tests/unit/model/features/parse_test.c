/* What a person reads whose expression is wrong: the place, what is wrong, the expression, a caret under the spot. */
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

/* The caret stands under the '^' of `spot`, the column is 18 + its position. */
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

static void unknown_names_get_the_nearest(void **state)
{
    (void)state;
    refused("hour(tme) <= 6",
            "     ^", "unknown name 'tme'; did you mean 'time'?");
    refused("amount + zebra",
            "         ^", "unknown name 'zebra': it is neither a field under 'transaction' nor a feature above");
    refused("1 + clipp(amount, 0, 1)",
            "    ^", "unknown function 'clipp'; did you mean 'clip'?");
    refused("zebra(card, 3)",
            "^", "unknown function 'zebra'");
    refused("log1p + 1",
            "^", "'log1p' is a function: log1p(x)");
    refused("f + 1",
            "^", "'f' is this feature itself, and there is no field of that name");
}

static void syntax(void **state)
{
    (void)state;
    refused("", "^", "the expression is empty");
    refused("  ", "  ^", "something is missing at the end");
    refused("amount +", "        ^", "something is missing at the end");
    refused("(amount", "       ^", "')' is missing at the end");
    refused("amount)", "      ^", "this ')' has no '('");
    refused("(amount limit)", "        ^", "')' is needed here");
    refused("amount limit", "       ^", "an operator or the end is needed here");
    refused("amount + * 2", "         ^", "a number, a name or '(' is needed here");
    refused("min(1, )", "       ^", "a number, a name or '(' is needed here");
    refused("min(1 2)", "      ^", "',' or ')' is needed here");
    refused("min(1, 2", "        ^", "',' or ')' is missing at the end");
    refused("1 < amount < 3", "           ^", "comparisons do not chain: write 'a < b and b < c'");
    refused("1 + not amount", "    ^", "'not' binds more loosely than what stands before it: put it in parentheses");
    refused("amount = 3", "       ^", "write '==' to compare");
    refused("present && 1", "        ^", "write 'and'");
    refused("present || 1", "        ^", "write 'or'");
    refused("!present", "^", "write 'not'");
    refused("amount % 2", "       ^", "there is no '%' operator");
    refused("amount ^ 2", "       ^", "there is no '^' operator; exp and sqrt are functions");
    refused("present ? 1", "        ^", "write if(condition, a, b)");
    refused("amount; 1", "      ^", "this character has no meaning here");
}

static void numbers_and_texts(void **state)
{
    (void)state;
    refused("amount > 1x", "         ^", "not a number, and not a duration: those are 90s, 15m, 12h, 7d or 4w");
    refused("amount > 7days", "         ^", "not a number, and not a duration: those are 90s, 15m, 12h, 7d or 4w");
    refused("amount > all", "         ^", "a number is needed here, 'all' is a window");
    refused("min(1, amount = 3)", "       ^", "min takes no arguments by name; to compare, write '=='");
    refused("01", "^", "not a number: write it as 12, 0.5 or 1e-3");
    refused("1.2.3", "^", "not a number: write it as 12, 0.5 or 1e-3");
    refused(".5", "^", "not a number: write it as 12, 0.5 or 1e-3");
    refused("1e999", "^", "not a number, or too large for a double");
    refused("channel == \"web", "           ^", "the text has no closing quote");
    refused("channel == 'a\\n'", "             ^", "in a text, a backslash stands before a quote or another backslash");
    refused("channel == 'a\\", "             ^", "in a text, a backslash stands before a quote or another backslash");
}

static void types(void **state)
{
    (void)state;
    refused("card * 2", "^",
            "a number is needed here, 'card' is a key: compare it (card == \"...\"), or use onehot or lookup");
    refused("amount + channel", "         ^",
            "a number is needed here, 'channel' is a category: compare it (channel == \"...\"), or use onehot or lookup");
    refused("channel", "^",
            "a number is needed here, 'channel' is a category: compare it (channel == \"...\"), or use onehot or lookup");
    refused("id and 1", "^", "a number is needed here, 'id' is an id: compare it (id == \"...\"), or use onehot or lookup");
    refused("\"web\"", "^", "a number is needed here, this is a text");
    refused("amount == \"5\"", "          ^", "a number is needed here, this is a text");
    refused("channel < \"web\"", "        ^", "texts can only be compared with == and !=");
    refused("\"a\" == \"b\"", "    ^", "both sides are fixed texts: one must be a field");
    refused("time * 2", "     ^", "'*' is not possible with a time: times can be compared and subtracted, and seconds added");
    refused("3600 - time", "     ^", "'-' is not possible with a time: times can be compared and subtracted, and seconds added");
    refused("time + time", "     ^", "'+' is not possible with a time: times can be compared and subtracted, and seconds added");
    refused("time and 1", "^", "a number is needed here, this is a time (hour, weekday … give numbers)");
    refused("log1p(time)", "      ^", "a number is needed here, this is a time (hour, weekday … give numbers)");
    refused("-time", " ^", "a number is needed here, this is a time (hour, weekday … give numbers)");
    refused("1 + onehot(channel, 'a')", "    ^", "onehot gives several columns: it must be the whole feature");
}

static void calls(void **state)
{
    (void)state;
    refused("log1p()", "^", "log1p takes 1 argument, not 0: log1p(x)");
    refused("log1p(1, 2)", "^", "log1p takes 1 argument, not 2: log1p(x)");
    refused("1 + clip(1, 2)", "    ^", "clip takes 3 arguments, not 2: clip(x, low, high)");
    refused("min(1)", "^", "min takes at least 2 arguments, not 1: min(a, b, ...)");
    refused("hour(time, 'UTC', 1)", "^", "hour takes 1 to 2 arguments, not 3: hour(t, \"zone\")");
    refused("hour(amount)", "     ^", "hour needs a time: a field of type time");
    refused("hour(time, 3)", "           ^", "a zone is a text: \"America/Sao_Paulo\"");
    refused("hour(time, 'Europe/Belrin')", "           ^", "unknown zone 'Europe/Belrin'; did you mean 'Europe/Berlin'?");
    refused("hour(time, '../../etc/passwd')", "           ^",
            "unknown zone '../../etc/passwd'; a name of the IANA database is needed, such as 'Europe/Berlin'");
    refused("hour(time, 'Europe')", "           ^",
            "unknown zone 'Europe'; a name of the IANA database is needed, such as 'Europe/Berlin'");
    refused("clip(amount, 9, 1)", "             ^", "clip: low (9) lies above high (1)");
    refused("if(present, 1, time)", "               ^", "a number and a time do not go together here");
    refused("if(channel, 1, 2)", "   ^",
            "a number is needed here, 'channel' is a category: compare it (channel == \"...\"), or use onehot or lookup");
    refused("onehot(amount, '1')", "       ^", "onehot needs a field of type category or key");
    refused("onehot(channel, 1)", "                ^", "a text in quotes is needed here");
    refused("onehot(channel, 'a', 'b', 'a')", "                          ^", "this text was already given");
    refused("lookup(channel, 'a', 1, 'b', 2)", "^",
            "lookup takes pairs of text and number, then the number for all others: lookup(text, \"a\", 1, \"b\", 2, ..., other)");
    refused("lookup(channel, 'a', amount, 3)", "                     ^", "a fixed number is needed here");
    refused("lookup(channel, 'a', 1, 'a', 2, 3)", "                        ^", "this text was already given");
}

static void features_and_fields_of_one_name(void **state)
{
    (void)state;
    struct feature_source sources[] = {
        {.name = "amount", .expression = "log1p(amount)", .file = "b.yaml", .line = 3, .column = 5},
        {.name = "twice", .expression = "2 * amount", .file = "b.yaml", .line = 4, .column = 5},
    };
    struct plan *plan;
    struct error err = {{0}};
    assert_int_equal(plan_compile(fixture.schema, sources, 2, &plan, &err), STATUS_INVALID);
    assert_string_equal(err.message, "b.yaml:4:9: twice: 'amount' is a field and also a feature above with another value: rename "
                                     "one of them\n    2 * amount\n        ^");
    sources[0].name = "later";
    sources[1].expression = "later";
    const struct feature_source turned[] = {sources[1], sources[0]};
    assert_int_equal(plan_compile(fixture.schema, turned, 2, &plan, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "'later' stands further below: a feature may use only those above it"));
    sources[0].name = "twice";
    assert_int_equal(plan_compile(fixture.schema, sources, 2, &plan, &err), STATUS_INVALID);
    sources[0] = (struct feature_source){.name = "kind", .expression = "onehot(channel, 'a', 'b')", .line = 1, .column = 1};
    sources[1] = (struct feature_source){.name = "kind_a", .expression = "1", .line = 2, .column = 1};
    assert_int_equal(plan_compile(fixture.schema, sources, 2, &plan, &err), STATUS_INVALID);
    assert_string_equal(err.message, "2:1: kind_a: there is already one with the name 'kind_a'\n    1\n    ^");
    sources[1] = (struct feature_source){.name = "x", .expression = "kind + 1", .line = 2, .column = 1};
    assert_int_equal(plan_compile(fixture.schema, sources, 2, &plan, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "'kind' has several columns: name one of them, kind_..."));
}

static void places_count_characters_and_lines(void **state)
{
    (void)state;
    refused("channel == \"é€\" + zebra", "                  ^",
            "unknown name 'zebra': it is neither a field under 'transaction' nor a feature above");
    const char *message;
    assert_null(fixture_compile(&fixture, "amount +\n  zebra", &message));
    assert_string_equal(message, "bundle.yaml:13:3: f: unknown name 'zebra': it is neither a field under 'transaction' nor a "
                                 "feature above\n    amount +   zebra\n               ^");
}

static void long_expressions_show_the_part(void **state)
{
    (void)state;
    struct buf text = {0};
    for (int i = 0; i < 40; i++)
        buf_string(&text, "amount + ");
    buf_string(&text, "zebra");
    for (int i = 0; i < 40; i++)
        buf_string(&text, " + amount");
    const char *message;
    assert_null(fixture_compile(&fixture, buf_text(&text), &message));
    assert_string_equal(message, "bundle.yaml:12:378: f: unknown name 'zebra': it is neither a field under 'transaction' nor a "
                                 "feature above\n    ...unt + amount + amount + amount + amount + amount + amount + zebra + "
                                 "amount + amount + amount + amoun...\n"
                                 "                                                                   ^");
    buf_free(&text);
}

static char *repeated(const char *head, const char *part, int times, const char *tail)
{
    struct buf text = {0};
    buf_string(&text, head);
    for (int i = 0; i < times; i++)
        buf_string(&text, part);
    buf_string(&text, tail);
    return (char *)(uintptr_t)buf_text(&text); /* the caller frees it */
}

static void limits_hold(void **state)
{
    (void)state;
    const struct {
        const char *head, *part;
        int times;
        const char *tail, *what;
    } hostile[] = {
        {"", "(", 60000, "", "nested more than 64 levels deep"},
        {"", "-", 60000, "1", "nested more than 64 levels deep"},
        {"", "not ", 10000, "1", "nested more than 64 levels deep"},
        {"", "abs(", 10000, "", "nested more than 64 levels deep"},
        {"amount", " + 1", 20000, "", "the expression is longer than 65536 bytes"},
        {"amount", "*amount", 9000, "", "more than 4096 operations"},
        {"min(1", ",1", 5000, ")", "more than 4096 arguments"},
        {"channel == '", "x", 257, "'", "longer than the 256 bytes"},
        {"", "x", 129, "", "a name has at most 128 bytes"},
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        char *text = repeated(hostile[i].head, hostile[i].part, hostile[i].times, hostile[i].tail);
        const char *message;
        assert_null(fixture_compile(&fixture, text, &message));
        if (!strstr(message, hostile[i].what))
            fail_msg("%s", message);
        free(text);
    }
    char *wide = repeated("amount", " + 1", 3000, ""); /* long is fine where it is short to compute */
    assert_true(fixture_value(&fixture, wide) == 3057.25);
    free(wide);
    char *deep = repeated("((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((", "amount", 1,
                          "))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))");
    assert_true(fixture_value(&fixture, deep) == 57.25);
    free(deep);
    char *longest = repeated("country == '", "x", 256, "'");
    assert_true(fixture_value(&fixture, longest) == 0);
    free(longest);
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
        cmocka_unit_test(unknown_names_get_the_nearest),
        cmocka_unit_test(syntax),
        cmocka_unit_test(numbers_and_texts),
        cmocka_unit_test(types),
        cmocka_unit_test(calls),
        cmocka_unit_test(features_and_fields_of_one_name),
        cmocka_unit_test(places_count_characters_and_lines),
        cmocka_unit_test(long_expressions_show_the_part),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
