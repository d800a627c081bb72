/*
 * The queues are linked lists through one array of entries. A lane is one stay of a partition with us: it is `here` from
 * assign to revoke and lives on until its last entry is finished, so that entries always have a lane to point at. Lanes are
 * few (one a partition), so they are found by a walk; consumers see runs of one partition, which `last_lane` makes quick.
 */
#include "server/kafka/tracker.h"

#include <stdlib.h>

#include "model/base/check.h"

static const uint32_t NONE = UINT32_MAX;

struct entry {
    int64_t offset;
    uint32_t next; /* in its lane, or in the free list */
    uint32_t lane;
    bool used, done;
};

struct lane {
    struct tracked at;
    uint32_t first, last; /* entries, oldest first; NONE: empty */
    bool live;            /* not free for another use */
};

struct tracker {
    struct entry *entries; /* [capacity] */
    uint32_t capacity, free_first, in_flight;
    struct lane *lanes;    /* [lane_count], live ones and free ones */
    uint32_t lane_count, lane_cap;
    uint32_t *here;        /* [here_count] lanes of partitions that are here; room for lane_cap */
    uint32_t here_count;
    uint32_t last_lane;    /* of the last record added, a guess for the next one; NONE */
};

enum status tracker_create(uint32_t entries, struct tracker **out, struct error *err)
{
    CHECK(entries > 0 && entries < NONE);
    struct tracker *tracker = calloc(1, sizeof *tracker);
    if (tracker)
        tracker->entries = calloc(entries, sizeof *tracker->entries);
    if (!tracker || !tracker->entries) {
        free(tracker);
        return error_set(err, STATUS_NO_MEMORY, "no memory for %u records in flight", entries);
    }
    tracker->capacity = entries;
    for (uint32_t i = 0; i < entries; i++)
        tracker->entries[i].next = i + 1 < entries ? i + 1 : NONE;
    tracker->free_first = 0;
    tracker->last_lane = NONE;
    *out = tracker;
    return STATUS_OK;
}

void tracker_free(struct tracker *tracker)
{
    if (!tracker)
        return;
    free(tracker->entries);
    free(tracker->lanes);
    free(tracker->here);
    free(tracker);
}

static uint32_t find(const struct tracker *tracker, int32_t partition)
{
    for (uint32_t i = 0; i < tracker->here_count; i++) {
        if (tracker->lanes[tracker->here[i]].at.partition == partition)
            return i;
    }
    return NONE;
}

static bool grow(struct tracker *tracker)
{
    uint32_t cap = tracker->lane_cap ? tracker->lane_cap * 2 : 16;
    struct lane *lanes = realloc(tracker->lanes, cap * sizeof *lanes);
    if (!lanes)
        return false;
    tracker->lanes = lanes;
    uint32_t *here = realloc(tracker->here, cap * sizeof *here);
    if (!here)
        return false;
    tracker->here = here;
    tracker->lane_cap = cap;
    return true;
}

/* A free lane, or NONE on no memory. */
static uint32_t take_lane(struct tracker *tracker)
{
    for (uint32_t i = 0; i < tracker->lane_count; i++) {
        if (!tracker->lanes[i].live)
            return i;
    }
    if (tracker->lane_count == tracker->lane_cap && !grow(tracker))
        return NONE;
    return tracker->lane_count++;
}

static void start(struct lane *lane, int32_t partition, int64_t position)
{
    *lane = (struct lane){.at = {.partition = partition, .position = position, .committed = position, .consumed = -1},
                          .first = NONE,
                          .last = NONE,
                          .live = true};
}

enum status tracker_assign(struct tracker *tracker, int32_t partition, int64_t position)
{
    tracker_revoke(tracker, partition);
    uint32_t lane = take_lane(tracker);
    if (lane == NONE)
        return STATUS_NO_MEMORY;
    start(&tracker->lanes[lane], partition, position);
    tracker->here[tracker->here_count++] = lane;
    return STATUS_OK;
}

