/*
 * Transactions to send, one after the other: of `assay gen`'s world, without end and with ids that never repeat, or the lines
 * of a file, from its beginning again when it ends. One thread at a time.
 */
#pragma once

#include <stdint.h>

#include "model/base/buf.h"
#include "model/base/span.h"

struct feed;

/* A transaction, valid until the next call. */
struct feed_item {
    struct span json; /* without newline */
    struct span id;   /* its text, unescaped strings only; absent where feed_file was given no id_field */
    struct span key;  /* what a Kafka record is keyed by; absent: none */
};

/* *out is owned: feed_free. */
MUST_USE enum status feed_generated(uint64_t seed, struct feed **out, struct error *err);
/* A document a line; blank lines are passed over. id_field and key_field: names of fields of the document whose text (or
 * number, as it stands) is the item's id and key; NULL: not looked for. STATUS_INVALID with the line where id_field is not
 * found. */
MUST_USE enum status feed_file(const char *path, const char *id_field, const char *key_field, struct feed **out, struct error *err);
void feed_free(struct feed *feed);

void feed_next(struct feed *feed, struct feed_item *item);

/* How often the file began anew: 0 until its last line has been given. */
uint64_t feed_repeats(const struct feed *feed);

/* Appends n transactions: as they are where n is 1, else as a JSON array. */
void feed_body(struct feed *feed, uint32_t n, struct buf *out);
