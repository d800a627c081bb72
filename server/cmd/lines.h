/*
 * Lines of a file or a pipe, as they come: whoever writes line by line sees answers line by line. Blank lines are passed over.
 *
 *     lines_fill ─► lines_next … lines_next (false) ─► lines_fill …     a line is borrowed until the next fill
 */
#pragma once

#include <stdbool.h>

#include "model/base/buf.h"

struct lines {
    const char *path;
    int fd;
    struct buf input;
    size_t at;       /* of input: where the next line begins */
    uint64_t number; /* of the line last given, from 1; blank ones count */
    uint64_t bytes;  /* read so far */
    uint64_t total;  /* of the file; 0: unknown */
    bool at_end;
};

/* path "-": stdin. STATUS_IO. */
MUST_USE enum status lines_open(struct lines *lines, const char *path, struct error *err);
void lines_close(struct lines *lines);

/* Reads what is there; lines->at_end once there is no more. STATUS_IO, STATUS_LIMIT (a line of more than 16 MB). */
MUST_USE enum status lines_fill(struct lines *lines, struct error *err);
/* The next whole line; false: none is left in what was read. */
bool lines_next(struct lines *lines, const char **line, size_t *len);
