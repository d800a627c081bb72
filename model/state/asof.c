#include "model/state/asof.h"

#include "model/state/all.h"
#include "model/state/distinct.h"
#include "model/state/rewind.h"

/* before: the frame before this one, and its range; NULL: none. */
static struct range frame_range(const struct place *p, const struct frame *f, const struct frame *before, const struct range *before_range)
{
    struct range r = {.start = 0, .end = p->position, .self = f->delay_us == 0};
    if (before && before->delay_us == f->delay_us) {
        r.end = before_range->end;
    } else if (f->delay_us > 0) {
        uint32_t end = view_upper(&p->view, p->time_us - f->delay_us);
        r.end = end < p->position ? end : p->position;
    }
    if (f->span_us != STATE_ALL) {
        uint32_t start = view_upper(&p->view, p->time_us - f->delay_us - f->span_us);
        r.start = start < r.end ? start : r.end;
    }
    return r;
}

static void add_number(struct total *t, const struct cell *c, const uint8_t *entry)
{
    double x = entry_number(entry, c->offset);
    if (isnan(x))
        return;
    if (c->kind == CELL_MIN || c->kind == CELL_MAX) {
        total_add_extreme(t, c->kind == CELL_MIN, x);
        return;
    }
    exact_sum value = exact_from(x);
    t->sum += value;
    t->n++;
    if (c->kind == CELL_SQUARES)
        exact_square_add(&t->squares, value);
}

static void add_status(struct total *t, unsigned status)
{
    t->n++;
    t->labelled += status != LABEL_NONE;
    t->frauds += status == LABEL_FRAUD;
}

/* The commonest cell, without the choices of the others. */
static void add_run_of_sums(const uint8_t *entry, uint32_t n, uint32_t stride, struct total *t)
{
    exact_sum sum = 0;
    uint32_t values = 0;
    for (; n > 0; n--, entry += stride) {
        double x = entry_number(entry, 0);
        if (isnan(x))
            continue;
        sum += exact_from(x);
        values++;
    }
    t->sum += sum;
    t->n += values;
}

static void scan_numbers(const struct place *p, const struct cell *c, uint32_t start, uint32_t end, struct total *t)
{
    bool plain = c->kind == CELL_SUM && c->filter == 0;
    for (uint32_t i = start, n; i < end; i += n) {
        const uint8_t *entry = view_at(&p->view, i);
        n = view_run(&p->view, i, end);
        if (plain)
            add_run_of_sums(entry + c->offset, n, p->view.stride, t);
        for (uint32_t k = 0; k < n && !plain; k++, entry += p->view.stride)
            if (entry_is_member(p->key, entry, c->filter))
                add_number(t, c, entry);
    }
}

/* A run of entries that are all members, nearly all of them without a label. */
static void add_run_of_labels(const struct place *p, uint32_t i, uint32_t n, struct total *t)
{
    const uint8_t *flags = view_at(&p->view, i) + p->key->flags_at;
    size_t stride = p->view.stride;
    t->n += n;
    for (uint32_t k = 0; k < n; k++) {
        if (!(flags[k * stride] & LABEL_BITS))
            continue;
        t->n--;
        add_status(t, label_status(p->key, p->arena, p->record, &p->view, i + k, p->time_us));
    }
}

static void scan_members(const struct place *p, const struct cell *c, uint32_t start, uint32_t end, struct total *t)
{
    for (uint32_t i = start, n; i < end; i += n) {
        const uint8_t *entry = view_at(&p->view, i);
        n = view_run(&p->view, i, end);
        if (c->kind == CELL_RISK && c->filter == 0) {
            add_run_of_labels(p, i, n, t);
            continue;
        }
        for (uint32_t k = 0; k < n; k++, entry += p->view.stride) {
            if (!entry_is_member(p->key, entry, c->filter))
                continue;
            if (c->kind == CELL_COUNT)
                t->n++;
            else
                add_status(t, label_status(p->key, p->arena, p->record, &p->view, i + k, p->time_us));
        }
    }
}

