#include "server/labels/label_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/input/number.h"
#include "model/input/time.h"
#include "model/state/state.h"
#include "server/cmd/csv.h"

struct loader {
    struct label_file *file;
    const char *path;
    enum time_unit unit;
    struct error *err;
    size_t skipped; /* blank lines before the first label */
};

static enum status no_memory(const struct loader *l)
{
    return error_set(l->err, STATUS_NO_MEMORY, "%s: out of memory after %zu labels", l->path, l->file->count);
}

static enum status add(struct loader *l, const struct label *label)
{
    struct label_file *f = l->file;
    if (f->count == f->room) {
        size_t room = f->room ? f->room * 2 : 4096;
        struct label_entry *grown = realloc(f->entries, room * sizeof *grown);
        if (!grown)
            return no_memory(l);
        f->entries = grown;
        f->room = room;
    }
    if (f->ids_len + label->id.len > f->ids_room) {
        size_t room = (f->ids_room + label->id.len) * 2;
        char *grown = realloc(f->ids, room);
        if (!grown)
            return no_memory(l);
        f->ids = grown;
        f->ids_room = room;
    }
    memcpy(f->ids + f->ids_len, label->id.data, label->id.len);
    f->entries[f->count++] = (struct label_entry){.time_us = label->time_us, .id = f->ids_len, .id_len = label->id.len, .fraud = label->fraud};
    f->ids_len += label->id.len;
    return STATUS_OK;
}

/* --- JSON -------------------------------------------------------------------------------------------------------------- */

static enum status add_line(struct loader *l, struct label_reader *reader, const char *line, size_t len, uint64_t number)
{
    struct label label;
    struct decode_fault fault;
    if (decode_skip_space(line, len) == len)
        return STATUS_OK;
    if (label_read_whole(reader, line, len, &label, &fault) == STATUS_OK)
        return add(l, &label);
    struct buf why = {0};
    decode_fault_describe(reader->schema, &fault, &why);
    enum status status = error_set(l->err, STATUS_INVALID, "%s:%llu: not a label: %s", l->path, (unsigned long long)number, buf_text(&why));
    buf_free(&why);
    return status;
}

static enum status load_json(struct loader *l, FILE *in, const struct schema *transactions)
{
    struct label_reader reader;
    char *line = NULL;
    size_t room = 0;
    enum status status = label_reader_init(&reader, transactions, l->err);
    for (uint64_t number = l->skipped + 1; status == STATUS_OK; number++) {
        ssize_t len = getline(&line, &room, in);
        if (len < 0)
            break;
        status = add_line(l, &reader, line, (size_t)len, number);
    }
    if (status == STATUS_OK && ferror(in))
        status = error_set(l->err, STATUS_IO, "%s: %s", l->path, strerror(errno));
    free(line);
    label_reader_free(&reader);
    return status;
}

/* --- CSV --------------------------------------------------------------------------------------------------------------- */

enum column { COLUMN_ID, COLUMN_FRAUD, COLUMN_TIME, COLUMNS };

static enum status find_columns(const struct loader *l, const struct csv *csv, size_t at[COLUMNS])
{
    static const char *const names[COLUMNS] = {"transaction_id", "fraud", "time"};
    for (int c = 0; c < COLUMNS; c++) {
        at[c] = 0;
        while (at[c] < csv->cell_count && !span_equal(csv->cells[at[c]], names[c], strlen(names[c])))
            at[c]++;
        if (at[c] == csv->cell_count)
            return error_set(l->err, STATUS_INVALID, "%s:%zu: the heading has no column '%s'", l->path, csv->line_number, names[c]);
    }
    return STATUS_OK;
}

static bool read_flag(struct span cell, bool *out)
{
    *out = span_equal(cell, "1", 1) || span_equal(cell, "true", 4) || span_equal(cell, "True", 4);
    return *out || span_equal(cell, "0", 1) || span_equal(cell, "false", 5) || span_equal(cell, "False", 5);
}

static enum status add_row(struct loader *l, const struct csv *csv, const size_t at[COLUMNS])
{
    struct label label = {.id = csv->cells[at[COLUMN_ID]]};
    struct span time = csv->cells[at[COLUMN_TIME]];
    if (label.id.len == 0 || label.id.len > TEXT_BYTES_MAX)
        return error_set(l->err, STATUS_INVALID, "%s:%zu: transaction_id has 1 to %d bytes", l->path, csv->line_number, TEXT_BYTES_MAX);
    if (!read_flag(csv->cells[at[COLUMN_FRAUD]], &label.fraud))
        return error_set(l->err, STATUS_INVALID, "%s:%zu: fraud is 0, 1, true or false", l->path, csv->line_number);
    double number;
    bool written = l->unit == TIME_RFC3339 || (time.len > 0 && number_read_double(time.data, time.len, &number) == time.len);
    if (!written)
        return error_set(l->err, STATUS_INVALID, "%s:%zu: time is no number", l->path, csv->line_number);
    enum decode_reason why = l->unit == TIME_RFC3339 ? time_from_rfc3339(time.data, time.len, &label.time_us)
                                                     : time_from_number(time.data, time.len, l->unit, &label.time_us);
    if (why != DECODE_NONE)
        return error_set(l->err, STATUS_INVALID, "%s:%zu: time is not one as the transactions have it", l->path, csv->line_number);
    return add(l, &label);
}

