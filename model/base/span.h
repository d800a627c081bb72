/* A borrowed run of bytes: not NUL-terminated, not owned, valid as long as what it points into. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct span {
    const char *data; /* NULL: absent, which is not the same as empty */
    uint32_t len;
};

static inline bool span_equal(struct span a, const char *data, size_t len)
{
    return a.data && a.len == len && (len == 0 || memcmp(a.data, data, len) == 0);
}

/* An owned copy with a NUL behind it ("" of an absent span); NULL: no memory. strndup is for text that has its own NUL. */
static inline char *span_copy(struct span a)
{
    char *copy = malloc((size_t)a.len + 1);
    if (!copy)
        return NULL;
    if (a.len > 0)
        memcpy(copy, a.data, a.len);
    copy[a.len] = '\0';
    return copy;
}
