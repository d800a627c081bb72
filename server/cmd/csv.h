/*
 * Rows of a CSV file (RFC 4180 with commas), one at a time, in memory of the longest row. Cells in quotes may hold commas
 * and doubled quotes, but no line breaks: rows of numbers have none. Blank lines are passed over, a byte order mark and
 * CR before LF too.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "model/base/buf.h"
#include "model/base/span.h"
#include "model/base/status.h"

struct csv {
    const char *path; /* borrowed; "-" is stdin */
    FILE *file;
    bool borrowed; /* the file is the caller's to close */
    char *line;
    size_t line_capacity, line_number; /* from 1 */
    struct span *cells;                /* [cell_count] of the row last read, quotes taken off */
    size_t cell_count, cell_capacity;
};

/* STATUS_NOT_FOUND, STATUS_IO. */
MUST_USE enum status csv_open(struct csv *csv, const char *path, struct error *err);
/* Reads on in a file that is open; its path is for messages. Both are borrowed until csv_close. */
void csv_begin(struct csv *csv, const char *path, FILE *file);
void csv_close(struct csv *csv);

/* Reads the next row into csv->cells; *more is false at the end of the file. STATUS_INVALID, STATUS_IO, STATUS_NO_MEMORY,
 * with "path:line: …". */
MUST_USE enum status csv_row(struct csv *csv, bool *more, struct error *err);

/* Writes a cell of text, in quotes where it needs them (RFC 4180). */
void csv_append(struct buf *out, const char *text, size_t len);
