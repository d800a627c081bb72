/*
 * Partitions read one by one, each from a queue of its own, so that one can be held back while the others go on: what
 * stream.align_s needs. Without it records come from all partitions through one queue, and there are no lanes.
 *
 *     partition queue ─► head ─┐
 *     partition queue ─► head ─┼─► the earliest whose time is within the limit ─► chunk
 *     partition queue ─► head ─┘
 *
 * All functions belong to the thread of the consumer.
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "model/input/transaction.h"
#include "server/kafka/align.h"

struct lanes;

/* transactions: the schema that the times of records are read by; times further ahead of the clock than future_us say nothing.
 * align is borrowed. */
MUST_USE enum status lanes_create(struct align *align, const struct schema *transactions, int64_t future_us, struct lanes **out,
                                  struct error *err);
void lanes_free(struct lanes *lanes); /* NULL allowed; closed before */

/* A session begins; its consumer's events wake lanes_gather. */
void lanes_open(struct lanes *lanes, rd_kafka_t *consumer, const char *topic);
/* Gives back all messages and queues, before the consumer is destroyed. */
void lanes_close(struct lanes *lanes);

/* Before the partition is assigned. STATUS_NO_MEMORY. */
MUST_USE enum status lanes_add(struct lanes *lanes, int32_t partition);
/* The group has said what is ours, and all of it was added; that may be nothing. */
void lanes_assigned(struct lanes *lanes);
void lanes_remove(struct lanes *lanes, int32_t partition);

/* Fills out[most] in order of time, as far as the limit allows; what was gathered before must have been applied. Returns how
 * many; a message with an error may be among them. */
uint32_t lanes_gather(struct lanes *lanes, rd_kafka_message_t **out, uint32_t most);
/* Waits until something may have come, at most so long. */
void lanes_wait(struct lanes *lanes, int wait_ms);
