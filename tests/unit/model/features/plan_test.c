/* Every operator and function of expressions, with missing and extreme values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/feature_fixture.h"

/* In tables: the missing value. */
#define MISSING ((double)NAN)

struct example {
    const char *expression;
    double value;
};

static struct fixture fixture;

/* Bit for bit, but any NaN is missing. */
static void check(const struct example *examples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double got = fixture_value(&fixture, examples[i].expression), want = examples[i].value;
        bool same = isnan(want) ? isnan(got) : memcmp(&got, &want, sizeof got) == 0;
        if (!same)
            fail_msg("%s gives %.17g, not %.17g", examples[i].expression, got, want);
    }
}
#define CHECK_EXAMPLES(examples) check(examples, sizeof(examples) / sizeof *(examples))

static void arithmetic(void **state)
{
    (void)state;
    const struct example examples[] = {
        {"amount", 57.25},
        {"1 + 2 * 3", 7},
        {"(1 + 2) * 3", 9},
        {"10 - 4 - 3", 3},
        {"16 / 4 / 2", 2},
        {"2 - -3", 5},
        {"-amount", -57.25},
        {"--amount", 57.25},
        {"-(1 + 2) * 2", -6},
        {"0.1 + 0.2", 0.1 + 0.2},
        {"amount / 0", INFINITY},
        {"-amount / 0", -INFINITY},
        {"0 / 0", MISSING},
        {"1e308 * 10", INFINITY},
        {"limit + 1", MISSING},
        {"1 - limit", MISSING},
        {"limit * 0", MISSING},
        {"limit / limit", MISSING},
        {"-limit", MISSING},
        {"-0", -0.0},
        {"1e-3", 0.001},
        {"  amount\t+\n1 ", 58.25},
        {"present + 1", 2},
    };
    CHECK_EXAMPLES(examples);
}

static void comparisons_with_a_missing_value_are_false(void **state)
{
    (void)state;
    const struct example examples[] = {
        {"1 < 2", 1},          {"2 < 2", 0},          {"2 <= 2", 1},          {"3 <= 2", 0},
        {"3 > 2", 1},          {"2 > 2", 0},          {"2 >= 2", 1},          {"1 >= 2", 0},
        {"2 == 2", 1},         {"2 == 3", 0},         {"2 != 2", 0},          {"2 != 3", 1},
        {"amount < limit", 0}, {"amount > limit", 0}, {"amount >= limit", 0}, {"amount <= limit", 0},
        {"limit == limit", 0}, {"limit != limit", 0}, {"limit != 1", 0},      {"0 == -0", 1},
        {"1 / 0 > 1e308", 1},  {"1 + 1 < 3", 1},      {"(1 < 2) == (2 < 3)", 1},
    };
    CHECK_EXAMPLES(examples);
}

/* A missing operand stays missing unless the other one decides alone. */
static void logic_knows_three_values(void **state)
{
    (void)state;
    const struct example examples[] = {
        {"1 and 1", 1},     {"1 and 0", 0},         {"0 and 1", 0},     {"2 and -3", 1},        {"limit and 1", MISSING},
        {"limit and 0", 0}, {"0 and limit", 0},     {"1 or 0", 1},      {"0 or 0", 0},          {"limit or 0", MISSING},
        {"limit or 1", 1},  {"1 or limit", 1},      {"not 0", 1},       {"not 5", 0},           {"not limit", MISSING},
        {"not not 5", 1},   {"not 1 == 2", 1},      {"not 0 and 0", 0}, {"1 or 0 and 0", 1},    {"(1 or 0) and 0", 0},
        {"present", 1},     {"not present", 0},     {"amount > 50 and amount < 60", 1},
        {"amount > 50 and not amount > 60", 1},     {"-0 or 0", 0},     {"0 and limit or 1", 1},
    };
    CHECK_EXAMPLES(examples);
}

