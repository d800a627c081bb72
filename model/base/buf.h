/*
 * A growing byte buffer, used for answers, records and files. It grows by doubling and never shrinks, so a buffer that is
 * reused (buf_clear) stops allocating once it has seen its largest content. One thread at a time.
 *
 * Running out of memory sets `failed`; later appends do nothing, so a writer checks once, at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

struct buf {
    char *data; /* owned; NULL while cap == 0; not NUL-terminated unless buf_text() is called */
    size_t len;
    size_t cap;
    bool failed;
};

void buf_free(struct buf *b);

/* Makes room for `more` bytes past len and returns where they go; the caller then adds to len itself. NULL on no memory. */
char *buf_reserve(struct buf *b, size_t more);

void buf_append(struct buf *b, const void *data, size_t len);
void buf_char(struct buf *b, char c);
void buf_string(struct buf *b, const char *s);
void buf_format(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends s as a JSON string with quotes: control characters, '"' and '\\' escaped; the input must be UTF-8. */
void buf_json_string(struct buf *b, const char *s, size_t len);

/* NUL-terminates without counting the NUL and returns data ("" when empty, or on no memory). */
const char *buf_text(struct buf *b);

static inline void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

/* Reads a whole file. STATUS_NOT_FOUND, STATUS_IO, STATUS_LIMIT (larger than max_bytes), STATUS_NO_MEMORY. */
MUST_USE enum status buf_read_file(struct buf *b, const char *path, size_t max_bytes, struct error *err);
