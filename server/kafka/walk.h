/* What a topic has now, read without a group: for looking at dead letters, and for tools. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "model/base/status.h"

enum { WALK_PARTITIONS_MAX = 4096 };

struct walk_range {
    const char *topic;
    int32_t partition; /* -1: all */
    int64_t offset;    /* of that partition, where to begin; -1: at its beginning */
    int contact_ms;    /* how long a first answer of the brokers is waited for */
};

/* Called for each record, those of a partition in order; the message is lent, but its headers may be taken. False: enough. */
typedef bool walk_visit(void *owner, rd_kafka_message_t *message);

/* A consumer's configuration has to have enable.partition.eof=true, since the last offsets may be no records but markers of
 * transactions. What is written meanwhile is left out. STATUS_NOT_FOUND: no such topic or partition; STATUS_UNAVAILABLE: no
 * broker answers within contact_ms; STATUS_TIMEOUT: nothing came for a minute. */
MUST_USE enum status walk_topic(rd_kafka_t *consumer, const struct walk_range *range, walk_visit *visit, void *owner, struct error *err);