static void add_self(const struct place *p, const struct cell *c, struct total *t)
{
    if (!entry_is_member(p->key, p->entry, c->filter))
        return;
    if (c->kind == CELL_COUNT)
        t->n++;
    else if (c->kind == CELL_RISK)
        add_status(t, p->own);
    else
        add_number(t, c, p->entry);
}

/* The latest member before the event, the oldest last. */
static void find_last(const struct place *p, const struct cell *c, struct range r, struct total *t)
{
    for (uint32_t i = r.end; i-- > r.start && t->n == 0;) {
        const uint8_t *entry = view_at(&p->view, i);
        if (!entry_is_member(p->key, entry, c->filter))
            continue;
        if (c->kind == CELL_LAST && isnan(entry_number(entry, c->offset)))
            continue;
        t->n = 1;
        t->time_us = entry_time(entry, p->view.newest);
        if (c->kind == CELL_LAST)
            t->extreme = entry_number(entry, c->offset);
    }
}

static void find_first(const struct place *p, const struct cell *c, struct range r, struct total *t)
{
    for (uint32_t i = r.start; i < r.end && t->n == 0; i++) {
        const uint8_t *entry = view_at(&p->view, i);
        if (entry_is_member(p->key, entry, c->filter)) {
            t->n = 1;
            t->time_us = entry_time(entry, p->view.newest);
        }
    }
    if (t->n == 0 && r.self && entry_is_member(p->key, p->entry, c->filter)) {
        t->n = 1;
        t->time_us = p->time_us;
    }
}

void asof_look_up(const struct place *p, const struct cell *cell, struct range range, struct total *total)
{
    bool all = p->key->frames[cell->frame].span_us == STATE_ALL;
    *total = (struct total){0};
    if (cell->kind == CELL_FIRST) {
        if (all)
            all_merge(p->arena, p->record, cell, total);
        if (total->n == 0)
            find_first(p, cell, range, total);
    } else {
        find_last(p, cell, range, total);
        if (all && total->n == 0)
            all_merge(p->arena, p->record, cell, total);
    }
}

/* What a cell adds up, as far as the cell before it has not: entries from *scanned on are in the total. */
static void add_up(const struct place *p, const struct cell *c, struct range r, struct total *total, uint32_t scanned)
{
    bool fresh = !c->continues;
    if (p->record && p->record->running && rewind_total(p, c, r, total))
        fresh = true;
    else if (c->kind == CELL_COUNT || c->kind == CELL_RISK)
        scan_members(p, c, r.start, scanned, total);
    else
        scan_numbers(p, c, r.start, scanned, total);
    if (fresh && r.self)
        add_self(p, c, total);
    if (p->key->frames[c->frame].span_us == STATE_ALL)
        all_merge(p->arena, p->record, c, total);
}

void asof_features(const struct place *p, double *out)
{
    const struct key_layout *k = p->key;
    struct range ranges[STATE_WINDOWS_MAX];
    struct total total;
    uint32_t scanned = 0;
    for (unsigned i = 0; i < k->frame_count; i++)
        ranges[i] = frame_range(p, &k->frames[i], i ? &k->frames[i - 1] : NULL, i ? &ranges[i - 1] : NULL);
    for (unsigned i = 0; i < k->member_cells; i++) {
        const struct range *r = &ranges[k->cells[i].frame];
        total_emit_members(k, &k->cells[i], r->end - r->start + r->self, out);
    }
    for (unsigned i = k->member_cells; i < k->cell_count; i++) {
        const struct cell *c = &k->cells[i];
        struct range r = ranges[c->frame];
        if (!c->continues) {
            total_begin(&total, c);
            scanned = r.end;
        }
        if (c->kind >= CELL_LAST)
            asof_look_up(p, c, r, &total);
        else if (c->kind == CELL_DISTINCT)
            total.n = distinct_scan(p, c, r.start, r.end, r.self);
        else
            add_up(p, c, r, &total, scanned);
        scanned = r.start;
        total_emit(k, c, &total, p->time_us, out);
    }
}
