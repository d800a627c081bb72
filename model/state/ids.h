/*
 * Transaction ids that dedupe or labels still need, and labels whose transaction has not come yet. Private to model/state.
 *
 *     id      hash 8 | time 6 | of each key: which of its events of that time, 1 | of each key with labels: its record, 4
 *     label   hash 8 | time it holds from 8 | fraud 1
 *
 * Stripes by hash, one lock each. A new id's is held until its event is in the rings: a repeat or a label that comes meanwhile finds all of
 * it or nothing. So an id's lock is taken before a key's, never after. An id leaves when the newest event of its stripe is more than
 * keep_us newer; its bucket is swept before it takes a larger block.
 */
#pragma once

#include <pthread.h>

#include "model/state/state.h"
#include "model/state/table.h"

/* Which of the events with its time an event is, in the ring of a key. */
enum {
    ORDINAL_MANY = 254, /* this or more: found by its check */
    ORDINAL_NONE = 255, /* not in the ring */
};

struct id_record {
    int64_t time_us;
    uint8_t ordinals[STATE_KEYS_MAX];
    uint32_t records[STATE_KEYS_MAX]; /* by position among the keys with labels: stripe, record number in its RECORD_NUMBER_BITS */
};

struct early_label {
    int64_t since_us;
    bool fraud;
};
enum {
    EARLY_LABELS = 8,
    WAITING_LABELS_MAX = 64, /* of one id: all of them lie in one bucket, which has to stay short */
};

struct id_stripe {
    _Alignas(64) pthread_mutex_t lock;
    struct table ids, labels;
    int64_t newest_us;
    uint32_t swept; /* the bucket that was last gone through */
    uint64_t evicted;
};

struct ids {
    struct id_stripe *stripes; /* [mask + 1] */
    struct arena *arena;
    uint32_t mask;
    uint8_t keys, labelled; /* how many ordinals and record numbers an id has */
    int64_t keep_us, horizon_us, dedupe_us;
};

/* stripes: a power of two. STATUS_NO_MEMORY. */
MUST_USE enum status ids_init(struct ids *ids, struct arena *arena, uint32_t stripes, struct error *err);
void ids_free(struct ids *ids);
size_t ids_record_bytes(const struct ids *ids);

enum id_claim { ID_NEW, ID_KNOWN, ID_EXPIRED_CLAIM, ID_NO_MEMORY };

/* Claims an id for an event at time_us. NEW: its lock is held until ids_settle, and *place is the id's; *early gets the labels that wait
 * for it, *early_count how many, and ids_next_label has the rest. KNOWN: *record is filled. EXPIRED_CLAIM: too old to be kept.
 * *is_old: KNOWN, and older than dedupe_us. */
struct id_place {
    struct id_stripe *stripe;
    void *payload;
};
enum id_claim ids_claim(struct ids *ids, struct hash128 hash, int64_t time_us, struct id_record *record, bool *is_old,
                        struct early_label early[EARLY_LABELS], size_t *early_count, struct id_place *place);
bool ids_next_label(struct ids *ids, struct hash128 hash, const struct id_place *place, struct early_label *out);
/* Says where a claimed event went. */
void ids_settle(const struct ids *ids, const struct id_place *place, const struct id_record *record);

/* The same without a trace: never NO_MEMORY. */
enum id_claim ids_look(struct ids *ids, struct hash128 hash, int64_t time_us, struct id_record *record, bool *is_old,
                       struct early_label early[EARLY_LABELS], size_t *early_count);

/* For a label: APPLIED: the event is known, *record is filled, nothing is changed yet. Else what became of the label. */
enum state_labelled ids_label(struct ids *ids, struct hash128 hash, bool fraud, int64_t since_us, struct id_record *record);

/* Removes what has expired by now_us from a sixteenth of the buckets, the next ones in turn at each call; locks in turn. */
void ids_evict(struct ids *ids, int64_t now_us);
