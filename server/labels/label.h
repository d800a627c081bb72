/*
 * A label says what a transaction turned out to be, and from when on that is known:
 *
 *     {"transaction_id":"7-0000000042","fraud":true,"time":1735704000}
 *
 * time is written as the transactions' own time is. A later label of the same transaction replaces what it said (a chargeback
 * that was withdrawn). Other members are ignored.
 */
#pragma once

#include <stdbool.h>

#include "model/input/decode.h"

struct label {
    struct span id; /* borrowed from the document, or the reader */
    bool fraud;
    int64_t time_us;
};

/* One thread's own. */
struct label_reader {
    struct schema *schema;
    struct transaction tx;
};

/* transactions: the schema whose time has the unit. Free with label_reader_free, also after a failure. */
MUST_USE enum status label_reader_init(struct label_reader *reader, const struct schema *transactions, struct error *err);
void label_reader_free(struct label_reader *reader);

/* Reads the label that starts at json, as decode_transaction does; *out until the next one is read. */
MUST_USE enum status label_read(struct label_reader *reader, const char *json, size_t len, struct label *out, size_t *consumed,
                                struct decode_fault *fault);
/* The same of a text that holds one label and nothing after it. */
MUST_USE enum status label_read_whole(struct label_reader *reader, const char *json, size_t len, struct label *out, struct decode_fault *fault);
