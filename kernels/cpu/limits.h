/* Limits in order: a model of half a million nodes may bring as many, and its server waits for them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

struct limit {
    int64_t value;
    uint32_t input;
    uint32_t entry; /* of the one who sorts */
};

/* Sorts limits[n] by input, then by value. STATUS_NO_MEMORY. */
MUST_USE enum status limits_sort(struct limit *limits, size_t n);
