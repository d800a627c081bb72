/*
 * JSON to transaction in one strict pass (RFC 8259), driven by the schema.
 *
 * Fields the schema does not name are validated and skipped. Strict means: UTF-8 checked, escapes checked (no lone
 * surrogates), numbers by the grammar and correctly rounded, a duplicate of a schema field refused, nesting at most
 * DECODE_DEPTH_MAX. Nothing is allocated. Threads: any, with a transaction of their own.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/base/buf.h"
#include "model/input/transaction.h"

enum { DECODE_DEPTH_MAX = 64 };

/* Why a document was refused; one metric label each. REASON(name, label, text) */
enum decode_reason {
#define REASON(name, label, text) DECODE_##name,
#include "model/input/reasons.def"
#undef REASON
    DECODE_REASON_COUNT
};

struct decode_fault {
    enum decode_reason reason;
    int32_t field;   /* schema position, or -1 where no field is to blame */
    uint32_t offset; /* byte offset in the document */
};

/* Decodes the JSON value that starts at json (leading whitespace allowed) into tx and sets *consumed to the bytes read up
 * to the end of that value, so that arrays and NDJSON can be walked. For a single document the caller checks that only
 * whitespace follows (decode_skip_space).
 * STATUS_INVALID: *fault is filled, tx holds nothing of use. *consumed is then the end of the value where that could be
 * found (the value is well-formed JSON but breaks the schema), else 0 (the rest of the input can't be trusted). */
MUST_USE enum status decode_transaction(const struct schema *schema, const char *json, size_t len, struct transaction *tx,
                                        size_t *consumed, struct decode_fault *fault);

/* Offset of the first byte that is not JSON whitespace, or len. */
size_t decode_skip_space(const char *json, size_t len);

/* Appends a message for people: `field "amount" (offset 37): a number is needed, found a string`. Never quotes the
 * value: it may be a card number. */
void decode_fault_describe(const struct schema *schema, const struct decode_fault *fault, struct buf *out);

/* "bad_number": the label of metrics, problem documents and dead letters. */
const char *decode_reason_label(enum decode_reason reason);
