#include "model/state/layout.h"

#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/state/all.h"
#include "model/state/running.h"

/* A window with what its cell is made of, to be sorted. */
struct wanted {
    struct cell cell;
    struct frame frame;
    uint16_t value;
    struct output output;
};

static enum cell_kind kind_of(const struct state_window *w)
{
    static const uint8_t kinds[] = {
        [STATE_COUNT] = CELL_COUNT, [STATE_SUM] = CELL_SUM,     [STATE_MEAN] = CELL_SUM,           [STATE_MIN] = CELL_MIN,
        [STATE_MAX] = CELL_MAX,     [STATE_STD] = CELL_SQUARES, [STATE_DISTINCT] = CELL_DISTINCT, [STATE_LAST] = CELL_LAST,
        [STATE_SINCE] = CELL_SINCE, [STATE_FIRST_SEEN] = CELL_FIRST, [STATE_RISK] = CELL_RISK,
    };
    bool plain = w->function == STATE_COUNT && w->filter == STATE_NO_FILTER && w->span_us != STATE_ALL;
    return plain ? CELL_MEMBERS : kinds[w->function];
}

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Same kind, value, filter and delay; longer frames behind shorter ones. */
static int compare_wanted(const void *left, const void *right)
{
    const struct wanted *a = left, *b = right;
    int order = compare(a->cell.kind, b->cell.kind);
    order = order ? order : compare(a->value, b->value);
    order = order ? order : compare(a->cell.filter, b->cell.filter);
    order = order ? order : compare(a->frame.delay_us, b->frame.delay_us);
    order = order ? order : compare(a->frame.span_us, b->frame.span_us);
    return order ? order : compare(a->output.window, b->output.window);
}

/* The position of x in list[*n], added where it is not there. */
static uint8_t place_of(uint16_t *list, uint8_t *n, uint16_t x)
{
    for (uint8_t i = 0; i < *n; i++)
        if (list[i] == x)
            return i;
    list[*n] = x;
    return (*n)++;
}

static uint32_t filter_bit(struct key_layout *k, int filter)
{
    if (filter == STATE_NO_FILTER)
        return 0;
    unsigned first = k->labelled ? 2 : 0, i = 0;
    while (i < k->filter_count && k->filters[i] != filter)
        i++;
    if (i == k->filter_count)
        k->filters[k->filter_count++] = (uint8_t)filter;
    return UINT32_C(1) << (first + i);
}

static uint16_t frame_of(struct key_layout *k, struct frame frame)
{
    for (uint16_t i = 0; i < k->frame_count; i++)
        if (k->frames[i].span_us == frame.span_us && k->frames[i].delay_us == frame.delay_us)
            return i;
    k->frames[k->frame_count] = frame;
    return k->frame_count++;
}

/* Gathers the windows over the key, and what they read. */
static size_t gather(struct key_layout *k, const struct state_layout *layout, size_t key, int64_t keep_us, struct wanted *wanted)
{
    size_t n = 0;
    for (size_t i = 0; i < layout->windows_count; i++)
        k->labelled |= layout->windows[i].key == key && layout->windows[i].function == STATE_RISK;
    for (size_t i = 0; i < layout->windows_count; i++) {
        const struct state_window *w = &layout->windows[i];
        if (w->key != key)
            continue;
        enum state_reads reads = state_function_reads(w->function);
        uint8_t value = reads == STATE_READS_NUMBER ? place_of(k->numbers, &k->number_count, w->value)
                        : reads == STATE_READS_HASH ? place_of(k->hashes, &k->hash_count, w->value)
                                                    : 0;
        int64_t reach = w->delay_us + (w->span_us == STATE_ALL ? 0 : w->span_us);
        k->forever |= w->span_us == STATE_ALL;
        if (w->function == STATE_RISK && reach > k->horizon_us)
            k->horizon_us = reach;
        if (w->function == STATE_RISK && w->delay_us < k->least_delay_us)
            k->least_delay_us = w->delay_us;
        /* One more, so that what was folded away lies before every event that may still be recomputed. */
        if (reach + keep_us + 1 > k->retention_us)
            k->retention_us = reach + keep_us + 1;
        wanted[n++] = (struct wanted){
            .cell = {.kind = (uint8_t)kind_of(w), .filter = filter_bit(k, w->filter)},
            .frame = {.span_us = w->span_us, .delay_us = w->delay_us},
            .value = value,
            .output = {.window = (uint16_t)i, .function = (uint8_t)w->function, .of_labelled = w->of_labelled, .prior = w->prior},
        };
    }
    return n;
}

