#include "model/state/running.h"

#include "model/state/all.h"
#include "model/state/running_cell.h"

struct bounds {
    uint32_t start, end;
};

struct running_head {
    uint32_t labels; /* label_list by since_us */
    uint32_t unused;
    struct bounds bounds[]; /* [frame_count] */
};

uint32_t running_frames_bytes(unsigned frames)
{
    return (uint32_t)(sizeof(struct running_head) + frames * sizeof(struct bounds));
}

static struct running_head *head_of(const struct arena *arena, const struct record *r)
{
    return arena_at(arena, r->running);
}

static char *stored_at(struct running_head *head, const struct cell *c)
{
    return (char *)head + c->running_at;
}

void running_free(const struct key_layout *k, struct arena *arena, struct record *r)
{
    if (!r->running)
        return;
    struct running_head *head = head_of(arena, r);
    label_list_free(&head->labels, arena);
    for (unsigned i = 0; i < k->cell_count; i++)
        cell_free(arena, &k->cells[i], stored_at(head, &k->cells[i]));
    arena_give(arena, r->running, arena_class(k->running_bytes));
    r->running = 0;
}

static unsigned status_of(const struct key_layout *k, const struct arena *arena, const struct record *r, const struct view *v,
                          const struct cell *c, uint32_t i, int64_t t)
{
    return c->kind == CELL_RISK ? label_status(k, arena, r, v, i, t) : LABEL_NONE;
}

/* Moves a cell from one range to another that is nowhere before it. false: no memory. */
static bool move_cell(const struct key_layout *k, struct arena *arena, const struct record *r, const struct view *v, const struct cell *c,
                      char *stored, struct bounds from, struct bounds to, int64_t t)
{
    for (uint32_t i = from.end; i < to.end; i++)
        if (!cell_enter(k, arena, c, stored, view_at(v, i), v->newest, status_of(k, arena, r, v, c, i, t)))
            return false;
    for (uint32_t i = from.start; i < to.start; i++)
        cell_leave(k, arena, c, stored, view_at(v, i), v->newest, status_of(k, arena, r, v, c, i, t));
    return true;
}

static struct bounds advance_bounds(const struct view *v, const struct frame *f, struct bounds from, int64_t t)
{
    struct bounds to = {.end = view_upper_from(v, from.end, t - f->delay_us)};
    if (f->span_us != STATE_ALL)
        to.start = view_upper_from(v, from.start, t - f->delay_us - f->span_us);
    return to;
}

/* Labels that begin to hold on the way to t, one after the other: events in a frame are counted differently from then on. */
static void take_up_labels(const struct key_layout *k, struct arena *arena, struct record *r, int64_t t)
{
    struct running_head *head = head_of(arena, r);
    struct label_list *labels = label_list_at(head->labels, arena);
    struct view v = ring_view(k, arena, r);
    uint32_t old = 0;
    for (uint32_t n = 0; labels && n < labels->count && labels->items[n].since_us <= t; n++) {
        const struct label_item *item = &labels->items[n];
        old += item->since_us < t - k->keep_us;
        uint32_t i = item->since_us > v.newest ? view_find(&v, item->time_us, item->ordinal) : v.count;
        if (i == v.count)
            continue;
        unsigned before = label_status(k, arena, r, &v, i, item->since_us - 1), after = label_status(k, arena, r, &v, i, item->since_us);
        const uint8_t *entry = view_at(&v, i);
        for (unsigned c = 0; c < k->cell_count && before != after; c++) {
            const struct cell *cell = &k->cells[c];
            const struct bounds *b = &head->bounds[cell->frame];
            if (cell->kind == CELL_RISK && i >= b->start && i < b->end && entry_is_member(k, entry, cell->filter))
                cell_relabel(stored_at(head, cell), before, after);
        }
    }
    label_list_drop(&head->labels, arena, 0, old);
}

void running_advance(const struct key_layout *k, struct arena *arena, struct record *r, int64_t time_us)
{
    struct running_head *head = head_of(arena, r);
    struct view v = ring_view(k, arena, r);
    struct bounds to[STATE_WINDOWS_MAX];
    if (head->labels)
        take_up_labels(k, arena, r, time_us);
    for (unsigned i = 0; i < k->frame_count; i++)
        to[i] = advance_bounds(&v, &k->frames[i], head->bounds[i], time_us);
    bool ok = true;
    for (unsigned i = 0; i < k->cell_count && ok; i++) {
        const struct cell *c = &k->cells[i];
        if (c->kind != CELL_MEMBERS && c->kind < CELL_LAST)
            ok = move_cell(k, arena, r, &v, c, stored_at(head, c), head->bounds[c->frame], to[c->frame], time_us);
    }
    if (ok)
        memcpy(head->bounds, to, k->frame_count * sizeof *to);
    else
        running_free(k, arena, r);
}

