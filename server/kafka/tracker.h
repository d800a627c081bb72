/*
 * Which consumed records are finished, so that an offset is committed only when every earlier one is.
 *
 *     partition 0:  first ─► [o 17 done] ─► [o 18 ....] ─► [o 19 done]     position 18: commit up to here
 *     partition 3:  first ─► [o 40 ....]                                   position 40
 *     free entries:  ■ ■ ■ ■
 *
 * Records of a partition form a queue in the order in which they were consumed. Finishing the first one moves the position
 * past it and past all finished ones behind it. Every queue takes its entries from one array made at start, so that the
 * work in flight is bounded whatever the number of partitions; no room is the back-pressure. A partition that is taken away
 * keeps its entries until they finish, but they count for nothing any more, also when the partition comes back meanwhile.
 *
 * One thread at a time. Offsets may have holes (compaction, transaction markers).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/base/status.h"

struct tracker;

/* Room for `entries` records in flight. */
MUST_USE enum status tracker_create(uint32_t entries, struct tracker **out, struct error *err);
void tracker_free(struct tracker *tracker);

/* A partition of the input came to us; `position` is where it starts, or -1 where that is not known. One that is already
 * here starts anew. STATUS_NO_MEMORY. */
MUST_USE enum status tracker_assign(struct tracker *tracker, int32_t partition, int64_t position);
/* It was taken away. Not being here is no error. */
void tracker_revoke(struct tracker *tracker, int32_t partition);
void tracker_revoke_all(struct tracker *tracker);
bool tracker_has(const struct tracker *tracker, int32_t partition);

/* Entries that are free now. */
uint32_t tracker_room(const struct tracker *tracker);
/* Entries in use, those of revoked partitions included. */
uint32_t tracker_in_flight(const struct tracker *tracker);

/* Notes a consumed record; CHECKs that there is room and that the partition is here. An offset that is not above the last
 * one (the topic was made anew) starts the partition anew. STATUS_NO_MEMORY. */
MUST_USE enum status tracker_add(struct tracker *tracker, int32_t partition, int64_t offset, uint32_t *entry);
/* The record is finished; CHECKs that the entry is in use. */
void tracker_done(struct tracker *tracker, uint32_t entry);
/* Does this entry still count, or was its partition taken away or begun anew? */
bool tracker_counts(const struct tracker *tracker, uint32_t entry);
/* Partition and offset of an entry in use. */
int32_t tracker_entry_partition(const struct tracker *tracker, uint32_t entry);
int64_t tracker_entry_offset(const struct tracker *tracker, uint32_t entry);

/* The partitions that are here, in no particular order; valid until the next assign or revoke. */
struct tracked {
    int32_t partition;
    int64_t position;  /* of the next record that is not finished, what Kafka calls the offset to commit; -1: not known */
    int64_t committed; /* for the owner: what was last committed; tracker_assign sets it to position */
    int64_t consumed;  /* one past the last record added; -1: none yet */
};
uint32_t tracker_count(const struct tracker *tracker);
struct tracked *tracker_at(struct tracker *tracker, uint32_t i);
