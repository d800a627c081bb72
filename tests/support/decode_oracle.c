#include "tests/support/decode_oracle.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/input/decode.h"
#include "model/input/scan.h"

static const struct field fields[] = {
    {.name = "id", .path = "id", .type = FIELD_ID},
    {.name = "time", .path = "ts", .type = FIELD_TIME, .unit = TIME_SECONDS},
    {.name = "card", .path = "card", .type = FIELD_KEY},
    {.name = "amount", .path = "amount", .type = FIELD_NUMBER},
    {.name = "online", .path = "online", .type = FIELD_BOOLEAN},
    {.name = "country", .path = "m.country", .type = FIELD_CATEGORY},
    {.name = "city", .path = "m.a.city", .type = FIELD_CATEGORY, .required = true},
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

static struct schema *schema;
static struct transaction tx;

void decode_oracle_open(void)
{
    struct error err;
    if (schema)
        return;
    CHECK(schema_create(fields, FIELDS, &schema, &err) == STATUS_OK);
    CHECK(transaction_init(&tx, schema, 0, &err) == STATUS_OK);
}

void decode_oracle_close(void)
{
    transaction_free(&tx);
    schema_free(schema);
    schema = NULL;
}

/* The value at a dotted path; NULL where absent; *blocked where something that is no object stands in the way. */
static const json_t *at_path(const json_t *root, const char *path, int *blocked)
{
    char part[SCHEMA_NAME_MAX + 1];
    const json_t *node = root;
    for (;;) {
        const char *dot = strchr(path, '.');
        size_t len = dot ? (size_t)(dot - path) : strlen(path);
        memcpy(part, path, len);
        part[len] = '\0';
        node = json_object_get(node, part);
        if (!node || !dot)
            return node;
        if (json_is_null(node))
            return NULL;
        if (!json_is_object(node)) {
            *blocked = 1;
            return NULL;
        }
        path = dot + 1;
    }
}

static int same_text(struct span text, const json_t *want)
{
    if (json_is_string(want))
        return span_equal(text, json_string_value(want), json_string_length(want));
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(want));
    return span_equal(text, digits, (size_t)n);
}

static int text_fits(const json_t *want, size_t least)
{
    return json_is_string(want) && json_string_length(want) >= least && json_string_length(want) <= TEXT_BYTES_MAX;
}

/* Does jansson's value fit the field? And if so, is ours the same? */
static const char *compare_field(const struct field *f, const struct value *got, const json_t *want, int *fits)
{
    *fits = 1;
    if (!want || json_is_null(want)) {
        *fits = !f->required && f->type != FIELD_ID && f->type != FIELD_TIME;
        return got->text.data || !isnan(got->number) ? "a missing value is not missing" : NULL;
    }
    switch (f->type) {
    case FIELD_NUMBER:
        *fits = json_is_number(want);
        return *fits && got->number != json_number_value(want) ? "another number" : NULL;
    case FIELD_TIME:
        *fits = json_is_number(want) && json_number_value(want) > -0.0000005 && json_number_value(want) < 9223372036.854775;
        return *fits && fabs(got->number - json_number_value(want)) > 0.000001 ? "another time" : NULL;
    case FIELD_BOOLEAN:
        *fits = json_is_boolean(want);
        return *fits && got->number != json_is_true(want) ? "another boolean" : NULL;
    case FIELD_ID:
    case FIELD_KEY:
        *fits = json_is_integer(want) || text_fits(want, 1);
        return *fits && !same_text(got->text, want) ? "another key" : NULL;
    case FIELD_CATEGORY:
        *fits = text_fits(want, 0);
        return *fits && !same_text(got->text, want) ? "another text" : NULL;
    }
    return NULL;
}

/* Both took the document as an object: field by field. The one that we blame must be one that does not fit. */
static const char *compare_fields(const json_t *root, enum status status, const struct decode_fault *fault)
{
    int all_fit = 1;
    for (size_t i = 0; i < FIELDS; i++) {
        int fits = 1, blocked = 0;
        const json_t *want = at_path(root, fields[i].path, &blocked);
        const char *difference = compare_field(&fields[i], &tx.values[i], want, &fits);
        all_fit &= fits && !blocked;
        if (status != STATUS_OK && fault->field == (int32_t)i && fits && !blocked)
            return "the wrong field is blamed";
        if (status == STATUS_OK && difference)
            return difference;
    }
    if (all_fit != (status == STATUS_OK))
        return all_fit ? "we refuse a good transaction" : "we take a bad transaction";
    return NULL;
}

/* jansson shows only the last of repeated values: what is wrong with the others can't be compared. */
static int has_repeated_keys(const char *text, size_t len)
{
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
    json_decref(root);
    return root == NULL;
}

/*
 * Differences by design. We are stricter: a repeated schema field is refused (jansson takes the last), nesting ends at 64
 * (jansson: 2048), times have a range. We are looser: integers beyond 64 bits and reals beyond double may stand in fields
 * that nobody reads, and an integer key may have any number of digits; for a number field 1e999 is refused by both. A key that
 * holds \u0000 is a key like any other (jansson refuses it).
 * Left out: bare scalars (jansson reads a byte beyond them, and none is a transaction) and raw NUL bytes (jansson loses
 * one that follows a number; we refuse it).
 */
static int differs_by_design(enum decode_reason reason, const json_error_t *error)
{
    return reason == DECODE_DUPLICATE || reason == DECODE_DEPTH || json_error_code(error) == json_error_numeric_overflow ||
           json_error_code(error) == json_error_null_byte_in_key;
}

/* Who walks an array trusts that what was skipped as well-formed is decoded to the same end. */
static int skips_alike(const char *text, size_t len, size_t consumed)
{
    struct scan s = {.at = text, .start = text, .end = text + len};
    size_t skipped = scan_skip_value(&s, 0) ? (size_t)(s.at - text) : 0;
    return skipped == consumed;
}

const char *decode_oracle_compare(const char *text, size_t len)
{
    struct decode_fault fault;
    size_t consumed;
    json_error_t error = {.line = 0};
    enum status status = decode_transaction(schema, text, len, &tx, &consumed, &fault);
    if (!skips_alike(text, len, consumed))
        return "skipping and decoding differ";
    size_t first = decode_skip_space(text, len);
    if ((first < len && text[first] != '{' && text[first] != '[') || memchr(text, '\0', len))
        return NULL;
    json_t *root = json_loadb(text, len, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error);
    const char *verdict = NULL;
    if (!root) {
        if (consumed != 0 && !differs_by_design(fault.reason, &error))
            verdict = "we take what jansson refuses";
    } else if (consumed == 0) {
        if (!differs_by_design(fault.reason, &error))
            verdict = "we refuse what jansson takes";
    } else if (consumed != (size_t)error.position) {
        verdict = "the value ends elsewhere";
    } else if (!json_is_object(root)) {
        if (fault.reason != DECODE_NOT_OBJECT)
            verdict = "not an object, and not refused as such";
    } else if (status == STATUS_OK || !has_repeated_keys(text, len)) {
        verdict = compare_fields(root, status, &fault);
    }
    json_decref(root);
    return verdict;
}
