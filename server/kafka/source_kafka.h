/* Kafka as a source and sink of the server: N consumer threads in one group, each with a producer of its own. */
#pragma once

#include "server/dead_letters.h"
#include "server/decision_log.h"
#include "server/source.h"

extern const struct source source_kafka;
/* Labels of a topic, for the windows of risk. It must stand before source_kafka: transactions wait for it. */
extern const struct source source_labels;
extern const struct dead_letters kafka_dead_letters;

/* A writer of the decision log that sends every line as a record to decision_log.topic. STATUS_INVALID. */
MUST_USE enum status kafka_decision_topic(const struct settings *settings, struct decision_writer *out, struct error *err);
