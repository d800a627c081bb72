/*
 * A forest laid out for this processor, and the choice of kernels that computes it.
 *
 * Two kernels share the work: one for few rows, one for many. Which ones is decided by trying those that can take the forest
 * on rows made from its own thresholds; from how many rows on the second one pays is measured likewise. The choice is free
 * to differ between machines and loads, since every kernel gives the same bits. What was not chosen is thrown away.
 */
#pragma once

#include "kernels/cpu/isa.h"
#include "model/backend.h"
#include "model/forest.h"

enum plan_kernel {
    PLAN_ANY,       /* let the trial decide */
    PLAN_REFERENCE, /* kernels/ref: what no other takes */
    PLAN_WALK,      /* walk.h */
    PLAN_CROWN,     /* crown.h */
    PLAN_BLEND,     /* blend.h */
    PLAN_TILE,      /* tile.h */
};

struct plan_options {
    enum isa isa; /* at most this one; the processor must have it */
    enum plan_kernel few, many;
    uint32_t crown_depth; /* 0: let the trial decide; else at most this */
};

struct plan;

/* forest is borrowed and outlives *out, which is owned: plan_destroy. STATUS_NO_MEMORY; STATUS_UNSUPPORTED: a kernel that
 * options name cannot take the forest or has no such instruction set, the message says why. */
MUST_USE enum status plan_make(const struct forest *forest, const struct plan_options *options, struct plan **out, struct error *err);
void plan_destroy(struct plan *plan);

/* Margins of rows[slots[i]], i < n, into margins[n][outputs]. Any thread; allocates nothing, at most 64 KB of stack. */
void plan_margins(const struct plan *plan, const struct rows *rows, const uint32_t *slots, uint32_t n, double *margins);

/* Lines "key: value": the kernels chosen, bytes, and microseconds of 1, 64 and 1024 rows as measured when it was made. */
void plan_describe(const struct plan *plan, struct buf *out);
