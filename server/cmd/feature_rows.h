/*
 * Feature rows from CSV: columns bound to a model's features, cells rounded once, straight to the type that the model
 * compares in.
 *
 * Where the model file names its features, columns are found by those names, in any order, and other columns (an id, a
 * label) are passed over; a model without names, or with made-up ones that the header does not use, takes the columns as
 * they stand.
 */
#pragma once

#include "model/model.h"
#include "server/cmd/csv.h"

enum { FEATURE_SENTINELS_MAX = 64 };

struct feature_rows {
    struct csv csv;
    const struct model_info *info;           /* borrowed */
    double sentinels[FEATURE_SENTINELS_MAX]; /* values that mean missing */
    size_t sentinel_count;
    uint32_t *feature_of; /* [columns] */
    char **column_names;  /* [columns], for messages */
    size_t columns;
};

/* A number as people write it: JSON's grammar, a leading +, inf, true and false, and "", nan, na, n/a, null, none for NaN. */
bool feature_parse(struct span cell, enum number_type type, double *out);

/* Opens the file and binds its header; sentinels are the caller's to set. STATUS_MISMATCH where a feature has no column. */
MUST_USE enum status feature_rows_open(struct feature_rows *rows, const char *path, const struct model_info *info, struct error *err);
void feature_rows_close(struct feature_rows *rows);

/* The next row into row[features] of the model's input type; *more is false at the end. */
MUST_USE enum status feature_rows_next(struct feature_rows *rows, void *row, bool *more, struct error *err);
