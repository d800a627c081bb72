/*
 * The state behind windows: for every key (a card, a terminal) one ring of its events, shared by all windows over that key.
 *
 * What a window gives is a function of the ring and of a position in it, and of nothing else. An event's features take in
 * the event itself and every event of its key with a time not later than its own that arrived before it. A window of span w
 * and delay d holds the events with t - d - w < time <= t - d, t being the event's own time. Sums are exact: each value is
 * rounded once to a multiple of 2^-32 and added in 128 bits, so they depend on the members alone.
 *
 *     event ─► id known? ──no──► each key: insert in its place ─► newest: running aggregates
 *                 │                                          └──► older:  recomputed from the ring (as of its place)
 *                 └──yes─► each key: recomputed as of its own place; nothing is changed
 *
 * Threads: every function but create and free may be called from any number of threads. Keys and transaction ids lie in
 * stripes by a secret hash, each with a lock of its own that is held for one key or one id; that of a new id all the way through its keys,
 * one key's at a time. So an event is atomic in each of its keys, not across them, and of two with one id at the same time the second is a
 * repeat of all of the first. Events of one key from two threads are taken in the order in which they get its lock.
 *
 * Memory: nothing is allocated per call; rings, tables and buckets come from one arena of size classes. No function stops
 * the others for longer than one key's work: tables grow a bucket at a time (at most 64 records move in an insert), a ring
 * is copied when it has grown by an eighth.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/siphash.h"
#include "model/base/span.h"
#include "model/base/status.h"

enum { STATE_KEYS_MAX = 16, STATE_NUMBERS_MAX = 64, STATE_HASHES_MAX = 16, STATE_FILTERS_MAX = 30, STATE_WINDOWS_MAX = 512 };
enum { STATE_SOURCES_MAX = 4096 };

enum state_function {
#define STATE_FUNCTION(name, word, reads, gives) STATE_##name,
#include "model/state/functions.def"
#undef STATE_FUNCTION
    STATE_FUNCTION_COUNT
};

/* window->span_us of a window without a beginning; none of DISTINCT and RISK. */
#define STATE_ALL INT64_MAX
/* Spans and delays are at most three years each, so that 48 bits of microseconds tell any two events of a ring apart. */
#define STATE_SPAN_MAX_US (INT64_C(3 * 366) * 86400 * 1000000)

enum { STATE_NO_FILTER = -1 };

struct state_window {
    uint16_t key;                 /* position in event->keys */
    uint16_t value;               /* see functions.def; unused where the function reads nothing */
    enum state_function function;
    int64_t span_us;              /* 1 … STATE_SPAN_MAX_US, or STATE_ALL */
    int64_t delay_us;             /* 0 … STATE_SPAN_MAX_US */
    int filter;                   /* bit in event->filters that members have set, or STATE_NO_FILTER */
    double prior;                 /* RISK: what an empty window gives */
    bool of_labelled;             /* RISK: frauds / labelled members instead of frauds / members */
};

struct state_layout {
    size_t keys, numbers, hashes, filters; /* sizes of an event's arrays; each at most its _MAX */
    size_t windows_count;
    const struct state_window *windows; /* [windows_count]; borrowed during state_create */
};

struct state_options {
    uint64_t memory_bytes;     /* hard limit of what the state takes from the system; at least 8 MiB; 0: the most there can be, 64 GiB */
    int64_t disorder_us;       /* an event this much older than its key's newest is still put in its place */
    int64_t dedupe_us;         /* a transaction id is known for at least this long (event time) */
    int64_t future_us;         /* refuse events further ahead of the clock than this */
    uint32_t stripes;          /* locks; a power of two up to 256; 0: 64. Each holds 16 M keys of a key field, then evicts */
    struct hash_secret secret; /* hash_secret_random(); a fixed one gives the same layout, never other values */
};

struct state;

/* STATUS_INVALID: a window that breaks a rule above, named by its number; negative durations; stripes or memory_bytes out of
 * range. STATUS_UNSUPPORTED: STATE_ALL with DISTINCT or RISK. STATUS_NO_MEMORY. *out is owned: state_free. */
MUST_USE enum status state_create(const struct state_layout *layout, const struct state_options *options, struct state **out,
                                  struct error *err);
void state_free(struct state *state); /* NULL allowed; no other call is running */

struct state_event {
    int64_t time_us;        /* event time, since 1970 UTC; 0 … TIME_US_MAX of model/input/time.h */
    int64_t clock_us;       /* the wall clock now, for future_us; 0: not checked (history) */
    struct span id;         /* transaction id; absent (data NULL): never a repeat, never labelled */
    const struct span *keys;      /* [keys]; absent: the event is not kept under that key and its windows are missing (NaN).
                                   * A key that no window is over is not looked at */
    const double *numbers;        /* [numbers]; NaN: missing. Beyond ±2^62: taken as ±2^62 */
    const uint64_t *hashes;       /* [hashes]; state_hash(), 0: missing */
    uint32_t filters;             /* bit i: the event passes filter i */
    int32_t source;               /* 0 … STATE_SOURCES_MAX - 1: a partition, numbered by the caller; -1: none */
    int64_t offset;               /* in that partition; unused without a source */
};

