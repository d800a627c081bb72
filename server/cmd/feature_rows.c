#include "server/cmd/feature_rows.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "model/base/nearest.h"
#include "model/input/number.h"

static const uint32_t ignored = UINT32_MAX;

static const char *const missing_words[] = {"", "nan", "na", "n/a", "null", "none"};

static bool is_word(struct span cell, const char *word)
{
    return cell.len == strlen(word) && strncasecmp(cell.data, word, cell.len) == 0;
}

static struct span trim(struct span cell)
{
    while (cell.len > 0 && strchr(" \t", cell.data[0])) {
        cell.data++;
        cell.len--;
    }
    while (cell.len > 0 && strchr(" \t", cell.data[cell.len - 1]))
        cell.len--;
    return cell;
}

bool feature_parse(struct span cell, enum number_type type, double *out)
{
    cell = trim(cell);
    for (size_t i = 0; i < sizeof missing_words / sizeof missing_words[0]; i++) {
        if (is_word(cell, missing_words[i])) {
            *out = (double)NAN;
            return true;
        }
    }
    if (is_word(cell, "true") || is_word(cell, "false")) {
        *out = is_word(cell, "true") ? 1 : 0;
        return true;
    }
    if (cell.data[0] == '+') {
        cell.data++;
        cell.len--;
    }
    bool negative = cell.len > 0 && cell.data[0] == '-';
    struct span bare = {.data = cell.data + negative, .len = cell.len - negative};
    if (is_word(bare, "inf") || is_word(bare, "infinity")) {
        *out = negative ? (double)-INFINITY : (double)INFINITY;
        return true;
    }
    float narrow = 0;
    size_t used = type == NUMBER_F32 ? number_read_float(cell.data, cell.len, &narrow) : number_read_double(cell.data, cell.len, out);
    if (type == NUMBER_F32)
        *out = (double)narrow;
    return used > 0 && used == cell.len;
}

/* A sentinel compares as the model's rows do: in their type. */
static bool is_sentinel(const struct feature_rows *rows, double value)
{
    for (size_t i = 0; i < rows->sentinel_count; i++) {
        double sentinel = rows->sentinels[i];
        if (value == (rows->info->input_type == NUMBER_F32 ? (double)(float)sentinel : sentinel))
            return true;
    }
    return false;
}

static enum status fill_row(const struct feature_rows *rows, void *row, struct error *err)
{
    const struct csv *csv = &rows->csv;
    if (csv->cell_count != rows->columns)
        return error_set(err, STATUS_INVALID, "%s:%zu: %zu cells, the header has %zu", csv->path, csv->line_number, csv->cell_count, rows->columns);
    for (size_t c = 0; c < rows->columns; c++) {
        double value;
        struct span cell = csv->cells[c];
        if (rows->feature_of[c] == ignored)
            continue;
        if (!feature_parse(cell, rows->info->input_type, &value))
            return error_set(err, STATUS_INVALID, "%s:%zu: column '%s': '%.*s' is no number within %s's range", csv->path, csv->line_number,
                             rows->column_names[c], cell.len > 40 ? 40 : (int)cell.len, cell.data,
                             rows->info->input_type == NUMBER_F32 ? "float32" : "float64");
        if (is_sentinel(rows, value))
            value = (double)NAN;
        if (rows->info->input_type == NUMBER_F32)
            ((float *)row)[rows->feature_of[c]] = (float)value;
        else
            ((double *)row)[rows->feature_of[c]] = value;
    }
    return STATUS_OK;
}

/* The feature of that name; most files have their columns in the model's order, so the column's own place comes first. */
static uint32_t find_feature(const struct feature_rows *rows, size_t column)
{
    const char *name = rows->column_names[column];
    if (column < rows->info->features && strcmp(rows->info->feature_names[column], name) == 0)
        return (uint32_t)column;
    for (uint32_t f = 0; f < rows->info->features; f++) {
        if (strcmp(rows->info->feature_names[f], name) == 0)
            return f;
    }
    return ignored;
}

static enum status refuse_missing_column(const struct feature_rows *rows, uint32_t feature, struct error *err)
{
    const char *name = rows->info->feature_names[feature];
    const char *near = nearest_word(name, (const char *const *)rows->column_names, rows->columns);
    return error_set(err, STATUS_MISMATCH, "%s:1: no column '%s', which the model needs%s%s%s", rows->csv.path, name,
                     near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Columns by the names of the model's features; other columns (an id, a label) are passed over. */
static enum status bind_by_name(struct feature_rows *rows, struct error *err)
{
    bool *found = calloc(rows->info->features ? rows->info->features : 1, sizeof *found);
    if (!found)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    enum status status = STATUS_OK;
    for (size_t c = 0; c < rows->columns && status == STATUS_OK; c++) {
        uint32_t feature = rows->feature_of[c] = find_feature(rows, c);
        if (feature == ignored)
            continue;
        if (found[feature])
            status = error_set(err, STATUS_INVALID, "%s:1: two columns are called '%s'", rows->csv.path, rows->column_names[c]);
        found[feature] = true;
    }
    for (uint32_t f = 0; f < rows->info->features && status == STATUS_OK; f++) {
        if (!found[f])
            status = refuse_missing_column(rows, f, err);
    }
    free(found);
    return status;
}

/* Made-up names (f0, Column_0) bind columns only where the header uses them. */
static bool columns_have_names(const struct feature_rows *rows)
{
    if (!rows->info->feature_names || model_names_features(rows->info))
        return rows->info->feature_names != NULL;
    for (size_t c = 0; c < rows->columns; c++) {
        if (find_feature(rows, c) != ignored)
            return true;
    }
    return false;
}

static enum status bind_columns(struct feature_rows *rows, struct error *err)
{
    bool more;
    enum status status = csv_row(&rows->csv, &more, err);
    if (status != STATUS_OK)
        return status;
    if (!more)
        return error_set(err, STATUS_INVALID, "%s: is empty; a header with the features' names is needed", rows->csv.path);
    rows->columns = rows->csv.cell_count;
    rows->feature_of = calloc(rows->columns, sizeof *rows->feature_of);
    rows->column_names = calloc(rows->columns, sizeof *rows->column_names);
    bool ok = rows->feature_of && rows->column_names;
    for (size_t c = 0; c < rows->columns && ok; c++) {
        rows->column_names[c] = span_copy(rows->csv.cells[c]);
        rows->feature_of[c] = (uint32_t)c;
        ok = rows->column_names[c] != NULL;
    }
    if (!ok)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    if (columns_have_names(rows))
        return bind_by_name(rows, err);
    if (rows->columns != rows->info->features)
        return error_set(err, STATUS_MISMATCH, "%s:1: %zu columns, the model has %u features, without names of their own", rows->csv.path, rows->columns, rows->info->features);
    return STATUS_OK;
}

enum status feature_rows_open(struct feature_rows *rows, const char *path, const struct model_info *info, struct error *err)
{
    *rows = (struct feature_rows){.info = info};
    enum status status = csv_open(&rows->csv, path, err);
    return status == STATUS_OK ? bind_columns(rows, err) : status;
}

void feature_rows_close(struct feature_rows *rows)
{
    for (size_t c = 0; rows->column_names && c < rows->columns; c++)
        free(rows->column_names[c]);
    free(rows->column_names);
    free(rows->feature_of);
    csv_close(&rows->csv);
    *rows = (struct feature_rows){0};
}

enum status feature_rows_next(struct feature_rows *rows, void *row, bool *more, struct error *err)
{
    enum status status = csv_row(&rows->csv, more, err);
    return status == STATUS_OK && *more ? fill_row(rows, row, err) : status;
}
