/* A borrowed run of bytes: not NUL-terminated, not owned, valid as long as what it points into. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *data; /* NULL: absent, which is not the same as empty */
    uint32_t len;
};

static inline bool span_equal(struct span a, const char *data, size_t len)
{
    return a.data && a.len == len && memcmp(a.data, data, len) == 0;
}
