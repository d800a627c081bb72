#include "server/cmd/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum status csv_open(struct csv *csv, const char *path, struct error *err)
{
    struct stat st;
    *csv = (struct csv){.path = path};
    csv->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!csv->file)
        return error_set(err, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, "%s: %s", path, strerror(errno));
    if (fstat(fileno(csv->file), &st) == 0 && S_ISDIR(st.st_mode)) {
        csv_close(csv);
        return error_set(err, STATUS_IO, "%s: is a directory, a CSV file is needed", path);
    }
    return STATUS_OK;
}

void csv_begin(struct csv *csv, const char *path, FILE *file)
{
    *csv = (struct csv){.path = path, .file = file, .borrowed = true};
}

void csv_close(struct csv *csv)
{
    if (csv->file && csv->file != stdin && !csv->borrowed)
        (void)fclose(csv->file);
    free(csv->line);
    free(csv->cells);
    *csv = (struct csv){0};
}

static enum status refuse(const struct csv *csv, struct error *err, const char *what)
{
    return error_set(err, STATUS_INVALID, "%s:%zu: %s", csv->path, csv->line_number, what);
}

static bool add_cell(struct csv *csv, const char *data, size_t len)
{
    if (csv->cell_count == csv->cell_capacity) {
        size_t capacity = csv->cell_capacity ? csv->cell_capacity * 2 : 64;
        struct span *grown = realloc(csv->cells, capacity * sizeof *grown);
        if (!grown)
            return false;
        csv->cells = grown;
        csv->cell_capacity = capacity;
    }
    csv->cells[csv->cell_count++] = (struct span){.data = data, .len = (uint32_t)len};
    return true;
}

/* The cell in quotes that opens at p, its doubled quotes made single in place. Returns what follows, NULL: never closed. */
static char *unquote(char *p, char **cell, size_t *len)
{
    char *out = ++p;
    *cell = out;
    for (; *p; p++) {
        if (*p == '"' && *++p != '"') {
            *len = (size_t)(out - *cell);
            return p;
        }
        *out++ = *p;
    }
    return NULL;
}

static enum status split(struct csv *csv, char *p, struct error *err)
{
    csv->cell_count = 0;
    for (;;) {
        char *cell = p;
        size_t len;
        if (*p == '"') {
            p = unquote(p, &cell, &len);
            if (!p)
                return refuse(csv, err, "a quote is not closed on its line");
            if (*p != ',' && *p != '\0')
                return refuse(csv, err, "something follows a closing quote");
        } else {
            p = strchrnul(p, ',');
            len = (size_t)(p - cell);
        }
        if (!add_cell(csv, cell, len))
            return error_set(err, STATUS_NO_MEMORY, "%s: out of memory", csv->path);
        if (*p == '\0')
            return STATUS_OK;
        p++;
    }
}

enum status csv_row(struct csv *csv, bool *more, struct error *err)
{
    *more = false;
    for (;;) {
        ssize_t len = getline(&csv->line, &csv->line_capacity, csv->file);
        csv->line_number++;
        if (len < 0)
            return ferror(csv->file) ? error_set(err, STATUS_IO, "%s: %s", csv->path, strerror(errno)) : STATUS_OK;
        if (len > INT32_MAX)
            return refuse(csv, err, "the line is longer than 2 GB");
        if (memchr(csv->line, '\0', (size_t)len))
            return refuse(csv, err, "a zero byte: not a CSV file");
        while (len > 0 && (csv->line[len - 1] == '\n' || csv->line[len - 1] == '\r'))
            csv->line[--len] = '\0';
        char *text = csv->line;
        if (csv->line_number == 1 && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
            text += 3;
        if (*text == '\0')
            continue;
        *more = true;
        return split(csv, text, err);
    }
}

void csv_append(struct buf *out, const char *text, size_t len)
{
    bool quotes = false;
    for (size_t i = 0; i < len && !quotes; i++)
        quotes = text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    if (!quotes) {
        buf_append(out, text, len);
        return;
    }
    buf_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            buf_char(out, '"');
        buf_char(out, text[i]);
    }
    buf_char(out, '"');
}