static void place_entry_fields(struct key_layout *k)
{
    k->hashes_at = (uint16_t)(6 + 8 * k->number_count);
    k->flags_at = (uint16_t)(k->hashes_at + 8 * k->hash_count);
    k->flag_bytes = (uint8_t)((k->filter_count + (k->labelled ? 2 : 0) + 7) / 8);
    k->lag_at = (uint16_t)(k->flags_at + k->flag_bytes);
    k->stride = (uint16_t)(k->lag_at + (k->labelled ? 5 + 2 : 0));
    if (k->stride < ENTRY_BYTES_MIN)
        k->stride = ENTRY_BYTES_MIN;
    for (unsigned class = 0; class < ARENA_CLASSES; class++)
        k->caps[class] = (uint32_t)(arena_class_bytes(class) / k->stride);
}

static bool same_cell(const struct wanted *a, const struct wanted *b)
{
    return a->cell.kind == b->cell.kind && a->value == b->value && a->cell.filter == b->cell.filter &&
           a->frame.delay_us == b->frame.delay_us && a->frame.span_us == b->frame.span_us;
}

static void make_cells(struct key_layout *k, const struct wanted *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct wanted *w = &wanted[i], *before = i ? &wanted[i - 1] : NULL;
        if (!before || !same_cell(before, w)) {
            struct cell *c = &k->cells[k->cell_count++];
            *c = w->cell;
            c->frame = frame_of(k, w->frame);
            c->offset = (uint16_t)(w->cell.kind == CELL_DISTINCT ? k->hashes_at + 8 * w->value : 6 + 8 * w->value);
            c->first_output = k->output_count;
            k->member_cells = (uint16_t)(k->member_cells + (c->kind == CELL_MEMBERS));
            c->continues = before && before->cell.kind == w->cell.kind && before->value == w->value &&
                           before->cell.filter == w->cell.filter && before->frame.delay_us == w->frame.delay_us;
        }
        k->cells[k->cell_count - 1].output_count++;
        k->outputs[k->output_count++] = w->output;
    }
}

static void place_cells(struct key_layout *k)
{
    k->running_bytes = running_frames_bytes(k->frame_count);
    for (uint16_t i = 0; i < k->cell_count; i++) {
        struct cell *c = &k->cells[i];
        c->running_at = k->running_bytes;
        k->running_bytes += running_cell_bytes(c);
        if (k->frames[c->frame].span_us == STATE_ALL) {
            c->all_at = k->all_bytes;
            k->all_bytes += all_cell_bytes(c);
        }
    }
}

enum status key_layout_init(struct key_layout *k, const struct state_layout *layout, size_t key, int64_t keep_us, struct error *err)
{
    *k = (struct key_layout){.keep_us = keep_us, .retention_us = keep_us + 1, .least_delay_us = INT64_MAX};
    struct wanted *wanted = calloc(layout->windows_count + 1, sizeof *wanted);
    k->frames = calloc(layout->windows_count + 1, sizeof *k->frames);
    k->cells = calloc(layout->windows_count + 1, sizeof *k->cells);
    k->outputs = calloc(layout->windows_count + 1, sizeof *k->outputs);
    if (!wanted || !k->frames || !k->cells || !k->outputs) {
        free(wanted);
        key_layout_free(k);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the layout of windows");
    }
    size_t n = gather(k, layout, key, keep_us, wanted);
    qsort(wanted, n, sizeof *wanted, compare_wanted);
    place_entry_fields(k);
    make_cells(k, wanted, n);
    place_cells(k);
    free(wanted);
    return STATUS_OK;
}

void key_layout_free(struct key_layout *k)
{
    free(k->frames);
    free(k->cells);
    free(k->outputs);
    *k = (struct key_layout){0};
}
