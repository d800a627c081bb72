#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/demo/demo.h"
#include "server/log.h"

static rd_kafka_t *make_consumer(struct demo *demo)
{
    char reason[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const pairs[][2] = {{"bootstrap.servers", demo->brokers}, {"group.id", "demo-judge"}, {"enable.auto.commit", "false"},
                                    {"auto.offset.reset", "earliest"}, {"fetch.wait.max.ms", "5"}, {"socket.nagle.disable", "true"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        (void)rd_kafka_conf_set(conf, pairs[i][0], pairs[i][1], reason, sizeof reason);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    if (!rk) {
        log_error("demo.consumer", LOG_TEXT("reason", reason));
        return NULL;
    }
    (void)rd_kafka_poll_set_consumer(rk);
    /* Every partition from its beginning, without a group: nobody to wait for. */
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(DEMO_PARTITIONS);
    for (int32_t p = 0; p < DEMO_PARTITIONS; p++)
        rd_kafka_topic_partition_list_add(all, DEMO_OUTPUT, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    (void)rd_kafka_assign(rk, all);
    rd_kafka_topic_partition_list_destroy(all);
    return rk;
}

static void keep_alert(struct demo *demo, const json_t *record, const char *id, const char *decision, enum gen_scenario scenario)
{
    struct demo_alert alert = {.score = json_number_value(json_object_get(record, "score")), .scenario = scenario};
    (void)snprintf(alert.transaction_id, sizeof alert.transaction_id, "%s", id);
    (void)snprintf(alert.decision, sizeof alert.decision, "%s", decision);
    const json_t *reasons = json_object_get(record, "reasons");
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(reasons) && used < sizeof alert.reasons; i++) {
        int n = snprintf(alert.reasons + used, sizeof alert.reasons - used, "%s%s", i ? ", " : "", json_string_value(json_array_get(reasons, i)));
        used += n > 0 ? (size_t)n : 0;
    }
    (void)pthread_mutex_lock(&demo->lock);
    demo->alerts[demo->alert_count++ % DEMO_ALERTS] = alert;
    (void)pthread_mutex_unlock(&demo->lock);
}

static void count(_Atomic uint64_t *counter)
{
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Holds one result against what the generator knows of its transaction. */
static void judge(struct demo *demo, const char *text, size_t len)
{
    json_error_t error;
    json_t *record = json_loadb(text, len, 0, &error);
    const char *id = json_string_value(json_object_get(record, "transaction_id"));
    const char *decision = json_string_value(json_object_get(record, "decision"));
    const char *dash = id ? strchr(id, '-') : NULL;
    if (dash && decision) {
        uint64_t number = strtoull(dash + 1, NULL, 10);
        enum gen_scenario scenario = (enum gen_scenario)atomic_load_explicit(&demo->known[number % DEMO_KNOWN], memory_order_relaxed);
        bool flagged = strcmp(decision, "approve") != 0, fraud = scenario != GEN_HONEST;
        struct demo_truth *t = &demo->truth;
        count(flagged ? (fraud ? &t->flagged_fraud : &t->flagged_honest) : (fraud ? &t->passed_fraud : &t->passed_honest));
        count(flagged ? &t->caught[scenario] : &t->missed[scenario]);
        if (flagged)
            keep_alert(demo, record, id, decision, scenario);
        count(&demo->results);
    }
    json_decref(record);
}

void *demo_judge(void *argument)
{
    struct demo *demo = argument;
    rd_kafka_t *rk = make_consumer(demo);
    if (!rk)
        return NULL;
    int64_t idle = 0;
    /* At the end, two seconds without a result mean that there are no more. */
    while (!demo->sent || (idle < 40 && demo->results < demo->delivered)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 50);
        idle = message && !message->err ? 0 : idle + 1;
        if (!message)
            continue;
        if (!message->err)
            judge(demo, message->payload, message->len);
        rd_kafka_message_destroy(message);
    }
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return NULL;
}
