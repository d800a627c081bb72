/* The nodes of a tree that can be reached, parents before children. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/forest.h"

/* Most nodes that a tree of the forest has: room for forest_preorder's answer. */
uint32_t forest_largest_tree(const struct forest *forest);

/* Writes the numbers of the nodes below `root`, it first, each no branch before its yes branch; returns how many. */
uint32_t forest_preorder(const struct forest *forest, uint32_t root, uint32_t *out);

/* Whether every node of the forest can be reached; then nodes may be visited in any order. */
bool forest_all_reached(const struct forest *forest);
