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

/* Takes the headers out of the message, without ours. NULL on no memory. Returned owned: rd_kafka_headers_destroy. */
rd_kafka_headers_t *headers_take(rd_kafka_message_t *message);
/* Removes ours. */
void headers_strip(rd_kafka_headers_t *headers);
/* Removes all but ours. */
void headers_keep_ours(rd_kafka_headers_t *headers);

MUST_USE enum status headers_add(rd_kafka_headers_t *headers, const char *name, const char *value, size_t len);

/* Writes "topic/partition/offset" and returns its length; out has room for strlen(topic) + SOURCE_DIGITS. */
enum { SOURCE_DIGITS = 48 };
size_t headers_source(char *out, const char *topic, size_t topic_len, int32_t partition, int64_t offset);