void running_pop(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t n)
{
    struct running_head *head = head_of(arena, r);
    struct view v = ring_view(k, arena, r);
    for (unsigned i = 0; i < k->cell_count; i++) { /* only STATE_ALL frames still begin before the n-th */
        const struct cell *c = &k->cells[i];
        struct bounds from = head->bounds[c->frame];
        if (c->kind == CELL_MEMBERS || c->kind >= CELL_LAST || from.start >= n)
            continue;
        (void)move_cell(k, arena, r, &v, c, stored_at(head, c), from, (struct bounds){.start = n, .end = from.end}, v.newest);
    }
    for (unsigned i = 0; i < k->frame_count; i++) {
        struct bounds *b = &head->bounds[i];
        b->start = b->start > n ? b->start - n : 0;
        b->end = b->end > n ? b->end - n : 0;
    }
}

void running_append(const struct key_layout *k, struct arena *arena, struct record *r)
{
    struct running_head *head = head_of(arena, r);
    struct view v = ring_view(k, arena, r);
    bool ok = true;
    for (unsigned i = 0; i < k->cell_count && ok; i++) {
        const struct cell *c = &k->cells[i];
        if (c->kind == CELL_MEMBERS || c->kind >= CELL_LAST || k->frames[c->frame].delay_us > 0)
            continue;
        ok = cell_enter(k, arena, c, stored_at(head, c), view_at(&v, v.count - 1), v.newest,
                        status_of(k, arena, r, &v, c, v.count - 1, v.newest));
    }
    for (unsigned i = 0; i < k->frame_count; i++)
        if (k->frames[i].delay_us == 0)
            head->bounds[i].end = v.count;
    if (!ok)
        running_free(k, arena, r);
}

void running_insert(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t position)
{
    struct running_head *head = head_of(arena, r);
    struct view v = ring_view(k, arena, r);
    const uint8_t *entry = view_at(&v, position);
    int64_t time = entry_time(entry, v.newest);
    bool enters[STATE_WINDOWS_MAX], ok = true;
    for (unsigned i = 0; i < k->frame_count; i++) {
        const struct frame *f = &k->frames[i];
        bool before = f->span_us != STATE_ALL && time <= v.newest - f->delay_us - f->span_us;
        enters[i] = !before && time <= v.newest - f->delay_us;
        head->bounds[i].start += before;
        head->bounds[i].end += before || enters[i];
    }
    for (unsigned i = 0; i < k->cell_count && ok; i++) {
        const struct cell *c = &k->cells[i];
        if (c->kind != CELL_MEMBERS && c->kind < CELL_LAST && enters[c->frame])
            ok = cell_enter(k, arena, c, stored_at(head, c), entry, v.newest, status_of(k, arena, r, &v, c, position, v.newest));
    }
    if (!ok)
        running_free(k, arena, r);
}

void running_label(const struct key_layout *k, struct arena *arena, struct record *r, uint32_t i, unsigned before, int64_t since_us)
{
    struct running_head *head = head_of(arena, r);
    struct view v = ring_view(k, arena, r);
    const uint8_t *entry = view_at(&v, i);
    unsigned after = label_status(k, arena, r, &v, i, v.newest);
    for (unsigned c = 0; c < k->cell_count && before != after; c++) {
        const struct cell *cell = &k->cells[c];
        const struct bounds *b = &head->bounds[cell->frame];
        if (cell->kind == CELL_RISK && i >= b->start && i < b->end && entry_is_member(k, entry, cell->filter))
            cell_relabel(stored_at(head, cell), before, after);
    }
    struct label_item item = {.time_us = entry_time(entry, v.newest), .since_us = since_us, .ordinal = view_ordinal(&v, i)};
    if (since_us >= v.newest - k->keep_us && !label_list_put(&head->labels, arena, &item, BY_SINCE))
        running_free(k, arena, r);
}

