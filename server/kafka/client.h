/* What consumers and producers share: making and destroying one, and its log lines as ours. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/base/status.h"

/* assay_kafka_errors_total, in the order of metrics.def. */
enum kafka_error { KAFKA_ERROR_CLIENT, KAFKA_ERROR_FETCH, KAFKA_ERROR_DELIVERY, KAFKA_ERROR_COMMIT };
/* assay_kafka_rebalances_total. */
enum kafka_rebalance { KAFKA_ASSIGNED, KAFKA_REVOKED, KAFKA_LOST };

/* Makes a client; takes conf, also on failure. STATUS_INVALID with librdkafka's reason. */
MUST_USE enum status client_create(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **out, struct error *err);

/* Destroys a client, a consumer without closing it. librdkafka may wait long in there (a session timeout for brokers that are
 * away; without end in 2.0.2 where a topic was deleted and made anew), so it happens in a thread of its own, which is left
 * behind where it is not done by the deadline (monotonic). Was it done? */
bool client_destroy(rd_kafka_t *client, int64_t deadline_ns);
