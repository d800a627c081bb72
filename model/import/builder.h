/*
 * Appends to a forest while its file is read. Every array grows through the importer's memory account; a refusal shows
 * as NULL (or false), after which the forest is still whole: forest_free frees it.
 */
#pragma once

#include "model/forest.h"
#include "model/import/memory.h"

struct forest_builder {
    struct forest *forest; /* borrowed */
    struct import_memory *memory; /* borrowed */
    size_t nodes, trees, values, outputs, sets, words, linear, linear_features, linear_coefficients; /* capacities */
};

/* Room for so many nodes and leaf values at once, as far as the account allows; a guess that is too high costs nothing,
 * as memory that is never touched is given back by builder_finish. Saves copying a large forest as it grows. */
void builder_reserve(struct forest_builder *b, size_t nodes, size_t values);

/* `count` new items at the end of an array, zeroed; borrowed until the next call. */
struct forest_node *builder_nodes(struct forest_builder *b, size_t count);
struct forest_tree *builder_tree(struct forest_builder *b);
struct forest_set *builder_set(struct forest_builder *b);
uint32_t *builder_set_words(struct forest_builder *b, size_t count);
struct forest_linear *builder_linear(struct forest_builder *b);

/* One more leaf entry; for forests whose tree says where its leaves go. */
bool builder_value(struct forest_builder *b, double value);
/* One more leaf entry with its own output. A forest uses this one or builder_value, never both. */
bool builder_value_to(struct forest_builder *b, double value, uint32_t output);
/* One more term of a linear leaf. */
bool builder_linear_term(struct forest_builder *b, uint32_t feature, double coefficient);

/* Gives back what the arrays did not use. */
void builder_finish(struct forest_builder *b);
