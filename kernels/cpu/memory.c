#include "kernels/cpu/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const size_t huge_page = (size_t)2 << 20;

void *prepared_alloc(size_t bytes)
{
    size_t align = bytes >= huge_page ? huge_page : 64;
    if (bytes > SIZE_MAX - align)
        return NULL;
    size_t rounded = bytes < align ? align : (bytes + align - 1) / align * align;
    void *memory = aligned_alloc(align, rounded);
    if (!memory)
        return NULL;
    /* A walk through a big forest touches a new page at every step: large pages keep the address translations cached.
     * Only a wish; where it is not granted everything works as before. */
    if (align == huge_page)
        (void)madvise(memory, rounded, MADV_HUGEPAGE);
    memset(memory, 0, rounded);
    return memory;
}

int prepared_grow(void **array, size_t *capacity, size_t need, size_t element_bytes)
{
    if (need <= *capacity)
        return 0;
    size_t wanted = *capacity * 2 > need ? *capacity * 2 : need;
    if (wanted > SIZE_MAX / element_bytes)
        return -1;
    void *grown = prepared_alloc(wanted * element_bytes);
    if (!grown)
        return -1;
    if (*capacity)
        memcpy(grown, *array, *capacity * element_bytes);
    free(*array);
    *array = grown;
    *capacity = wanted;
    return 0;
}
