#include "model/state/all.h"

/* n 0: none yet. */
struct stored_extreme {
    double value;
    uint32_t n;
};

struct stored_event {
    int64_t time_us;
    double value;
    uint32_t n;
};

uint32_t all_cell_bytes(const struct cell *cell)
{
    switch ((enum cell_kind)cell->kind) {
    case CELL_COUNT:
        return 8;
    case CELL_SUM:
        return sizeof(struct stored_sum);
    case CELL_SQUARES:
        return sizeof(struct stored_squares);
    case CELL_MIN:
    case CELL_MAX:
        return sizeof(struct stored_extreme);
    case CELL_LAST:
    case CELL_SINCE:
    case CELL_FIRST:
        return sizeof(struct stored_event);
    case CELL_MEMBERS:
    case CELL_DISTINCT:
    case CELL_RISK:
        break;
    }
    return 0; /* STATE_ALL has none of these */
}

static void fold_number(const struct cell *c, char *stored, double x)
{
    if (isnan(x))
        return;
    if (c->kind == CELL_SUM || c->kind == CELL_SQUARES) {
        struct stored_sum *s = (struct stored_sum *)(void *)stored; /* first in stored_squares */
        exact_sum value = exact_from(x);
        stored_sum_set(s, stored_sum_value(s) + value);
        s->n++;
        if (c->kind == CELL_SQUARES)
            exact_square_add(&((struct stored_squares *)(void *)stored)->squares, value);
        return;
    }
    struct stored_extreme *e = (struct stored_extreme *)(void *)stored;
    if (e->n == 0 || (c->kind == CELL_MIN ? x < e->value : x > e->value))
        *e = (struct stored_extreme){.value = x, .n = 1};
}

static void fold_event(const struct cell *c, char *stored, const uint8_t *entry, int64_t newest)
{
    struct stored_event *e = (struct stored_event *)(void *)stored;
    double value = c->kind == CELL_LAST ? entry_number(entry, c->offset) : 0;
    if (isnan(value) || (c->kind == CELL_FIRST && e->n > 0))
        return;
    *e = (struct stored_event){.time_us = entry_time(entry, newest), .value = value, .n = 1};
}

static void fold_entry(const struct key_layout *k, char *block, const uint8_t *entry, int64_t newest)
{
    for (unsigned i = 0; i < k->cell_count; i++) {
        const struct cell *c = &k->cells[i];
        if (k->frames[c->frame].span_us != STATE_ALL || !entry_is_member(k, entry, c->filter))
            continue;
        char *stored = block + c->all_at;
        if (c->kind == CELL_COUNT)
            ++*(uint32_t *)(void *)stored;
        else if (c->kind >= CELL_LAST)
            fold_event(c, stored, entry, newest);
        else
            fold_number(c, stored, entry_number(entry, c->offset));
    }
}

bool all_fold(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t n)
{
    if (k->all_bytes == 0)
        return true;
    if (!r->all) {
        r->all = arena_take(arena, arena_class(k->all_bytes));
        if (!r->all)
            return false;
        memset(arena_at(arena, r->all), 0, k->all_bytes);
    }
    struct view v = ring_view(k, arena, r);
    for (uint32_t i = 0; i < n; i++)
        fold_entry(k, arena_at(arena, r->all), view_at(&v, i), v.newest);
    return true;
}

void all_free(const struct key_layout *k, struct arena *arena, struct record *r)
{
    arena_give(arena, r->all, arena_class(k->all_bytes));
    r->all = 0;
}

static void merge_extreme(const struct cell *c, const struct stored_extreme *e, struct total *total)
{
    if (e->n > 0)
        total_add_extreme(total, c->kind == CELL_MIN, e->value);
}

void all_merge(const struct arena *arena, const struct record *r, const struct cell *cell, struct total *total)
{
    if (!r || !r->all)
        return;
    const char *stored = (const char *)arena_at(arena, r->all) + cell->all_at;
    const struct stored_event *event = (const struct stored_event *)(const void *)stored;
    const struct stored_sum *sum = (const struct stored_sum *)(const void *)stored;
    switch ((enum cell_kind)cell->kind) {
    case CELL_COUNT:
        total->n += *(const uint32_t *)(const void *)stored;
        break;
    case CELL_SQUARES:
        exact_squares_merge(&total->squares, &((const struct stored_squares *)(const void *)stored)->squares);
        total->sum += stored_sum_value(sum);
        total->n += sum->n;
        break;
    case CELL_SUM:
        total->sum += stored_sum_value(sum);
        total->n += sum->n;
        break;
    case CELL_MIN:
    case CELL_MAX:
        merge_extreme(cell, (const struct stored_extreme *)(const void *)stored, total);
        break;
    case CELL_LAST:
    case CELL_SINCE:
    case CELL_FIRST:
        total->n = event->n;
        total->time_us = event->time_us;
        total->extreme = event->value;
        break;
    case CELL_MEMBERS:
    case CELL_DISTINCT:
    case CELL_RISK:
        break;
    }
}
