#include "model/state/arena.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/base/check.h"

enum {
    PAGE_BYTES = 32768,
    PAGES = ARENA_REGION_BYTES / PAGE_BYTES, /* of a region */
    SMALL_BYTES = 4096,                      /* blocks above this take a whole region as their page */
    PAGE_UNITS = PAGE_BYTES / ARENA_UNIT,
    CHUNK_REGIONS = 8, /* taken from the system at once when the state is large: 2 MiB, a huge page */
    LARGE_STATE_REGIONS = 128,
    NONE = 0,
    WHOLE = 0xff, /* page->class of the pages of a region that serves one block or one large page, but for the first */
};

/* Pages are numbered region * PAGES + page; a page's first unit never is reference 0, since region 0 is not used. */
struct page {
    uint32_t next, previous; /* of its class with free blocks, or of the free ones; 0: none */
    uint16_t used;
    uint16_t free;  /* unit of the first free block + 1, which holds the next one's; 0: none */
    uint16_t fresh; /* blocks from here on were never handed out */
    uint8_t class;
};

struct class_pages {
    _Alignas(64) pthread_mutex_t lock;
    uint32_t open; /* first page with free blocks */
    uint64_t blocks; /* handed out */
};

struct arena_parts {
    struct page *pages;      /* [regions * PAGES] */
    uint8_t *free_pages_of;  /* [regions] free pages in a region cut into pages */
    uint32_t *free_regions;  /* [regions] a stack of region numbers whose memory is there and idle */
    uint32_t *free_numbers;  /* [regions] region numbers given back by large blocks */
    void **chunks;           /* [regions] what was taken from the system for pages */
    struct class_pages classes[ARENA_PAGED_CLASSES];
    pthread_mutex_t lock;    /* of all below, and of free pages and regions */
    uint32_t free_page;      /* first free page */
    uint32_t free_region_count, free_number_count, chunk_count;
    uint32_t regions, next_region;
    uint64_t limit_bytes, large_bytes; /* large_bytes: in blocks with a region of their own */
    _Atomic uint64_t bytes;
};

static size_t class_page_bytes(unsigned class)
{
    return arena_class_bytes(class) <= SMALL_BYTES ? PAGE_BYTES : ARENA_REGION_BYTES;
}

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
        (void)pthread_mutex_lock(&p->classes[i].lock);
        sum += p->classes[i].blocks * arena_class_bytes(i);
        (void)pthread_mutex_unlock(&p->classes[i].lock);
    }
    (void)pthread_mutex_lock(&p->lock);
    sum += p->large_bytes;
    (void)pthread_mutex_unlock(&p->lock);
    return sum;
}

bool arena_low(const struct arena *arena)
{
    return arena_bytes(arena) > arena->parts->limit_bytes - arena->parts->limit_bytes / 8;
}

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
    uint32_t n = p->next_region > LARGE_STATE_REGIONS ? CHUNK_REGIONS : 1;
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

static void list_push(struct page *pages, uint32_t *list, uint32_t page)
{
    pages[page].previous = NONE;
    pages[page].next = *list;
    if (*list)
        pages[*list].previous = page;
    *list = page;
}

static void list_remove(struct page *pages, uint32_t *list, uint32_t page)
{
    struct page *at = &pages[page];
    if (at->next)
        pages[at->next].previous = at->previous;
    if (at->previous)
        pages[at->previous].next = at->next;
    else
        *list = at->next;
}

/* A page that no class uses; NONE: no memory. */
static uint32_t page_take(struct arena *arena, unsigned class)
{
    struct arena_parts *p = arena->parts;
    uint32_t page = NONE;
    (void)pthread_mutex_lock(&p->lock);
    if (class_page_bytes(class) == ARENA_REGION_BYTES) {
        page = region_take(arena) * PAGES;
        for (uint32_t i = 1; page && i < PAGES; i++)
            p->pages[page + i].class = WHOLE;
    } else {
        if (!p->free_page) {
            uint32_t region = region_take(arena);
            for (uint32_t i = PAGES; region && i-- > 0;)
                list_push(p->pages, &p->free_page, region * PAGES + i);
            p->free_pages_of[region] = region ? PAGES : 0;
        }
        page = p->free_page;
        if (page) {
            list_remove(p->pages, &p->free_page, page);
            p->free_pages_of[page / PAGES]--;
        }
    }
    if (page)
        p->pages[page] = (struct page){.class = (uint8_t)class};
    (void)pthread_mutex_unlock(&p->lock);
    return page;
}

