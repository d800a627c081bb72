/*
 * A stripe is a ring of entries in order of arrival, with an open-addressed index over them:
 *
 *     index:   | . | 3 | . | 1 | . . .     places hold entry number + 1; linear probing; half full at most
 *     entries: | 0 | 1 | 2 | 3 | …         oldest leaves first, by age or for room
 */
#include "server/http/answers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { STRIPES_MAX = 64, LINE = 64 };

enum entry_state { ENTRY_PENDING, ENTRY_KNOWN, ENTRY_ABANDONED };

struct entry {
    struct hash128 key;
    int64_t claimed_ns;
    double margin, score;
    uint64_t reasons;
    uint8_t decision;
    uint8_t rests_on; /* enum txn_state */
    uint8_t state; /* enum entry_state; ABANDONED ones are no longer in the index */
};

struct stripe {
    _Alignas(LINE) pthread_mutex_t lock;
    uint32_t oldest, used, size;
    uint32_t mask;        /* of the index */
    uint32_t *index;      /* [mask + 1] */
    struct entry *entries; /* [size] */
    char *rows;           /* [size][row_bytes] */
};

struct answers {
    struct stripe *stripes; /* [stripe_mask + 1] */
    uint32_t stripe_mask;
    int64_t keep_ns;
    size_t row_bytes;
    struct hash_secret secret;
};

static enum status stripe_init(struct stripe *s, uint32_t size, size_t row_bytes, struct error *err)
{
    uint32_t places = 4;
    while (places / 2 < size)
        places *= 2;
    (void)pthread_mutex_init(&s->lock, NULL);
    s->size = size;
    s->mask = places - 1;
    s->index = calloc(places, sizeof *s->index);
    s->entries = calloc(size, sizeof *s->entries);
    s->rows = row_bytes ? calloc(size, row_bytes) : NULL;
    if (!s->index || !s->entries || (row_bytes && !s->rows))
        return error_set(err, STATUS_NO_MEMORY, "out of memory for dedupe_entries; make it smaller");
    return STATUS_OK;
}

enum status answers_create(uint64_t entries, int64_t keep_ns, size_t row_bytes, struct answers **out, struct error *err)
{
    struct answers *a = calloc(1, sizeof *a);
    if (!a)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for dedupe_entries");
    uint32_t stripes = 1;
    while (stripes < STRIPES_MAX && stripes * 2 <= entries)
        stripes *= 2;
    *a = (struct answers){.stripe_mask = stripes - 1, .keep_ns = keep_ns, .row_bytes = row_bytes};
    enum status status = STATUS_OK;
    a->secret = hash_secret_random();
    a->stripes = aligned_alloc(LINE, stripes * sizeof *a->stripes);
    if (a->stripes)
        memset(a->stripes, 0, stripes * sizeof *a->stripes);
    else
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for dedupe_entries");
    for (uint32_t i = 0; i < stripes && status == STATUS_OK; i++)
        status = stripe_init(&a->stripes[i], (uint32_t)(entries / stripes), row_bytes, err);
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
    for (uint32_t i = 0; answers->stripes && i <= answers->stripe_mask; i++) {
        struct stripe *s = &answers->stripes[i];
        if (s->size)
            (void)pthread_mutex_destroy(&s->lock);
        free(s->index);
        free(s->entries);
        free(s->rows);
    }
    free(answers->stripes);
    free(answers);
}

struct hash128 answers_key(const struct answers *answers, struct span id)
{
    return siphash128(&answers->secret, id.data, id.len);
}

/* The place in the index that holds the key, or the empty one where it would go. */
static uint32_t find_place(const struct stripe *s, struct hash128 key)
{
    uint32_t place = (uint32_t)key.low & s->mask;
    for (; s->index[place]; place = (place + 1) & s->mask) {
        const struct entry *e = &s->entries[s->index[place] - 1];
        if (e->key.low == key.low && e->key.high == key.high)
            break;
    }
    return place;
}

/* Empties a place and moves up what was pushed past it, so that no search ends early at the hole. */
static void clear_place(struct stripe *s, uint32_t hole)
{
    for (uint32_t at = (hole + 1) & s->mask; s->index[at]; at = (at + 1) & s->mask) {
        uint32_t home = (uint32_t)s->entries[s->index[at] - 1].key.low & s->mask;
        if (((at - home) & s->mask) >= ((at - hole) & s->mask)) {
            s->index[hole] = s->index[at];
            hole = at;
        }
    }
    s->index[hole] = 0;
}

static void drop_oldest(struct stripe *s)
{
    struct entry *e = &s->entries[s->oldest];
    if (e->state != ENTRY_ABANDONED)
        clear_place(s, find_place(s, e->key));
    s->oldest = s->oldest + 1 == s->size ? 0 : s->oldest + 1;
    s->used--;
}

static struct stripe *lock_stripe(struct answers *answers, struct hash128 key)
{
    struct stripe *s = &answers->stripes[key.high & answers->stripe_mask];
    (void)pthread_mutex_lock(&s->lock);
    return s;
}

enum answers_found answers_claim(struct answers *answers, struct hash128 key, int64_t now_ns, struct answer *out, void *row)
{
    struct stripe *s = lock_stripe(answers, key);
    while (s->used && now_ns - s->entries[s->oldest].claimed_ns >= answers->keep_ns)
        drop_oldest(s);
    uint32_t place = find_place(s, key);
    enum answers_found found = ANSWERS_NEW;
    if (s->index[place]) {
        uint32_t number = s->index[place] - 1;
        const struct entry *e = &s->entries[number];
        found = e->state == ENTRY_KNOWN ? ANSWERS_KNOWN : ANSWERS_PENDING;
        if (found == ANSWERS_KNOWN) {
            *out = (struct answer){.verdict = {.margin = e->margin, .score = e->score, .decision = (enum decision)e->decision}, .reasons = e->reasons, .state = e->rests_on};
            if (row && answers->row_bytes)
                memcpy(row, s->rows + number * answers->row_bytes, answers->row_bytes);
        }
    } else {
        if (s->used == s->size) {
            drop_oldest(s);
            place = find_place(s, key); /* dropping may have moved the hole */
        }
        uint32_t number = (uint32_t)(((uint64_t)s->oldest + s->used) % s->size);
        s->entries[number] = (struct entry){.key = key, .claimed_ns = now_ns, .state = ENTRY_PENDING};
        s->index[place] = number + 1;
        s->used++;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return found;
}

void answers_complete(struct answers *answers, struct hash128 key, const struct answer *answer, const void *row)
{
    struct stripe *s = lock_stripe(answers, key);
    uint32_t place = find_place(s, key);
    if (s->index[place]) {
        uint32_t number = s->index[place] - 1;
        struct entry *e = &s->entries[number];
        e->margin = answer->verdict.margin;
        e->score = answer->verdict.score;
        e->decision = (uint8_t)answer->verdict.decision;
        e->reasons = answer->reasons;
        e->rests_on = answer->state;
        e->state = ENTRY_KNOWN;
        if (row && answers->row_bytes)
            memcpy(s->rows + number * answers->row_bytes, row, answers->row_bytes);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

void answers_abandon(struct answers *answers, struct hash128 key)
{
    struct stripe *s = lock_stripe(answers, key);
    uint32_t place = find_place(s, key);
    if (s->index[place] && s->entries[s->index[place] - 1].state == ENTRY_PENDING) {
        s->entries[s->index[place] - 1].state = ENTRY_ABANDONED;
        clear_place(s, place);
    }
    (void)pthread_mutex_unlock(&s->lock);
}
