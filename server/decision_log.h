/*
 * The decision log: for the auditor, one JSON line a decision, with what it was decided on.
 *
 *     {"time":"2026-01-31T12:00:00.123456Z","source":"http","transaction_id":"T1","input_sha256":"…","model":"card-fraud",
 *      "version":"3","model_sha256":"…","features":{…},"margin":-4.93,"score":0.0071767257,"decision":"approve","reasons":[]}
 *
 *     worker ─► its own ring ─┐
 *     worker ─► its own ring ─┼─► the log's thread ─► writers: a file, a topic
 *
 * A worker copies a few hundred bytes into its ring; making text and writing it is the thread's work. A full ring makes the
 * worker wait (nothing is lost; scoring slows to the pace of the writers) or drops the line and counts it: see
 * decision_log.full.
 */
#pragma once

#include "model/bundle.h"
#include "server/metrics.h"
#include "server/slot.h"

struct decision_log;
struct decision_producer;

/* Where whole lines go; called by the log's thread only. */
struct decision_writer {
    /* STATUS_BUSY, with the reason: they cannot be taken now; the same lines are offered again, or dropped where the setting
     * allows that. Others: they are lost. */
    enum status (*write)(void *context, const char *lines, size_t len, struct error *err);
    /* The lines that were last answered with STATUS_BUSY are dropped and will not be offered again. NULL: it keeps no part of
     * them. */
    void (*drop)(void *context);
    void (*close)(void *context);
    void *context;
};

/* A writer that appends to a file, made where it does not exist (mode 0640). The file may be renamed at any time: within a
 * second lines go to a new one of the old name. STATUS_IO. */
/* Whether decision_file_open would succeed, found out without making the file. */
MUST_USE enum status decision_file_check(const char *path, struct error *err);
MUST_USE enum status decision_file_open(const char *path, struct decision_writer *out, struct error *err);

struct decision_log_options {
    const struct decision_writer *writers; /* [count], at most 2; taken, closed also on failure */
    size_t count;
    const struct bundle *bundle; /* borrowed; row sizes come from it */
    struct metrics *metrics;     /* borrowed */
    bool may_drop;               /* decision_log.full: drop */
};

/* STATUS_NO_MEMORY. */
MUST_USE enum status decision_log_create(const struct decision_log_options *options, struct decision_log **out, struct error *err);
/* Says when the log is to be at its end: what can't be written by then (monotonic clock) is dropped and counted, so that no
 * worker waits for room any longer. Before the workers are stopped; any thread. NULL is allowed. */
void decision_log_end(struct decision_log *log, int64_t deadline_ns);
/* Writes out what waits (until deadline_ns, by the monotonic clock; then it is dropped and counted) and closes. All producers
 * are freed before. NULL is allowed. */
void decision_log_free(struct decision_log *log, int64_t deadline_ns);

/* One for each worker; its thread alone appends. metrics: that thread's shard. STATUS_NO_MEMORY. */
MUST_USE enum status decision_producer_create(struct decision_log *log, struct metrics_shard *metrics, struct decision_producer **out,
                                              struct error *err);
/* What it appended will still be written. NULL is allowed. */
void decision_producer_free(struct decision_producer *producer);

/* Logs a scored transaction. May wait: see above. */
void decision_log_append(struct decision_producer *producer, const struct txn *txn, const struct rows *rows);
