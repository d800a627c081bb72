#include "model/state/distinct.h"

enum { COMPARE_ALL = 48 }; /* members up to which each is compared with those before it */

static uint64_t value_of(const struct place *p, const struct cell *c, const uint8_t *entry)
{
    return entry_is_member(p->key, entry, c->filter) ? entry_hash(entry, c->offset) : 0;
}

static const uint8_t *member_at(const struct place *p, uint32_t i, uint32_t end)
{
    return i < end ? view_at(&p->view, i) : p->entry;
}

/* No memory needed, but a square of the members. */
static uint32_t compare_all(const struct place *p, const struct cell *c, uint32_t start, uint32_t end, uint32_t last)
{
    uint32_t n = 0;
    for (uint32_t i = start; i < last; i++) {
        uint64_t value = value_of(p, c, member_at(p, i, end));
        bool fresh = value != 0;
        for (uint32_t j = start; fresh && j < i; j++)
            fresh = value_of(p, c, member_at(p, j, end)) != value;
        n += fresh;
    }
    return n;
}

uint32_t distinct_scan(const struct place *p, const struct cell *cell, uint32_t start, uint32_t end, bool self)
{
    uint32_t last = end + self;
    if (last - start <= COMPARE_ALL)
        return compare_all(p, cell, start, end, last);
    unsigned bits = 65 - (unsigned)__builtin_clzll((uint64_t)(last - start) - 1); /* at most half full */
    unsigned class = arena_class(sizeof(uint64_t) << bits);
    uint32_t block = class < ARENA_CLASSES ? arena_take(p->arena, class) : 0;
    if (!block)
        return compare_all(p, cell, start, end, last);
    uint64_t *set = arena_at(p->arena, block), mask = (UINT64_C(1) << bits) - 1;
    memset(set, 0, sizeof *set << bits);
    uint32_t n = 0;
    for (uint32_t i = start; i < last; i++) {
        uint64_t value = value_of(p, cell, member_at(p, i, end)), at = value & mask;
        while (value && set[at] && set[at] != value)
            at = (at + 1) & mask;
        n += value && !set[at];
        if (value)
            set[at] = value;
    }
    arena_give(p->arena, block, class);
    return n;
}
