#include "server/kafka/source_kafka.h"

#include <stdlib.h>

#include "model/base/check.h"
#include "server/kafka/properties.h"
#include "server/kafka/stream.h"
#include "server/log.h"

struct kafka {
    const struct server *server;
    struct stream **streams; /* [count] */
    uint32_t count;
    struct align *align; /* NULL: no window looks across partitions, or stream.align_s is 0 */
    bool collecting;
};

static bool wanted(const struct settings *settings)
{
    return settings->stream_input[0] != '\0';
}

/* What can be told before anything connects, so that a slip in the configuration stops the start. */
static enum status check_settings(const struct settings *s, struct error *err)
{
    if (wanted(s) && s->stream_consumers * s->stream_chunk > s->stream_slots)
        return error_set(err, STATUS_INVALID, "stream.slots must be at least stream.consumers times stream.chunk, which is %lld",
                         (long long)(s->stream_consumers * s->stream_chunk));
    if (s->stream_align_s > s->state_disorder_s)
        return error_set(err, STATUS_INVALID, "stream.align_s must be at most state.disorder_s, which is %lld: what it lets through would come too late",
                         (long long)s->state_disorder_s);
    for (int role = CLIENT_CONSUMER; role <= CLIENT_PRODUCER; role++) {
        rd_kafka_conf_t *conf = NULL;
        enum status status = properties_conf(s, (enum client_role)role, 0, 1, &conf, err);
        if (status != STATUS_OK)
            return status;
        rd_kafka_conf_destroy(conf);
    }
    return STATUS_OK;
}

static void collect_lag(void *context, struct buf *out)
{
    struct kafka *kafka = context;
    metrics_write_family(out, "assay_kafka_lag", "gauge", "Records of a partition held here that are not finished yet.");
    for (uint32_t i = 0; i < kafka->count; i++)
        watch_lag(kafka->streams[i], out);
}

static void destroy(void *context)
{
    struct kafka *kafka = context;
    if (kafka->collecting)
        metrics_collector_remove(kafka->server->metrics, collect_lag, kafka);
    for (uint32_t i = 0; i < kafka->count; i++) {
        stream_join(kafka->streams[i]);
        stream_free(kafka->streams[i]);
    }
    free(kafka->streams);
    align_free(kafka->align);
    free(kafka);
}

static enum status create(const struct server *server, void **context, struct error *err)
{
    const struct settings *settings = server->settings;
    enum status status = check_settings(settings, err);
    if (status != STATUS_OK)
        return status;
    properties_warn(settings);
    struct kafka *kafka = calloc(1, sizeof *kafka);
    if (!kafka)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    kafka->server = server;
    uint32_t wants = (uint32_t)settings->stream_consumers;
    kafka->streams = calloc(wants, sizeof *kafka->streams);
    status = kafka->streams ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
    if (status == STATUS_OK && server->history && settings->stream_align_s > 0)
        status = align_create(settings->stream_align_s * 1000000, wants, &kafka->align, err);
    for (uint32_t i = 0; i < wants && status == STATUS_OK; i++) {
        const struct stream_options options = {.server = server, .number = i, .count = wants, .align = kafka->align};
        status = stream_create(&options, &kafka->streams[i], err);
        kafka->count += status == STATUS_OK;
    }
    if (status == STATUS_OK)
        status = metrics_collector_add(server->metrics, collect_lag, kafka);
    if (status != STATUS_OK) {
        destroy(kafka);
        return status;
    }
    kafka->collecting = true;
    *context = kafka;
    return STATUS_OK;
}

static enum status start(void *context, struct error *err)
{
    struct kafka *kafka = context;
    log_info("kafka.starting", LOG_TEXT("librdkafka", rd_kafka_version_str()), LOG_TEXT("input", kafka->server->settings->stream_input),
             LOG_TEXT("output", kafka->server->settings->stream_output),
             LOG_TEXT("dead_letter", kafka->server->settings->stream_dead_letter), LOG_INT("consumers", kafka->count));
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < kafka->count && status == STATUS_OK; i++)
        status = stream_start(kafka->streams[i], err);
    if (status != STATUS_OK) {
        for (uint32_t i = 0; i < kafka->count; i++)
            stream_stop(kafka->streams[i], 0);
    }
    return status;
}

static bool ready(void *context, struct buf *why)
{
    struct kafka *kafka = context;
    bool all = true;
    for (uint32_t i = 0; i < kafka->count; i++)
        all = watch_is_ready(kafka->streams[i], why) && all;
    return all;
}

static bool stop(void *context, int64_t deadline_ns)
{
    struct kafka *kafka = context;
    bool whole = true;
    for (uint32_t i = 0; i < kafka->count; i++)
        stream_stop(kafka->streams[i], deadline_ns);
    for (uint32_t i = 0; i < kafka->count; i++) {
        stream_join(kafka->streams[i]);
        whole = whole && !kafka->streams[i]->cut;
    }
    log_info("kafka.stopped_reading", LOG_INT("consumers", kafka->count));
    return whole;
}

const struct source source_kafka = {
    .name = "kafka",
    .wanted = wanted,
    .check = check_settings,
    .create = create,
    .start = start,
    .ready = ready,
    .stop = stop,
    .destroy = destroy,
};
