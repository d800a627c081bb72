/*
 * A stripe is a ring of entries in the order they came, so the oldest is always at its tail, and an index over it: open
 * addressing with linear probing, at most half full, whose places hold ring positions. Removing shifts later entries of
 * the same run back, so no tombstones gather.
 */
#include "server/http/answers.h"

#include <pthread.h>
#include <stdlib.h>

#include "model/base/check.h"

#define EMPTY UINT32_MAX

enum { STRIPES = 64 };

struct entry {
    struct hash128 key;
    int64_t kept_ns;
    double margin, score;
    uint64_t reasons;
    uint8_t decision;
};

struct stripe {
    _Alignas(64) pthread_mutex_t lock;
    struct entry *ring; /* [size] */
    uint32_t *index;    /* [mask + 1] */
    uint32_t size, mask;
    uint32_t tail, used; /* the oldest, and how many */
};

struct answers {
    struct stripe stripes[STRIPES];
    struct hash_secret secret;
    int64_t life_ns;
};

static enum status stripe_init(struct stripe *s, uint32_t size, struct error *err)
{
    s->size = size;
    s->mask = 1;
    while (s->mask + 1 < 2 * size)
        s->mask = s->mask << 1 | 1;
    s->ring = calloc(size, sizeof *s->ring);
    s->index = malloc(((size_t)s->mask + 1) * sizeof *s->index);
    if (!s->ring || !s->index)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for dedupe_entries: %u in each of %d stripes", size, STRIPES);
    for (uint32_t i = 0; i <= s->mask; i++)
        s->index[i] = EMPTY;
    return STATUS_OK;
}

enum status answers_create(uint64_t entries, int64_t seconds, struct answers **out, struct error *err)
{
    struct answers *a = aligned_alloc(64, sizeof *a);
    if (!a)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for answers");
    *a = (struct answers){.secret = hash_secret_random(), .life_ns = seconds * 1000000000};
    enum status status = STATUS_OK;
    for (int i = 0; i < STRIPES; i++) {
        (void)pthread_mutex_init(&a->stripes[i].lock, NULL);
        if (status == STATUS_OK)
            status = stripe_init(&a->stripes[i], (uint32_t)((entries + STRIPES - 1) / STRIPES), err);
    }
    if (status != STATUS_OK) {
        answers_free(a);
        return status;
    }
    *out = a;
    return STATUS_OK;
}

void answers_free(struct answers *answers)
{
    if (!answers)
        return;
    for (int i = 0; i < STRIPES; i++) {
        (void)pthread_mutex_destroy(&answers->stripes[i].lock);
        free(answers->stripes[i].ring);
        free(answers->stripes[i].index);
    }
    free(answers);
}

struct hash128 answers_key(const struct answers *answers, const struct txn *txn)
{
    struct span id = txn->input.values[schema_id(txn->bundle->schema)].text;
    return siphash128(&answers->secret, id.data, id.len);
}

/* The place of the key in the index, or the empty one where it would go. */
static uint32_t place_of(const struct stripe *s, struct hash128 key)
{
    uint32_t i = (uint32_t)key.low & s->mask;
    while (s->index[i] != EMPTY) {
        const struct entry *e = &s->ring[s->index[i]];
        if (e->key.low == key.low && e->key.high == key.high)
            break;
        i = (i + 1) & s->mask;
    }
    return i;
}

static void remove_oldest(struct stripe *s)
{
    uint32_t hole = place_of(s, s->ring[s->tail].key);
    CHECK(s->index[hole] == s->tail);
    for (uint32_t i = (hole + 1) & s->mask; s->index[i] != EMPTY; i = (i + 1) & s->mask) {
        uint32_t home = (uint32_t)s->ring[s->index[i]].key.low & s->mask;
        if (((i - home) & s->mask) >= ((i - hole) & s->mask)) { /* its run began at or before the hole */
            s->index[hole] = s->index[i];
            hole = i;
        }
    }
    s->index[hole] = EMPTY;
    s->tail = s->tail + 1 == s->size ? 0 : s->tail + 1;
    s->used--;
}

static void expire(const struct answers *a, struct stripe *s, int64_t now_ns)
{
    while (s->used > 0 && now_ns - s->ring[s->tail].kept_ns > a->life_ns)
        remove_oldest(s);
}

bool answers_find(struct answers *answers, struct hash128 key, int64_t now_ns, struct txn *txn)
{
    struct stripe *s = &answers->stripes[key.high % STRIPES];
    (void)pthread_mutex_lock(&s->lock);
    expire(answers, s, now_ns);
    uint32_t position = s->index[place_of(s, key)];
    if (position != EMPTY) {
        const struct entry *e = &s->ring[position];
        txn->verdict = (struct verdict){.margin = e->margin, .score = e->score, .decision = (enum decision)e->decision};
        txn->reasons = e->reasons;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return position != EMPTY;
}

void answers_keep(struct answers *answers, struct hash128 key, int64_t now_ns, const struct txn *txn)
{
    struct stripe *s = &answers->stripes[key.high % STRIPES];
    (void)pthread_mutex_lock(&s->lock);
    expire(answers, s, now_ns);
    if (s->index[place_of(s, key)] == EMPTY) {
        if (s->used == s->size)
            remove_oldest(s);
        uint32_t position = (uint32_t)(((uint64_t)s->tail + s->used) % s->size);
        s->ring[position] = (struct entry){.key = key, .kept_ns = now_ns, .margin = txn->verdict.margin, .score = txn->verdict.score,
                                           .reasons = txn->reasons, .decision = (uint8_t)txn->verdict.decision};
        s->used++;
        s->index[place_of(s, key)] = position;
    }
    (void)pthread_mutex_unlock(&s->lock);
}
