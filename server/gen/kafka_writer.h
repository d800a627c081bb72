/*
 * Lines into a Kafka topic: what `assay gen --kafka` needs of a producer and no more. Idempotent, acks=all, and counted: a
 * line is acknowledged or failed, never forgotten. One thread at a time.
 */
#pragma once

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

struct kafka_writer;

/* properties[n]: "name=value" of librdkafka, the last word over what is set here. STATUS_INVALID with librdkafka's message
 * for a property that is wrong. *out is owned: kafka_writer_free. A broker that is not there is waited for. */
MUST_USE enum status kafka_writer_create(const char *brokers, const char *topic, const char *const *properties, size_t n,
                                         struct kafka_writer **out, struct error *err);

/* Copies key and value and hands them to the producer; waits while its queue is full. STATUS_IO: it has given up for good.
 * STATUS_CLOSED: *stop became other than 0 while waiting. */
MUST_USE enum status kafka_writer_send(struct kafka_writer *writer, const char *key, size_t key_len, const char *value,
                                       size_t value_len, const volatile sig_atomic_t *stop, struct error *err);

/* Serves acknowledgements without waiting. */
void kafka_writer_poll(struct kafka_writer *writer);

/* Waits until everything sent is acknowledged or failed, at most so long, and no longer than *stop stays as it is.
 * STATUS_TIMEOUT: something still is not. */
MUST_USE enum status kafka_writer_flush(struct kafka_writer *writer, int timeout_ms, const volatile sig_atomic_t *stop,
                                        struct error *err);

struct kafka_writer_counts {
    uint64_t sent, acknowledged, failed;
    char reason[256]; /* of the last failure */
};
void kafka_writer_counts(const struct kafka_writer *writer, struct kafka_writer_counts *out);

/* What is not acknowledged yet is lost. */
void kafka_writer_free(struct kafka_writer *writer);
