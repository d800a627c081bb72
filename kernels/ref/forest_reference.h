/*
 * The reference forest kernel: plain loops over the inner forest as it stands. Slow, readable, the oracle of every other
 * kernel; never deleted.
 */
#pragma once

#include "model/backend.h"
#include "model/forest.h"

/* Margins of rows[slots[i]], i < n, into margins[n][forest->outputs]. rows->type must be the forest's input type. */
void forest_reference_margins(const struct forest *forest, const struct rows *rows, const uint32_t *slots, uint32_t n,
                              double *margins);

/* Its steps, for kernels that find the leaves faster: the margins before the first tree; whether a row takes a node's yes
 * branch; a leaf added; what comes after the last tree. row: one row of the forest's input type; margins: [outputs]. */
void forest_reference_start(const struct forest *forest, double *margins);
bool forest_reference_takes_yes(const struct forest *forest, const struct forest_node *node, const void *row);
void forest_reference_add_leaf(const struct forest *forest, const struct forest_tree *tree, const struct forest_node *leaf,
                               const void *row, double *margins);
void forest_reference_finish(const struct forest *forest, double *margins);
