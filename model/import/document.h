/*
 * A pull reader over model files that are trees of objects, arrays, numbers and texts, whether written as JSON or as UBJ
 * (Universal Binary JSON). An importer asks for what it expects; what it does not know it skips. Nothing is built in
 * memory, and whole arrays of numbers go straight into typed arrays.
 *
 *     for (document_object(d); document_key(d, &key);) {
 *         if (span_is(key, "left_children"))
 *             document_i32s(d, &left);
 *         else
 *             document_skip(d);
 *     }
 *     status = document_finish(d);
 *
 * Failure sticks: after the first one every call returns false at once, and the message names the path and the byte
 * ("learner.gradient_booster.model.trees[3].left_children[17], byte 90210: a whole number is expected"). A loop like the
 * one above therefore needs no check in between.
 *
 * Sources: RFC 8259 (JSON); ubjson.org, draft 12 (UBJ).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/buf.h"
#include "model/base/span.h"
#include "model/base/status.h"
#include "model/import/memory.h"

enum document_kind { DOCUMENT_FAILED, DOCUMENT_OBJECT, DOCUMENT_ARRAY, DOCUMENT_TEXT, DOCUMENT_NUMBER, DOCUMENT_WORD };

/* Arrays that document_*s fill; reused from one call to the next, freed by their owner. */
struct f32s {
    float *items;
    size_t size, capacity;
};
struct f64s {
    double *items;
    size_t size, capacity;
};
struct i32s {
    int32_t *items;
    size_t size, capacity;
};

enum { DOCUMENT_DEPTH_MAX = 64 };

struct document_frame {
    bool is_array, started;
    uint64_t index;   /* array: of the item being read */
    struct span key;  /* object: of the value being read, as it stands in the file */
    char type;        /* UBJ: the marker of every item, 0: each has its own */
    bool counted;     /* UBJ: `left` says how many items remain; else a bracket ends them */
    uint64_t left;
};

struct document_format;

/* Private to document.c and the formats; callers keep one on the stack. */
struct document {
    const struct document_format *format;
    const char *start, *at, *end; /* borrowed */
    struct import_memory *memory; /* borrowed; arrays are charged to it */
    struct error *err;            /* borrowed */
    enum status status;
    char marker;                  /* UBJ: a marker that was read ahead, or 0 */
    unsigned depth;
    struct document_frame frames[DOCUMENT_DEPTH_MAX];
    struct buf text; /* owned: the last text that had escapes */
};

extern const struct document_format document_json, document_ubj;

void document_open(struct document *d, const struct document_format *format, const char *data, size_t len,
                   struct import_memory *memory, struct error *err);
/* Checks that nothing but blanks follows the document; frees what the reader owns; the first failure, or STATUS_OK. */
MUST_USE enum status document_finish(struct document *d);

/* What comes next, without taking it. */
enum document_kind document_peek(struct document *d);

/* Enters an object; then document_key gives its keys one by one (borrowed until the next call on d), false at its end. The
 * value of a key must be read, or skipped, before the next is asked for. */
bool document_object(struct document *d);
bool document_key(struct document *d, struct span *key);

/* Enters an array; then document_item tells whether one more item follows. */
bool document_array(struct document *d);
bool document_item(struct document *d);

/* A text, valid UTF-8, escapes decoded; borrowed until the next call on d. */
bool document_text(struct document *d, struct span *out);
/* A number. JSON floats are rounded once, straight to the type asked for. true and false are read as whole numbers 1, 0. */
bool document_f32(struct document *d, float *out);
bool document_f64(struct document *d, double *out);
bool document_i64(struct document *d, int64_t *out);

/* A whole array of numbers, replacing what out held. Not-a-number and infinities pass: JSON spells them NaN, Infinity,
 * -Infinity, as XGBoost does; whether they may stand there is for the importer to say. */
bool document_f32s(struct document *d, struct f32s *out);
bool document_f64s(struct document *d, struct f64s *out);
bool document_i32s(struct document *d, struct i32s *out);

/* Passes over whatever comes next. */
bool document_skip(struct document *d);

/* The place of the value that comes next, for one that may be wanted only once more is known: pass over it, and read it by
 * its place later, from inside the same array or one around it. */
const char *document_place(const struct document *d);
bool document_f32s_at(struct document *d, const char *place, struct f32s *out);

/* For importers: fails the document with a message of their own about the value being read. Returns false. */
bool document_fail(struct document *d, enum status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool document_out_of_memory(struct document *d);

/* The first key of a document that is an object: a quick look, for telling formats apart. data NULL where there is none. */
struct span json_first_key(const char *data, size_t len);
struct span ubj_first_key(const char *data, size_t len);
