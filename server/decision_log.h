/*
 * The decision log: every decision as a JSON line, for the auditor.
 *
 *     {"time":"2026-11-23T19:00:00.123456Z","source":"http","transaction_id":"T1","input_sha256":"…","model":"card-fraud",
 *      "version":"3","model_sha256":"…","features":{…},"margin":-4.2,"score":0.0071,"decision":"approve"}
 *
 * Lines go into a buffer under a short lock; a thread of its own hands them to the writer (a file, a Kafka topic). A full
 * buffer makes the caller wait: a decision that should be on record is never dropped. What can't be written (a full disk)
 * is counted and reported, and scoring goes on.
 */
#pragma once

#include "model/bundle.h"
#include "server/metrics.h"
#include "server/slot.h"

struct decision_log;

/* Where whole lines go; called by one thread only. */
struct decision_writer {
    enum status (*write)(void *context, const char *lines, size_t len, struct error *err);
    void (*close)(void *context);
    void *context;
};

/* A writer that appends to a file, made where it does not exist (mode 0600). STATUS_IO. */
MUST_USE enum status decision_file_open(const char *path, struct decision_writer *out, struct error *err);

/* Takes the writers[n] (n at most 2; closed also on failure); borrows bundle and metrics. STATUS_NO_MEMORY. */
MUST_USE enum status decision_log_create(const struct decision_writer *writers, size_t n, const struct bundle *bundle,
                                         struct metrics *metrics, struct decision_log **out, struct error *err);
/* Writes out what is buffered and closes; NULL is allowed. */
void decision_log_free(struct decision_log *log);

/* Records scored transactions; others and trials are passed over. log may be NULL: does nothing. Any thread. */
void decision_log_write(struct decision_log *log, struct txn *const *txns, uint32_t n, const struct rows *rows);
