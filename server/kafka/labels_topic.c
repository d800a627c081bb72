/*
 * The topic of labels, read from its beginning: the state begins empty with every start, and labels may come long before or
 * after their transactions. Nothing is committed, and no group is joined: every process needs every label.
 *
 * Until the end that the partitions have at the start is reached, the process is not ready and no transaction is read from
 * Kafka, so that a transaction finds the labels that were there before it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/base/clock.h"
#include "server/kafka/client.h"
#include "server/kafka/properties.h"
#include "server/kafka/source_kafka.h"
#include "server/labels/told.h"
#include "server/log.h"

enum { WAIT_MS = 100, METADATA_MS = 1000 };
static const int64_t LOOK_NS = 30 * INT64_C(1000000000); /* how often new partitions are looked for */
static const int64_t DESTROY_NS = 2 * INT64_C(1000000000);

struct labels_topic {
    const struct server *server;
    struct metrics_shard *metrics;
    struct label_reader reader;
    rd_kafka_t *consumer;
    const char *topic;
    int32_t assigned, behind; /* partitions read, 0 to assigned - 1; those whose end has not been reached yet */
    bool *reached;            /* [assigned] */
    pthread_t thread;
    _Atomic bool stopping;
    pthread_mutex_t lock;
    char problem[256]; /* under lock: why it is not ready; empty: it is */
};

static void set_problem(struct labels_topic *t, const char *problem)
{
    (void)pthread_mutex_lock(&t->lock);
    bool news = strcmp(t->problem, problem) != 0;
    (void)snprintf(t->problem, sizeof t->problem, "%s", problem);
    (void)pthread_mutex_unlock(&t->lock);
    if (news && problem[0])
        log_warn("labels.waiting", LOG_TEXT("topic", t->topic), LOG_TEXT("why", problem));
}

