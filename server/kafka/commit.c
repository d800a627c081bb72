#include <string.h>

#include "model/base/clock.h"
#include "server/kafka/stream.h"
#include "server/log.h"

/* A commit that was never answered (its coordinator went away) must not block later ones. */
static const int64_t ANSWER_LIMIT_NS = 30 * (int64_t)1000000000;

/* What is finished and not committed; NULL for nothing (or no memory, which the next turn makes good). */
static rd_kafka_topic_partition_list_t *finished(struct stream *s, const rd_kafka_topic_partition_list_t *only)
{
    const char *topic = s->settings->stream_input;
    rd_kafka_topic_partition_list_t *list = NULL;
    for (uint32_t i = 0; i < tracker_count(s->tracker); i++) {
        const struct tracked *at = tracker_at(s->tracker, i);
        if (at->position < 0 || at->position == at->committed)
            continue;
        if (only && !rd_kafka_topic_partition_list_find((rd_kafka_topic_partition_list_t *)(uintptr_t)only, topic, at->partition))
            continue;
        if (!list)
            list = rd_kafka_topic_partition_list_new(8);
        if (list)
            rd_kafka_topic_partition_list_add(list, topic, at->partition)->offset = at->position;
    }
    return list;
}

void commit_answer(rd_kafka_t *consumer, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *offsets, void *stream)
{
    (void)consumer;
    struct stream *s = stream;
    s->commit_pending = false;
    bool failed = code != RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; offsets && !failed && i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *done = &offsets->elems[i];
        if (done->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            failed = true;
            code = done->err;
        }
        for (uint32_t k = 0; done->err == RD_KAFKA_RESP_ERR_NO_ERROR && k < tracker_count(s->tracker); k++) {
            struct tracked *at = tracker_at(s->tracker, k);
            if (at->partition == done->partition)
                at->committed = done->offset;
        }
    }
    metrics_add(s->metrics, METRIC_KAFKA_COMMITS, failed, 1);
    if (!failed)
        return;
    /* During a rebalance that is how it goes, and an unreachable coordinator comes back: the next turn tries again, or the
     * partition's new owner repeats what was not committed. */
    metrics_add(s->metrics, METRIC_KAFKA_ERRORS, KAFKA_ERROR_COMMIT, 1);
    log_debug("kafka.commit_failed", LOG_INT("consumer", s->with.number), LOG_TEXT("why", rd_kafka_err2str(code)));
}

void commit_send(struct stream *s, int64_t now_ns)
{
    if (s->down || (s->commit_pending && now_ns - s->commit_sent_ns < ANSWER_LIMIT_NS))
        return;
    rd_kafka_topic_partition_list_t *list = finished(s, NULL);
    if (!list)
        return;
    rd_kafka_resp_err_t code = rd_kafka_commit(s->consumer, list, 1);
    s->commit_pending = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    s->commit_sent_ns = now_ns;
    rd_kafka_topic_partition_list_destroy(list);
}

void commit_wait(struct stream *s, const rd_kafka_topic_partition_list_t *only, int64_t deadline_ns)
{
    rd_kafka_topic_partition_list_t *list = finished(s, only);
    if (!list)
        return;
    /* rd_kafka_commit would wait as long as it likes; an answer that comes by a queue can be waited for with a limit. */
    rd_kafka_queue_t *answers = rd_kafka_queue_new(s->consumer);
    rd_kafka_resp_err_t code = rd_kafka_commit_queue(s->consumer, list, answers, NULL, NULL);
    int64_t left_ms = (deadline_ns - clock_monotonic_ns()) / 1000000;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_event_t *answer = rd_kafka_queue_poll(answers, left_ms > 0 ? (int)left_ms : 0);
        if (answer)
            commit_answer(s->consumer, rd_kafka_event_error(answer), rd_kafka_event_topic_partition_list(answer), s);
        else
            commit_answer(s->consumer, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, s);
        if (answer)
            rd_kafka_event_destroy(answer);
    }
    rd_kafka_queue_destroy(answers);
    rd_kafka_topic_partition_list_destroy(list);
}