/* Labels in the ring that hold from not so long ago that an event before them may not be recomputed. */
static bool gather_labels(const struct key_layout *k, struct arena *arena, const struct record *r, struct running_head *head)
{
    struct view v = ring_view(k, arena, r);
    const struct label_list *l = label_list_at(r->labels, arena);
    int64_t oldest = v.newest - k->keep_us;
    for (uint32_t i = 0; l && i < l->count; i++)
        if (l->items[i].since_us >= oldest && !label_list_put(&head->labels, arena, &l->items[i], BY_SINCE))
            return false;
    for (uint32_t i = 0; k->labelled && i < v.count; i++) {
        const uint8_t *entry = view_at(&v, i);
        unsigned label = entry[k->flags_at] & LABEL_BITS;
        if (label == LABEL_NONE || label == LABEL_HISTORY || label_since(k, entry, v.newest) < oldest)
            continue;
        struct label_item item = {.time_us = entry_time(entry, v.newest), .since_us = label_since(k, entry, v.newest),
                                  .ordinal = view_ordinal(&v, i)};
        if (!label_list_put(&head->labels, arena, &item, BY_SINCE))
            return false;
    }
    return true;
}

struct range running_range(const struct arena *arena, const struct record *r, const struct cell *cell)
{
    const struct bounds *b = &head_of(arena, r)->bounds[cell->frame];
    return (struct range){.start = b->start, .end = b->end};
}

void running_total(const struct arena *arena, const struct record *r, const struct cell *cell, struct total *total)
{
    cell_total(arena, cell, stored_at(head_of(arena, r), cell), total);
}

uint32_t running_labels(const struct arena *arena, const struct record *r)
{
    return head_of(arena, r)->labels;
}

void running_build(const struct key_layout *k, struct arena *arena, struct record *r)
{
    r->running = arena_take(arena, arena_class(k->running_bytes));
    if (!r->running)
        return;
    struct running_head *head = head_of(arena, r);
    memset(head, 0, k->running_bytes);
    for (unsigned i = 0; i < k->cell_count; i++)
        cell_init(&k->cells[i], stored_at(head, &k->cells[i]));
    struct view v = ring_view(k, arena, r);
    bool ok = gather_labels(k, arena, r, head);
    for (unsigned i = 0; i < k->frame_count; i++) {
        const struct frame *f = &k->frames[i];
        head->bounds[i].end = view_upper(&v, v.newest - f->delay_us);
        head->bounds[i].start = f->span_us == STATE_ALL ? 0 : view_upper(&v, v.newest - f->delay_us - f->span_us);
    }
    for (unsigned i = 0; i < k->cell_count && ok; i++) {
        const struct cell *c = &k->cells[i];
        struct bounds to = head->bounds[c->frame], from = {.start = to.start, .end = to.start};
        if (c->kind != CELL_MEMBERS && c->kind < CELL_LAST)
            ok = move_cell(k, arena, r, &v, c, stored_at(head, c), from, to, v.newest);
    }
    if (!ok)
        running_free(k, arena, r);
}

void running_prefetch(const struct key_layout *k, const struct arena *arena, const struct record *r)
{
    const struct running_head *head = head_of(arena, r);
    struct view v = ring_view(k, arena, r);
    for (unsigned i = 0; i < k->frame_count; i++) {
        const struct bounds *b = &head->bounds[i];
        __builtin_prefetch(view_at(&v, b->start));
        if (b->end < v.count)
            __builtin_prefetch(view_at(&v, b->end));
    }
}

void running_features(const struct place *p, double *out)
{
    const struct key_layout *k = p->key;
    struct running_head *head = head_of(p->arena, p->record);
    for (unsigned i = 0; i < k->member_cells; i++) {
        const struct bounds *b = &head->bounds[k->cells[i].frame];
        total_emit_members(k, &k->cells[i], b->end - b->start, out);
    }
    for (unsigned i = k->member_cells; i < k->cell_count; i++) {
        const struct cell *c = &k->cells[i];
        const struct frame *f = &k->frames[c->frame];
        struct total total;
        if (c->kind >= CELL_LAST) {
            const struct bounds *b = &head->bounds[c->frame];
            bool self = f->delay_us == 0;
            struct range range = {.start = b->start, .end = self ? p->position : b->end, .self = self};
            asof_look_up(p, c, range, &total);
        } else {
            total_begin(&total, c);
            cell_total(p->arena, c, stored_at(head, c), &total);
            if (f->span_us == STATE_ALL)
                all_merge(p->arena, p->record, c, &total);
        }
        total_emit(k, c, &total, p->time_us, out);
    }
}
