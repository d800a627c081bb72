/*
 * kafka.* settings as configurations of librdkafka clients.
 *
 *     kafka.security.protocol: SASL_SSL         both clients
 *     kafka.consumer.fetch.wait.max.ms: 100     the consumer alone
 *     kafka.producer.linger.ms: 0               the producer alone
 *
 * Everything librdkafka knows passes through, on top of defaults of ours that properties.c gives reasons for. What the
 * guarantees of delivery rest on (commits, acknowledgements, idempotence) can't be set.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "config/settings.h"

enum client_role { CLIENT_CONSUMER, CLIENT_PRODUCER };

/* The configuration of a client; `number` of `count` consumer threads, since a static member needs a name of its own.
 * STATUS_INVALID with the property's name, and the nearest one where it is unknown. *out is owned: rd_kafka_conf_destroy, or
 * rd_kafka_new takes it. */
MUST_USE enum status properties_conf(const struct settings *settings, enum client_role role, uint32_t number, uint32_t count,
                                     rd_kafka_conf_t **out, struct error *err);

/* Are partitions handed over one by one (cooperative) or all at once (eager)? */
bool properties_cooperative(const rd_kafka_conf_t *conf);
/* A property's value as a number; -1 where it has none. */
int64_t properties_number(const rd_kafka_conf_t *conf, const char *name);

/* Logs what is known to go wrong with these settings and this version of librdkafka. */
void properties_warn(const struct settings *settings);
