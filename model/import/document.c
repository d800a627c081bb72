#include "model/import/document_format.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void document_open(struct document *d, const struct document_format *format, const char *data, size_t len,
                   struct import_memory *memory, struct error *err)
{
    d->format = format;
    d->start = d->at = data;
    d->end = data + len;
    d->memory = memory;
    d->err = err;
    d->status = STATUS_OK;
    d->marker = 0;
    d->depth = 0;
    d->text = (struct buf){0};
}

enum status document_finish(struct document *d)
{
    if (d->status == STATUS_OK && !d->format->ended(d))
        (void)document_fail(d, STATUS_INVALID, "something follows the end of the document");
    buf_free(&d->text);
    return d->status;
}

/* "learner.trees[3].left_children[17]", cut at the front where it is too long for a message. */
static void write_path(const struct document *d, char *out, size_t cap)
{
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < d->depth && used + 1 < cap; i++) {
        const struct document_frame *frame = &d->frames[i];
        int n = 0;
        if (frame->is_array)
            n = snprintf(out + used, cap - used, "[%llu]", (unsigned long long)frame->index);
        else if (frame->key.data && utf8_valid(frame->key.data, frame->key.len))
            n = snprintf(out + used, cap - used, "%s%.*s", used ? "." : "", frame->key.len > 40 ? 40 : (int)frame->key.len,
                         frame->key.data);
        used += n > 0 ? (size_t)n : 0;
    }
}

bool document_fail(struct document *d, enum status status, const char *format, ...)
{
    if (d->status != STATUS_OK)
        return false;
    d->status = status;
    char path[200], text[256];
    write_path(d, path, sizeof path);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)error_set(d->err, status, "%s%sbyte %zu: %s", path, path[0] ? ", " : "", (size_t)(d->at - d->start), text);
    return false;
}

bool document_out_of_memory(struct document *d)
{
    return document_fail(d, STATUS_LIMIT, "needs more memory than 4 x the file + 64 MB, or than there is");
}

bool document_push(struct document *d, bool is_array)
{
    if (d->depth == DOCUMENT_DEPTH_MAX)
        return document_fail(d, STATUS_INVALID, "nested more than %d deep", DOCUMENT_DEPTH_MAX);
    d->frames[d->depth++] = (struct document_frame){.is_array = is_array};
    return true;
}

void document_pop(struct document *d)
{
    d->depth--;
}

enum document_kind document_peek(struct document *d)
{
    return d->status == STATUS_OK ? d->format->peek(d) : DOCUMENT_FAILED;
}

static bool expect(struct document *d, enum document_kind kind, const char *what)
{
    enum document_kind found = document_peek(d);
    if (found == DOCUMENT_FAILED)
        return false;
    return found == kind || document_fail(d, STATUS_INVALID, "%s is expected", what);
}

bool document_object(struct document *d)
{
    return expect(d, DOCUMENT_OBJECT, "an object") && d->format->open(d, false);
}

bool document_array(struct document *d)
{
    return expect(d, DOCUMENT_ARRAY, "an array") && d->format->open(d, true);
}

bool document_key(struct document *d, struct span *key)
{
    struct span raw = {0};
    if (d->status != STATUS_OK || !d->format->key(d, key, &raw))
        return false;
    document_top(d)->key = raw;
    document_top(d)->started = true;
    return true;
}

bool document_item(struct document *d)
{
    if (d->status != STATUS_OK)
        return false;
    struct document_frame *frame = document_top(d);
    frame->index += frame->started;
    bool more = d->format->item(d);
    if (more)
        frame->started = true;
    return more;
}

bool document_text(struct document *d, struct span *out)
{
    if (!expect(d, DOCUMENT_TEXT, "a text") || !d->format->text(d, out))
        return false;
    return utf8_valid(out->data, out->len) || document_fail(d, STATUS_INVALID, "the text is not UTF-8");
}

bool document_f32(struct document *d, float *out)
{
    return d->status == STATUS_OK && d->format->number(d, NUMBER_KIND_F32, out, false);
}

bool document_f64(struct document *d, double *out)
{
    return d->status == STATUS_OK && d->format->number(d, NUMBER_KIND_F64, out, false);
}

