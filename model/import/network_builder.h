/*
 * Appends to a network while its file is read, drawing every array from the importer's memory account. A refusal shows as a
 * wire of 0, NULL or false, after which the network is still whole: network_free frees it.
 */
#pragma once

#include "model/import/memory.h"
#include "model/network.h"

struct network_builder {
    struct network *network;      /* borrowed; features are set before the first operation */
    struct import_memory *memory; /* borrowed */
    size_t ops, numbers, pieces, forests; /* capacities */
    size_t widths; /* of all operations: above NETWORK_WIDTHS_MAX nothing more is appended */
};

/* Appends the operation; groups of 0 stand for 1. Returns the wire that it makes. */
uint32_t network_builder_op(struct network_builder *b, struct network_op op);
/* `count` new numbers, zeroed, and where they are; borrowed until the next call. */
float *network_builder_numbers(struct network_builder *b, size_t count, uint32_t *first);
/* Room for so many numbers at once, as far as the account allows; a guess that is too high costs nothing. */
void network_builder_reserve(struct network_builder *b, size_t numbers);

/* Columns of the row itself, as a wire of their own: wire 0 is never handed out, as 0 stands for a refusal. */
uint32_t network_builder_input(struct network_builder *b, uint32_t column, uint32_t count);
/* y[i] = x[columns[i]], i < count, as few pieces as it takes; x itself where that is all of it as it stands. */
uint32_t network_builder_gather(struct network_builder *b, uint32_t wire, const uint32_t *columns, uint32_t count);
/* Wires side by side. */
uint32_t network_builder_concat(struct network_builder *b, const uint32_t *wires, uint32_t count);
/* f(x), and f(x, z) of two wires of one width. */
uint32_t network_builder_map(struct network_builder *b, uint32_t wire, enum network_function function, float first, float second);
uint32_t network_builder_pair(struct network_builder *b, uint32_t x, uint32_t z, enum network_function function);
/* f(x, the same number for every column). */
uint32_t network_builder_with(struct network_builder *b, uint32_t wire, enum network_function function, float number);
/* Takes the forest, also where it fails. */
uint32_t network_builder_forest(struct network_builder *b, uint32_t wire, struct forest *forest);

/* The margins are this wire: folds what can be folded (network_fold.c), drops what the margins do not need, and gives back
 * what the arrays did not use. */
bool network_builder_finish(struct network_builder *b, uint32_t wire);

/* Between the files that make the network: how often each wire is read. [op_count + 1], owned by the caller; NULL: no
 * memory. */
uint32_t *network_count_uses(const struct network *network);
/* Merges operations where no bit, or none that matters, is changed by it; the header of network_fold.c says which. Returns
 * the wire that the margins are on now. */
uint32_t network_fold(struct network *network, uint32_t *uses);
