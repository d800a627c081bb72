/*
 * Where the arena's blocks come from: regions of the system's memory, pages of a region, and what is free of them. Private to the arena.
 *
 *     thread's share of free blocks ─► a class's pages with free blocks ─► free pages ─► free regions ─► the system
 *     arena.c                          arena.c                            here
 */
#pragma once

#include "model/state/arena.h"
#include "model/state/lock.h"

enum {
    PAGE_BYTES = 32768,
    PAGES = ARENA_REGION_BYTES / PAGE_BYTES, /* of a region */
    SMALL_BYTES = 4096,                      /* blocks above this take a whole region as their page */
    PAGE_UNITS = PAGE_BYTES / ARENA_UNIT,
    CHUNK_REGIONS = 8, /* taken from the system at once when the state is large: 2 MiB, a huge page */
    LARGE_STATE_REGIONS = 32,
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

/* Free blocks of small classes that a thread keeps for itself: threads that all take and give the same few classes would stand in line
 * for one lock otherwise, and pass the same lines from cache to cache. */
enum { SHARED_CLASSES = 32 /* to 1 KiB */, SHARE_BLOCKS = 8 };
struct block_share {
    _Alignas(64) pthread_mutex_t lock;
    uint8_t held[SHARED_CLASSES];
    uint32_t blocks[SHARED_CLASSES][SHARE_BLOCKS]; /* the first held[class] */
};

struct class_pages {
    _Alignas(64) pthread_mutex_t lock;
    uint32_t open; /* first page with free blocks */
    uint64_t blocks; /* handed out, those in shares included */
};

struct arena_parts {
    struct page *pages;      /* [regions * PAGES] */
    uint8_t *free_pages_of;  /* [regions] free pages in a region cut into pages */
    uint32_t *free_regions;  /* [regions] a stack of region numbers whose memory is there and idle */
    uint32_t *free_numbers;  /* [regions] region numbers given back by large blocks */
    void **chunks;           /* [regions] what was taken from the system for pages */
    struct class_pages classes[ARENA_PAGED_CLASSES];
    struct block_share shares[THREAD_SHARES];
    pthread_mutex_t lock;    /* of all below, and of free pages and regions */
    uint32_t free_page;      /* first free page */
    uint32_t free_region_count, free_number_count, chunk_count;
    uint32_t regions, next_region;
    uint64_t limit_bytes, large_bytes; /* large_bytes: in blocks with a region of their own */
    _Atomic uint64_t bytes;
};

/* Bytes of a page of this class. */
static inline size_t class_page_bytes(unsigned class)
{
    return arena_class_bytes(class) <= SMALL_BYTES ? PAGE_BYTES : ARENA_REGION_BYTES;
}

void page_list_push(struct page *pages, uint32_t *list, uint32_t page);
void page_list_remove(struct page *pages, uint32_t *list, uint32_t page);

/* A page that no class uses; 0: no memory. Takes back an empty one. */
MUST_USE uint32_t page_take(struct arena *arena, unsigned class);
void page_give(struct arena *arena, uint32_t page, unsigned class);

/* Blocks with a region of their own. */
MUST_USE uint32_t large_take(struct arena *arena, unsigned class);
void large_give(struct arena *arena, uint32_t reference, unsigned class);