static void numeric_functions(void **state)
{
    (void)state;
    const struct example examples[] = {
        {"log1p(amount)", log1p(57.25)}, {"log1p(-1)", -INFINITY},   {"log1p(-2)", MISSING},       {"log1p(limit)", MISSING},
        {"log1p(1e-20)", 1e-20},         {"exp(1)", exp(1)},         {"exp(1000)", INFINITY},      {"exp(-1000)", 0},
        {"exp(limit)", MISSING},         {"sqrt(16)", 4},            {"sqrt(-1)", MISSING},        {"sqrt(limit)", MISSING},
        {"abs(-3)", 3},                  {"abs(3)", 3},              {"abs(-1 / 0)", INFINITY},    {"abs(limit)", MISSING},
        {"min(3, 1, 2)", 1},             {"max(3, 1, 2)", 3},        {"min(1, limit)", MISSING},   {"max(limit, 1)", MISSING},
        {"min(amount, 50)", 50},         {"max(amount, 50)", 57.25}, {"min(-1 / 0, 1 / 0)", -INFINITY},
        {"clip(amount, 0, 50)", 50},     {"clip(-1, 0, 50)", 0},     {"clip(7, 0, 50)", 7},        {"clip(limit, 0, 1)", MISSING},
        {"clip(5, limit, 9)", MISSING},  {"clip(5, 0, limit)", MISSING}, {"clip(1 / 0, 0, 50)", 50},
    };
    CHECK_EXAMPLES(examples);
}

static void choices_and_missing_values(void **state)
{
    (void)state;
    const struct example examples[] = {
        {"if(amount > 50, 1, 2)", 1},           {"if(amount < 50, 1, 2)", 2},    {"if(limit, 1, 2)", MISSING},
        {"if(limit > 3, 1, 2)", 2},             {"if(1, amount, limit)", 57.25}, {"if(0, amount, limit)", MISSING},
        {"if(missing(limit), -1, limit)", -1},  {"if(missing(amount), -1, amount)", 57.25},
        {"missing(limit)", 1},                  {"missing(amount)", 0},          {"missing(country)", 1},
        {"missing(channel)", 0},                {"missing(card)", 0},            {"missing(time)", 0},
        {"missing(present)", 0},                {"missing(0 / 0)", 1},           {"not missing(limit)", 0},
        {"if(1, time, opened) == time", 1},
    };
    CHECK_EXAMPLES(examples);
}

static void texts_compare(void **state)
{
    (void)state;
    const struct example examples[] = {
        {"channel == \"web\"", 1},    {"channel == 'web'", 1},        {"\"web\" == channel", 1},  {"channel == \"we\"", 0},
        {"channel == \"webs\"", 0},   {"channel == \"\"", 0},         {"channel != \"web\"", 0},  {"channel != \"pos\"", 1},
        {"country == \"BR\"", 0},     {"country != \"BR\"", 0},       {"card == \"c1\"", 1},      {"id == \"x1\"", 1},
        {"card == terminal", 0},      {"card != terminal", 1},        {"card == card", 1},        {"card != card", 0},
        {"country == country", 0},    {"country != channel", 0},      {"channel != country", 0},
    };
    CHECK_EXAMPLES(examples);
    fixture_text(&fixture, FIXTURE_TERMINAL, "c1");
    const struct example same[] = {{"card == terminal", 1}, {"terminal == card", 1}, {"terminal != card", 0}};
    CHECK_EXAMPLES(same);
    fixture_text(&fixture, FIXTURE_TERMINAL, "t9");
    fixture_text(&fixture, FIXTURE_COUNTRY, "a\"b\\c'");
    const struct example escaped[] = {{"country == \"a\\\"b\\\\c'\"", 1}, {"country == 'a\"b\\\\c\\''", 1}};
    CHECK_EXAMPLES(escaped);
    fixture_text(&fixture, FIXTURE_COUNTRY, "");
    const struct example empty[] = {{"country == ''", 1}, {"missing(country)", 0}, {"country != 'BR'", 1}};
    CHECK_EXAMPLES(empty);
    fixture_text(&fixture, FIXTURE_COUNTRY, NULL);
}

