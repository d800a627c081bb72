/*
 * The pipeline without a server: for files, golden rows and benchmarks. One thread; chunks of at most OFFLINE_CHUNK. Windows
 * begin empty, and look at what has been scored here since offline_open.
 */
#pragma once

#include "server/loaded.h"
#include "server/pipeline.h"
#include "server/record.h"

enum { OFFLINE_CHUNK = 256 };

struct offline {
    const struct loaded *loaded;
    struct metrics *metrics;
    struct pool *pool;
    struct history *history; /* of this file alone; NULL: the bundle has no windows */
    struct pipeline *pipeline;
    struct worker *worker;
    struct txn *txns[OFFLINE_CHUNK]; /* slots, all of them, for offline_decode to fill */
    struct txn *accepted[OFFLINE_CHUNK];
};

/* Borrows loaded. Fails with STATUS_NO_MEMORY and then leaves nothing to close. */
MUST_USE enum status offline_open(const struct loaded *loaded, struct offline *out, struct error *err);
void offline_close(struct offline *offline);

/* Decodes a text that holds one transaction, and nothing after it, into txns[i]. It stays borrowed until offline_score. */
void offline_decode(struct offline *offline, uint32_t i, const char *text, size_t len);
/* Scores txns[0..n): each then has the outcome SCORED, REJECTED (see fault) or FAILED. */
void offline_score(struct offline *offline, uint32_t n);
/* Counts txns[0..n) once their answers have been used. */
void offline_finish(struct offline *offline, uint32_t n);