static enum status load_csv(struct loader *l, FILE *in)
{
    struct csv csv;
    size_t at[COLUMNS];
    bool more = false;
    csv_begin(&csv, l->path, in);
    csv.line_number = l->skipped;
    enum status status = csv_row(&csv, &more, l->err);
    if (status == STATUS_OK && more)
        status = find_columns(l, &csv, at);
    while (status == STATUS_OK && more) {
        size_t heading = csv.cell_count;
        status = csv_row(&csv, &more, l->err);
        if (status == STATUS_OK && more && csv.cell_count != heading)
            status = error_set(l->err, STATUS_INVALID, "%s:%zu: %zu cells, the heading has %zu", l->path, csv.line_number, csv.cell_count, heading);
        else if (status == STATUS_OK && more)
            status = add_row(l, &csv, at);
    }
    csv_close(&csv);
    return status;
}

/* --- the whole --------------------------------------------------------------------------------------------------------- */

/* Position in the file stands in `id`, which only grows. */
static int by_time(const void *left, const void *right)
{
    const struct label_entry *a = left, *b = right;
    if (a->time_us != b->time_us)
        return a->time_us < b->time_us ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static size_t place_of(const struct label_file *f, struct span id)
{
    size_t place = siphash128(&f->secret, id.data, id.len).low & f->mask;
    for (; f->places[place]; place = (place + 1) & f->mask) {
        const struct label_entry *e = &f->entries[f->places[place] - 1];
        if (span_equal(id, f->ids + e->id, e->id_len))
            break;
    }
    return place;
}

static struct span id_of(const struct label_file *f, const struct label_entry *entry)
{
    return (struct span){.data = f->ids + entry->id, .len = entry->id_len};
}

static enum status index_ids(struct loader *l)
{
    struct label_file *f = l->file;
    size_t places = 16;
    while (places < f->count * 2)
        places *= 2;
    f->mask = places - 1;
    f->places = calloc(places, sizeof *f->places);
    if (!f->places || f->count >= UINT32_MAX)
        return no_memory(l);
    f->secret = hash_secret_random();
    for (size_t i = 0; i < f->count; i++) /* a later one takes the place over */
        f->places[place_of(f, id_of(f, &f->entries[i]))] = (uint32_t)i + 1;
    return STATUS_OK;
}

static enum status load(struct loader *l, FILE *in, const struct schema *transactions)
{
    int first = fgetc(in); /* one character ahead and never back: the file may be a pipe */
    for (; first == ' ' || first == '\n' || first == '\r' || first == '\t'; first = fgetc(in))
        l->skipped += first == '\n';
    if (first != EOF)
        (void)ungetc(first, in);
    enum status status = first == EOF || first == '{' ? load_json(l, in, transactions) : load_csv(l, in);
    if (status != STATUS_OK)
        return status;
    if (l->file->count > 0)
        qsort(l->file->entries, l->file->count, sizeof *l->file->entries, by_time);
    return index_ids(l);
}

enum status label_file_load(struct label_file *file, const char *path, const struct schema *transactions, struct error *err)
{
    *file = (struct label_file){.entries = NULL};
    struct loader l = {.file = file, .path = path, .unit = schema_field(transactions, schema_time(transactions))->unit, .err = err};
    FILE *in = fopen(path, "rb");
    if (!in)
        return error_set(err, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, "%s: %s", path, strerror(errno));
    enum status status = load(&l, in, transactions);
    (void)fclose(in);
    return status;
}

void label_file_free(struct label_file *file)
{
    free(file->entries);
    free(file->ids);
    free(file->places);
    *file = (struct label_file){.entries = NULL};
}

void label_file_tell(struct label_file *file, struct state *state, int64_t time_us)
{
    for (; file->next < file->count && file->entries[file->next].time_us <= time_us; file->next++) {
        const struct label_entry *e = &file->entries[file->next];
        (void)state_label(state, id_of(file, e), e->fraud, e->time_us); /* whatever came of it is counted there */
    }
}

enum label_truth label_file_meet(struct label_file *file, struct span id)
{
    uint32_t at = file->places ? file->places[place_of(file, id)] : 0;
    if (at == 0)
        return TRUTH_UNKNOWN;
    file->entries[at - 1].met = true;
    return file->entries[at - 1].fraud ? TRUTH_FRAUD : TRUTH_HONEST;
}

size_t label_file_unmet(const struct label_file *file)
{
    size_t unmet = 0;
    for (size_t i = 0; i < file->count; i++)
        unmet += !file->entries[file->places[place_of(file, id_of(file, &file->entries[i]))] - 1].met;
    return unmet;
}