/* Takes back an empty page; a region whose pages are all free is whole again. */
static void page_give(struct arena *arena, uint32_t page, unsigned class)
{
    struct arena_parts *p = arena->parts;
    uint32_t region = page / PAGES;
    (void)pthread_mutex_lock(&p->lock);
    if (class_page_bytes(class) == ARENA_REGION_BYTES) {
        p->free_regions[p->free_region_count++] = region;
    } else {
        list_push(p->pages, &p->free_page, page);
        if (++p->free_pages_of[region] == PAGES) {
            for (uint32_t i = 0; i < PAGES; i++)
                list_remove(p->pages, &p->free_page, region * PAGES + i);
            p->free_regions[p->free_region_count++] = region;
        }
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static uint32_t large_take(struct arena *arena, unsigned class)
{
    struct arena_parts *p = arena->parts;
    size_t bytes = arena_class_bytes(class);
    uint32_t region = NONE;
    (void)pthread_mutex_lock(&p->lock);
    bool number = p->free_number_count > 0 || p->next_region < p->regions;
    char *block = number && within_limit(p, bytes) ? aligned_alloc(64, bytes) : NULL;
    if (block) {
        region = p->free_number_count ? p->free_numbers[--p->free_number_count] : p->next_region++;
        arena->bases[region] = block;
        p->pages[region * PAGES].class = (uint8_t)class;
        p->large_bytes += bytes;
        atomic_fetch_add_explicit(&p->bytes, bytes, memory_order_relaxed); /* a figure */
    }
    (void)pthread_mutex_unlock(&p->lock);
    return region << ARENA_OFFSET_BITS;
}

static void large_give(struct arena *arena, uint32_t reference, unsigned class)
{
    struct arena_parts *p = arena->parts;
    uint32_t region = reference >> ARENA_OFFSET_BITS;
    (void)pthread_mutex_lock(&p->lock);
    free(arena->bases[region]);
    arena->bases[region] = NULL;
    p->free_numbers[p->free_number_count++] = region;
    p->large_bytes -= arena_class_bytes(class);
    atomic_fetch_sub_explicit(&p->bytes, arena_class_bytes(class), memory_order_relaxed); /* a figure */
    (void)pthread_mutex_unlock(&p->lock);
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

uint32_t arena_take(struct arena *arena, unsigned class)
{
    CHECK(class < ARENA_CLASSES);
    if (class >= ARENA_PAGED_CLASSES)
        return large_take(arena, class);
    struct class_pages *c = &arena->parts->classes[class];
    size_t block_bytes = arena_class_bytes(class);
    uint32_t reference = NONE;
    (void)pthread_mutex_lock(&c->lock);
    if (!c->open) {
        uint32_t page = page_take(arena, class);
        if (page)
            list_push(arena->parts->pages, &c->open, page);
    }
    uint32_t page = c->open;
    if (page) {
        struct page *at = &arena->parts->pages[page];
        uint32_t unit = block_take(arena, page, block_bytes);
        if (!at->free && (size_t)(at->fresh + 1) * block_bytes > class_page_bytes(class))
            list_remove(arena->parts->pages, &c->open, page);
        reference = (page / PAGES) << ARENA_OFFSET_BITS | (page % PAGES * PAGE_UNITS + unit);
        c->blocks++;
    }
    (void)pthread_mutex_unlock(&c->lock);
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
    struct class_pages *c = &arena->parts->classes[class];
    size_t block_bytes = arena_class_bytes(class), page_bytes = class_page_bytes(class);
    uint32_t offset = reference & ((1u << ARENA_OFFSET_BITS) - 1);
    uint32_t page = (reference >> ARENA_OFFSET_BITS) * PAGES;
    if (page_bytes == PAGE_BYTES)
        page += offset / PAGE_UNITS;
    uint32_t unit = offset - page % PAGES * PAGE_UNITS;
    struct page *at = &arena->parts->pages[page];
    (void)pthread_mutex_lock(&c->lock);
    bool was_full = !at->free && (size_t)(at->fresh + 1) * block_bytes > page_bytes;
    memcpy(page_base(arena, page) + (size_t)unit * ARENA_UNIT, &at->free, sizeof at->free);
    at->free = (uint16_t)(unit + 1);
    at->used--;
    c->blocks--;
    if (was_full)
        list_push(arena->parts->pages, &c->open, page);
    /* The last small page of a class stays, so that one block taken and given in turn does not move a page each time. */
    if (at->used == 0 && (page_bytes != PAGE_BYTES || c->open != page || at->next)) {
        list_remove(arena->parts->pages, &c->open, page);
        page_give(arena, page, class);
    }
    (void)pthread_mutex_unlock(&c->lock);
}
