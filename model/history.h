/*
 * The past of a bundle's keys: what the windows of its plan hold, and the transactions that they hold it of.
 *
 * This is where a plan (model/features) and the state (model/state) meet: history knows which inputs, keys and filters an
 * event of the state has, and puts what the state says into the transactions. A plan without windows has no history.
 *
 * Threads: history_* any; a writer is one thread's own.
 */
#pragma once

#include "model/features/plan.h"
#include "model/input/transaction.h"
#include "model/state/state.h"

struct history;
struct history_writer;

/* schema and plan are borrowed and outlive it. Fails as state_create does. *out is owned: history_free; NULL where the plan has
 * no windows. */
MUST_USE enum status history_create(const struct schema *schema, const struct plan *plan, const struct state_options *options,
                                    struct history **out, struct error *err);
void history_free(struct history *history);
struct state *history_state(struct history *history);

/* Room for `most` transactions at a time. */
MUST_USE enum status history_writer_create(struct history *history, uint32_t most, struct history_writer **out, struct error *err);
void history_writer_free(struct history_writer *writer);

/* A transaction on its way in, and what became of it. */
struct history_entry {
    struct transaction *tx; /* its windows are filled in, unless it is from the future */
    int32_t source;         /* where it comes from, for state_position; -1: from nowhere that has positions */
    int64_t offset;
    uint32_t flags;         /* out: enum state_flag */
    bool complete;          /* out: the state goes back as far as its longest window does */
};

/* Takes n transactions in, in order, and fills in their windows. clock_us: the wall clock, or 0 where history is read and no
 * time is too late. CHECKs n <= most. */
void history_apply(struct history_writer *writer, struct history_entry *entries, uint32_t n, int64_t clock_us);
/* What history_apply would give, without a trace. */
void history_trial(struct history_writer *writer, struct history_entry *entry, int64_t clock_us);

/* Lets go what nothing that may still come can see; every second or so. wall_us: the clock, or INT64_MAX where history is read:
 * what drives windows is the time of the transactions, the clock only bounds it. Returns how many keys left. */
uint64_t history_evict(struct history *history, int64_t wall_us);

/* Seconds that the longest window with an end goes back, its delay too. */
double history_reach_s(const struct history *history);

/* The fields that are keys of windows: their number in the state is their position here. */
size_t history_keys(const struct history *history);
const struct field *history_key(const struct history *history, size_t key);
