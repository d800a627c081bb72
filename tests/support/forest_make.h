/*
 * Forests and rows out of a seed, of every shape that an importer may hand to a kernel: balanced or not, float32 or float64,
 * every comparison, every kind of missing value, categories, several outputs, several values a leaf, linear leaves.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/backend.h"
#include "model/forest.h"

struct forest_recipe {
    const char *name;
    uint32_t features, outputs, trees;
    uint32_t depth;  /* at most */
    uint32_t leaves; /* at most, grown at a random leaf each time; 0: full trees of `depth` */
    uint32_t cuts;   /* different thresholds a feature; 0: as many as there are nodes */
    enum number_type input_type, sum_type;
    bool base_first, tiny_is_zero;
    enum forest_category_rule category_rule;
    uint32_t ops;     /* bits 1 << FOREST_…; 0: LT */
    uint32_t missing; /* bits 1 << FOREST_MISSING_…; 0: NAN */
    bool missing_mixed;  /* the missing side differs from node to node */
    bool vector_leaves;  /* several values a leaf, or none */
    bool leaf_outputs;   /* one value a leaf, but said by leaf_outputs */
    bool linear_leaves;
};

/* A forest that forest_check accepts; the same for the same recipe and seed. Owned by the caller: forest_free. */
struct forest *forest_make(const struct forest_recipe *recipe, uint64_t seed);

/* Rows for it: values on thresholds and right beside them, missing, zeros of both signs, tiny, infinite, denormal, categories
 * and plain random ones. rows->base is owned by the caller (free). */
void forest_make_rows(const struct forest *forest, uint32_t count, uint64_t seed, struct rows *out);

/* Random rows of moderate values only, as measuring needs them. */
void forest_make_plain_rows(const struct forest *forest, uint32_t count, uint64_t seed, struct rows *out);

/* A small generator for tests: splitmix64. */
uint64_t random_next(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t bound);
