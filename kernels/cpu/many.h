/*
 * What the kernels for many rows share: batches in chunks whose ranks fit the stack, one output after the other, groups of
 * trees in blocks that stay in the cache while the rows of a chunk go by, sums started with the base and written out.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/backend.h"
#include "model/forest.h"

struct cpu_kernels;

struct many {
    const struct forest *forest;
    const struct cpu_kernels *kernels;
    const void *layout;
    const uint32_t *group_end; /* [outputs] one past the last group of trees of each output */
    size_t rank_bytes;         /* of 64 rows, a multiple of 64, at most MANY_RANK_BYTES */
    /* Ranks of n <= 64 rows into out[rank_bytes]. */
    void (*rank)(const struct many *many, const struct rows *rows, const uint32_t *slots, uint32_t n, uint8_t *out);
    /* One past the last group from `from` on, below `end`, that the cache holds; at least from + 1. */
    uint32_t (*cache_block)(const struct many *many, uint32_t from, uint32_t end);
    /* Adds groups [from, to) to the sums of n <= 64 rows: float or double [64] by the sum type, in the kernels' order. */
    void (*add)(const struct many *many, const uint8_t *ranks, uint32_t from, uint32_t to, uint32_t n, void *sums);
};

enum { MANY_RANK_BYTES = 40 << 10, MANY_CACHE_BYTES = 256 << 10 };

/* Margins of rows[slots[i]], i < n, into margins[n][outputs]. Any thread; at most 52 KB of stack beside add's own. */
void many_margins(const struct many *many, const struct rows *rows, const uint32_t *slots, uint32_t n, double *margins);
