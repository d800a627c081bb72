#include "model/state/ids.h"

#include <stdlib.h>

#include "model/state/lock.h"
#include "model/state/ring.h"

enum { ID_BYTES_MAX = 6 + STATE_KEYS_MAX + 4 * STATE_KEYS_MAX, LABEL_BYTES = 9, BUCKETS_PER_LOCK = 4, SHARES = 16 };

/* What an expiry is judged by. */
struct age {
    int64_t newest_us, keep_us;
};

size_t ids_record_bytes(const struct ids *ids)
{
    return 8 + 6 + (size_t)ids->keys + 4 * (size_t)ids->labelled;
}

enum status ids_init(struct ids *ids, struct arena *arena, uint32_t stripes, struct error *err)
{
    ids->arena = arena;
    ids->mask = stripes - 1;
    ids->stripes = aligned_alloc(64, stripes * sizeof *ids->stripes);
    if (!ids->stripes)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the state of windows");
    for (uint32_t i = 0; i < stripes; i++) {
        struct id_stripe *s = &ids->stripes[i];
        memset(s, 0, sizeof *s);
        (void)pthread_mutex_init(&s->lock, NULL);
        table_init(&s->ids, ids_record_bytes(ids) - 8);
        table_init(&s->labels, LABEL_BYTES);
    }
    return STATUS_OK;
}

void ids_free(struct ids *ids)
{
    for (uint32_t i = 0; ids->stripes && i <= ids->mask; i++) {
        table_free(&ids->stripes[i].ids, ids->arena);
        table_free(&ids->stripes[i].labels, ids->arena);
        (void)pthread_mutex_destroy(&ids->stripes[i].lock);
    }
    free(ids->stripes);
    ids->stripes = NULL;
}

static struct id_stripe *lock_stripe(struct ids *ids, struct hash128 hash)
{
    struct id_stripe *s = &ids->stripes[hash.high & ids->mask];
    lock_take(&s->lock);
    return s;
}

static uint64_t kept_time48(const uint8_t *payload)
{
    uint64_t time = 0;
    memcpy(&time, payload, 6);
    return time;
}

static bool id_expired(const void *payload, const void *context)
{
    const struct age *age = context;
    uint64_t since = ((uint64_t)age->newest_us - kept_time48(payload)) & TIME48;
    return since > (uint64_t)age->keep_us && since < TIME48 / 2; /* from there on: newer than that */
}

static bool label_expired(const void *payload, const void *context)
{
    const struct age *age = context;
    int64_t since;
    memcpy(&since, payload, sizeof since);
    return since < age->newest_us - age->keep_us;
}

static struct age id_age(const struct ids *ids, const struct id_stripe *s)
{
    return (struct age){.newest_us = s->newest_us, .keep_us = ids->keep_us};
}

static void read_record(const struct ids *ids, const struct id_stripe *s, const void *payload, struct id_record *record)
{
    const uint8_t *p = payload;
    record->time_us = s->newest_us - (int64_t)(((uint64_t)s->newest_us - kept_time48(p)) & TIME48);
    memcpy(record->ordinals, p + 6, ids->keys);
    memcpy(record->records, p + 6 + ids->keys, sizeof(uint32_t) * ids->labelled);
}

static void write_record(const struct ids *ids, void *payload, const struct id_record *record)
{
    uint8_t *p = payload;
    uint64_t time = (uint64_t)record->time_us;
    memcpy(p, &time, 6);
    memcpy(p + 6, record->ordinals, ids->keys);
    memcpy(p + 6 + ids->keys, record->records, sizeof(uint32_t) * ids->labelled);
}

/* The id, if it is there; one that has expired goes. */
static void *find_id(const struct ids *ids, struct id_stripe *s, struct hash128 hash)
{
    struct age age = id_age(ids, s);
    void *payload = table_find(&s->ids, ids->arena, hash.low, NULL);
    if (payload && id_expired(payload, &age)) {
        table_remove(&s->ids, ids->arena, hash.low, payload);
        payload = NULL;
    }
    return payload;
}

static struct early_label read_label(const void *payload)
{
    struct early_label label;
    memcpy(&label.since_us, payload, 8);
    label.fraud = ((const uint8_t *)payload)[8];
    return label;
}

