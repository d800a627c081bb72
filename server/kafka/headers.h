/*
 * The headers of what goes out: those of the input record, `traceparent` included, and ours.
 *
 *     on every record     assay-model, assay-version, assay-source = topic/partition/offset of the input record
 *     on a dead letter    assay-reason, assay-error, assay-timestamp (of the input record, ms); where it is not the whole
 *                         record assay-cut (how long that was), where card numbers are masked assay-masked (how many)
 *
 * A record that went through another Assay brings its headers of these names; they are replaced.
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "model/base/status.h"

#define HEADER_MODEL "assay-model"
#define HEADER_VERSION "assay-version"
#define HEADER_SOURCE "assay-source"
#define HEADER_REASON "assay-reason"
#define HEADER_ERROR "assay-error"
#define HEADER_TIMESTAMP "assay-timestamp"
#define HEADER_CUT "assay-cut"
#define HEADER_MASKED "assay-masked"
enum { HEADERS_OF_RESULT = 3 }; /* of ours, on every record */

/* Takes the headers out of the message, without ours. NULL on no memory. Returned owned: rd_kafka_headers_destroy. */
rd_kafka_headers_t *headers_take(rd_kafka_message_t *message);
/* Removes ours. */
void headers_strip(rd_kafka_headers_t *headers);
/* Removes all but ours. */
void headers_keep_ours(rd_kafka_headers_t *headers);

/* Headers of acknowledged results, for later ones: where the input record had none, results differ in the source alone, and
 * making all three anew is five allocations a record. Bounded; one thread. */
struct spare_headers {
    rd_kafka_headers_t **list; /* [count] */
    uint32_t count, room;
};
MUST_USE enum status spare_headers_create(struct spare_headers *spare, uint32_t room, struct error *err);
void spare_headers_free(struct spare_headers *spare);
/* Takes the headers of a record that was sent, if they are ours alone. */
void spare_headers_give(struct spare_headers *spare, const rd_kafka_message_t *sent);
/* Headers with model and version, without a source. NULL: none are left. Returned owned. */
rd_kafka_headers_t *spare_headers_take(struct spare_headers *spare);

MUST_USE enum status headers_add(rd_kafka_headers_t *headers, const char *name, const char *value, size_t len);

/* Writes "topic/partition/offset" and returns its length; out has room for strlen(topic) + SOURCE_DIGITS. */
enum { SOURCE_DIGITS = 48 };
size_t headers_source(char *out, const char *topic, size_t topic_len, int32_t partition, int64_t offset);
