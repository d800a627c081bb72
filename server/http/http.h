/*
 * HTTP by libmicrohttpd: what the files of this folder share.
 *
 *     listen.c   the source: socket, daemon, threads, draining
 *     request.c  one request from its first header to its answer: routing, limits, body
 *     score.c    POST /v1/score: object, array, NDJSON
 *     health.c   /healthz /readyz /metrics
 *     problem.c  errors as application/problem+json (RFC 9457)
 *     answers.c  retries
 *
 * libmicrohttpd runs the threads; each has a struct http_thread of its own, each connection a struct request that serves
 * one request after the other, so that nothing of ours is allocated per request once buffers have grown.
 */
#pragma once

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "server/http/answers.h"
#include "server/source.h"

enum { HTTP_CHUNK = 256, HTTP_ID_MAX = 128 }; /* transactions scored at a time; longest X-Request-Id */

struct http {
    const struct server *server;
    struct answers *answers; /* NULL: dedupe_s is 0 */
    struct MHD_Daemon *daemon;
    int listen_fd;
    char *unix_path; /* to unlink at the end, or NULL */
    size_t body_max;
    pthread_key_t thread_key;
    pthread_mutex_t lock;         /* of threads */
    struct http_thread *threads; /* all of them, linked */
    _Atomic unsigned active;      /* requests begun and not completed */
    _Atomic bool draining;
};

struct http_thread {
    struct worker *worker;
    struct txn *taken[HTTP_CHUNK], *accepted[HTTP_CHUNK];
    struct hash128 keys[HTTP_CHUNK];
    uint64_t id_state; /* for request ids that we make */
    struct http_thread *next;
};

struct request {
    struct http *http;
    const struct route *route; /* NULL: no such path */
    struct buf body, answer;
    int refused;            /* status to answer with whatever the body says; 0: none */
    const char *refusal;    /* why, for people */
    size_t dropped;         /* body bytes read after a refusal */
    int64_t received_ns;
    bool ndjson, record, began;
    char id[HTTP_ID_MAX + 1];
    char traceparent[56]; /* "" where the caller sent none */
};

/* What a request comes to. body is borrowed until the next request of the connection. */
struct answer {
    unsigned status;
    const char *content_type;
};

#define CONTENT_JSON "application/json"
#define CONTENT_NDJSON "application/x-ndjson"
#define CONTENT_PROBLEM "application/problem+json"

/* Each fills r->answer with the body. */
typedef struct answer http_handler(struct request *r, struct http_thread *t);

struct route {
    const char *path;
    const char *allow; /* for 405: "GET, HEAD" */
    bool post;
    http_handler *handle;
};

http_handler http_score, http_healthz, http_readyz, http_metrics;

/* The MHD callbacks of request.c. */
enum MHD_Result http_access(void *http, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                            const char *upload, size_t *upload_size, void **request);
void http_completed(void *http, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode code);
void http_connection(void *http, struct MHD_Connection *connection, void **request, enum MHD_ConnectionNotificationCode code);

/* This thread's part, made at its first request; NULL on no memory. */
struct http_thread *http_thread_get(struct http *http);

/* Appends a problem document for a whole request. */
struct answer http_problem(struct request *r, unsigned status, const char *detail);
/* Appends the problem document of one transaction; item: its position in an array or NDJSON body, or -1. */
void http_problem_transaction(struct buf *out, const struct request *r, const struct txn *txn, int64_t item);
/* "Bad Request" … */
const char *http_title(unsigned status);
