/*
 * A whole batch through the shim, as an engine does it on a device: image, request, ticket, scratch, flag.
 */
#pragma once

#include "kernels/cuda/kernels.h"
#include "model/backend.h"

/* What an H100 says of itself. */
extern const struct cuda_limits shim_limits;

/* raw: [n][margins of the model] of its margin type. One launch after the other computes rows 0 .. capacity - 1, the next
 * capacity rows, and so on. STATUS_INVALID: as shim_launch, or a launch that did not say that it was done. */
MUST_USE enum status shim_compute(const struct cuda_model *model, const struct cuda_launch *launch, const struct rows *rows,
                                  const uint32_t *slots, uint32_t n, void *raw, struct error *err);
