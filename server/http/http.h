/*
 * HTTP as a source and sink: what the files of this folder share.
 *
 *     socket ─► libmicrohttpd thread ─► request.c: route, limits, body ─► score.c: decode … record ─► reply.c
 *                                                                  ├────► labels.c: /v1/labels
 *                                                                  └────► health.c: /healthz /readyz /metrics
 *
 * Each of libmicrohttpd's threads owns its connections from accept to close, and scores what they bring itself. So a thread
 * has a worker of its own, a connection has its buffers, and nothing is shared on the way but the slots and the table of
 * answers. libmicrohttpd is known to source_http.c, request.c and reply.c alone.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "model/base/buf.h"
#include "server/http/answers.h"
#include "server/labels/label.h"
#include "server/source.h"

struct MHD_Connection;
struct MHD_Daemon;

/* Most transactions worked on at a time; between two such groups a thread serves its other connections. */
enum { HTTP_GROUP = 64 };
enum { HTTP_BODY_KEPT = 65536, HTTP_ID_MAX = 128, HTTP_TRACE_MAX = 256 };

enum http_route { ROUTE_SCORE, ROUTE_LABELS, ROUTE_HEALTHZ, ROUTE_READYZ, ROUTE_METRICS, ROUTE_NONE };

struct http;

/* One of libmicrohttpd's threads. */
struct http_thread {
    struct http *http;
    struct worker *worker;
    struct metrics_shard *metrics;
    struct txn *slots[HTTP_GROUP];       /* of the group under way */
    struct txn *claimed[HTTP_GROUP];     /* those of it that wait to be scored … */
    struct hash128 keys[HTTP_GROUP];     /* … and their keys in the table of answers */
    uint32_t claimed_count;
    struct label_reader labels;
    uint64_t request_id[2];              /* random start, then counted up */
    _Alignas(64) _Atomic uint32_t active; /* requests between their headers and their end; its thread writes, stop reads */
    _Atomic int64_t ended_ns;            /* when the last one ended */
};

/* A problem to report instead of an answer (RFC 9457). */
struct problem {
    unsigned status;
    const char *detail;   /* for people; borrowed */
    const char *allow;    /* 405: the methods there are */
    bool retry_after;     /* 429, 503: say when */
    const struct decode_fault *fault; /* a transaction's; then detail is not used */
};

/* How a body is walked: transaction after transaction, a group at a time. */
struct walk {
    enum { WALK_OBJECT, WALK_ARRAY, WALK_LINES } form;
    const char *data;
    size_t len, at;
    uint64_t items; /* begun so far */
    bool open;      /* the answer has begun */
    bool ended;
    bool trial;     /* ?record=false */
    int64_t received_ns;
    unsigned status; /* of the whole answer: 200, or for a single object what became of it */
};

/* Before its headers are in; while its body comes; until its answer is out. */
enum connection_phase { PHASE_WAITING, PHASE_READING, PHASE_ANSWERING };

/* One connection; request fields are those of the request under way. Its thread alone touches it, except for what the
 * watch (watch.c) reads. */
struct connection {
    uint32_t magic;
    struct http *http;
    struct http_thread *thread; /* NULL before the first request */
    struct connection *next, *previous;
    int fd;
    _Atomic int phase;         /* enum connection_phase */
    _Atomic int64_t since_ns;  /* when it began */
    int64_t closed_since_ns;   /* the watch's: since_ns when it last found the other end closed */
    /* the request */
    enum http_route route;
    bool begun;                /* its headers were seen, its end was not */
    bool lines, untyped;       /* Content-Type: NDJSON; none */
    bool expects;              /* Expect: 100-continue */
    bool ambiguous;            /* two lengths: whoever stands between client and server may have taken the other one */
    bool trial;                /* ?record=false */
    struct problem refusal;    /* to be answered once the body is through; status 0: none */
    uint64_t declared_bytes;   /* Content-Length; BODY_CHUNKED; BODY_NONE */
    size_t discarded_bytes;
    size_t charged_bytes;      /* taken from http->memory_left */
    char request_id[HTTP_ID_MAX + 1];
    char traceparent[HTTP_TRACE_MAX + 1]; /* empty: none */
    struct buf body, answer;
    struct walk walk;
    size_t streamed; /* bytes of answer already handed to libmicrohttpd, where it goes out in pieces */
};

enum { CONNECTION_MAGIC = 0x61737379 };
#define BODY_CHUNKED UINT64_MAX
#define BODY_NONE (UINT64_MAX - 1)

struct http {
    const struct server *server;
    struct MHD_Daemon *daemon;
    int listener;               /* -1: none, or libmicrohttpd's */
    char address[160];          /* as it is, with the real port */
    struct http_thread *threads; /* [thread_count] */
    uint32_t thread_count;
    _Atomic uint32_t threads_claimed;
    struct answers *answers;    /* NULL: dedupe_s is 0 */
    _Atomic int64_t memory_left; /* of http.memory_bytes; small bodies are not counted */
    atomic_bool draining;
    pthread_mutex_t lock;       /* connections: taken when one opens or closes, and by the watch once a second */
    struct connection *connections;
    uint32_t connection_count;
    uint64_t turned_away;       /* since the watch counted them last */
    pthread_t watch;
    pthread_cond_t watch_wake;
    bool watching;
};

/* --- request.c */
struct connection *connection_open(struct http *http, int fd); /* NULL on no memory */
void connection_close(struct connection *connection);
/* What libmicrohttpd calls when headers are in, for each piece of the body, and when all is in. */
int request_handle(struct connection *connection, struct MHD_Connection *mhd, const char *path, const char *method, const char *piece,
                   size_t *piece_bytes, bool first);
/* Ends the request under way, answered or cut: frees large buffers, gives memory back. */
void request_end(struct connection *connection);

/* --- score.c: knows nothing of HTTP but status codes */
/* Looks at the body and begins. false: nothing of it can be scored, *fault says why (an array must be JSON to its end). */
bool walk_begin(struct walk *walk, const struct buf *body, bool lines, bool trial, struct decode_fault *fault);
/* Works on the next group and appends to out; walk->ended says whether all is done. false: no slot was free, nothing happened. */
bool walk_group(struct walk *walk, struct http_thread *thread, const char *request_id, struct buf *out);

/* --- labels.c */
/* Takes the labels of a body and appends the answer, whose status is *status. false: nothing of it can be taken, as walk_begin. */
bool labels_answer(struct http_thread *thread, const struct buf *body, bool lines, const char *request_id, struct buf *out, unsigned *status,
                   struct decode_fault *fault);

/* --- problem.c */
const char *problem_title(unsigned status);
/* Appends the problem document; item: its position in an array or NDJSON body, or -1; request_id may be NULL. */
void problem_write(struct buf *out, const struct problem *problem, const struct schema *schema, int64_t item, const char *request_id);

/* --- health.c */
/* Appends the body and returns the status; *type is its Content-Type. */
unsigned health_answer(struct http *http, enum http_route route, struct buf *out, const char **type);

/* --- reply.c: each returns what libmicrohttpd wants to hear */
int reply_problem(struct connection *connection, struct MHD_Connection *mhd, const struct problem *problem);
/* connection->answer as a whole. */
int reply_answer(struct connection *connection, struct MHD_Connection *mhd, unsigned status, const char *type);
/* connection->answer, then what connection->walk still gives, a group at a time as the client reads. */
int reply_stream(struct connection *connection, struct MHD_Connection *mhd, const char *type);

/* --- watch.c: cuts connections whose request does not arrive within http.request_s */
MUST_USE enum status watch_start(struct http *http, struct error *err);
void watch_stop(struct http *http);
