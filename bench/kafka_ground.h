/* Where `assay bench kafka` runs: a broker, topics, a topic full of transactions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/base/status.h"

struct kafka_ground;

/*
 * address NULL: librdkafka's mock cluster, in a process of its own so that its CPU is not counted here; it keeps 5 MB a
 * partition, so `records` must be at most KAFKA_GROUND_MOCK_MAX. Starts a process: call it before any thread is made.
 * Sends `records` generated transactions of `seed`, keyed by customer, to the input topic. STATUS_UNAVAILABLE, STATUS_IO.
 */
enum { KAFKA_GROUND_PARTITIONS = 16, KAFKA_GROUND_MOCK_MAX = 240000 };
MUST_USE enum status kafka_ground_open(const char *address, uint64_t seed, uint64_t records, struct kafka_ground **out, struct error *err);
/* Deletes the topics of a real broker. */
void kafka_ground_close(struct kafka_ground *ground);

const char *kafka_ground_brokers(const struct kafka_ground *ground);
const char *kafka_ground_input(const struct kafka_ground *ground);
const char *kafka_ground_output(const struct kafka_ground *ground);
const char *kafka_ground_dead_letter(const struct kafka_ground *ground);

/* An empty output topic in place of the last one, so that a long run does not fill the broker's disk. The mock cluster
 * drops old records by itself and keeps its topic. */
MUST_USE enum status kafka_ground_next(struct kafka_ground *ground, struct error *err);
