#include "model/import/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

void import_use_huge_pages(void *memory, size_t bytes)
{
    enum { PAGE = 4096, WORTH_IT = 4 << 20 };
    /* All of the pages that the block touches: a part of them would split the mapping, and realloc would have to copy it. */
    uintptr_t first = (uintptr_t)memory / PAGE * PAGE, end = ((uintptr_t)memory + bytes + PAGE - 1) / PAGE * PAGE;
    if (bytes >= WORTH_IT)
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE); /* a hint: refusing it costs time only */
}

enum { SLACK_BYTES = 60 << 20 }; /* 4 MB of the 64 stay for names, messages and the heap's own needs */

struct import_memory import_memory_of(size_t file_bytes)
{
    size_t limit = file_bytes > (SIZE_MAX - SLACK_BYTES) / 4 ? SIZE_MAX : 4 * file_bytes + SLACK_BYTES;
    return (struct import_memory){.used = file_bytes, .limit = limit};
}

void *import_grow(struct import_memory *memory, void *array, size_t *capacity, size_t need, size_t item_bytes)
{
    if (need <= *capacity && array)
        return array;
    size_t left = (memory->limit - memory->used) / item_bytes;
    size_t least = need > *capacity ? need - *capacity : 0;
    if (least > left)
        return NULL;
    size_t more = *capacity / 2 < 16 ? 16 : *capacity / 2;
    if (more < least)
        more = least;
    if (more > left)
        more = left;
    void *grown = realloc(array, (*capacity + more) * item_bytes);
    if (!grown)
        return NULL;
    *capacity += more;
    memory->used += more * item_bytes;
    import_use_huge_pages(grown, *capacity * item_bytes);
    return grown;
}

void *import_shrink(struct import_memory *memory, void *array, size_t *capacity, size_t size, size_t item_bytes)
{
    if (!array || size == *capacity)
        return array;
    memory->used -= (*capacity - size) * item_bytes;
    *capacity = size;
    if (size == 0) {
        free(array);
        return NULL;
    }
    void *smaller = realloc(array, size * item_bytes);
    return smaller ? smaller : array;
}

bool import_charge(struct import_memory *memory, size_t bytes)
{
    enum { HEAP_BYTES = 32 }; /* what the heap needs for the smallest block, and beside a larger one */
    if (memory->limit - memory->used < bytes || memory->limit - memory->used - bytes < HEAP_BYTES)
        return false;
    memory->used += bytes + HEAP_BYTES;
    return true;
}

char *import_text(struct import_memory *memory, struct span text)
{
    return import_charge(memory, (size_t)text.len + 1) ? span_copy(text) : NULL;
}
