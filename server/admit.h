/*
 * Admission: the moment from which a transaction has happened. What can still refuse it (no slot, no room) comes before;
 * here it is taken into the past of its keys, once, and finds there what its windows hold.
 */
#pragma once

#include "model/history.h"
#include "server/slot.h"

struct admit;

/* history may be NULL: a bundle without windows, whose transactions are all let in. most: at a time. live: times ahead of the
 * clock are refused; else history is read and the clock means nothing. */
MUST_USE enum status admit_create(struct history *history, uint32_t most, bool live, struct admit **out, struct error *err);
void admit_free(struct admit *admit);

/* Takes in n decoded transactions in order; those marked `trial` leave no trace. Returns how many were let in, their slots in
 * `in`, in order; the others are OUTCOME_REJECTED with a fault. */
uint32_t admit_all(struct admit *admit, struct txn *const *txns, uint32_t n, struct txn **in);
