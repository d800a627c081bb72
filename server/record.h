/*
 * The result record: what goes to Kafka, to the HTTP caller and to a file, byte for byte the same everywhere.
 *
 *     {"transaction_id":"T1","score":0.0071767257,"decision":"approve","reasons":[],"model":"card-fraud","version":"3",
 *      "state":"complete","features":{…},"timing":{"decode_us":0.4,…}}
 *
 * Fixed field order, shortest round-trip numbers, no spaces. features and timing only where asked for.
 */
#pragma once

#include "model/base/buf.h"
#include "server/slot.h"

struct record_options {
    bool features;
    bool timing;
};

/* Appends the record of a scored or repeated transaction; row: its feature row (used with options->features). */
void record_write(struct buf *out, const struct txn *txn, const struct rows *rows, const struct record_options *options);

/* Of a transaction that got a decision without a score: the same fields, score null, state fallback. */
void record_write_fallback(struct buf *out, const struct txn *txn);

/* The parts of it that other lines share. */
/* A number that JSON can hold, else null: a score can be NaN where a model was fed with infinities. */
void record_write_number(struct buf *out, double value, enum number_type type);
/* The type whose digits a score has: the model's, or double where it is calibrated. */
enum number_type record_score_type(const struct bundle *bundle);
/* A score in those digits. */
void record_write_score(struct buf *out, const struct bundle *bundle, double score);
/* `"score":…,"decision":"…","reasons":[…]` */
void record_write_verdict(struct buf *out, const struct bundle *bundle, const struct verdict *verdict, uint64_t reasons);
/* `"features":{"name":value,…}` of a row, whose numbers are of this type. */
void record_write_features(struct buf *out, const struct bundle *bundle, const void *row, enum number_type type);
/* `"detail":"…","reason":"type","field":"amount","offset":29` of a refused document. */
void record_write_fault(struct buf *out, const struct schema *schema, const struct decode_fault *fault);