static bool take_label(const struct ids *ids, struct id_stripe *s, struct hash128 hash, struct early_label *out)
{
    if (s->labels.count == 0)
        return false;
    struct age age = {.newest_us = s->newest_us, .keep_us = ids->horizon_us};
    (void)table_sweep(&s->labels, ids->arena, hash.low, label_expired, &age);
    const void *payload = table_find(&s->labels, ids->arena, hash.low, NULL);
    if (!payload)
        return false;
    *out = read_label(payload);
    table_remove(&s->labels, ids->arena, hash.low, payload);
    return true;
}

/* Finds out how old the oldest id of a bucket is, then which one it is. */
struct oldest {
    uint64_t age;
    int64_t newest_us;
    bool found;
};

static bool look_for_oldest(const void *payload, const void *context)
{
    struct oldest *o = (struct oldest *)(uintptr_t)context;
    uint64_t age = ((uint64_t)o->newest_us - kept_time48(payload)) & TIME48;
    if (age > o->age)
        o->age = age;
    return false;
}

static bool is_oldest(const void *payload, const void *context)
{
    struct oldest *o = (struct oldest *)(uintptr_t)context;
    bool it = !o->found && (((uint64_t)o->newest_us - kept_time48(payload)) & TIME48) == o->age;
    o->found |= it;
    return it;
}

/* An id's place in the table; where memory is short, that of the oldest one in its bucket. */
static void *insert_id(struct ids *ids, struct id_stripe *s, struct hash128 hash)
{
    struct age age = id_age(ids, s);
    /* The first ones of a bucket are the oldest, nearly: those of partitions that are behind wait for ids_evict. */
    if (table_full(&s->ids, ids->arena, hash.low))
        (void)table_drop_first(&s->ids, ids->arena, hash.low, id_expired, &age);
    void *payload = arena_low(ids->arena) ? NULL : table_insert(&s->ids, ids->arena, hash.low);
    if (payload)
        return payload;
    struct oldest oldest = {.newest_us = s->newest_us};
    (void)table_sweep(&s->ids, ids->arena, hash.low, look_for_oldest, &oldest);
    s->evicted += table_sweep(&s->ids, ids->arena, hash.low, is_oldest, &oldest);
    return table_insert(&s->ids, ids->arena, hash.low);
}

enum id_claim ids_claim(struct ids *ids, struct hash128 hash, int64_t time_us, struct id_record *record, bool *is_old,
                        struct early_label early[EARLY_LABELS], size_t *early_count, struct id_place *place)
{
    struct id_stripe *s = lock_stripe(ids, hash);
    enum id_claim claim = ID_EXPIRED_CLAIM;
    *early_count = 0;
    if (time_us > s->newest_us)
        s->newest_us = time_us;
    void *payload = find_id(ids, s, hash);
    if (payload) {
        read_record(ids, s, payload, record);
        *is_old = s->newest_us - record->time_us > ids->dedupe_us;
        claim = ID_KNOWN;
    } else {
        *record = (struct id_record){.time_us = time_us};
        if (s->newest_us - time_us <= ids->keep_us) {
            payload = insert_id(ids, s, hash);
            claim = payload ? ID_NEW : ID_NO_MEMORY;
        }
        while (*early_count < EARLY_LABELS && take_label(ids, s, hash, &early[*early_count]))
            ++*early_count;
    }
    *place = (struct id_place){.stripe = s, .payload = payload};
    if (claim != ID_NEW)
        lock_give(&s->lock);
    return claim;
}

bool ids_next_label(struct ids *ids, struct hash128 hash, const struct id_place *place, struct early_label *out)
{
    return take_label(ids, place->stripe, hash, out);
}

void ids_settle(const struct ids *ids, const struct id_place *place, const struct id_record *record)
{
    write_record(ids, place->payload, record);
    lock_give(&place->stripe->lock);
}