/* Partitions from..count are read too, from their beginning. */
static void assign(struct labels_topic *t, int32_t count)
{
    bool *reached = realloc(t->reached, (size_t)count * sizeof *reached);
    if (!reached) {
        set_problem(t, status_text(STATUS_NO_MEMORY));
        return;
    }
    t->reached = reached;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count - t->assigned);
    for (int32_t p = t->assigned; p < count; p++) {
        rd_kafka_topic_partition_list_add(list, t->topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
        reached[p] = false;
    }
    rd_kafka_error_t *error = rd_kafka_incremental_assign(t->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error) {
        set_problem(t, rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        return;
    }
    log_info("labels.reading", LOG_TEXT("topic", t->topic), LOG_INT("partitions", count));
    t->behind += count - t->assigned;
    t->assigned = count;
}

/* Looks how many partitions there are. */
static void look(struct labels_topic *t)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(t->consumer, t->topic, NULL);
    if (!topic)
        return;
    rd_kafka_resp_err_t code = rd_kafka_metadata(t->consumer, 0, topic, &metadata, METADATA_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1)
        code = metadata->topics[0].err;
    int32_t count = code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    if (count > t->assigned)
        assign(t, count);
    else if (t->assigned == 0)
        set_problem(t, code == RD_KAFKA_RESP_ERR_NO_ERROR ? "the topic has no partitions" : rd_kafka_err2str(code));
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

static void take(struct labels_topic *t, const rd_kafka_message_t *message)
{
    struct label label;
    struct decode_fault fault;
    const char *json = message->payload ? message->payload : "";
    metrics_add(t->metrics, METRIC_BYTES, SOURCE_KAFKA * 2, message->len);
    if (label_read_whole(&t->reader, json, message->len, &label, &fault) == STATUS_OK) {
        metrics_add(t->metrics, METRIC_LABELS, label_metric(SOURCE_KAFKA, label_tell(t->server->history, &label)), 1);
        return;
    }
    struct buf why = {0};
    decode_fault_describe(t->reader.schema, &fault, &why);
    metrics_add(t->metrics, METRIC_LABELS, label_metric_rejected(SOURCE_KAFKA), 1);
    log_warn("labels.rejected", LOG_INT("partition", message->partition), LOG_INT("offset", message->offset), LOG_TEXT("why", buf_text(&why)));
    buf_free(&why);
}

/* The end of a partition as it was when it was read: from now on its labels are news. */
static void reach(struct labels_topic *t, int32_t partition)
{
    if (partition >= t->assigned || t->reached[partition])
        return;
    t->reached[partition] = true;
    if (--t->behind > 0)
        return;
    set_problem(t, "");
    log_info("labels.ready", LOG_TEXT("topic", t->topic));
    atomic_store_explicit(t->server->labels_behind, false, memory_order_release); /* release: the labels told are seen */
}

static void *run(void *context)
{
    struct labels_topic *t = context;
    int64_t looked_ns = 0;
    while (!atomic_load_explicit(&t->stopping, memory_order_relaxed)) {
        int64_t now_ns = clock_monotonic_ns();
        if (t->assigned == 0 || now_ns - looked_ns > LOOK_NS) {
            look(t);
            looked_ns = now_ns;
        }
        rd_kafka_message_t *message = rd_kafka_consumer_poll(t->consumer, WAIT_MS);
        if (!message)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            take(t, message);
        else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            reach(t, message->partition);
        else
            log_warn("labels.fetch_error", LOG_TEXT("topic", t->topic), LOG_TEXT("why", rd_kafka_message_errstr(message)));
        rd_kafka_message_destroy(message);
    }
    return NULL;
}

static bool wanted(const struct settings *settings)
{
    return settings->labels_topic[0] != '\0';
}

static enum status make_conf(const struct settings *settings, rd_kafka_conf_t **conf, struct error *err)
{
    enum status status = properties_conf(settings, CLIENT_CONSUMER, 0, 1, conf, err);
    if (status != STATUS_OK)
        return status;
    char why[128];
    if (rd_kafka_conf_set(*conf, "enable.partition.eof", "true", why, sizeof why) == RD_KAFKA_CONF_OK &&
        rd_kafka_conf_set(*conf, "group.instance.id", NULL, why, sizeof why) == RD_KAFKA_CONF_OK)
        return STATUS_OK;
    rd_kafka_conf_destroy(*conf);
    return error_set(err, STATUS_INVALID, "labels.topic: %s", why);
}

static enum status check(const struct settings *settings, struct error *err)
{
    if (!wanted(settings))
        return STATUS_OK;
    rd_kafka_conf_t *conf = NULL;
    enum status status = make_conf(settings, &conf, err);
    if (status == STATUS_OK)
        rd_kafka_conf_destroy(conf);
    return status;
}

static void destroy(void *context)
{
    struct labels_topic *t = context;
    if (t->consumer && !client_destroy(t->consumer, clock_monotonic_ns() + DESTROY_NS))
        log_warn("kafka.abandoned", LOG_TEXT("topic", t->topic), LOG_TEXT("why", "the consumer of labels could not be closed in time"));
    label_reader_free(&t->reader);
    (void)pthread_mutex_destroy(&t->lock);
    free(t->reached);
    free(t);
}

static enum status create(const struct server *server, void **context, struct error *err)
{
    struct labels_topic *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for labels");
    t->server = server;
    t->topic = server->settings->labels_topic;
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)snprintf(t->problem, sizeof t->problem, "reading what is there already");
    t->metrics = metrics_shard_create(server->metrics);
    rd_kafka_conf_t *conf = NULL;
    enum status status = t->metrics ? label_reader_init(&t->reader, server->bundle->schema, err)
                                    : error_set(err, STATUS_NO_MEMORY, "out of memory for labels");
    if (status == STATUS_OK)
        status = make_conf(server->settings, &conf, err);
    if (status == STATUS_OK)
        status = client_create(RD_KAFKA_CONSUMER, conf, &t->consumer, err);
    if (status != STATUS_OK) {
        destroy(t);
        return status;
    }
    (void)rd_kafka_poll_set_consumer(t->consumer);
    atomic_store_explicit(server->labels_behind, true, memory_order_relaxed); /* before any source starts */
    *context = t;
    return STATUS_OK;
}

static enum status start(void *context, struct error *err)
{
    struct labels_topic *t = context;
    int code = pthread_create(&t->thread, NULL, run, t);
    return code == 0 ? STATUS_OK : error_set(err, STATUS_LIMIT, "no thread for labels: %s", strerror(code));
}

static bool ready(void *context, struct buf *why)
{
    struct labels_topic *t = context;
    (void)pthread_mutex_lock(&t->lock);
    bool is_ready = t->problem[0] == '\0';
    if (!is_ready)
        buf_format(why, "labels: %s\n", t->problem);
    (void)pthread_mutex_unlock(&t->lock);
    return is_ready;
}

static bool stop(void *context, int64_t deadline_ns)
{
    struct labels_topic *t = context;
    (void)deadline_ns; /* the thread looks every tenth of a second */
    atomic_store_explicit(&t->stopping, true, memory_order_relaxed);
    (void)pthread_join(t->thread, NULL);
    return true;
}

const struct source source_labels = {
    .name = "labels",
    .wanted = wanted,
    .check = check,
    .create = create,
    .start = start,
    .ready = ready,
    .stop = stop,
    .destroy = destroy,
};
