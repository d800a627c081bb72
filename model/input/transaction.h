/*
 * One decoded transaction: a value for each field of its schema, in schema order, and beside them what is known of the past.
 *
 * Text values are borrowed: they point into the document that was decoded or, where it held escapes, into the
 * transaction's own arena. So the document must outlive the use of its transaction.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/base/span.h"
#include "model/base/status.h"
#include "model/input/schema.h"

struct value {
    /* NUMBER: the number. BOOLEAN: 0 or 1. TIME: seconds since 1970 UTC. ID, KEY, CATEGORY: unused. Missing: NaN. */
    double number;
    /* ID, KEY, CATEGORY: the unescaped UTF-8 text (integers as their decimal digits). Missing: data is NULL. */
    struct span text;
};

struct transaction {
    struct value *values; /* [schema_size] */
    double *windows;      /* what each window of the plan holds; [windows], see model/features/window.h */
    int64_t time_us;      /* the event time, microseconds since 1970 UTC */
    char *arena;          /* unescaped text; [arena_cap] */
    uint32_t arena_len, arena_cap;
};

/* The longest id, key or category after unescaping, and so that no arena can overflow: arena_cap is this times the
 * number of text fields. */
enum { TEXT_BYTES_MAX = 256 };

/* Allocates the arrays for this schema and so many windows. */
MUST_USE enum status transaction_init(struct transaction *tx, const struct schema *schema, size_t windows, struct error *err);
void transaction_free(struct transaction *tx);
