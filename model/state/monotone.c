#include "model/state/monotone.h"

#include <string.h>

static struct monotone_item *items_of(const struct monotone *m, const struct arena *arena)
{
    return m->block ? (struct monotone_item *)arena_at(arena, m->block) + m->head : NULL;
}

/* Room for one more behind the last: to the start of the block where its first quarter is free, else a larger block. */
static bool make_room(struct monotone *m, struct arena *arena)
{
    uint32_t cap = m->block ? (uint32_t)(arena_class_bytes(m->class) / sizeof(struct monotone_item)) : 0;
    if (m->head + m->count < cap)
        return true;
    if (m->head > cap / 4) {
        memmove(arena_at(arena, m->block), items_of(m, arena), m->count * sizeof(struct monotone_item));
        m->head = 0;
        return true;
    }
    unsigned class = arena_class((m->count + m->count / 2 + 4) * sizeof(struct monotone_item));
    uint32_t block = class < ARENA_CLASSES ? arena_take(arena, class) : 0;
    if (!block)
        return false;
    if (m->block) {
        memcpy(arena_at(arena, block), items_of(m, arena), m->count * sizeof(struct monotone_item));
        arena_give(arena, m->block, m->class);
    }
    *m = (struct monotone){.block = block, .count = m->count, .class = class};
    return true;
}

/* The first value makes the second one needless, both at once or the first one later. */
static bool covers(bool least, double first, double second)
{
    return least ? first <= second : first >= second;
}

bool monotone_add(struct monotone *m, struct arena *arena, bool least, int64_t time_us, double value)
{
    struct monotone_item *items = items_of(m, arena);
    uint32_t at = m->count;
    while (at > 0 && items[at - 1].time_us > time_us)
        at--;
    if (at < m->count && covers(least, items[at].value, value))
        return true;
    uint32_t from = at;
    while (from > 0 && covers(least, value, items[from - 1].value))
        from--;
    if (from < at) { /* takes the place of those it makes needless */
        items[from] = (struct monotone_item){.time_us = time_us, .value = value};
        memmove(&items[from + 1], &items[at], (m->count - at) * sizeof *items);
        m->count -= at - from - 1;
        return true;
    }
    if (!make_room(m, arena))
        return false;
    items = items_of(m, arena);
    memmove(&items[at + 1], &items[at], (m->count - at) * sizeof *items);
    items[at] = (struct monotone_item){.time_us = time_us, .value = value};
    m->count++;
    return true;
}

void monotone_forget(struct monotone *m, const struct arena *arena, int64_t time_us)
{
    const struct monotone_item *items = items_of(m, arena);
    uint32_t n = 0;
    while (n < m->count && items[n].time_us <= time_us)
        n++;
    m->head += n;
    m->count -= n;
}

void monotone_free(struct monotone *m, struct arena *arena)
{
    if (m->block)
        arena_give(arena, m->block, m->class);
    *m = (struct monotone){0};
}
