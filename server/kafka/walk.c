#include "server/kafka/walk.h"

#include <stdlib.h>

#include "model/base/clock.h"

enum { TIMEOUT_MS = 60000, POLL_MS = 1000 };

struct walk {
    rd_kafka_t *consumer;
    const struct walk_range *range;
    int64_t *ends;                            /* [WALK_PARTITIONS_MAX] one past the last record; -1: that partition is done */
    rd_kafka_topic_partition_list_t *begins;  /* partitions that have records */
    int left;                                 /* of these */
};

static enum status find_ends(struct walk *w, const rd_kafka_metadata_topic_t *topic, struct error *err)
{
    const char *name = w->range->topic;
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(err, STATUS_NOT_FOUND, "topic %s: %s", name, rd_kafka_err2str(topic->err));
    if (topic->partition_cnt > WALK_PARTITIONS_MAX)
        return error_set(err, STATUS_LIMIT, "topic %s has more than %d partitions", name, WALK_PARTITIONS_MAX);
    if (w->range->partition >= topic->partition_cnt)
        return error_set(err, STATUS_NOT_FOUND, "topic %s has %d partitions, none of number %d", name, topic->partition_cnt, w->range->partition);
    for (int32_t i = 0; i < topic->partition_cnt; i++) {
        int64_t low = 0;
        if (w->range->partition >= 0 && w->range->partition != i)
            continue;
        rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(w->consumer, name, i, &low, &w->ends[i], TIMEOUT_MS);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return error_set(err, STATUS_UNAVAILABLE, "topic %s, partition %d: %s", name, i, rd_kafka_err2str(code));
        int64_t begin = w->range->offset > low ? w->range->offset : low;
        if (begin >= w->ends[i])
            continue;
        rd_kafka_topic_partition_list_add(w->begins, name, i)->offset = begin;
        w->left++;
    }
    return STATUS_OK;
}

static enum status begin(struct walk *w, struct error *err)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(w->consumer, w->range->topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    if (!handle)
        return error_set(err, STATUS_INVALID, "topic %s: %s", w->range->topic, rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_resp_err_t code = rd_kafka_metadata(w->consumer, 0, handle, &metadata, w->range->contact_ms);
    rd_kafka_topic_destroy(handle);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(err, STATUS_UNAVAILABLE, "no broker answered in %d s: %s", w->range->contact_ms / 1000, rd_kafka_err2str(code));
    enum status status = find_ends(w, &metadata->topics[0], err);
    rd_kafka_metadata_destroy(metadata);
    if (status == STATUS_OK)
        (void)rd_kafka_assign(w->consumer, w->begins);
    return status;
}

/* Takes a message. Returns whether to go on. */
static bool take(struct walk *w, rd_kafka_message_t *message, walk_visit *visit, void *owner)
{
    bool record = message->err == RD_KAFKA_RESP_ERR_NO_ERROR, more = true;
    if (!record && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return true; /* a broker that is away for a moment, say */
    int64_t *end = &w->ends[message->partition];
    if (record && message->offset < *end)
        more = visit(owner, message);
    if (*end >= 0 && (record ? message->offset + 1 : message->offset) >= *end) {
        *end = -1;
        w->left--;
    }
    return more && w->left > 0;
}

static enum status read_on(struct walk *w, walk_visit *visit, void *owner, struct error *err)
{
    int64_t moved_ns = clock_monotonic_ns();
    bool more = w->left > 0;
    while (more) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(w->consumer, POLL_MS);
        int64_t now_ns = clock_monotonic_ns();
        if (!message && now_ns - moved_ns > TIMEOUT_MS * (int64_t)1000000)
            return error_set(err, STATUS_TIMEOUT, "topic %s: nothing came for %d s", w->range->topic, TIMEOUT_MS / 1000);
        if (!message)
            continue;
        moved_ns = now_ns;
        more = take(w, message, visit, owner);
        rd_kafka_message_destroy(message);
    }
    return STATUS_OK;
}

enum status walk_topic(rd_kafka_t *consumer, const struct walk_range *range, walk_visit *visit, void *owner, struct error *err)
{
    struct walk w = {.consumer = consumer, .range = range, .ends = calloc(WALK_PARTITIONS_MAX, sizeof *w.ends)};
    if (!w.ends)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    w.begins = rd_kafka_topic_partition_list_new(16);
    (void)rd_kafka_poll_set_consumer(consumer);
    enum status status = begin(&w, err);
    if (status == STATUS_OK)
        status = read_on(&w, visit, owner, err);
    (void)rd_kafka_assign(consumer, NULL);
    rd_kafka_topic_partition_list_destroy(w.begins);
    free(w.ends);
    return status;
}
