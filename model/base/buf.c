#include "model/base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

char *buf_reserve(struct buf *b, size_t more)
{
    if (b->failed)
        return NULL;
    if (b->cap - b->len >= more && b->data)
        return b->data + b->len;
    size_t want = b->cap ? b->cap : 256;
    while (want - b->len < more) {
        if (want > SIZE_MAX / 2) {
            b->failed = true;
            return NULL;
        }
        want *= 2;
    }
    char *grown = realloc(b->data, want);
    if (!grown) {
        b->failed = true;
        return NULL;
    }
    b->data = grown;
    b->cap = want;
    return b->data + b->len;
}

void buf_append(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    char *to = buf_reserve(b, len);
    if (!to)
        return;
    memcpy(to, data, len);
    b->len += len;
}

void buf_char(struct buf *b, char c)
{
    char *to = buf_reserve(b, 1);
    if (!to)
        return;
    *to = c;
    b->len++;
}

void buf_string(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_format(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = need < 0 ? NULL : buf_reserve(b, (size_t)need + 1);
    if (to) {
        (void)vsnprintf(to, (size_t)need + 1, format, again);
        b->len += (size_t)need;
    }
    va_end(again);
}

void buf_json_string(struct buf *b, const char *s, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    char *to = buf_reserve(b, len * 6 + 2);
    if (!to)
        return;
    char *p = to;
    *p++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\') {
            *p++ = '\\';
            *p++ = (char)c;
        } else if (c >= 0x20) {
            *p++ = (char)c;
        } else {
            memcpy(p, "\\u00", 4);
            p[4] = hex[c >> 4];
            p[5] = hex[c & 15];
            p += 6;
        }
    }
    *p++ = '"';
    b->len += (size_t)(p - to);
}

const char *buf_text(struct buf *b)
{
    char *end = buf_reserve(b, 1);
    if (!end)
        return "";
    *end = '\0';
    return b->data;
}

static enum status read_stream(struct buf *b, FILE *f, const char *path, size_t max_bytes, struct error *err)
{
    for (;;) {
        char *to = buf_reserve(b, 65536);
        if (!to)
            return error_set(err, STATUS_NO_MEMORY, "%s: out of memory while reading", path);
        size_t got = fread(to, 1, 65536, f);
        b->len += got;
        if (b->len > max_bytes)
            return error_set(err, STATUS_LIMIT, "%s: larger than the limit of %zu bytes", path, max_bytes);
        if (got == 0)
            return ferror(f) ? error_set(err, STATUS_IO, "%s: %s", path, strerror(errno)) : STATUS_OK;
    }
}

enum status buf_read_file(struct buf *b, const char *path, size_t max_bytes, struct error *err)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f)
        return error_set(err, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, "%s: %s", path, strerror(errno));
    enum status status;
    if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode))
        status = error_set(err, STATUS_IO, "%s: is a directory, a file is needed", path);
    else
        status = read_stream(b, f, path, max_bytes, err);
    (void)fclose(f);
    return status;
}