bool document_i64(struct document *d, int64_t *out)
{
    return d->status == STATUS_OK && d->format->number(d, NUMBER_KIND_I64, out, false);
}

/* Enters an array; *taken: the format read it whole. */
static bool open_numbers(struct document *d, enum number_kind kind, void *out, bool *taken)
{
    *taken = false;
    return document_array(d) && (!d->format->bulk || d->format->bulk(d, kind, out, taken));
}

bool document_f32s(struct document *d, struct f32s *out)
{
    bool taken;
    out->size = 0;
    if (!open_numbers(d, NUMBER_KIND_F32, out, &taken) || taken)
        return d->status == STATUS_OK;
    while (document_item(d)) {
        if (out->size == out->capacity) {
            float *grown = import_grow(d->memory, out->items, &out->capacity, out->size + 1, sizeof *grown);
            if (!grown)
                return document_out_of_memory(d);
            out->items = grown;
        }
        if (!d->format->number(d, NUMBER_KIND_F32, &out->items[out->size], true))
            return false;
        out->size++;
    }
    return d->status == STATUS_OK;
}

bool document_f64s(struct document *d, struct f64s *out)
{
    bool taken;
    out->size = 0;
    if (!open_numbers(d, NUMBER_KIND_F64, out, &taken) || taken)
        return d->status == STATUS_OK;
    while (document_item(d)) {
        if (out->size == out->capacity) {
            double *grown = import_grow(d->memory, out->items, &out->capacity, out->size + 1, sizeof *grown);
            if (!grown)
                return document_out_of_memory(d);
            out->items = grown;
        }
        if (!d->format->number(d, NUMBER_KIND_F64, &out->items[out->size], true))
            return false;
        out->size++;
    }
    return d->status == STATUS_OK;
}

bool document_i32s(struct document *d, struct i32s *out)
{
    bool taken;
    out->size = 0;
    if (!open_numbers(d, NUMBER_KIND_I64, out, &taken) || taken)
        return d->status == STATUS_OK;
    while (document_item(d)) {
        if (out->size == out->capacity) {
            int32_t *grown = import_grow(d->memory, out->items, &out->capacity, out->size + 1, sizeof *grown);
            if (!grown)
                return document_out_of_memory(d);
            out->items = grown;
        }
        int64_t value = 0;
        if (!d->format->number(d, NUMBER_KIND_I64, &value, false))
            return false;
        if (value < INT32_MIN || value > INT32_MAX)
            return document_fail(d, STATUS_INVALID, "%lld is out of range", (long long)value);
        out->items[out->size++] = (int32_t)value;
    }
    return d->status == STATUS_OK;
}

/* Steps to the next value inside the innermost frame, leaving frames that end, until `floor` frames remain. */
static bool next_to_skip(struct document *d, unsigned floor)
{
    while (d->status == STATUS_OK && d->depth > floor) {
        struct span key;
        unsigned depth = d->depth;
        if (document_top(d)->is_array ? document_item(d) : document_key(d, &key))
            return true;
        if (d->depth == depth)
            return false;
    }
    return false;
}

bool document_skip(struct document *d)
{
    unsigned floor = d->depth;
    do {
        enum document_kind kind = document_peek(d);
        if (kind == DOCUMENT_FAILED)
            return false;
        bool is_array = kind == DOCUMENT_ARRAY, taken;
        if (is_array || kind == DOCUMENT_OBJECT) {
            if (d->format->open(d, is_array) && is_array && d->format->bulk)
                (void)d->format->bulk(d, NUMBER_KIND_F64, NULL, &taken);
        } else {
            (void)d->format->skip_scalar(d);
        }
    } while (next_to_skip(d, floor));
    return d->status == STATUS_OK;
}

const char *document_place(const struct document *d)
{
    return d->at;
}

bool document_f32s_at(struct document *d, const char *place, struct f32s *out)
{
    const char *back = d->at;
    d->at = place;
    bool ok = document_f32s(d, out);
    if (ok)
        d->at = back;
    return ok;
}

static size_t utf8_length(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    bool wrong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
                 (p[0] == 0xf4 && p[1] > 0x8f);
    return wrong ? 0 : n;
}

bool utf8_valid(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = utf8_length((const unsigned char *)text + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
