#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/kafka/stream.h"
#include "server/log.h"

/* Returns whether that was news. */
static bool set_problem(struct stream *stream, const char *text)
{
    (void)pthread_mutex_lock(&stream->watch.lock);
    bool changed = strcmp(stream->watch.problem, text) != 0;
    (void)snprintf(stream->watch.problem, sizeof stream->watch.problem, "%s", text);
    (void)pthread_mutex_unlock(&stream->watch.lock);
    return changed;
}

void watch_problem(struct stream *stream, const char *format, ...)
{
    char text[sizeof stream->watch.problem];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (set_problem(stream, text))
        log_warn("kafka.waiting", LOG_INT("consumer", stream->with.number), LOG_TEXT("why", text));
}

void watch_joining(struct stream *stream)
{
    (void)set_problem(stream, "waiting for the group to hand out partitions");
}

void watch_ready(struct stream *stream)
{
    if (set_problem(stream, ""))
        log_info("kafka.ready", LOG_INT("consumer", stream->with.number));
}

void watch_update(struct stream *stream, rd_kafka_t *consumer)
{
    struct watch *watch = &stream->watch;
    (void)pthread_mutex_lock(&watch->lock);
    watch->consumer = consumer;
    uint32_t count = consumer && stream->tracker ? tracker_count(stream->tracker) : 0;
    if (count > watch->cap) {
        struct partition_view *views = realloc(watch->views, count * sizeof *views);
        if (views) {
            watch->views = views;
            watch->cap = count;
        }
    }
    watch->count = count < watch->cap ? count : watch->cap;
    for (uint32_t i = 0; i < watch->count; i++) {
        const struct tracked *at = tracker_at(stream->tracker, i);
        watch->views[i] = (struct partition_view){.partition = at->partition, .position = at->position};
    }
    (void)pthread_mutex_unlock(&watch->lock);
}

/* How many records of the partition are not finished; -1 where that is not known yet. The end of the partition is what the
 * last fetch said: asking the broker has no place in a scrape. */
static int64_t lag(rd_kafka_t *consumer, const char *topic, const struct partition_view *view)
{
    int64_t low = -1, high = -1;
    rd_kafka_resp_err_t code = rd_kafka_get_watermark_offsets(consumer, topic, view->partition, &low, &high);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0)
        return -1;
    int64_t position = view->position >= 0 ? view->position : low;
    return position < 0 ? -1 : position < high ? high - position : 0;
}

void watch_lag(struct stream *stream, struct buf *out)
{
    struct watch *watch = &stream->watch;
    const char *topic = stream->settings->stream_input;
    (void)pthread_mutex_lock(&watch->lock);
    for (uint32_t i = 0; watch->consumer && i < watch->count; i++) {
        int64_t records = lag(watch->consumer, topic, &watch->views[i]);
        char number[16];
        (void)snprintf(number, sizeof number, "%d", watch->views[i].partition);
        const struct metrics_label labels[] = {{"topic", topic}, {"partition", number}};
        if (records >= 0)
            metrics_write_sample(out, "assay_kafka_lag", labels, 2, (double)records);
    }
    (void)pthread_mutex_unlock(&watch->lock);
}

bool watch_is_ready(struct stream *stream, struct buf *why)
{
    (void)pthread_mutex_lock(&stream->watch.lock);
    bool ready = stream->watch.problem[0] == '\0';
    if (!ready)
        buf_format(why, "kafka: %s\n", stream->watch.problem);
    (void)pthread_mutex_unlock(&stream->watch.lock);
    return ready;
}
