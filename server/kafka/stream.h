/*
 * One consumer thread: reads a share of the input topic, scores it, hands results to its sink, commits what is finished.
 *
 *     ┌──────────────────────── session ─────────────────────────┐
 *     │ gather ─► tracker ─► decode, score ─► sink ─► (broker)    │   fails ─► close ─► wait ─► a new session
 *     │    ▲                                   │ acknowledged     │
 *     │    └── Kafka ◄── commit ◄── tracker ◄──┘                  │
 *     └───────────────────────────────────────────────────────────┘
 *
 * A session is one life of the two clients. Whatever goes wrong for good (a fenced member, a lost assignment, a record that
 * the broker will not take) ends the session, and a new one begins at what is committed: one way to recover, at the price
 * of repeating what was in flight. Everything here belongs to the thread, but for what is marked as shared.
 *
 *     stream.c     the thread: sessions, gathering, scoring       rebalance.c  partitions come and go
 *     session.c    the clients made and taken down                commit.c     offsets
 *     watch.c      the shared part: readiness and lag
 *     lanes.c      partitions read one by one, where they are kept together in time (align.c)
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "server/kafka/client.h"
#include "server/kafka/lanes.h"
#include "server/kafka/sink.h"
#include "server/kafka/tracker.h"
#include "server/source.h"

struct stream_options {
    const struct server *server;
    uint32_t number, count; /* this thread of so many */
    struct align *align;    /* NULL: partitions go each at its own speed */
};

/* A partition as the scraper sees it. */
struct partition_view {
    int32_t partition;
    int64_t position; /* next record that is not finished; -1: nothing read yet and nothing committed */
};

/* What other threads may look at, under its lock. */
struct watch {
    pthread_mutex_t lock;
    char problem[320];       /* why this thread is not ready; empty: it is */
    rd_kafka_t *consumer;    /* NULL: no session */
    struct partition_view *views; /* [count] */
    uint32_t count, cap;
};

struct stream {
    struct stream_options with;
    const struct settings *settings;
    struct worker *worker;
    struct metrics_shard *metrics;
    pthread_t thread;
    bool started;

    /* The session. */
    rd_kafka_t *consumer;
    struct lanes *lanes;       /* NULL without align */
    struct sink sink;
    struct tracker *tracker;
    bool cooperative;
    int64_t max_poll_ns;       /* the group throws out a member that does not poll for so long */
    bool failed, fenced, closing;
    bool joined;               /* the group has handed out partitions */
    bool barred;               /* a topic can't be read or written, as far as is known: until the next record */
    char why[256];             /* why it failed */
    bool down;                 /* no broker answers */
    char last_error[256];      /* of the clients, for messages */
    int64_t probed_ns;         /* when it was last tried whether the brokers are back */
    int64_t polled_ns;         /* when the consumer was last polled */
    int64_t housekept_ns;
    bool commit_pending;
    int64_t commit_sent_ns;
    int64_t unfinished;        /* as last told to the metric */

    /* The chunk at hand. */
    uint32_t chunk;
    rd_kafka_message_t **gathered; /* [gathered_count], at most chunk */
    uint32_t gathered_count;
    struct txn **txns, **accepted, **rejected; /* [chunk] */
    struct buf record, text;
    uint64_t bad_run;              /* records in a row that could not be scored */
    bool stopped;                  /* too many of them */
    bool late;                     /* the drain ended before a record had its score: it and what follows is for the next reader */
    bool cut;                      /* the last session ended before everything in flight was acknowledged */

    /* Sessions that failed one soon after another, and those of them that were fenced. */
    int failures, fences;

    /* Shared. */
    struct watch watch;
    _Atomic bool stopping;
    int64_t deadline_ns;           /* written before stopping is set */
};

/* stream.c */
MUST_USE enum status stream_create(const struct stream_options *options, struct stream **out, struct error *err);
MUST_USE enum status stream_start(struct stream *stream, struct error *err);
/* Asks the thread to end: nothing new is read, what is in flight has until the deadline. */
void stream_stop(struct stream *stream, int64_t deadline_ns);
/* Waits for its end, if it was started. */
void stream_join(struct stream *stream);
void stream_free(struct stream *stream);
/* Ends the session; the first reason counts. */
void stream_fail(struct stream *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool stream_stopping(const struct stream *stream)
{
    return atomic_load_explicit(&stream->stopping, memory_order_acquire); /* acquire: deadline_ns was written before */
}

/* session.c */
/* Makes the clients and waits for brokers and topics as long as it takes. STATUS_CLOSED: asked to stop meanwhile. */
MUST_USE enum status session_open(struct stream *stream, struct error *err);
/* Commits what is finished, leaves the group, destroys the clients. */
void session_close(struct stream *stream);
/* While no broker answers: tries now and then whether one is back. */
void session_probe(struct stream *stream, int64_t now_ns);
/* An error of a client as a whole. */
void session_error(void *stream, int code, const char *text);
/* The consumer had a fatal error: ends the session. */
void session_fatal(struct stream *stream);

/* rebalance.c: librdkafka's callback; comes inside rd_kafka_consumer_poll and rd_kafka_consumer_close. */
void rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *partitions, void *stream);

/* commit.c */
/* Commits what has newly finished, without waiting; one at a time. */
void commit_send(struct stream *stream, int64_t now_ns);
/* Commits and waits for the answer until the deadline: of all partitions, or of those listed. */
void commit_wait(struct stream *stream, const rd_kafka_topic_partition_list_t *only, int64_t deadline_ns);
/* The callback that answers commit_send. */
void commit_answer(rd_kafka_t *consumer, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *offsets, void *stream);

/* watch.c */
/* Not ready, for this reason; logged when it changes. */
void watch_problem(struct stream *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Not ready yet, in the ordinary course of a start. */
void watch_joining(struct stream *stream);
void watch_ready(struct stream *stream);
/* Shows the scraper the partitions as they are now; consumer NULL: none. */
void watch_update(struct stream *stream, rd_kafka_t *consumer);
/* Appends the samples of assay_kafka_lag. Any thread. */
void watch_lag(struct stream *stream, struct buf *out);
/* Appends why it is not ready; true where it is. Any thread. */
bool watch_is_ready(struct stream *stream, struct buf *why);
