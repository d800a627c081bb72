/*
 * What was sent and has no result yet: a bounded table from the hash of a transaction's id to the moment it was due, and the
 * order of sending, in which timeouts run out.
 *
 *     hash table (open addressing)   id hash → intended          found and removed by results, in any order
 *     ring                           id hash, intended, …        oldest first; those found already are passed over
 *
 * One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PENDING_MAX = 1 << 21 };

struct pending;

struct pending *pending_create(void); /* NULL: no memory; owned: pending_free */
void pending_free(struct pending *pending);

uint64_t pending_size(const struct pending *pending);
/* Is there room for one more? (The ring may be full of results that came already but for an old one.) */
bool pending_room(const struct pending *pending);

/* Only where there is room. An id that waits already is replaced. */
void pending_add(struct pending *pending, const char *id, size_t len, int64_t intended_ns);
/* Removes an id and gives the moment it was due; false: it is not known. */
bool pending_take(struct pending *pending, const char *id, size_t len, int64_t *intended_ns);
/* Removes the oldest where it was due before a moment; false: there is none. */
bool pending_expire(struct pending *pending, int64_t before_ns, int64_t *intended_ns);
