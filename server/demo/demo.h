/*
 * What the files of `assay demo` share.
 *
 *     broker.c   an embedded Kafka broker: librdkafka's mock cluster
 *     traffic.c  generated transactions with known frauds, produced at a steady rate
 *     judge.c    reads the results and holds them against what is known
 *     view.c     the live view on a terminal, plain lines elsewhere
 *
 * traffic and judge run a thread each; the figures they share are atomics, the last alerts have a lock.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/gen/gen.h"
#include "server/metrics.h"

enum { DEMO_PARTITIONS = 4, DEMO_KNOWN = 1 << 22, DEMO_ALERTS = 6 };

#define DEMO_INPUT "transactions"
#define DEMO_OUTPUT "results"
#define DEMO_DEAD_LETTER "dead-letters"

struct demo_broker;
/* A broker of one node with the three topics above, on a port of its own of loopback. STATUS_UNAVAILABLE. */
MUST_USE enum status demo_broker_start(struct demo_broker **out, struct error *err);
const char *demo_broker_address(const struct demo_broker *broker);
void demo_broker_stop(struct demo_broker *broker);

struct demo_alert {
    char transaction_id[32];
    char decision[12];
    double score;
    char reasons[96];
    enum gen_scenario scenario;
};

/* Counts of what was scored against what is known; flagged is review or decline. */
struct demo_truth {
    _Atomic uint64_t flagged_fraud, flagged_honest, passed_fraud, passed_honest;
    _Atomic uint64_t caught[GEN_SCENARIOS], missed[GEN_SCENARIOS];
};

struct demo {
    const char *brokers;
    struct gen *gen;
    int64_t rate; /* transactions a second */
    _Atomic bool stopping; /* traffic: send no more */
    _Atomic bool sent;     /* judge: `delivered` is final, end when all its results are in */
    _Atomic uint64_t produced, delivered, results;
    _Atomic uint8_t *known; /* [DEMO_KNOWN] scenario by transaction number, a ring */
    struct demo_truth truth;
    pthread_mutex_t lock; /* of alerts */
    struct demo_alert alerts[DEMO_ALERTS];
    uint64_t alert_count;
};

/* The threads: pthread_create(…, demo_traffic, demo); traffic ends when stopping is set, judge when sent is. */
void *demo_traffic(void *demo);
void *demo_judge(void *demo);

/* Prints the state once: over the last print on a terminal, as a line elsewhere. */
struct demo_view;
struct demo_view *demo_view_create(const struct demo *demo, struct metrics *metrics, const char *url);
void demo_view_print(struct demo_view *view);
void demo_view_summary(struct demo_view *view);
void demo_view_free(struct demo_view *view);
