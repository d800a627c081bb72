#include "model/state/arena_pages.h"

#include <stdlib.h>
#include <sys/mman.h>

static bool within_limit(const struct arena_parts *p, size_t more)
{
    return atomic_load_explicit(&p->bytes, memory_order_relaxed) + more <= p->limit_bytes; /* written under the lock */
}

/* What a region costs in bookkeeping that is touched for it. */
static size_t region_overhead(void)
{
    return PAGES * sizeof(struct page) + 3 * sizeof(void *) + 2 * sizeof(uint32_t);
}

/* Puts regions of fresh memory on the stack of free ones. Under the lock. */
static bool more_regions(struct arena *arena)
{
    struct arena_parts *p = arena->parts;
    /* Near the limit one at a time, so that arena_low comes before the last one. */
    bool large = p->next_region > LARGE_STATE_REGIONS && within_limit(p, 2 * CHUNK_REGIONS * (size_t)ARENA_REGION_BYTES + p->limit_bytes / 8);
    uint32_t n = large ? CHUNK_REGIONS : 1;
    size_t bytes = (size_t)n * ARENA_REGION_BYTES;
    if (p->next_region + n > p->regions || !within_limit(p, bytes + n * region_overhead()))
        return false;
    char *chunk = aligned_alloc(n > 1 ? bytes : 4096, bytes);
    if (!chunk)
        return false;
    if (n > 1)
        (void)madvise(chunk, bytes, MADV_HUGEPAGE); /* random access all over it: fewer misses of the address cache */
    p->chunks[p->chunk_count++] = chunk;
    for (uint32_t i = n; i-- > 0;) {
        arena->bases[p->next_region + i] = chunk + (size_t)i * ARENA_REGION_BYTES;
        p->free_regions[p->free_region_count++] = p->next_region + i;
    }
    p->next_region += n;
    atomic_fetch_add_explicit(&p->bytes, bytes + n * region_overhead(), memory_order_relaxed); /* a figure */
    return true;
}

static uint32_t region_take(struct arena *arena)
{
    struct arena_parts *p = arena->parts;
    if (p->free_region_count == 0 && !more_regions(arena))
        return NONE;
    return p->free_regions[--p->free_region_count];
}

void page_list_push(struct page *pages, uint32_t *list, uint32_t page)
{
    pages[page].previous = NONE;
    pages[page].next = *list;
    if (*list)
        pages[*list].previous = page;
    *list = page;
}

void page_list_remove(struct page *pages, uint32_t *list, uint32_t page)
{
    struct page *at = &pages[page];
    if (at->next)
        pages[at->next].previous = at->previous;
    if (at->previous)
        pages[at->previous].next = at->next;
    else
        *list = at->next;
}

uint32_t page_take(struct arena *arena, unsigned class)
{
    struct arena_parts *p = arena->parts;
    uint32_t page = NONE;
    lock_take(&p->lock);
    if (class_page_bytes(class) == ARENA_REGION_BYTES) {
        page = region_take(arena) * PAGES;
        for (uint32_t i = 1; page && i < PAGES; i++)
            p->pages[page + i].class = WHOLE;
    } else {
        if (!p->free_page) {
            uint32_t region = region_take(arena);
            for (uint32_t i = PAGES; region && i-- > 0;)
                page_list_push(p->pages, &p->free_page, region * PAGES + i);
            p->free_pages_of[region] = region ? PAGES : 0;
        }
        page = p->free_page;
        if (page) {
            page_list_remove(p->pages, &p->free_page, page);
            p->free_pages_of[page / PAGES]--;
        }
    }
    if (page)
        p->pages[page] = (struct page){.class = (uint8_t)class};
    lock_give(&p->lock);
    return page;
}

/* A region whose pages are all free is whole again. */
void page_give(struct arena *arena, uint32_t page, unsigned class)
{
    struct arena_parts *p = arena->parts;
    uint32_t region = page / PAGES;
    lock_take(&p->lock);
    if (class_page_bytes(class) == ARENA_REGION_BYTES) {
        p->free_regions[p->free_region_count++] = region;
    } else {
        page_list_push(p->pages, &p->free_page, page);
        if (++p->free_pages_of[region] == PAGES) {
            for (uint32_t i = 0; i < PAGES; i++)
                page_list_remove(p->pages, &p->free_page, region * PAGES + i);
            p->free_regions[p->free_region_count++] = region;
        }
    }
    lock_give(&p->lock);
}

uint32_t large_take(struct arena *arena, unsigned class)
{
    struct arena_parts *p = arena->parts;
    size_t bytes = arena_class_bytes(class);
    uint32_t region = NONE;
    lock_take(&p->lock);
    bool number = p->free_number_count > 0 || p->next_region < p->regions;
    char *block = number && within_limit(p, bytes) ? aligned_alloc(64, bytes) : NULL;
    if (block) {
        region = p->free_number_count ? p->free_numbers[--p->free_number_count] : p->next_region++;
        arena->bases[region] = block;
        p->pages[region * PAGES].class = (uint8_t)class;
        p->large_bytes += bytes;
        atomic_fetch_add_explicit(&p->bytes, bytes, memory_order_relaxed); /* a figure */
    }
    lock_give(&p->lock);
    return region << ARENA_OFFSET_BITS;
}

void large_give(struct arena *arena, uint32_t reference, unsigned class)
{
    struct arena_parts *p = arena->parts;
    uint32_t region = reference >> ARENA_OFFSET_BITS;
    lock_take(&p->lock);
    free(arena->bases[region]);
    arena->bases[region] = NULL;
    p->free_numbers[p->free_number_count++] = region;
    p->large_bytes -= arena_class_bytes(class);
    atomic_fetch_sub_explicit(&p->bytes, arena_class_bytes(class), memory_order_relaxed); /* a figure */
    lock_give(&p->lock);
}
