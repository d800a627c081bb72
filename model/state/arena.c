#include "model/state/arena.h"

#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/state/arena_pages.h"

static bool parts_allocate(struct arena *arena, struct arena_parts *p)
{
    arena->bases = calloc(p->regions, sizeof *arena->bases);
    p->pages = calloc((size_t)p->regions * PAGES, sizeof *p->pages);
    p->free_pages_of = calloc(p->regions, 1);
    p->free_regions = calloc(p->regions, sizeof *p->free_regions);
    p->free_numbers = calloc(p->regions, sizeof *p->free_numbers);
    p->chunks = calloc(p->regions, sizeof *p->chunks);
    return arena->bases && p->pages && p->free_pages_of && p->free_regions && p->free_numbers && p->chunks;
}

enum status arena_init(struct arena *arena, uint64_t limit_bytes, struct error *err)
{
    *arena = (struct arena){0};
    struct arena_parts *p = aligned_alloc(64, sizeof *p);
    if (!p)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the state of windows");
    memset(p, 0, sizeof *p);
    arena->parts = p;
    uint64_t most = UINT64_C(1) << ARENA_REGION_BITS, wanted = limit_bytes / ARENA_REGION_BYTES + CHUNK_REGIONS + 1;
    p->regions = (uint32_t)(limit_bytes && wanted < most ? wanted : most);
    p->next_region = 1;
    p->limit_bytes = limit_bytes ? limit_bytes : most * ARENA_REGION_BYTES;
    p->bytes = sizeof *p;
    (void)pthread_mutex_init(&p->lock, NULL);
    for (unsigned i = 0; i < ARENA_PAGED_CLASSES; i++)
        (void)pthread_mutex_init(&p->classes[i].lock, NULL);
    for (unsigned i = 0; i < THREAD_SHARES; i++)
        (void)pthread_mutex_init(&p->shares[i].lock, NULL);
    if (parts_allocate(arena, p))
        return STATUS_OK;
    arena_free_all(arena);
    return error_set(err, STATUS_NO_MEMORY, "out of memory for the state of windows");
}

void arena_free_all(struct arena *arena)
{
    struct arena_parts *p = arena->parts;
    if (!p)
        return;
    /* Large blocks still in use stand at the first page of their region with the class of their size. */
    for (uint32_t r = 1; p->pages && arena->bases && r < p->next_region; r++)
        if (arena->bases[r] && p->pages[r * PAGES].class >= ARENA_PAGED_CLASSES && p->pages[r * PAGES].class != WHOLE)
            free(arena->bases[r]);
    for (uint32_t i = 0; i < p->chunk_count; i++)
        free(p->chunks[i]);
    for (unsigned i = 0; i < ARENA_PAGED_CLASSES; i++)
        (void)pthread_mutex_destroy(&p->classes[i].lock);
    for (unsigned i = 0; i < THREAD_SHARES; i++)
        (void)pthread_mutex_destroy(&p->shares[i].lock);
    (void)pthread_mutex_destroy(&p->lock);
    free(arena->bases);
    free(p->pages);
    free(p->free_pages_of);
    free(p->free_regions);
    free(p->free_numbers);
    free(p->chunks);
    free(p);
    *arena = (struct arena){0};
}

uint64_t arena_bytes(const struct arena *arena)
{
    return atomic_load_explicit(&arena->parts->bytes, memory_order_relaxed); /* a figure, orders nothing */
}

uint64_t arena_used_bytes(const struct arena *arena)
{
    struct arena_parts *p = arena->parts;
    uint64_t sum = 0;
    for (unsigned i = 0; i < ARENA_PAGED_CLASSES; i++) {
        lock_take(&p->classes[i].lock);
        sum += p->classes[i].blocks * arena_class_bytes(i);
        lock_give(&p->classes[i].lock);
    }
    for (unsigned i = 0; i < THREAD_SHARES; i++) {
        lock_take(&p->shares[i].lock);
        for (unsigned class = 0; class < SHARED_CLASSES; class++)
            sum -= p->shares[i].held[class] * arena_class_bytes(class);
        lock_give(&p->shares[i].lock);
    }
    lock_take(&p->lock);
    sum += p->large_bytes;
    lock_give(&p->lock);
    return sum;
}

bool arena_low(const struct arena *arena)
{
    return arena_bytes(arena) > arena->parts->limit_bytes - arena->parts->limit_bytes / 8;
}

static char *page_base(const struct arena *arena, uint32_t page)
{
    return arena->bases[page / PAGES] + (size_t)(page % PAGES) * PAGE_BYTES;
}

/* A free block of a page with one, as its unit in the page. */
static uint32_t block_take(const struct arena *arena, uint32_t page, size_t block_bytes)
{
    struct page *at = &arena->parts->pages[page];
    uint32_t unit;
    at->used++;
    if (at->free) {
        unit = at->free - 1u;
        memcpy(&at->free, page_base(arena, page) + (size_t)unit * ARENA_UNIT, sizeof at->free);
    } else {
        unit = (uint32_t)(at->fresh++ * (block_bytes / ARENA_UNIT));
    }
    return unit;
}

