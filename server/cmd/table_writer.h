/*
 * The training table as text, written by a thread of its own: while rows become digits, the next ones are read and go through the past.
 * Two chunks of transactions go back and forth.
 *
 *     table_writer_chunk ─► fill ─► table_writer_hand ─► … ─► table_writer_wait before what the transactions borrow from is gone
 *
 * One thread calls these. What they are given is borrowed until table_writer_stop.
 */
#pragma once

#include <pthread.h>

#include "model/base/buf.h"
#include "model/bundle.h"
#include "server/cmd/fields_seen.h"
#include "server/labels/label_file.h"

enum { TABLE_CHUNK = 256 };

struct table_chunk {
    struct transaction txs[TABLE_CHUNK];
    uint32_t n;
    bool full; /* the writer's */
};

struct table_writer {
    const struct bundle *bundle;
    struct label_file *labels; /* those whose transaction has come are noted there */
    struct fields_seen *fields;
    int out;
    struct buf text;
    double *row; /* [plan_columns] */
    struct table_chunk chunks[2];
    unsigned filling; /* the chunk that is not the writer's, or will be the next one not to be */
    pthread_t thread;
    pthread_mutex_t lock; /* over `full` and all below */
    pthread_cond_t turned;
    bool running, stopping;
    enum status status;
    struct error err;
};

/* Writes the heading to the file `out` and starts. STATUS_NO_MEMORY, STATUS_LIMIT. table_writer_stop also after a failure. */
MUST_USE enum status table_writer_start(struct table_writer *w, const struct bundle *bundle, struct label_file *labels, struct fields_seen *fields,
                                        int out, struct error *err);
/* The transactions to fill next: waits until they are free. */
struct transaction *table_writer_chunk(struct table_writer *w);
/* The first n of them are to be written. */
void table_writer_hand(struct table_writer *w, uint32_t n);
/* Waits until all is written that was handed over. STATUS_IO, STATUS_NO_MEMORY. */
MUST_USE enum status table_writer_wait(struct table_writer *w, struct error *err);
/* Writes the rest and ends the thread. */
MUST_USE enum status table_writer_stop(struct table_writer *w, struct error *err);
