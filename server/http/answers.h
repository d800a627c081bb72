/*
 * Answers given lately, by transaction id: a request that comes again within dedupe_s gets the same answer and counts once.
 *
 *     claim ─► NEW: score it, then complete (or abandon)
 *          ├─► KNOWN: the answer is there
 *          └─► PENDING: another claim has not been completed yet; settle one's own claims, then ask again
 *
 * Bounded: when it is full the oldest answer leaves. Ids are not kept, only their 128-bit hash under a secret. The table is
 * cut in stripes with a lock each, held for the look-up alone.
 */
#pragma once

#include "model/base/siphash.h"
#include "server/slot.h"

struct answers;

struct answer {
    struct verdict verdict;
    uint64_t reasons;
    uint8_t state; /* enum txn_state */
};

enum answers_found { ANSWERS_NEW, ANSWERS_KNOWN, ANSWERS_PENDING };

/* row_bytes: kept with each answer; 0: no rows are. */
MUST_USE enum status answers_create(uint64_t entries, int64_t keep_ns, size_t row_bytes, struct answers **out, struct error *err);
void answers_free(struct answers *answers);

/* All of these: any thread. */
struct hash128 answers_key(const struct answers *answers, struct span id);
/* KNOWN: fills *out and row (row_bytes; NULL where none are kept). */
enum answers_found answers_claim(struct answers *answers, struct hash128 key, int64_t now_ns, struct answer *out, void *row);
/* For a key that was claimed. Nothing happens where the claim has been pushed out meanwhile. */
void answers_complete(struct answers *answers, struct hash128 key, const struct answer *answer, const void *row);
void answers_abandon(struct answers *answers, struct hash128 key);