static uint32_t class_take(struct arena *arena, unsigned class)
{
    struct class_pages *c = &arena->parts->classes[class];
    size_t block_bytes = arena_class_bytes(class);
    if (!c->open) {
        uint32_t page = page_take(arena, class);
        if (page)
            page_list_push(arena->parts->pages, &c->open, page);
    }
    uint32_t page = c->open;
    if (!page)
        return NONE;
    struct page *at = &arena->parts->pages[page];
    uint32_t unit = block_take(arena, page, block_bytes);
    if (!at->free && (size_t)(at->fresh + 1) * block_bytes > class_page_bytes(class))
        page_list_remove(arena->parts->pages, &c->open, page);
    c->blocks++;
    return (page / PAGES) << ARENA_OFFSET_BITS | (page % PAGES * PAGE_UNITS + unit);
}

static void class_give(struct arena *arena, uint32_t reference, unsigned class)
{
    struct class_pages *c = &arena->parts->classes[class];
    size_t block_bytes = arena_class_bytes(class), page_bytes = class_page_bytes(class);
    uint32_t offset = reference & ((1u << ARENA_OFFSET_BITS) - 1);
    uint32_t page = (reference >> ARENA_OFFSET_BITS) * PAGES;
    if (page_bytes == PAGE_BYTES)
        page += offset / PAGE_UNITS;
    uint32_t unit = offset - page % PAGES * PAGE_UNITS;
    struct page *at = &arena->parts->pages[page];
    bool was_full = !at->free && (size_t)(at->fresh + 1) * block_bytes > page_bytes;
    memcpy(page_base(arena, page) + (size_t)unit * ARENA_UNIT, &at->free, sizeof at->free);
    at->free = (uint16_t)(unit + 1);
    at->used--;
    c->blocks--;
    if (was_full)
        page_list_push(arena->parts->pages, &c->open, page);
    /* The last small page of a class stays, so that one block taken and given in turn does not move a page each time. */
    if (at->used == 0 && (page_bytes != PAGE_BYTES || c->open != page || at->next)) {
        page_list_remove(arena->parts->pages, &c->open, page);
        page_give(arena, page, class);
    }
}

/* Takes up to n blocks of a class, or gives n back, under its lock once. Returns how many. */
static unsigned class_take_some(struct arena *arena, unsigned class, uint32_t *blocks, unsigned n)
{
    struct class_pages *c = &arena->parts->classes[class];
    unsigned got = 0;
    lock_take(&c->lock);
    for (; got < n; got++) {
        blocks[got] = class_take(arena, class);
        if (blocks[got] == NONE)
            break;
    }
    lock_give(&c->lock);
    return got;
}

static void class_give_some(struct arena *arena, unsigned class, const uint32_t *blocks, unsigned n)
{
    struct class_pages *c = &arena->parts->classes[class];
    lock_take(&c->lock);
    for (unsigned i = 0; i < n; i++)
        class_give(arena, blocks[i], class);
    lock_give(&c->lock);
}

uint32_t arena_take(struct arena *arena, unsigned class)
{
    CHECK(class < ARENA_CLASSES);
    if (class >= ARENA_PAGED_CLASSES)
        return large_take(arena, class);
    uint32_t reference = NONE;
    if (class >= SHARED_CLASSES) {
        (void)class_take_some(arena, class, &reference, 1);
        return reference;
    }
    struct block_share *share = &arena->parts->shares[thread_share()];
    lock_take(&share->lock);
    uint8_t *held = &share->held[class];
    if (*held == 0)
        *held = (uint8_t)class_take_some(arena, class, share->blocks[class], SHARE_BLOCKS / 2);
    if (*held > 0)
        reference = share->blocks[class][--*held];
    lock_give(&share->lock);
    return reference;
}

void arena_give(struct arena *arena, uint32_t reference, unsigned class)
{
    if (!reference)
        return;
    if (class >= ARENA_PAGED_CLASSES) {
        large_give(arena, reference, class);
        return;
    }
    if (class >= SHARED_CLASSES) {
        class_give_some(arena, class, &reference, 1);
        return;
    }
    struct block_share *share = &arena->parts->shares[thread_share()];
    lock_take(&share->lock);
    uint8_t *held = &share->held[class];
    if (*held == SHARE_BLOCKS) { /* the older half goes: what was given last is in the cache */
        class_give_some(arena, class, share->blocks[class], SHARE_BLOCKS / 2);
        *held = SHARE_BLOCKS / 2;
        memmove(share->blocks[class], share->blocks[class] + SHARE_BLOCKS / 2, SHARE_BLOCKS / 2 * sizeof(uint32_t));
    }
    share->blocks[class][(*held)++] = reference;
    lock_give(&share->lock);
}
