/*
 * The reference forest kernel: plain loops over the inner forest as it stands. Slow, readable, the oracle of every other
 * kernel; never deleted.
 */
#pragma once

#include "model/backend.h"
#include "model/forest.h"

/* Margins of rows[slots[i]], i < n, into margins[n][forest->outputs]. rows->type must be the forest's input type. */
void forest_reference_margins(const struct forest *forest, const struct rows *rows, const uint32_t *slots, uint32_t n,
                              double *margins);
