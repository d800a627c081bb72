/*
 * Keeps the partitions of this process together in event time.
 *
 * Partitions are read at different speeds, most of all when there is much to catch up with: one may be hours of event time
 * ahead of another. Windows over a key that the topic is not partitioned by (a terminal, where records are keyed by card) would
 * miss what the slow partitions still hold. So a record is taken only once its time is at most align_s ahead of the earliest
 * one that any partition may still bring; then a window with a delay of more than align_s is exact.
 *
 * The readers of this process get their partitions one after another. While one has none, but for ten seconds at most, nobody
 * takes anything: what is not assigned yet would be left behind.
 *
 * A partition that has nothing more to give holds nobody up. Each partition has one writer, the thread that reads it; any
 * thread may ask for the limit.
 */
#pragma once

#include <stdint.h>

#include "model/base/status.h"

struct align;

/* readers: how many will call align_assigned. */
MUST_USE enum status align_create(int64_t span_us, uint32_t readers, struct align **out, struct error *err);
void align_free(struct align *align); /* NULL allowed */

/* What a partition may still bring: ALIGN_UNKNOWN when it was just assigned, which holds everybody up, ALIGN_NOTHING at its
 * end. */
#define ALIGN_UNKNOWN INT64_MIN
#define ALIGN_NOTHING INT64_MAX
/* STATUS_NO_MEMORY. */
MUST_USE enum status align_join(struct align *align, int32_t partition);
void align_leave(struct align *align, int32_t partition);
void align_set(struct align *align, int32_t partition, int64_t earliest_us);

/* A reader that had no partitions has got some, or has been told that there are none for it; and the reverse. */
void align_assigned(struct align *align, int64_t now_ns);
void align_revoked(struct align *align, int64_t now_ns);

/* The latest time that may be taken now. */
int64_t align_limit(struct align *align, int64_t now_ns);
