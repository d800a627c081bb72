/*
 * Partitions come and go. What comes starts at its committed offset. What goes is first brought to an end: records that
 * were read but not scored are dropped, results in flight are waited for, and the offsets are committed, so that the next
 * owner repeats nothing. Lost partitions already have that owner, and what is in flight for them must not come after its
 * results: the session ends, and its producer with it.
 */
#include <string.h>

#include "model/base/clock.h"
#include "server/kafka/stream.h"
#include "server/log.h"

/* Longest time that results in flight may hold up a rebalance; far below the time in which a member is given up. */
static const int64_t DRAIN_NS = 5 * (int64_t)1000000000;
enum { COMMITTED_TIMEOUT_MS = 5000 };

static bool listed(const rd_kafka_topic_partition_list_t *partitions, int32_t partition)
{
    for (int i = 0; i < partitions->cnt; i++) {
        if (partitions->elems[i].partition == partition)
            return true;
    }
    return false;
}

/* Records of these partitions that wait in the chunk belong to the next owner. */
static void drop_gathered(struct stream *s, const rd_kafka_topic_partition_list_t *partitions)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->gathered_count; i++) {
        if (listed(partitions, s->gathered[i]->partition))
            rd_kafka_message_destroy(s->gathered[i]);
        else
            s->gathered[kept++] = s->gathered[i];
    }
    s->gathered_count = kept;
}

static void assign(struct stream *s, rd_kafka_topic_partition_list_t *partitions)
{
    /* Where they start is wanted for the lag, and saves librdkafka asking. Without an answer it asks itself. */
    rd_kafka_resp_err_t code = rd_kafka_committed(s->consumer, partitions, COMMITTED_TIMEOUT_MS);
    for (int i = 0; i < partitions->cnt; i++) {
        rd_kafka_topic_partition_t *p = &partitions->elems[i];
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR || p->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            p->offset = RD_KAFKA_OFFSET_INVALID;
        if (tracker_assign(s->tracker, p->partition, p->offset >= 0 ? p->offset : -1) != STATUS_OK)
            stream_fail(s, "%s", status_text(STATUS_NO_MEMORY));
        if (s->lanes && lanes_add(s->lanes, p->partition) != STATUS_OK)
            stream_fail(s, "%s", status_text(STATUS_NO_MEMORY));
    }
    if (s->lanes)
        lanes_assigned(s->lanes);
    rd_kafka_error_t *error = NULL;
    if (s->cooperative) {
        error = rd_kafka_incremental_assign(s->consumer, partitions);
    } else {
        code = rd_kafka_assign(s->consumer, partitions);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            stream_fail(s, "assigning partitions: %s", rd_kafka_err2str(code));
    }
    if (error) {
        stream_fail(s, "assigning partitions: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
    metrics_add(s->metrics, METRIC_KAFKA_REBALANCES, KAFKA_ASSIGNED, 1);
    log_info("kafka.assigned", LOG_INT("consumer", s->with.number), LOG_TEXT("topic", s->settings->stream_input),
             LOG_INT("partitions", partitions->cnt), LOG_INT("held", tracker_count(s->tracker)));
    s->joined = true;
    s->barred = false;
    if (!s->down)
        watch_ready(s);
}

static void finish(struct stream *s, const rd_kafka_topic_partition_list_t *partitions)
{
    int64_t deadline_ns = clock_monotonic_ns() + DRAIN_NS;
    if (stream_stopping(s) && s->deadline_ns < deadline_ns)
        deadline_ns = s->deadline_ns;
    if (!sink_flush(&s->sink, deadline_ns))
        stream_fail(s, "%s", s->sink.failed ? s->sink.why : "results of revoked partitions were not acknowledged in time");
    commit_wait(s, partitions, deadline_ns);
}

static void revoke(struct stream *s, rd_kafka_topic_partition_list_t *partitions)
{
    bool lost = rd_kafka_assignment_lost(s->consumer);
    drop_gathered(s, partitions);
    if (lost)
        stream_fail(s, "the group gave our partitions to another member");
    else if (!s->closing)
        finish(s, partitions);
    for (int i = 0; i < partitions->cnt; i++) {
        tracker_revoke(s->tracker, partitions->elems[i].partition);
        if (s->lanes)
            lanes_remove(s->lanes, partitions->elems[i].partition);
    }
    if (s->cooperative) {
        rd_kafka_error_t *error = rd_kafka_incremental_unassign(s->consumer, partitions);
        if (error)
            rd_kafka_error_destroy(error);
    } else {
        (void)rd_kafka_assign(s->consumer, NULL);
    }
    metrics_add(s->metrics, METRIC_KAFKA_REBALANCES, lost ? KAFKA_LOST : KAFKA_REVOKED, 1);
    log_info("kafka.revoked", LOG_INT("consumer", s->with.number), LOG_INT("partitions", partitions->cnt), LOG_INT("lost", lost),
             LOG_INT("held", tracker_count(s->tracker)));
}

void rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *partitions, void *stream)
{
    struct stream *s = stream;
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        assign(s, partitions);
    } else if (what == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        revoke(s, partitions);
    } else {
        tracker_revoke_all(s->tracker);
        (void)rd_kafka_assign(consumer, NULL);
        stream_fail(s, "rebalance: %s", rd_kafka_err2str(what));
    }
    watch_update(s, s->closing ? NULL : consumer);
    s->polled_ns = clock_monotonic_ns();
}
