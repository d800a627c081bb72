#include "model/state/keys.h"

#include "model/state/all.h"
#include "model/state/running.h"

void keys_init(struct keys *keys)
{
    memset(keys, 0, sizeof *keys);
    table_init(&keys->index, sizeof(uint32_t));
}

static void release(struct keys *keys, const struct key_layout *k, struct arena *arena, struct record *r)
{
    running_free(k, arena, r);
    label_list_free(&r->labels, arena);
    all_free(k, arena, r);
    keys->events -= r->count;
    ring_free(arena, r);
}

void keys_free(struct keys *keys, const struct key_layout *k, struct arena *arena)
{
    for (uint32_t at = keys->newest_used; at;) {
        struct record *r = keys_record(keys, arena, at - 1);
        at = r->next;
        release(keys, k, arena, r);
    }
    table_free(&keys->index, arena);
    for (uint32_t i = 0; i < segments_size(&keys->blocks); i++)
        arena_give(arena, segments_at(&keys->blocks, arena, i), arena_class(RECORDS_PER_BLOCK * sizeof(struct record)));
    segments_free(&keys->blocks, arena);
}

uint32_t keys_find(const struct keys *keys, const struct arena *arena, uint64_t hash)
{
    const void *payload = table_find(&keys->index, arena, hash, NULL);
    uint32_t number;
    if (!payload)
        return 0;
    memcpy(&number, payload, sizeof number);
    return number + 1;
}

static void unlink_record(struct keys *keys, const struct arena *arena, const struct record *r)
{
    if (r->previous)
        keys_record(keys, arena, r->previous - 1)->next = r->next;
    else
        keys->newest_used = r->next;
    if (r->next)
        keys_record(keys, arena, r->next - 1)->previous = r->previous;
    else
        keys->longest_idle = r->previous;
}

static void link_first(struct keys *keys, const struct arena *arena, struct record *r, uint32_t number)
{
    r->previous = 0;
    r->next = keys->newest_used;
    if (r->next)
        keys_record(keys, arena, r->next - 1)->previous = number + 1;
    else
        keys->longest_idle = number + 1;
    keys->newest_used = number + 1;
}

void keys_touch(struct keys *keys, const struct arena *arena, uint32_t number)
{
    if (keys->newest_used == number + 1)
        return;
    struct record *r = keys_record(keys, arena, number);
    unlink_record(keys, arena, r);
    link_first(keys, arena, r, number);
}

/* A record that is not in use; its number + 1, 0: no memory. */
static uint32_t take_record(struct keys *keys, struct arena *arena)
{
    if (keys->free) {
        uint32_t at = keys->free;
        keys->free = keys_record(keys, arena, at - 1)->next;
        return at;
    }
    if (keys->fresh >> RECORD_NUMBER_BITS)
        return 0;
    if (keys->fresh == segments_size(&keys->blocks) * RECORDS_PER_BLOCK) {
        unsigned class = arena_class(RECORDS_PER_BLOCK * sizeof(struct record));
        uint32_t block = arena_take(arena, class);
        if (!block || !segments_push(&keys->blocks, arena, block)) {
            arena_give(arena, block, class);
            return 0;
        }
    }
    return ++keys->fresh;
}

static void give_record(struct keys *keys, struct record *r, uint32_t number)
{
    *r = (struct record){.next = keys->free};
    keys->free = number + 1;
}

uint32_t keys_add(struct keys *keys, struct arena *arena, uint64_t hash)
{
    uint32_t at = take_record(keys, arena);
    if (!at)
        return 0;
    uint32_t number = at - 1;
    struct record *r = keys_record(keys, arena, number);
    void *payload = table_insert(&keys->index, arena, hash);
    if (!payload) {
        give_record(keys, r, number);
        return 0;
    }
    memcpy(payload, &number, sizeof number);
    *r = (struct record){.hash = (uint32_t)(hash >> 8)};
    link_first(keys, arena, r, number);
    keys->count++;
    return at;
}

static bool is_number(const void *payload, const void *context)
{
    return memcmp(payload, context, sizeof(uint32_t)) == 0;
}

void keys_remove(struct keys *keys, const struct key_layout *k, struct arena *arena, uint32_t number)
{
    struct record *r = keys_record(keys, arena, number);
    release(keys, k, arena, r);
    unlink_record(keys, arena, r);
    (void)table_sweep(&keys->index, arena, (uint64_t)r->hash << 8, is_number, &number); /* its bucket is found by these bits */
    give_record(keys, r, number);
    keys->count--;
    keys->removed++;
}
