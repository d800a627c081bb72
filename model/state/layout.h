/*
 * What is kept for one key field, worked out from its windows. Private to model/state.
 *
 *     window  what a feature asks for                       mean(amount, card, 7d)
 *     frame   a span and a delay; shared by windows         (t-7d, t]
 *     cell    what is added up over a frame; shared too     sum of amount, number of values
 *
 *     entry   | time 6 | numbers 8 each | hashes 8 each | flags 0-4 | lag 5, check 2 (where labels are looked at) |
 *
 * An entry keeps the low 48 bits of its time: times of one ring lie within less than nine years of its newest. It has ENTRY_BYTES_MIN
 * bytes at least.
 */
#pragma once

#include "model/state/arena.h"
#include "model/state/state.h"

enum cell_kind {
    CELL_MEMBERS, /* nothing is added up: the number of members is the length of the frame */
    CELL_COUNT,
    CELL_SUM,
    CELL_SQUARES,
    CELL_MIN,
    CELL_MAX,
    CELL_DISTINCT,
    CELL_RISK,
    CELL_LAST,  /* this and the two below are looked up in the ring, not added up */
    CELL_SINCE,
    CELL_FIRST,
};

enum { ENTRY_BYTES_MIN = 8 };

struct frame {
    int64_t span_us, delay_us;
};

struct cell {
    uint8_t kind;
    bool continues;  /* the cell before is the same over a frame of the same delay that is not longer: add to its total */
    uint16_t frame;
    uint16_t offset; /* in an entry, of what is read */
    uint32_t filter; /* bit of an entry's flags that members have set; 0: all are members */
    uint32_t running_at, all_at; /* bytes into the block of running aggregates, and of what left the ring */
    uint16_t first_output, output_count;
};

struct output {
    uint16_t window; /* where it goes */
    uint8_t function;
    bool of_labelled;
    double prior;
};

struct key_layout {
    struct frame *frames;   /* [frame_count] */
    struct cell *cells;     /* [cell_count], in an order that lets one go on from the other */
    struct output *outputs; /* [output_count], by cell */
    uint16_t frame_count, cell_count, output_count;
    uint16_t member_cells;  /* the first ones are CELL_MEMBERS */
    uint16_t numbers[STATE_NUMBERS_MAX], hashes[STATE_HASHES_MAX]; /* positions in the event of what is kept */
    uint8_t number_count, hash_count, filter_count, flag_bytes;
    uint8_t filters[STATE_FILTERS_MAX]; /* the event's filter bit behind flag bit first_filter + i */
    uint16_t stride, hashes_at, flags_at, lag_at;
    bool labelled;          /* RISK windows: the lowest two flag bits are a label */
    bool forever;           /* a STATE_ALL window: the key never leaves for being idle */
    int64_t keep_us;        /* how far back of the newest an event may be recomputed */
    int64_t retention_us;   /* an entry this much older than the newest is no longer needed */
    int64_t horizon_us;     /* RISK: a label matters for this long after its event; else 0 */
    int64_t least_delay_us; /* RISK: no window looks at an event before this */
    uint32_t running_bytes, all_bytes;
    uint32_t caps[ARENA_CLASSES]; /* entries in a block of a class */
};

/* layout and options were checked. keep_us: how far back an event may be recomputed. */
MUST_USE enum status key_layout_init(struct key_layout *k, const struct state_layout *layout, size_t key, int64_t keep_us,
                                     struct error *err);
void key_layout_free(struct key_layout *k);

/* STATUS_INVALID, STATUS_UNSUPPORTED: as state_create. */
MUST_USE enum status layout_check(const struct state_layout *layout, struct error *err);