/* What happened to an event; bits. None: new, and newest of all its keys. */
enum state_flag {
    STATE_FUTURE = 1,    /* refused: further ahead of the clock than future_us. Nothing was changed, out is untouched */
    STATE_REPEAT = 2,    /* its id (or its offset, see state_position) was applied before: features as of its own place */
    STATE_DISORDER = 4,  /* older than the newest of a key, and put in its place there */
    STATE_LATE = 8,      /* older than disorder_us against a key (or than dedupe_us, if REPEAT): not kept under that key;
                          * features as of its own time, as far as the ring still reaches back */
    STATE_DROPPED = 16,  /* no memory for it under a key or for its id, even after evicting: scored, not kept there */
};

/* Applies an event and gives its features: out[windows_count], in the layout's order. Returns flags. A repeat's place is that
 * of the first one: its time and values are taken from there. Never fails otherwise. */
uint32_t state_apply(struct state *state, const struct state_event *event, double *out);

/* The same for n events in order: out[n][windows_count], flags[n]. Overlaps the cache misses of the events with each other, so
 * that chunks of 8 and more are about twice as fast where the state is larger than the caches. Same results. */
void state_apply_batch(struct state *state, const struct state_event *events, size_t n, double *out, uint32_t *flags);

/* What state_apply would give now, without a trace: no ring, id, offset or counter changes. */
uint32_t state_trial(struct state *state, const struct state_event *event, double *out);

/* A value for event->hashes, under the state's secret; never 0 for text that is there, 0 for absent. */
uint64_t state_hash(const struct state *state, struct span text);

enum state_labelled {
    STATE_LABEL_APPLIED,  /* its transaction has it now */
    STATE_LABEL_REPEATED, /* known already: nothing changed */
    STATE_LABEL_PENDING,  /* its transaction has not come yet; waits for it until event time is past the last window that could see it */
    STATE_LABEL_EXPIRED,  /* too old to matter for any window: ignored, counted */
    STATE_LABEL_DROPPED,  /* no memory to keep it, or its transaction has 64 others already, or they wait for it */
    STATE_LABEL_UNUSED,   /* no window of this layout looks at labels */
};

/* A label: transaction `id` is known to be fraud (or not) from time_us on. Of several for one transaction each holds from
 * its own time until the next one's, in whatever order they come; of two with the same time the one that came last. RISK at t
 * counts those with time <= t of the events in its window. */
enum state_labelled state_label(struct state *state, struct span id, bool fraud, int64_t time_us);

/* Lets go what no event from now_us - disorder_us on can see: keys idle for longer than their longest window, ids and waiting labels.
 * now_us is the wall clock; a stream that is behind it, or a replay, keeps what its own events still need. No lock is held for more
 * than 64 removals. Ids and labels are gone through a sixteenth at a time. Call it every second or so. Returns how many keys left. */
uint64_t state_evict(struct state *state, int64_t now_us);

/* Positions: where each source has been applied to. An event whose offset lies below is a repeat (STATE_REPEAT) and changes
 * nothing. One thread at a time applies the events of one source. The next offset to apply; 0 at first. */
int64_t state_position(const struct state *state, int32_t source);
void state_position_set(struct state *state, int32_t source, int64_t next_offset);

struct state_statistics {
    uint64_t keys, events;        /* now; events: (event, key) pairs in rings */
    uint64_t ids, labels_pending; /* now */
    uint64_t bytes;               /* taken from the system, all tables included */
    uint64_t used_bytes;          /* of these, in blocks that hold something */
    uint64_t applied, disorder, late, repeats, future, dropped; /* events since create, by flag */
    uint64_t labels_applied, labels_repeated, labels_expired, labels_dropped;
    uint64_t evicted_idle, evicted_memory; /* keys since create: after their longest window; for the hard limit */
    uint64_t ids_evicted_memory;
    uint64_t most_moved;          /* records moved in tables by one insert, at most, since create */
};
void state_statistics(const struct state *state, struct state_statistics *out);

/* How one key field is kept, for `features explain` and metrics. */
struct state_key_plan {
    size_t windows;          /* over this key */
    size_t entry_bytes;      /* of the ring, an event */
    size_t record_bytes;     /* a key, index included */
    size_t running_bytes;    /* more for a key with running_from events and more: its running aggregates */
    size_t running_from;
    size_t all_bytes;        /* more for a key whose events have left the ring into STATE_ALL windows */
    int64_t retention_us;    /* how long the ring keeps an event; an idle key leaves after it (STATE_ALL: never) */
    bool forever;            /* has a STATE_ALL window: only the memory limit makes a key leave */
    uint64_t keys, events, bytes; /* now; bytes: in use by rings, records and index of this key field */
};
void state_key_plan(const struct state *state, size_t key, struct state_key_plan *out);
/* Bytes of the record that labels and dedupe keep of a transaction id. */
size_t state_id_bytes(const struct state *state);

/* "count", "sum" …: the word of a function; and its number, or -1. */
const char *state_function_word(enum state_function function);
int state_function_find(const char *word, size_t len);
/* What the function reads. */
enum state_reads { STATE_READS_NOTHING, STATE_READS_NUMBER, STATE_READS_HASH };
enum state_reads state_function_reads(enum state_function function);
