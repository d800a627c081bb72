/*
 * The reference network kernel: model/network.h as code, one row and one operation at a time. Slow, readable, the oracle
 * of every other kernel; never deleted.
 */
#pragma once

#include "model/backend.h"
#include "model/network.h"

/* Margins of rows[slots[i]], i < n, into margins[n][network->outputs], float32 values; rows are float32. STATUS_NO_MEMORY. */
MUST_USE enum status network_reference_margins(const struct network *network, const struct rows *rows, const uint32_t *slots,
                                               uint32_t n, double *margins);

/* A whole batch: margins, scores, done. */
void network_reference_answer(const struct network *network, struct batch *batch);
