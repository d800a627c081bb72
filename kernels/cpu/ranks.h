/*
 * Rows as bytes.
 *
 * A forest compares each input with a few hundred limits at most (a library that bins its features has 255 of them). The
 * number of limits that a row's key is above, its *rank*, says how all of them turn out, and it fits a byte:
 *
 *     key > limits[k]   <=>   rank > k   <=>   rank >= threshold,  threshold = k + 1
 *
 * exactly, whatever the numbers are. One vector instruction then compares 64 rows, or 64 trees. An input with more than 255
 * limits becomes several *columns* of 255 limits each, which are ranked by themselves.
 *
 * Ranking is a search of two steps, 16 ways each: pivots[c] are every 16th limit of the column, and the 16 limits that
 * follow in the part found decide. Both are padded with the highest key, which nothing is above.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/cpu/inputs.h"
#include "kernels/cpu/leaves.h"

/* RANKS_MAX: columns that a call's scratch holds for 64 rows. */
enum { RANKS_MAX = 512, RANKS_PER_COLUMN = 255 };

struct ranks {
    const struct inputs *inputs; /* borrowed */
    uint32_t count;              /* columns */
    uint32_t *input;             /* [count] */
    uint32_t *first;             /* [count] where its limits start, a multiple of 16 */
    uint32_t limit_count;
    void *pivots;                /* [count][16], int32 where rows are float32, else int64 */
    void *limits;                /* [limit_count], likewise; ascending within a column */
    struct ranks_lookup *lookup;
};

struct ranks_test {
    uint16_t column;
    uint8_t threshold; /* 1 .. 255; a row passes iff its rank is at least this */
};

/* STATUS_UNSUPPORTED: no split at all, or more columns than RANKS_MAX. STATUS_NO_MEMORY. *out is owned: ranks_free. */
MUST_USE enum status ranks_make(const struct inputs *inputs, struct ranks **out, struct error *err);
void ranks_forget_lookup(struct ranks *ranks);
void ranks_free(struct ranks *ranks);
size_t ranks_bytes(const struct ranks *ranks);

/* test: of the same inputs; before ranks_forget_lookup. */
struct ranks_test ranks_test_of(const struct ranks *ranks, struct inputs_test test);
