/* Numbers for texts, in the order in which they come: 0, 1, 2 … Texts are told apart by their 128-bit hash under a secret. */
#pragma once

#include <stdint.h>

#include "model/base/siphash.h"
#include "model/base/span.h"
#include "model/base/status.h"

struct cards {
    struct hash128 *keys; /* [mask + 1] open-addressed; owned */
    uint32_t *numbers;    /* [mask + 1] number + 1; 0: an empty place; owned */
    uint32_t count, mask;
    struct hash_secret secret;
};

/* Starts from zero bytes. STATUS_NO_MEMORY, STATUS_LIMIT (more than 2^31 texts). */
MUST_USE enum status cards_number(struct cards *cards, struct span text, uint32_t *number, struct error *err);
void cards_free(struct cards *cards);
