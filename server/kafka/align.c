#include "server/kafka/align.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct partition {
    int32_t number;
    uint32_t readers; /* two for a moment, where one takes it over before the other has let go */
    int64_t earliest_us;
};

static const int64_t patience_ns = 10000000000;

struct align {
    int64_t span_us;
    uint32_t missing;          /* readers without partitions */
    int64_t patience_until_ns; /* they are waited for until then */
    pthread_mutex_t lock; /* over all but span_us; held for a walk over the partitions, once a chunk of records */
    struct partition *partitions; /* [count] in no order */
    size_t count, room;
};

enum status align_create(int64_t span_us, uint32_t readers, struct align **out, struct error *err)
{
    struct align *a = calloc(1, sizeof *a);
    *out = a;
    if (!a)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for stream.align_s");
    a->span_us = span_us;
    a->missing = readers;
    (void)pthread_mutex_init(&a->lock, NULL);
    return STATUS_OK;
}

void align_free(struct align *align)
{
    if (!align)
        return;
    (void)pthread_mutex_destroy(&align->lock);
    free(align->partitions);
    free(align);
}

static struct partition *find(struct align *align, int32_t number)
{
    for (size_t i = 0; i < align->count; i++)
        if (align->partitions[i].number == number)
            return &align->partitions[i];
    return NULL;
}

static bool grow(struct align *align)
{
    size_t room = align->room ? align->room * 2 : 16;
    struct partition *grown = align->count < align->room ? align->partitions : realloc(align->partitions, room * sizeof *grown);
    if (!grown)
        return false;
    align->room = align->count < align->room ? align->room : room;
    align->partitions = grown;
    return true;
}

enum status align_join(struct align *align, int32_t partition)
{
    (void)pthread_mutex_lock(&align->lock);
    struct partition *p = find(align, partition);
    bool room = p || grow(align);
    uint32_t readers = p ? p->readers : 0;
    if (!p && room)
        p = &align->partitions[align->count++];
    if (p)
        *p = (struct partition){.number = partition, .readers = readers + 1, .earliest_us = ALIGN_UNKNOWN};
    (void)pthread_mutex_unlock(&align->lock);
    return room ? STATUS_OK : STATUS_NO_MEMORY;
}

void align_leave(struct align *align, int32_t partition)
{
    (void)pthread_mutex_lock(&align->lock);
    struct partition *p = find(align, partition);
    if (p && --p->readers == 0)
        *p = align->partitions[--align->count];
    (void)pthread_mutex_unlock(&align->lock);
}

void align_set(struct align *align, int32_t partition, int64_t earliest_us)
{
    (void)pthread_mutex_lock(&align->lock);
    struct partition *p = find(align, partition);
    if (p)
        p->earliest_us = earliest_us;
    (void)pthread_mutex_unlock(&align->lock);
}

void align_assigned(struct align *align, int64_t now_ns)
{
    (void)pthread_mutex_lock(&align->lock);
    align->missing--;
    align->patience_until_ns = now_ns + patience_ns;
    (void)pthread_mutex_unlock(&align->lock);
}

void align_revoked(struct align *align, int64_t now_ns)
{
    (void)pthread_mutex_lock(&align->lock);
    align->missing++;
    align->patience_until_ns = now_ns + patience_ns;
    (void)pthread_mutex_unlock(&align->lock);
}

int64_t align_limit(struct align *align, int64_t now_ns)
{
    int64_t earliest_us = ALIGN_NOTHING;
    (void)pthread_mutex_lock(&align->lock);
    if (align->missing > 0 && now_ns < align->patience_until_ns)
        earliest_us = ALIGN_UNKNOWN;
    for (size_t i = 0; i < align->count; i++)
        earliest_us = align->partitions[i].earliest_us < earliest_us ? align->partitions[i].earliest_us : earliest_us;
    (void)pthread_mutex_unlock(&align->lock);
    /* Times end in 2262, far below where this could overflow. */
    return earliest_us == ALIGN_UNKNOWN || earliest_us == ALIGN_NOTHING ? earliest_us : earliest_us + align->span_us;
}
