/*
 * One tree in the terms of ranks, the way the vector layouts are built from it: splits that a row passes or fails, parents
 * before children, leaves numbered from the failing end.
 */
#pragma once

#include <stdint.h>

#include "kernels/cpu/ranks.h"

/* A child: a split's number, or SHAPE_LEAF | a leaf's number. */
#define SHAPE_LEAF (1u << 31)

struct shape_split {
    uint32_t fail, pass;
    uint32_t leaves; /* below it */
    uint16_t column;
    uint8_t threshold;
    uint16_t depth; /* of the tree below it: 1 where both children are leaves */
};

struct shape {
    uint32_t root; /* a child, as above */
    uint32_t split_count, leaf_count;
    struct shape_split *splits; /* [split_count] */
    double *values;             /* [leaf_count] */
};

/* Room for the largest tree of a forest. 0, or -1 on no memory. */
int shape_make(const struct forest *forest, struct shape *out);
void shape_free(struct shape *shape);

/* Reads tree number `tree` of a forest with plain leaves. */
void shape_read(struct shape *shape, const struct ranks *ranks, uint32_t tree);

/* Leaves below a child, and the depth of the tree there. */
uint32_t shape_leaves(const struct shape *shape, uint32_t child);
uint32_t shape_depth(const struct shape *shape, uint32_t child);
