/*
 * What a transaction looks like: the typed fields that a bundle reads from the JSON it is given.
 *
 * A schema is built once at load and never changes afterwards, so any number of threads may read it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

enum field_type {
    FIELD_ID,       /* string or integer; exactly one per schema; always required */
    FIELD_TIME,     /* see enum time_unit; the first one is the event time and always required */
    FIELD_KEY,      /* string or integer: a card, a terminal. An integer is the same key as its decimal string */
    FIELD_NUMBER,   /* JSON number */
    FIELD_BOOLEAN,  /* true or false */
    FIELD_CATEGORY, /* string */
};

enum time_unit { TIME_SECONDS, TIME_MILLISECONDS, TIME_MICROSECONDS, TIME_RFC3339 };

struct field {
    const char *name;   /* as features use it */
    const char *path;   /* where it is in the JSON: "amount", "merchant.country" */
    enum field_type type;
    enum time_unit unit; /* FIELD_TIME only */
    bool required;      /* absent or null is an error; otherwise it is a missing value */
};

enum { SCHEMA_FIELDS_MAX = 256, SCHEMA_DEPTH_MAX = 8, SCHEMA_NAME_MAX = 64 };

struct schema;

/* Copies fields[n]. Fails with STATUS_INVALID on no or two ids, no time, a repeated name or path, a path that is both a
 * value and an object ("a" and "a.b"), an empty or too long name, more than SCHEMA_FIELDS_MAX fields, paths deeper than
 * SCHEMA_DEPTH_MAX. *out is owned by the caller: schema_free. */
MUST_USE enum status schema_create(const struct field *fields, size_t n, struct schema **out, struct error *err);
void schema_free(struct schema *schema);

size_t schema_size(const struct schema *schema);
const struct field *schema_field(const struct schema *schema, size_t i);
/* The position of the field with this name, or -1. */
int schema_find(const struct schema *schema, const char *name);
size_t schema_id(const struct schema *schema);
size_t schema_time(const struct schema *schema);

/* "id", "number" …, for messages and `config docs`. */
const char *field_type_name(enum field_type type);
