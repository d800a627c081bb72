/*
 * What a cell comes to over its frame, and what windows make of it. Recomputing and the running aggregates both end here,
 * so that they can differ in nothing but the way to a total. Private to model/state.
 */
#pragma once

#include "model/state/exact.h"
#include "model/state/ring.h"

struct total {
    uint32_t n; /* members; of numbers: those that are not missing; DISTINCT: different values */
    uint32_t frauds, labelled;
    exact_sum sum;
    struct exact_squares squares;
    double extreme;   /* MIN, MAX: of n > 0 values. LAST: the value */
    int64_t time_us;  /* LAST, SINCE, FIRST: of the event found, where n > 0 */
};

/* Sums as they are stored between events: no more than 8-byte alignment. */
struct stored_sum {
    uint64_t low;
    int64_t high;
    uint32_t n;
};

struct stored_squares {
    struct stored_sum sum;
    struct exact_squares squares;
};

static inline exact_sum stored_sum_value(const struct stored_sum *s)
{
    return (exact_sum)((exact_unsigned)(uint64_t)s->high << 64 | s->low);
}

static inline void stored_sum_set(struct stored_sum *s, exact_sum value)
{
    s->low = (uint64_t)value;
    s->high = (int64_t)(value >> 64);
}

/* Labels: the lowest two bits of an entry's flags. */
enum { LABEL_NONE, LABEL_LEGIT, LABEL_FRAUD, LABEL_HISTORY, LABEL_BITS = 3 };

static inline bool entry_is_member(const struct key_layout *k, const uint8_t *entry, uint32_t filter)
{
    return filter == 0 || (entry_flags(k, entry) & filter);
}

/* Begins anew. What a cell of this kind does not add up stays as it is. */
static inline void total_begin(struct total *t, const struct cell *cell)
{
    t->n = t->frauds = t->labelled = 0;
    t->sum = 0;
    if (cell->kind == CELL_SQUARES)
        t->squares = (struct exact_squares){{0}};
}

/* The outputs of a CELL_MEMBERS, which are all counts. */
static inline void total_emit_members(const struct key_layout *k, const struct cell *cell, uint32_t n, double *out)
{
    for (unsigned i = 0; i < cell->output_count; i++)
        out[k->outputs[cell->first_output + i].window] = n;
}

static inline void total_add_extreme(struct total *t, bool least, double x)
{
    if (t->n == 0 || (least ? x < t->extreme : x > t->extreme))
        t->extreme = x;
    t->n++;
}

/* Writes the outputs of a cell. now: the time of the event whose features they are. */
void total_emit(const struct key_layout *k, const struct cell *cell, const struct total *total, int64_t now, double *out);
