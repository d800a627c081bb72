/*
 * Where requests go and replies come from: HTTP or Kafka, behind one table. One thread: nothing runs unless it is called.
 *
 *     run ──send──► target ──► server
 *      ▲               │
 *      └──on_reply─────┘  from within target_wait
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/base/status.h"

enum reply_kind {
    REPLY_ANSWERED, /* 200; its transactions may be refused or failed still */
    REPLY_REFUSED,  /* 429 */
    REPLY_STATUS,   /* another status, or a dead letter */
    REPLY_LOST,     /* the connection broke, or could not be made */
    REPLY_BROKEN,   /* no HTTP */
    REPLY_TIMEOUT,
    REPLY_KINDS
};

struct reply {
    enum reply_kind kind;
    int status;            /* of HTTP; 0: none */
    int64_t intended_ns;   /* as it was given to target_send */
    int64_t done_ns;       /* monotonic */
    uint32_t transactions; /* of the request */
    uint32_t refused, failed; /* ANSWERED: transactions whose own answer says so; refused includes fallback */
    uint32_t fallback;        /* ANSWERED: transactions that got a decision in place of a score ("state":"fallback") */
    const char *text;      /* [text_len] what was answered, or why not; valid during the call */
    size_t text_len;
};

typedef void reply_sink(void *context, const struct reply *reply);

/* Waking from a sleep takes up to so long; the last of it a target spends looking. */
enum { TARGET_SPIN_NS = 40000 };

struct target;

struct target_ops {
    const char *name;
    bool (*ready)(struct target *target);
    void (*send)(struct target *target, int64_t intended_ns, uint32_t transactions);
    void (*wait)(struct target *target, int64_t until_ns);
    uint64_t (*in_flight)(const struct target *target);
    void (*describe)(const struct target *target, char *out, size_t size);
    void (*close)(struct target *target);
};

struct target {
    const struct target_ops *ops;
    reply_sink *on_reply; /* set by run */
    void *context;
    int64_t timeout_ns;   /* from the intended moment: then a request has failed */
};

/* Could target_send take a request now? HTTP: a connection is free. Kafka: there is room to remember it. */
static inline bool target_ready(struct target *target)
{
    return target->ops->ready(target);
}

/* Sends the next `transactions` of the feed as one request. Only after target_ready said yes. */
static inline void target_send(struct target *target, int64_t intended_ns, uint32_t transactions)
{
    target->ops->send(target, intended_ns, transactions);
}

/* Takes the replies that are there, and waits for the first one until a moment (monotonic) where there is none. */
static inline void target_wait(struct target *target, int64_t until_ns)
{
    target->ops->wait(target, until_ns);
}

static inline uint64_t target_in_flight(const struct target *target)
{
    return target->ops->in_flight(target);
}

/* "http://127.0.0.1:8080/v1/score, 64 connections" */
static inline void target_describe(const struct target *target, char *out, size_t size)
{
    target->ops->describe(target, out, size);
}

static inline void target_close(struct target *target)
{
    if (target)
        target->ops->close(target);
}

struct feed;

struct http_target_options {
    const char *url;       /* http://host[:port][/path] or unix:/socket; the path is /v1/score unless given */
    unsigned connections;  /* 1 .. */
    const char *const *headers; /* [header_count] "Name: value", sent with every request */
    size_t header_count;
    double deadline_ms;    /* X-Deadline-Ms; 0: none */
    int64_t timeout_ns;
};

/* Connects. Borrows the feed. STATUS_INVALID (URL, header), STATUS_UNAVAILABLE where nobody listens. */
MUST_USE enum status target_http_open(const struct http_target_options *options, struct feed *feed, struct target **out, struct error *err);

struct kafka_target_options {
    const char *brokers, *input, *output;
    const char *dead_letter;       /* or NULL: a record that can't be scored shows as one that never came */
    const char *id_field;          /* of a transaction, by which a dead letter is known */
    const char *const *properties; /* [n] "name=value" of librdkafka, for producer and consumer */
    size_t property_count;
    int64_t timeout_ns;
};

/* Takes its place at the ends of the output topics, so that only results of what is sent from now on are seen.
 * STATUS_INVALID (property), STATUS_UNAVAILABLE (no broker), STATUS_NOT_FOUND (no such topic). */
MUST_USE enum status target_kafka_open(const struct kafka_target_options *options, struct feed *feed, struct target **out, struct error *err);
