/*
 * UBJ, Universal Binary JSON draft 12, for the pull reader. Numbers are big-endian.
 *
 *     value     marker and payload: i U I l L d D (numbers), S (text), C (character), H (number as text), Z T F (words)
 *     text, key an integer (marker and payload) that counts the bytes, then the bytes; a key has no S before it
 *     object    { key value … }
 *     array     [ value … ]     [ # count value …     [ $ type # count payload …
 *
 * Counted objects are allowed by the draft, but no library whose models we read writes them.
 */
#include <string.h>

#include "model/import/document_format.h"

static uint64_t big_endian(const char *p, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)p[i];
    return value;
}

static float f32_at(const char *p)
{
    uint32_t bits;
    float value;
    memcpy(&bits, p, sizeof bits);
    bits = __builtin_bswap32(bits);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double f64_at(const char *p)
{
    uint64_t bits = big_endian(p, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Bytes of a payload of fixed size; 0: the marker has none such. */
static size_t payload_bytes(char marker)
{
    switch (marker) {
    case 'i':
    case 'U':
    case 'C':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

static bool is_integer(char marker)
{
    return marker && strchr("iUIlL", marker);
}

static int64_t integer_at(const char *p, char marker)
{
    switch (marker) {
    case 'i':
        return (int8_t)*p;
    case 'U':
        return (unsigned char)*p;
    case 'I':
        return (int16_t)big_endian(p, 2);
    case 'l':
        return (int32_t)big_endian(p, 4);
    default:
        return (int64_t)big_endian(p, 8);
    }
}

static bool cut_short(struct document *d)
{
    return document_fail(d, STATUS_INVALID, "the file ends too early");
}

static bool take_byte(struct document *d, char *out)
{
    if (d->at == d->end)
        return cut_short(d);
    *out = *d->at++;
    return true;
}

/* The marker of the next value: read ahead, given once for the whole array, or the next byte that is no filler. */
static bool take_marker(struct document *d, char *out)
{
    if (d->marker) {
        *out = d->marker;
        d->marker = 0;
        return true;
    }
    if (d->depth > 0 && document_top(d)->type) {
        *out = document_top(d)->type;
        return true;
    }
    do {
        if (!take_byte(d, out))
            return false;
    } while (*out == 'N');
    return true;
}

static enum document_kind ubj_peek(struct document *d)
{
    char marker = 0;
    if (!take_marker(d, &marker))
        return DOCUMENT_FAILED;
    d->marker = marker;
    switch (marker) {
    case '{':
        return DOCUMENT_OBJECT;
    case '[':
        return DOCUMENT_ARRAY;
    case 'S':
    case 'C':
        return DOCUMENT_TEXT;
    case 'Z':
    case 'T':
    case 'F':
        return DOCUMENT_WORD;
    default:
        if (payload_bytes(marker) || marker == 'H')
            return DOCUMENT_NUMBER;
        (void)document_fail(d, STATUS_INVALID, "byte 0x%02x starts no value", (unsigned char)marker);
        return DOCUMENT_FAILED;
    }
}

/* A count of things that take at least `least` bytes each, so that more than are left cannot be declared. */
static bool take_count(struct document *d, size_t least, uint64_t *out)
{
    char marker = 0;
    if (!take_byte(d, &marker))
        return false;
    if (!is_integer(marker))
        return document_fail(d, STATUS_INVALID, "a length is expected");
    size_t bytes = payload_bytes(marker);
    if (document_left(d) < bytes)
        return cut_short(d);
    int64_t count = integer_at(d->at, marker);
    d->at += bytes;
    if (count < 0 || (uint64_t)count > document_left(d) / least)
        return document_fail(d, STATUS_INVALID, "%lld items of at least %zu bytes are declared, but %zu bytes are left",
                             (long long)count, least, document_left(d));
    *out = (uint64_t)count;
    return true;
}

static bool ubj_open(struct document *d, bool is_array)
{
    d->marker = 0;
    if (!document_push(d, is_array))
        return false;
    struct document_frame *frame = document_top(d);
    char next = d->at < d->end ? *d->at : '\0';
    if (!is_array)
        return next != '#' || document_fail(d, STATUS_UNSUPPORTED, "an object with a count is not supported");
    if (next == '$') {
        d->at++;
        if (!take_byte(d, &frame->type))
            return false;
        /* Items without a payload (Z, T, F) could be declared without end, so a type must have one. */
        if (!payload_bytes(frame->type))
            return document_fail(d, STATUS_INVALID, "an array of type 0x%02x is not supported", (unsigned char)frame->type);
        next = d->at < d->end ? *d->at : '\0';
        if (next != '#')
            return document_fail(d, STATUS_INVALID, "'#' is expected after an array's type");
    }
    if (next == '#') {
        d->at++;
        frame->counted = true;
        size_t least = frame->type ? payload_bytes(frame->type) : 1;
        return take_count(d, least, &frame->left);
    }
    return true;
}

static bool ubj_item(struct document *d)
{
    struct document_frame *frame = document_top(d);
    if (frame->counted) {
        if (frame->left == 0) {
            document_pop(d);
            return false;
        }
        frame->left--;
        return true;
    }
    char marker = 0;
    if (!take_marker(d, &marker))
        return false;
    if (marker == ']') {
        document_pop(d);
        return false;
    }
    d->marker = marker;
    return true;
}

static bool take_text(struct document *d, struct span *out)
{
    uint64_t len;
    if (!take_count(d, 1, &len))
        return false;
    if (len > UINT32_MAX)
        return document_fail(d, STATUS_INVALID, "a text of more than 4 GB");
    *out = (struct span){.data = d->at, .len = (uint32_t)len};
    d->at += len;
    return true;
}

static bool ubj_key(struct document *d, struct span *key, struct span *raw)
{
    while (d->at < d->end && *d->at == 'N')
        d->at++;
    if (d->at < d->end && *d->at == '}') {
        d->at++;
        document_pop(d);
        return false;
    }
    if (!take_text(d, raw))
        return false;
    *key = *raw;
    return true;
}

static bool ubj_text(struct document *d, struct span *out)
{
    char marker = 0;
    if (!take_marker(d, &marker))
        return false;
    if (marker == 'S')
        return take_text(d, out);
    *out = (struct span){.data = d->at, .len = 1};
    return take_byte(d, &marker);
}

static bool store(struct document *d, enum number_kind kind, void *out, char marker, const char *p)
{
    if (kind == NUMBER_KIND_I64) {
        if (!is_integer(marker))
            return document_fail(d, STATUS_INVALID, "a whole number is expected");
        *(int64_t *)out = integer_at(p, marker);
        return true;
    }
    if (!is_integer(marker) && marker != 'd' && marker != 'D')
        return document_fail(d, STATUS_INVALID, "a number is expected");
    double value = marker == 'd' ? (double)f32_at(p) : marker == 'D' ? f64_at(p) : (double)integer_at(p, marker);
    if (kind == NUMBER_KIND_F32)
        *(float *)out = (float)value;
    else
        *(double *)out = value;
    return true;
}

static bool ubj_number(struct document *d, enum number_kind kind, void *out, bool allow_nan)
{
    char marker = 0;
    if (!take_marker(d, &marker))
        return false;
    if (kind == NUMBER_KIND_I64 && (marker == 'T' || marker == 'F')) {
        *(int64_t *)out = marker == 'T';
        return true;
    }
    size_t bytes = payload_bytes(marker);
    if (document_left(d) < bytes)
        return cut_short(d);
    if (!store(d, kind, out, marker, d->at))
        return false;
    d->at += bytes;
    bool finite = kind == NUMBER_KIND_I64 || (kind == NUMBER_KIND_F32 ? __builtin_isfinite(*(float *)out) : __builtin_isfinite(*(double *)out));
    return allow_nan || finite || document_fail(d, STATUS_INVALID, "a finite number is expected");
}

/* Typed arrays in one loop each: this is where the time of a large file goes. */
static bool bulk_f32(struct document *d, struct f32s *out, char type, size_t n)
{
    float *items = import_grow(d->memory, out->items, &out->capacity, n, sizeof *items);
    if (!items)
        return document_out_of_memory(d);
    out->items = items;
    out->size = n;
    const char *p = d->at;
    size_t bytes = payload_bytes(type);
    for (size_t i = 0; i < n; i++, p += bytes) {
        if (type == 'd')
            items[i] = f32_at(p);
        else if (!store(d, NUMBER_KIND_F32, &items[i], type, p))
            return false;
    }
    return true;
}

static bool bulk_i32(struct document *d, struct i32s *out, char type, size_t n)
{
    if (!is_integer(type))
        return document_fail(d, STATUS_INVALID, "whole numbers are expected");
    int32_t *items = import_grow(d->memory, out->items, &out->capacity, n, sizeof *items);
    if (!items)
        return document_out_of_memory(d);
    out->items = items;
    out->size = n;
    const char *p = d->at;
    size_t bytes = payload_bytes(type);
    for (size_t i = 0; i < n; i++, p += bytes) {
        int64_t value = integer_at(p, type);
        if (value < INT32_MIN || value > INT32_MAX)
            return document_fail(d, STATUS_INVALID, "item %zu, %lld, is out of range", i, (long long)value);
        items[i] = (int32_t)value;
    }
    return true;
}

static bool ubj_bulk(struct document *d, enum number_kind kind, void *out, bool *taken)
{
    struct document_frame *frame = document_top(d);
    *taken = frame->type != 0 && !(out && kind == NUMBER_KIND_F64); /* which no model has: item by item will do */
    if (!*taken)
        return true;
    size_t n = (size_t)frame->left; /* times the payload's size it is within the file: ubj_open saw to that */
    char type = frame->type;
    bool ok = true;
    if (out && kind == NUMBER_KIND_F32)
        ok = bulk_f32(d, out, type, n);
    else if (out)
        ok = bulk_i32(d, out, type, n);
    if (!ok)
        return false;
    d->at += n * payload_bytes(type);
    document_pop(d);
    return true;
}

static bool ubj_skip_scalar(struct document *d)
{
    char marker = 0;
    struct span text;
    if (!take_marker(d, &marker))
        return false;
    if (marker == 'S' || marker == 'H')
        return take_text(d, &text);
    size_t bytes = payload_bytes(marker);
    if (document_left(d) < bytes)
        return cut_short(d);
    d->at += bytes;
    return true;
}

static bool ubj_ended(struct document *d)
{
    while (d->at < d->end && *d->at == 'N')
        d->at++;
    return d->at == d->end;
}

struct span ubj_first_key(const char *data, size_t len)
{
    size_t bytes = len > 1 && data[0] == '{' && is_integer(data[1]) ? payload_bytes(data[1]) : 0;
    if (bytes == 0 || len < 2 + bytes)
        return (struct span){0};
    int64_t key_len = integer_at(data + 2, data[1]);
    if (key_len < 0 || key_len > 4096 || (size_t)key_len > len - 2 - bytes)
        return (struct span){0};
    return (struct span){.data = data + 2 + bytes, .len = (uint32_t)key_len};
}

const struct document_format document_ubj = {
    .peek = ubj_peek,
    .open = ubj_open,
    .key = ubj_key,
    .item = ubj_item,
    .text = ubj_text,
    .number = ubj_number,
    .bulk = ubj_bulk,
    .skip_scalar = ubj_skip_scalar,
    .ended = ubj_ended,
};
