#include "model/state/rewind.h"

#include "model/state/running_cell.h"

static uint32_t apart(uint32_t a, uint32_t b)
{
    return a > b ? a - b : b - a;
}

/* way: +1, -1. */
static void move_number(const struct cell *c, const uint8_t *entry, int way, struct total *t)
{
    double x = entry_number(entry, c->offset);
    if (isnan(x))
        return;
    exact_sum value = exact_from(x);
    t->sum += way > 0 ? value : -value;
    t->n += (uint32_t)way;
    if (c->kind == CELL_SQUARES && way > 0)
        exact_square_add(&t->squares, value);
    else if (c->kind == CELL_SQUARES)
        exact_square_subtract(&t->squares, value);
}

static void move_status(unsigned status, int way, struct total *t)
{
    t->n += (uint32_t)way;
    t->labelled += status != LABEL_NONE ? (uint32_t)way : 0;
    t->frauds += status == LABEL_FRAUD ? (uint32_t)way : 0;
}

static void move_entries(const struct place *p, const struct cell *c, uint32_t from, uint32_t to, int way, struct total *t)
{
    for (uint32_t i = from; i < to; i++) {
        const uint8_t *entry = view_at(&p->view, i);
        if (!entry_is_member(p->key, entry, c->filter))
            continue;
        if (c->kind == CELL_COUNT)
            t->n += (uint32_t)way;
        else if (c->kind == CELL_RISK)
            move_status(label_status(p->key, p->arena, p->record, &p->view, i, p->view.newest), way, t);
        else
            move_number(c, entry, way, t);
    }
}

/* Labels that begin to hold between the place and the newest event count for one of the two only. */
static void turn_labels(const struct place *p, const struct cell *c, struct range range, struct total *t)
{
    const struct label_list *l = label_list_at(running_labels(p->arena, p->record), p->arena);
    bool back = p->time_us < p->view.newest;
    int64_t low = back ? p->time_us : p->view.newest, high = back ? p->view.newest : p->time_us;
    for (uint32_t n = 0; l && n < l->count && l->items[n].since_us <= high; n++) {
        const struct label_item *item = &l->items[n];
        uint32_t i = item->since_us > low ? view_find(&p->view, item->time_us, item->ordinal) : p->view.count;
        if (i < range.start || i >= range.end || !entry_is_member(p->key, view_at(&p->view, i), c->filter))
            continue;
        unsigned before = label_status(p->key, p->arena, p->record, &p->view, i, item->since_us - 1);
        unsigned after = label_status(p->key, p->arena, p->record, &p->view, i, item->since_us);
        move_status(back ? after : before, -1, t);
        move_status(back ? before : after, 1, t);
    }
}

bool rewind_total(const struct place *p, const struct cell *cell, struct range range, struct total *total)
{
    bool turns = cell->kind == CELL_COUNT || cell->kind == CELL_SUM || cell->kind == CELL_SQUARES || cell->kind == CELL_RISK;
    if (!turns || !p->record || !p->record->running || p->time_us < p->view.newest - p->key->keep_us)
        return false;
    struct range now = running_range(p->arena, p->record, cell);
    if (2 * (apart(now.start, range.start) + apart(now.end, range.end)) > range.end - range.start)
        return false;
    *total = (struct total){0};
    running_total(p->arena, p->record, cell, total);
    move_entries(p, cell, now.end, range.end, 1, total);
    move_entries(p, cell, range.end, now.end, -1, total);
    move_entries(p, cell, range.start, now.start, 1, total);
    move_entries(p, cell, now.start, range.start, -1, total);
    if (cell->kind == CELL_RISK)
        turn_labels(p, cell, range, total);
    return true;
}
