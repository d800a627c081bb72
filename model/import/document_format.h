/*
 * What a document format provides to the reader of document.h, and what it may use of it. Each function finds the reader
 * unfailed, and on failure calls document_fail (which returns false).
 */
#pragma once

#include "model/import/document.h"

enum number_kind { NUMBER_KIND_F32, NUMBER_KIND_F64, NUMBER_KIND_I64 };

struct document_format {
    enum document_kind (*peek)(struct document *d);
    bool (*open)(struct document *d, bool is_array); /* past the bracket, with document_push */
    bool (*key)(struct document *d, struct span *key, struct span *raw);
    bool (*item)(struct document *d);
    bool (*text)(struct document *d, struct span *out);
    /* One number into a float, double or int64_t. */
    bool (*number)(struct document *d, enum number_kind kind, void *out, bool allow_nan);
    /* Optional: the items of the array just opened, in one go, into out (a struct f32s, f64s or, for I64, i32s), or past
     * them where out is NULL. Sets *taken where it did; then the array is closed. */
    bool (*bulk)(struct document *d, enum number_kind kind, void *out, bool *taken);
    bool (*skip_scalar)(struct document *d);
    bool (*ended)(struct document *d); /* nothing but blanks is left */
};

/* A new innermost frame; fails at DOCUMENT_DEPTH_MAX. */
bool document_push(struct document *d, bool is_array);
void document_pop(struct document *d);

static inline struct document_frame *document_top(struct document *d)
{
    return &d->frames[d->depth - 1];
}

static inline size_t document_left(const struct document *d)
{
    return (size_t)(d->end - d->at);
}

/* True where text[0..len) is UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629). */
bool utf8_valid(const char *text, size_t len);
