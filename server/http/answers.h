/*
 * Answers already given, by transaction id: a retry gets the same answer and counts once.
 *
 * Bounded twice: an answer leaves after `seconds`, and the oldest leave first when `entries` are held. Ids are kept as
 * 128-bit hashes under a random secret, so no id is stored and no caller can make two collide. 64 stripes, each with a
 * lock that is held for a look-up only.
 */
#pragma once

#include <stdbool.h>

#include "model/base/siphash.h"
#include "server/slot.h"

struct answers;

MUST_USE enum status answers_create(uint64_t entries, int64_t seconds, struct answers **out, struct error *err);
void answers_free(struct answers *answers);

/* The hash of a transaction's id. */
struct hash128 answers_key(const struct answers *answers, const struct txn *txn);
/* Fills in verdict and reasons from the answer given before; false: there is none. Any thread. */
bool answers_find(struct answers *answers, struct hash128 key, int64_t now_ns, struct txn *txn);
/* Keeps a scored transaction's answer, unless one is kept already. Any thread. */
void answers_keep(struct answers *answers, struct hash128 key, int64_t now_ns, const struct txn *txn);
