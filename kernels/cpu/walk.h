/*
 * The portable kernel: eight trees walked side by side, so that the processor waits for eight loads at once. It takes every
 * forest, and needs no instruction set.
 *
 * A node is its limit, its input and the number of its first child; the second child follows it:
 *
 *     at = node[at].child + (keys[node[at].input] > node[at].limit)
 *
 * A leaf is its own child and asks an input that nothing passes, so a walk may go on past its end; each group of eight takes
 * as many steps as its deepest tree. Nodes lie breadth first, so the top of a tree, where every row comes by, is dense.
 */
#pragma once

#include "kernels/cpu/inputs.h"
#include "kernels/cpu/leaves.h"
#include "model/backend.h"

struct walk;

/* inputs and order are borrowed and outlive *out, which is owned: walk_free.
 * STATUS_UNSUPPORTED: more inputs than fit a call's scratch. STATUS_NO_MEMORY. */
MUST_USE enum status walk_make(const struct inputs *inputs, const struct tree_order *order, struct walk **out, struct error *err);
void walk_free(struct walk *walk);
size_t walk_bytes(const struct walk *walk);

/* Margins of rows[slots[i]], i < n, into margins[n][outputs]. Any thread; at most 48 KB of stack. */
void walk_margins(const struct walk *walk, const struct rows *rows, const uint32_t *slots, uint32_t n, double *margins);
