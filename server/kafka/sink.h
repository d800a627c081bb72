/*
 * The way out: a producer of results and dead letters for one consumer thread.
 *
 * Idempotent and acks=all, so the broker keeps the order in which records were handed over, retries included. Every record
 * carries its entry of the tracker; the broker's acknowledgement finishes the entry. A record that can't be delivered is
 * never skipped: the sink fails, and the stream starts anew from what is committed.
 *
 * One thread: delivery reports come inside sink_poll, sink_flush and the two that hand over.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "config/settings.h"
#include "model/base/buf.h"
#include "model/bundle.h"
#include "model/input/decode.h"
#include "server/kafka/headers.h"
#include "server/kafka/tracker.h"
#include "server/metrics.h"
#include "server/slot.h"

enum sink_topic { SINK_RESULT, SINK_DEAD_LETTER, SINK_TOPICS };

/* Why a record became a dead letter: DECODE_… of decode.h, or one of these. The order of assay_kafka_dead_letters_total. */
enum { DEAD_LETTER_ENGINE = DECODE_REASON_COUNT, DEAD_LETTER_TOO_LARGE };

struct sink {
    rd_kafka_t *producer;
    rd_kafka_topic_t *topics[SINK_TOPICS];
    const char *names[SINK_TOPICS];
    const struct bundle *bundle;
    struct tracker *tracker; /* borrowed */
    struct metrics_shard *metrics;
    void (*on_error)(void *owner, int code, const char *text); /* errors of the client as a whole: brokers down, login refused */
    void *owner;
    size_t max_bytes;        /* kafka.message.max.bytes */
    bool mask;               /* card numbers in dead letters */
    struct spare_headers spare;
    struct buf masked;       /* the key and the value of one, masked */
    uint64_t delivered[SINK_TOPICS]; /* since the last sink_poll, not yet in metrics */
    bool failed;                     /* can't go on; `why` says why */
    bool give_up;                    /* set by the owner: stop waiting for room in the producer's queue */
    char why[256];
};

/* Makes the producer, for as many records in flight as the tracker has room; fills sink. The on_… and borrowed members must be
 * set before. STATUS_INVALID, STATUS_NO_MEMORY. */
MUST_USE enum status sink_open(struct sink *sink, const struct settings *settings, struct error *err);
/* Throws away what is not delivered; waits for the producer's end until the deadline (monotonic). */
void sink_close(struct sink *sink, int64_t deadline_ns);

/* Asks the brokers for both topics. STATUS_UNAVAILABLE: no answer in time; STATUS_NOT_FOUND, STATUS_IO: with the topic. */
MUST_USE enum status sink_check(struct sink *sink, int timeout_ms, struct error *err);

/* Hands over a result; takes nothing of message but its headers. Waits while the producer's queue is full. */
void sink_result(struct sink *sink, uint32_t entry, rd_kafka_message_t *message, const char *record, size_t len);
/* Hands over a dead letter: the original key, headers and bytes, with the reason. */
void sink_dead_letter(struct sink *sink, uint32_t entry, rd_kafka_message_t *message, uint32_t reason, const char *text);

/* Serves delivery reports, waiting up to so long for one. */
void sink_poll(struct sink *sink, int timeout_ms);
/* Sends everything now and waits for all reports. Were all delivered in time? */
bool sink_flush(struct sink *sink, int64_t deadline_ns);
