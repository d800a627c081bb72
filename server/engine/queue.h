/* Rows that wait, the one with the earliest deadline first; among equals the one that came first. A binary heap of fixed
 * size: a source has no more slots than its queue has places. One thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/base/buf.h"
#include "model/base/status.h"

/* Whose row it is decides what may happen to it. */
enum row_kind {
    ROW_CALLER, /* somebody waits: in time or not at all */
    ROW_STREAM, /* never refused or dropped; its deadline only orders it */
    ROW_KINDS
};

struct row {
    int64_t deadline_ns, arrived_ns; /* monotonic */
    uint32_t slot;
    uint8_t kind;     /* enum row_kind */
    uint8_t attempts; /* engines that failed it */
    bool given_up;    /* it is answered, or with another engine; this one still has it */
};

struct queue {
    struct row *rows; /* [count] of size */
    uint32_t count, size;
};

MUST_USE enum status queue_init(struct queue *queue, uint32_t size, struct error *err);
void queue_free(struct queue *queue);
void queue_push(struct queue *queue, struct row row); /* CHECKs that there is a place */
struct row queue_pop(struct queue *queue);            /* CHECKs that there is a row */
static inline const struct row *queue_head(const struct queue *queue)
{
    return queue->count ? &queue->rows[0] : NULL;
}
