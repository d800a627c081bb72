/*
 * Which order trees are computed in, and whether their leaves are plain.
 *
 * Leaves are *single* when each adds exactly one number, to an output that its whole tree shares. Outputs then do not touch
 * each other, and trees are sorted by output, those of one output in the forest's order: sums keep their order. They are
 * *plain* when moreover none is linear, that is, the number is there and not computed from the row.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/base/status.h"
#include "model/forest.h"

struct tree_order {
    bool single, plain;
    uint32_t count;       /* trees */
    uint32_t *tree;       /* [count] tree numbers of the forest, in the order of computing */
    uint32_t *output;     /* [count] of tree[i]; single only */
    uint32_t *output_end; /* [outputs] one past the last i of each output; single only */
};

/* STATUS_NO_MEMORY: *out is then empty; tree_order_free may still be called. */
MUST_USE enum status tree_order_make(const struct forest *forest, struct tree_order *out, struct error *err);
void tree_order_free(struct tree_order *order);
