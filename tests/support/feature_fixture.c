#include "tests/support/feature_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct field fields[FIXTURE_FIELDS] = {
    [FIXTURE_ID] = {.name = "id", .path = "id", .type = FIELD_ID, .required = true},
    [FIXTURE_TIME] = {.name = "time", .path = "time", .type = FIELD_TIME, .required = true},
    [FIXTURE_OPENED] = {.name = "opened", .path = "opened", .type = FIELD_TIME},
    [FIXTURE_CARD] = {.name = "card", .path = "card", .type = FIELD_KEY},
    [FIXTURE_TERMINAL] = {.name = "terminal", .path = "terminal", .type = FIELD_KEY},
    [FIXTURE_AMOUNT] = {.name = "amount", .path = "amount", .type = FIELD_NUMBER},
    [FIXTURE_LIMIT] = {.name = "limit", .path = "limit", .type = FIELD_NUMBER},
    [FIXTURE_PRESENT] = {.name = "present", .path = "present", .type = FIELD_BOOLEAN},
    [FIXTURE_CHANNEL] = {.name = "channel", .path = "channel", .type = FIELD_CATEGORY},
    [FIXTURE_COUNTRY] = {.name = "country", .path = "country", .type = FIELD_CATEGORY},
};

void fixture_text(struct fixture *f, int field, const char *text)
{
    f->values[field].text = (struct span){.data = text, .len = text ? (uint32_t)strlen(text) : 0};
}

void fixture_init(struct fixture *f)
{
    struct error err = {{0}};
    *f = (struct fixture){0};
    if (schema_create(fields, FIXTURE_FIELDS, &f->schema, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < FIXTURE_FIELDS; i++)
        f->values[i].number = (double)NAN;
    f->values[FIXTURE_TIME].number = 1524087015;
    f->values[FIXTURE_OPENED].number = 1524087015 - 30 * 86400;
    f->values[FIXTURE_AMOUNT].number = 57.25;
    f->values[FIXTURE_PRESENT].number = 1;
    fixture_text(f, FIXTURE_ID, "x1");
    fixture_text(f, FIXTURE_CARD, "c1");
    fixture_text(f, FIXTURE_TERMINAL, "t9");
    fixture_text(f, FIXTURE_CHANNEL, "web");
    for (int i = 0; i < WINDOWS_MAX; i++)
        f->windows[i] = (double)NAN;
    f->tx = (struct transaction){.values = f->values, .windows = f->windows, .time_us = INT64_C(1524087015000000)};
}

void fixture_free(struct fixture *f)
{
    schema_free(f->schema);
}

struct plan *fixture_compile(const struct fixture *f, const char *expression, const char **message)
{
    static struct error err;
    const struct feature_source source = {
        .name = "f", .expression = expression, .file = "bundle.yaml", .line = 12, .column = 18};
    struct plan *plan = NULL;
    err.message[0] = '\0';
    enum status status = plan_compile(f->schema, &source, 1, &plan, &err);
    assert_true((status == STATUS_OK) == (plan != NULL));
    *message = plan ? NULL : err.message;
    return plan;
}

double fixture_value(const struct fixture *f, const char *expression)
{
    const char *message;
    struct plan *plan = fixture_compile(f, expression, &message);
    if (!plan)
        fail_msg("%s", message);
    assert_int_equal(plan_columns(plan), 1);
    double value = 0;
    plan_run(plan, &f->tx, NUMBER_F64, &value);
    plan_free(plan);
    return value;
}
