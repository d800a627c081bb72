/* Which schemas are refused and with what words, and that a good one keeps what it was given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/input/schema.h"
#include "model/input/schema_tree.h"

static const struct field id = {.name = "id", .path = "tx_id", .type = FIELD_ID};
static const struct field event_time = {.name = "time", .path = "ts", .type = FIELD_TIME, .unit = TIME_SECONDS};

/* id, time and one more field of this name and path. */
static void third_is_refused(const char *name, const char *path, const char *words)
{
    struct field fields[] = {id, event_time, {.name = name, .path = path, .type = FIELD_NUMBER}};
    struct schema *schema = NULL;
    struct error err = {{0}};
    assert_int_equal(schema_create(fields, 3, &schema, &err), STATUS_INVALID);
    assert_null(schema);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not say '%s'", err.message, words);
}

static void refuses_bad_names_and_paths(void **state)
{
    (void)state;
    third_is_refused("id", "x", "'id' is declared twice");
    third_is_refused("", "x", "1 to 64 bytes");
    third_is_refused("a2345678901234567890123456789012345678901234567890123456789012345", "x", "1 to 64 bytes");
    third_is_refused("x", "", "empty part");
    third_is_refused("x", ".a", "empty part");
    third_is_refused("x", "a.", "empty part");
    third_is_refused("x", "a..b", "empty part");
    third_is_refused("x", "a.a2345678901234567890123456789012345678901234567890123456789012345", "longer than 64");
    third_is_refused("x", "a.b.c.d.e.f.g.h.i", "8 levels");
    third_is_refused("x", "ts", "exclude each other");
    third_is_refused("x", "ts.x", "exclude each other");
}

static void refuses_a_value_that_is_an_object_too(void **state)
{
    (void)state;
    struct field fields[] = {id, event_time, {.name = "deep", .path = "a.b.c", .type = FIELD_KEY}, {.name = "flat", .path = "a.b", .type = FIELD_KEY}};
    struct schema *schema = NULL;
    struct error err;
    assert_int_equal(schema_create(fields, 4, &schema, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "'deep' and 'flat'"));
    fields[3].path = "a.c";
    assert_int_equal(schema_create(fields, 4, &schema, &err), STATUS_OK);
    schema_free(schema);
}

static void needs_one_id_and_a_time(void **state)
{
    (void)state;
    struct schema *schema = NULL;
    struct error err;
    const struct field two_ids[] = {id, event_time, {.name = "other", .path = "other", .type = FIELD_ID}};
    assert_int_equal(schema_create(&event_time, 1, &schema, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "exactly one field of type id"));
    assert_int_equal(schema_create(two_ids, 3, &schema, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "there are 2"));
    assert_int_equal(schema_create(&id, 1, &schema, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "type time"));
    assert_int_equal(schema_create(NULL, 0, &schema, &err), STATUS_INVALID);
    assert_null(schema);
}

static void keeps_copies_and_requires_id_and_first_time(void **state)
{
    (void)state;
    char name[] = "booked", path[] = "booking.at";
    struct field fields[] = {{.name = "x", .path = "x", .type = FIELD_NUMBER}, event_time, id, {.name = name, .path = path, .type = FIELD_TIME}};
    struct schema *schema;
    struct error err;
    assert_int_equal(schema_create(fields, 4, &schema, &err), STATUS_OK);
    name[0] = path[0] = '?';
    assert_int_equal(schema_size(schema), 4);
    assert_int_equal(schema_id(schema), 2);
    assert_int_equal(schema_time(schema), 1);
    assert_string_equal(schema_field(schema, 3)->name, "booked");
    assert_string_equal(schema_field(schema, 3)->path, "booking.at");
    assert_true(schema_field(schema, 1)->required && schema_field(schema, 2)->required);
    assert_false(schema_field(schema, 0)->required || schema_field(schema, 3)->required);
    assert_int_equal(schema_find(schema, "booked"), 3);
    assert_int_equal(schema_find(schema, "booking.at"), -1);
    schema_free(schema);
}

/* As many fields as there may be, of like names: each is found and nothing else is. */
static void finds_each_of_the_most_fields(void **state)
{
    (void)state;
    static char names[SCHEMA_FIELDS_MAX + 1][24];
    static struct field fields[SCHEMA_FIELDS_MAX + 1];
    for (int i = 0; i <= SCHEMA_FIELDS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], i % 2 ? "merchant_%d" : "f%d", i);
        fields[i] = (struct field){.name = names[i], .path = names[i], .type = i == 0 ? FIELD_ID : i == 1 ? FIELD_TIME : FIELD_NUMBER};
    }
    struct schema *schema;
    struct error err;
    assert_int_equal(schema_create(fields, SCHEMA_FIELDS_MAX + 1, &schema, &err), STATUS_INVALID);
    assert_int_equal(schema_create(fields, SCHEMA_FIELDS_MAX, &schema, &err), STATUS_OK);
    for (int i = 0; i < SCHEMA_FIELDS_MAX; i++) {
        size_t len = strlen(names[i]);
        const struct schema_entry *entry = schema_lookup(&schema->objects[0], names[i], len, len);
        assert_non_null(entry);
        assert_int_equal(entry->field, i);
        assert_null(schema_lookup(&schema->objects[0], names[i], len - 1, len) == entry ? entry : NULL);
    }
    assert_null(schema_lookup(&schema->objects[0], "merchant_256", 12, 12));
    assert_null(schema_lookup(&schema->objects[0], "", 0, 0));
    schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_names_and_paths),
        cmocka_unit_test(refuses_a_value_that_is_an_object_too),
        cmocka_unit_test(needs_one_id_and_a_time),
        cmocka_unit_test(keeps_copies_and_requires_id_and_first_time),
        cmocka_unit_test(finds_each_of_the_most_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
