#include "model/state/running_cell.h"

#include "model/state/monotone.h"
#include "model/state/table.h"

struct running_risk {
    uint32_t n, frauds, labelled, unused;
};

struct running_distinct {
    struct table values; /* hash ─► how often it is in the frame */
};

uint32_t running_cell_bytes(const struct cell *cell)
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
        return sizeof(struct monotone);
    case CELL_DISTINCT:
        return sizeof(struct running_distinct);
    case CELL_RISK:
        return sizeof(struct running_risk);
    case CELL_MEMBERS:
    case CELL_LAST:
    case CELL_SINCE:
    case CELL_FIRST:
        break;
    }
    return 0;
}

void cell_init(const struct cell *c, char *stored)
{
    if (c->kind == CELL_DISTINCT)
        table_init(&((struct running_distinct *)(void *)stored)->values, sizeof(uint32_t));
}

void cell_free(struct arena *arena, const struct cell *c, char *stored)
{
    if (c->kind == CELL_DISTINCT)
        table_free(&((struct running_distinct *)(void *)stored)->values, arena);
    else if (c->kind == CELL_MIN || c->kind == CELL_MAX)
        monotone_free((struct monotone *)(void *)stored, arena);
}

static bool distinct_enter(struct running_distinct *d, struct arena *arena, uint64_t value)
{
    uint32_t n = 0;
    if (value == 0)
        return true;
    void *payload = table_find(&d->values, arena, value, NULL);
    if (payload)
        memcpy(&n, payload, sizeof n);
    else
        payload = table_insert(&d->values, arena, value);
    if (!payload)
        return false;
    n++;
    memcpy(payload, &n, sizeof n);
    return true;
}

static void distinct_leave(struct running_distinct *d, struct arena *arena, uint64_t value)
{
    uint32_t n = 0;
    void *payload = value ? table_find(&d->values, arena, value, NULL) : NULL;
    if (!payload)
        return;
    memcpy(&n, payload, sizeof n);
    n--;
    if (n == 0)
        table_remove(&d->values, arena, value, payload);
    else
        memcpy(payload, &n, sizeof n);
}

/* way: +1 or -1. */
static void sum_move(const struct cell *c, char *stored, double x, int way)
{
    if (isnan(x))
        return;
    struct stored_sum *s = (struct stored_sum *)(void *)stored; /* first in stored_squares */
    exact_sum value = exact_from(x);
    stored_sum_set(s, way > 0 ? stored_sum_value(s) + value : stored_sum_value(s) - value);
    s->n += (uint32_t)way;
    if (c->kind == CELL_SQUARES) {
        struct exact_squares *squares = &((struct stored_squares *)(void *)stored)->squares;
        if (way > 0)
            exact_square_add(squares, value);
        else
            exact_square_subtract(squares, value);
    }
}

static void risk_move(struct running_risk *risk, unsigned status, uint32_t way)
{
    risk->n += way;
    risk->labelled += status != LABEL_NONE ? way : 0;
    risk->frauds += status == LABEL_FRAUD ? way : 0;
}

void cell_relabel(char *stored, unsigned before, unsigned after)
{
    risk_move((struct running_risk *)(void *)stored, before, (uint32_t)-1);
    risk_move((struct running_risk *)(void *)stored, after, 1);
}

bool cell_enter(const struct key_layout *k, struct arena *arena, const struct cell *c, char *stored, const uint8_t *entry, int64_t newest,
                unsigned status)
{
    if (!entry_is_member(k, entry, c->filter))
        return true;
    switch ((enum cell_kind)c->kind) {
    case CELL_COUNT:
        ++*(uint32_t *)(void *)stored;
        return true;
    case CELL_SUM:
    case CELL_SQUARES:
        sum_move(c, stored, entry_number(entry, c->offset), 1);
        return true;
    case CELL_MIN:
    case CELL_MAX:
        return isnan(entry_number(entry, c->offset)) ||
               monotone_add((struct monotone *)(void *)stored, arena, c->kind == CELL_MIN, entry_time(entry, newest),
                            entry_number(entry, c->offset));
    case CELL_DISTINCT:
        return distinct_enter((struct running_distinct *)(void *)stored, arena, entry_hash(entry, c->offset));
    case CELL_RISK:
        risk_move((struct running_risk *)(void *)stored, status, 1);
        return true;
    case CELL_MEMBERS:
    case CELL_LAST:
    case CELL_SINCE:
    case CELL_FIRST:
        break;
    }
    return true;
}

void cell_leave(const struct key_layout *k, struct arena *arena, const struct cell *c, char *stored, const uint8_t *entry, int64_t newest,
                unsigned status)
{
    if (!entry_is_member(k, entry, c->filter))
        return;
    if (c->kind == CELL_COUNT)
        --*(uint32_t *)(void *)stored;
    else if (c->kind == CELL_SUM || c->kind == CELL_SQUARES)
        sum_move(c, stored, entry_number(entry, c->offset), -1);
    else if (c->kind == CELL_MIN || c->kind == CELL_MAX) /* those of one time leave together */
        monotone_forget((struct monotone *)(void *)stored, arena, entry_time(entry, newest));
    else if (c->kind == CELL_DISTINCT)
        distinct_leave((struct running_distinct *)(void *)stored, arena, entry_hash(entry, c->offset));
    else if (c->kind == CELL_RISK)
        risk_move((struct running_risk *)(void *)stored, status, (uint32_t)-1);
}

void cell_total(const struct arena *arena, const struct cell *c, const char *stored, struct total *total)
{
    const struct stored_sum *sum = (const struct stored_sum *)(const void *)stored;
    if (c->kind == CELL_COUNT) {
        total->n = *(const uint32_t *)(const void *)stored;
    } else if (c->kind == CELL_SUM || c->kind == CELL_SQUARES) {
        total->n = sum->n;
        total->sum = stored_sum_value(sum);
        if (c->kind == CELL_SQUARES)
            total->squares = ((const struct stored_squares *)(const void *)stored)->squares;
    } else if (c->kind == CELL_MIN || c->kind == CELL_MAX) {
        const struct monotone *m = (const struct monotone *)(const void *)stored;
        total->n = m->count;
        if (m->count > 0)
            total->extreme = monotone_first(m, arena);
    } else if (c->kind == CELL_DISTINCT) {
        total->n = (uint32_t)((const struct running_distinct *)(const void *)stored)->values.count;
    } else if (c->kind == CELL_RISK) {
        const struct running_risk *risk = (const struct running_risk *)(const void *)stored;
        total->n = risk->n;
        total->frauds = risk->frauds;
        total->labelled = risk->labelled;
    }
}