void tracker_revoke(struct tracker *tracker, int32_t partition)
{
    uint32_t i = find(tracker, partition);
    if (i == NONE)
        return;
    struct lane *lane = &tracker->lanes[tracker->here[i]];
    tracker->here[i] = tracker->here[--tracker->here_count];
    tracker->last_lane = NONE;
    lane->at.partition = -1;
    lane->live = lane->first != NONE;
}

void tracker_revoke_all(struct tracker *tracker)
{
    while (tracker->here_count > 0)
        tracker_revoke(tracker, tracker->lanes[tracker->here[0]].at.partition);
}

bool tracker_has(const struct tracker *tracker, int32_t partition)
{
    return find(tracker, partition) != NONE;
}

uint32_t tracker_room(const struct tracker *tracker)
{
    return tracker->capacity - tracker->in_flight;
}

uint32_t tracker_in_flight(const struct tracker *tracker)
{
    return tracker->in_flight;
}

static uint32_t lane_of(struct tracker *tracker, int32_t partition)
{
    if (tracker->last_lane != NONE && tracker->lanes[tracker->last_lane].at.partition == partition)
        return tracker->last_lane;
    uint32_t i = find(tracker, partition);
    CHECK(i != NONE);
    tracker->last_lane = tracker->here[i];
    return tracker->last_lane;
}

enum status tracker_add(struct tracker *tracker, int32_t partition, int64_t offset, uint32_t *out)
{
    uint32_t number = lane_of(tracker, partition);
    if (offset < tracker->lanes[number].at.consumed) {
        enum status status = tracker_assign(tracker, partition, offset);
        if (status != STATUS_OK)
            return status;
        number = lane_of(tracker, partition);
    }
    uint32_t i = tracker->free_first;
    CHECK(i != NONE);
    struct entry *entry = &tracker->entries[i];
    tracker->free_first = entry->next;
    tracker->in_flight++;
    *entry = (struct entry){.offset = offset, .next = NONE, .lane = number, .used = true};
    struct lane *lane = &tracker->lanes[number];
    if (lane->first == NONE)
        lane->first = i;
    else
        tracker->entries[lane->last].next = i;
    lane->last = i;
    lane->at.consumed = offset + 1;
    if (lane->at.position < 0)
        lane->at.position = offset; /* known now; nothing to commit yet */
    if (lane->at.committed < 0)
        lane->at.committed = offset;
    *out = i;
    return STATUS_OK;
}

/* Takes the finished entries off the front of a lane. */
static void advance(struct tracker *tracker, struct lane *lane)
{
    while (lane->first != NONE && tracker->entries[lane->first].done) {
        uint32_t i = lane->first;
        struct entry *entry = &tracker->entries[i];
        lane->first = entry->next;
        lane->at.position = entry->offset + 1;
        entry->used = false;
        entry->next = tracker->free_first;
        tracker->free_first = i;
        tracker->in_flight--;
    }
    if (lane->first == NONE)
        lane->last = NONE;
}

void tracker_done(struct tracker *tracker, uint32_t entry)
{
    CHECK(entry < tracker->capacity && tracker->entries[entry].used && !tracker->entries[entry].done);
    tracker->entries[entry].done = true;
    struct lane *lane = &tracker->lanes[tracker->entries[entry].lane];
    advance(tracker, lane);
    if (lane->at.partition < 0)
        lane->live = lane->first != NONE;
}

bool tracker_counts(const struct tracker *tracker, uint32_t entry)
{
    return tracker_entry_partition(tracker, entry) >= 0;
}

int32_t tracker_entry_partition(const struct tracker *tracker, uint32_t entry)
{
    CHECK(entry < tracker->capacity && tracker->entries[entry].used);
    return tracker->lanes[tracker->entries[entry].lane].at.partition;
}

int64_t tracker_entry_offset(const struct tracker *tracker, uint32_t entry)
{
    CHECK(entry < tracker->capacity && tracker->entries[entry].used);
    return tracker->entries[entry].offset;
}

uint32_t tracker_count(const struct tracker *tracker)
{
    return tracker->here_count;
}

struct tracked *tracker_at(struct tracker *tracker, uint32_t i)
{
    CHECK(i < tracker->here_count);
    return &tracker->lanes[tracker->here[i]].at;
}
