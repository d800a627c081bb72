/*
 * The least (or greatest) value of a window that slides: those of its values that no later one is as small as, so the first one
 * is the answer. Private to model/state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/state/arena.h"

struct monotone_item {
    int64_t time_us;
    double value;
};

struct monotone {
    uint32_t block, head, count, class;
};

/* Adds a value at a time, behind those of the same time; its place may lie before the newest. false: no memory. */
MUST_USE bool monotone_add(struct monotone *m, struct arena *arena, bool least, int64_t time_us, double value);
/* Forgets the values up to and with a time. */
void monotone_forget(struct monotone *m, const struct arena *arena, int64_t time_us);
void monotone_free(struct monotone *m, struct arena *arena);

static inline double monotone_first(const struct monotone *m, const struct arena *arena)
{
    return ((const struct monotone_item *)arena_at(arena, m->block))[m->head].value;
}
