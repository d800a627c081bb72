/*
 * The baseline of `assay bench kafka`: a bare librdkafka loop from a topic to a topic, with the clients of the server's
 * settings. It reads, answers as many bytes under the same key, and commits where it has read to ten times a second; it does
 * not look into a record, keeps no ledger of what is finished, and so would lose records in a crash.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"
#include "model/base/status.h"

/* What one pass over the input cost. */
struct kafka_pass {
    double cpu_us; /* a record, of the whole process, librdkafka's threads with it */
    double rate;   /* records a second, from the last look before any acknowledgement to the last acknowledgement */
};

/* Passes on `records` records as answers of `answer_bytes`, with three headers like those of a result where `headers`.
 * Returns when all are acknowledged. STATUS_CLOSED: a signal came; STATUS_IO: stuck or refused. */
MUST_USE enum status kafka_echo_run(const struct settings *settings, uint64_t records, size_t answer_bytes, bool headers,
                                    struct kafka_pass *out, struct error *err);