static void lookups(void **state)
{
    (void)state;
    const char *risk = "lookup(country, \"BR\", 0.3, \"DE\", 0.1, \"USA\", -2, \"AR\", 7, 0.2)";
    const struct {
        const char *country;
        double value;
    } expected[] = {{"BR", 0.3}, {"DE", 0.1}, {"USA", -2}, {"AR", 7}, {"FR", 0.2}, {"", 0.2}, {NULL, MISSING}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        fixture_text(&fixture, FIXTURE_COUNTRY, expected[i].country);
        const struct example example = {risk, expected[i].value};
        check(&example, 1);
    }
    fixture_text(&fixture, FIXTURE_COUNTRY, NULL);
    const struct example folded[] = {{"lookup(channel, 'web', 1 + 2 * 3, 0)", 7}, {"lookup(channel, 'pos', 1, 0) + 1", 1}};
    CHECK_EXAMPLES(folded);
}

static void onehots_are_several_columns(void **state)
{
    (void)state;
    const struct feature_source sources[] = {
        {.name = "channel", .expression = "onehot(channel, \"pos\", \"web\", \"atm\")", .line = 1, .column = 1},
        {.name = "web_amount", .expression = "if(channel_web, amount, 0)", .line = 2, .column = 1},
        {.name = "still_a_field", .expression = "channel == \"web\"", .line = 3, .column = 1},
    };
    struct plan *plan;
    struct error err = {{0}};
    if (plan_compile(fixture.schema, sources, 3, &plan, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    static const char *const names[] = {"channel_pos", "channel_web", "channel_atm", "web_amount", "still_a_field"};
    assert_int_equal(plan_columns(plan), 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(plan_column_name(plan, i), names[i]);
    float row[5];
    plan_run(plan, &fixture.tx, NUMBER_F32, row);
    const float web[] = {0, 1, 0, 57.25F, 1};
    assert_memory_equal(row, web, sizeof row);
    fixture_text(&fixture, FIXTURE_CHANNEL, "phone");
    plan_run(plan, &fixture.tx, NUMBER_F32, row);
    const float other[] = {0, 0, 0, 0, 0};
    assert_memory_equal(row, other, sizeof row);
    fixture_text(&fixture, FIXTURE_CHANNEL, NULL);
    plan_run(plan, &fixture.tx, NUMBER_F32, row);
    for (size_t i = 0; i < 4; i++)
        assert_true(isnan(row[i]));
    fixture_text(&fixture, FIXTURE_CHANNEL, "web");
    plan_free(plan);
}

static void parts_of_time(void **state)
{
    (void)state;
    const struct example examples[] = {
        {"hour(time)", 21},
        {"minute(time)", 30},
        {"weekday(time)", 2}, /* a Wednesday */
        {"day(time)", 18},
        {"month(time)", 4},
        {"year(time)", 2018},
        {"hour(time, \"America/Sao_Paulo\")", 18},
        {"hour(time, \"Asia/Kolkata\")", 3},
        {"minute(time, \"Asia/Kolkata\")", 0},
        {"weekday(time, \"Asia/Kolkata\")", 3},
        {"day(time, 'Asia/Kolkata')", 19},
        {"hour(time, \"UTC\")", 21},
        {"(time - opened) / 86400", 30},
        {"hour(time + 3600)", 22},
        {"hour(3600 + time)", 22},
        {"hour(time - 3600)", 20},
        {"time > opened", 1},
        {"time - 1524087015 == opened", 0},
        {"hour(max(time, opened))", 21},
        {"hour(if(present, time, opened + 3600))", 21},
        {"hour(time) <= 6 or hour(time) >= 21", 1},
        {"weekday(time) >= 5", 0},
    };
    CHECK_EXAMPLES(examples);
    fixture.values[FIXTURE_OPENED].number = MISSING;
    const struct example missing[] = {
        {"hour(opened)", MISSING}, {"hour(opened, 'Europe/Berlin')", MISSING}, {"weekday(opened)", MISSING},
        {"day(opened)", MISSING},  {"month(opened)", MISSING}, {"year(opened)", MISSING}, {"time - opened", MISSING},
        {"hour(time + 1e300)", MISSING}, {"year(time + 1 / 0)", MISSING}, {"minute(time + 0 / 0)", MISSING},
    };
    CHECK_EXAMPLES(missing);
}

static void features_see_those_above(void **state)
{
    (void)state;
    const struct feature_source sources[] = {
        {.name = "amount", .expression = "amount", .line = 1, .column = 1},
        {.name = "log", .expression = "log1p(amount)", .line = 2, .column = 1},
        {.name = "twice", .expression = "log * 2", .line = 3, .column = 1},
        {.name = "if", .expression = "twice - log1p(amount) - log", .line = 4, .column = 1},
        {.name = "a name with blanks", .expression = "2", .line = 5, .column = 1},
    };
    struct plan *plan;
    struct error err = {{0}};
    if (plan_compile(fixture.schema, sources, 5, &plan, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    double row[5];
    plan_run(plan, &fixture.tx, NUMBER_F64, row);
    const double want[] = {57.25, log1p(57.25), log1p(57.25) * 2, 0, 2};
    assert_memory_equal(row, want, sizeof row);
    plan_free(plan);
    assert_int_equal(plan_compile(fixture.schema, NULL, 0, &plan, &err), STATUS_OK);
    assert_int_equal(plan_columns(plan), 0);
    plan_run(plan, &fixture.tx, NUMBER_F64, NULL);
    plan_free(plan);
}

static void conditions_see_the_features_but_not_one_another(void **state)
{
    (void)state;
    const struct feature_source features[] = {
        {.name = "share", .expression = "amount / 3", .line = 1, .column = 1},
        {.name = "kind", .expression = "onehot(channel, 'web', 'pos')", .line = 2, .column = 1},
    };
    struct feature_source conditions[] = {
        {.name = "exact", .expression = "share == 57.25 / 3", .line = 3, .column = 1}, /* in double, not as the row has it */
        {.name = "share", .expression = "amount * kind_web", .line = 4, .column = 1},
        {.name = "missing", .expression = "limit", .line = 5, .column = 1},
        {.name = "tiny", .expression = "amount * 1e-300", .line = 6, .column = 1},
    };
    struct plan *plan;
    struct error err = {{0}};
    if (plan_compile_with_conditions(fixture.schema, features, 2, conditions, 4, &plan, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    static const char *const names[] = {"share", "kind_web", "kind_pos", "exact", "share", "missing", "tiny"};
    static const size_t sources[] = {0, 1, 1, 2, 3, 4, 5};
    const float want[] = {(float)(57.25 / 3), 1, 0, 1, 1, 0, 1};
    assert_int_equal(plan_columns(plan), 7);
    for (size_t i = 0; i < 7; i++) {
        assert_string_equal(plan_column_name(plan, i), names[i]);
        assert_int_equal(plan_column_source(plan, i), sources[i]);
    }
    float row[7];
    plan_run(plan, &fixture.tx, NUMBER_F32, row);
    assert_memory_equal(row, want, sizeof row);
    plan_free(plan);

    const struct {
        const char *name, *expression, *message;
    } refused[] = {
        {"b", "exact", "unknown name 'exact'"},
        {"b", "onehot(channel, 'a')", "several columns"},
        {"b", "channel", "is a category"},
        {"exact", "1", "there is already one with the name 'exact'"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        conditions[1].name = refused[i].name;
        conditions[1].expression = refused[i].expression;
        assert_int_equal(plan_compile_with_conditions(fixture.schema, features, 2, conditions, 2, &plan, &err), STATUS_INVALID);
        if (!strstr(err.message, refused[i].message))
            fail_msg("%s", err.message);
    }
}

static void rows_are_converted_once(void **state)
{
    (void)state;
    const char *message;
    struct plan *plan = fixture_compile(&fixture, "amount / 3 + 1e-9", &message);
    float row;
    plan_run(plan, &fixture.tx, NUMBER_F32, &row);
    assert_true(row == (float)(57.25 / 3 + 1e-9));
    plan_free(plan);
    plan = fixture_compile(&fixture, "1e300", &message);
    plan_run(plan, &fixture.tx, NUMBER_F32, &row);
    assert_true(isinf(row));
    plan_free(plan);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(arithmetic),
        TEST(comparisons_with_a_missing_value_are_false),
        TEST(logic_knows_three_values),
        TEST(numeric_functions),
        TEST(choices_and_missing_values),
        TEST(texts_compare),
        TEST(lookups),
        TEST(onehots_are_several_columns),
        TEST(parts_of_time),
        TEST(features_see_those_above),
        TEST(conditions_see_the_features_but_not_one_another),
        TEST(rows_are_converted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
