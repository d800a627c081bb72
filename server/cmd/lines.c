#include "server/cmd/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/input/decode.h"

enum { READ_BYTES = 1 << 20, LINE_MAX_BYTES = 16 << 20 };

enum status lines_open(struct lines *lines, const char *path, struct error *err)
{
    *lines = (struct lines){.path = path};
    lines->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (lines->fd < 0)
        return error_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    lines->total = fstat(lines->fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    return STATUS_OK;
}

void lines_close(struct lines *lines)
{
    if (lines->fd > STDIN_FILENO)
        (void)close(lines->fd);
    buf_free(&lines->input);
    *lines = (struct lines){.fd = -1};
}

enum status lines_fill(struct lines *lines, struct error *err)
{
    size_t rest = lines->input.len - lines->at;
    if (rest > 0)
        memmove(lines->input.data, lines->input.data + lines->at, rest);
    lines->input.len = rest;
    lines->at = 0;
    char *to = buf_reserve(&lines->input, READ_BYTES);
    if (!to || rest > LINE_MAX_BYTES)
        return error_set(err, STATUS_LIMIT, "line %llu is longer than %d MB", (unsigned long long)lines->number + 1, LINE_MAX_BYTES >> 20);
    ssize_t got;
    do
        got = read(lines->fd, to, READ_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return error_set(err, STATUS_IO, "reading transactions: %s", strerror(errno));
    lines->input.len += (size_t)got;
    lines->bytes += (uint64_t)got;
    lines->at_end = got == 0;
    return STATUS_OK;
}

bool lines_next(struct lines *lines, const char **line, size_t *len)
{
    while (lines->at < lines->input.len) {
        const char *at = lines->input.data + lines->at, *end = lines->input.data + lines->input.len;
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline && !lines->at_end)
            return false;
        *line = at;
        *len = (size_t)((newline ? newline : end) - at);
        lines->at += *len + (newline != NULL);
        lines->number++;
        if (decode_skip_space(at, *len) < *len)
            return true;
    }
    return false;
}