enum id_claim ids_look(struct ids *ids, struct hash128 hash, int64_t time_us, struct id_record *record, bool *is_old,
                       struct early_label early[EARLY_LABELS], size_t *early_count)
{
    struct id_stripe *s = lock_stripe(ids, hash);
    *early_count = 0;
    int64_t newest = time_us > s->newest_us ? time_us : s->newest_us;
    struct age id = {.newest_us = newest, .keep_us = ids->keep_us};
    const void *payload = find_id(ids, s, hash);
    if (payload && id_expired(payload, &id)) /* a claim at this time would find it gone; here it stays */
        payload = NULL;
    if (payload) {
        read_record(ids, s, payload, record);
        *is_old = newest - record->time_us > ids->dedupe_us;
    }
    struct age age = {.newest_us = newest, .keep_us = ids->horizon_us};
    const void *label = payload ? NULL : table_find(&s->labels, ids->arena, hash.low, NULL);
    for (; label && *early_count < EARLY_LABELS; label = table_find(&s->labels, ids->arena, hash.low, label))
        if (!label_expired(label, &age))
            early[(*early_count)++] = read_label(label);
    lock_give(&s->lock);
    return payload ? ID_KNOWN : ID_NEW;
}

static enum state_labelled keep_label(struct ids *ids, struct id_stripe *s, struct hash128 hash, bool fraud, int64_t since_us)
{
    struct age age = {.newest_us = s->newest_us, .keep_us = ids->horizon_us};
    (void)table_sweep(&s->labels, ids->arena, hash.low, label_expired, &age);
    if (since_us < age.newest_us - age.keep_us)
        return STATE_LABEL_EXPIRED;
    uint8_t *payload = NULL;
    size_t waiting = 0; /* of this id, with other times */
    do
        payload = table_find(&s->labels, ids->arena, hash.low, payload);
    while (payload && memcmp(payload, &since_us, 8) != 0 && ++waiting < WAITING_LABELS_MAX);
    if (waiting == WAITING_LABELS_MAX)
        return STATE_LABEL_DROPPED;
    if (payload && payload[8] == fraud)
        return STATE_LABEL_REPEATED;
    if (!payload)
        payload = table_insert(&s->labels, ids->arena, hash.low);
    if (!payload)
        return STATE_LABEL_DROPPED;
    memcpy(payload, &since_us, 8);
    payload[8] = fraud;
    return STATE_LABEL_PENDING;
}

enum state_labelled ids_label(struct ids *ids, struct hash128 hash, bool fraud, int64_t since_us, struct id_record *record)
{
    struct id_stripe *s = lock_stripe(ids, hash);
    const void *payload = find_id(ids, s, hash);
    if (payload)
        read_record(ids, s, payload, record);
    enum state_labelled result = payload ? STATE_LABEL_APPLIED : keep_label(ids, s, hash, fraud, since_us);
    lock_give(&s->lock);
    return result;
}

/* A share of the stripe's buckets, from where the last call ended, a few under each lock. */
static void evict_from(struct ids *ids, struct id_stripe *s, int64_t now_us)
{
    for (uint32_t done = 0, share = 1; done < share; done += BUCKETS_PER_LOCK) {
        lock_take(&s->lock);
        /* A stream that is behind the clock still needs what is old by the clock. */
        int64_t now = now_us < s->newest_us ? now_us : s->newest_us;
        struct age id = {.newest_us = now, .keep_us = ids->keep_us}, label = {.newest_us = now, .keep_us = ids->horizon_us};
        uint32_t ids_size = segments_size(&s->ids.directory), labels_size = segments_size(&s->labels.directory);
        uint32_t buckets = ids_size > labels_size ? ids_size : labels_size;
        share = buckets / SHARES + BUCKETS_PER_LOCK;
        for (uint32_t i = 0; i < BUCKETS_PER_LOCK && buckets > 0; i++) {
            s->swept = s->swept + 1 < buckets ? s->swept + 1 : 0;
            if (s->swept < ids_size)
                (void)table_sweep_bucket(&s->ids, ids->arena, s->swept, id_expired, &id);
            if (s->swept < labels_size)
                (void)table_sweep_bucket(&s->labels, ids->arena, s->swept, label_expired, &label);
        }
        lock_give(&s->lock);
    }
}

void ids_evict(struct ids *ids, int64_t now_us)
{
    for (uint32_t i = 0; i <= ids->mask; i++)
        evict_from(ids, &ids->stripes[i], now_us);
}
