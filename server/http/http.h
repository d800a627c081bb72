/*
 * HTTP as a source and sink: what the files of this folder share.
 *
 *     socket ─► libmicrohttpd thread ─► request.c: route, limits, body ─► walk.c, score.c: decode … record ─► reply.c
 *                                                                  ├────► labels.c: /v1/labels
 *                                                                  └────► health.c: /healthz /readyz /metrics
 *
 * Each of libmicrohttpd's threads owns its connections from accept to close, and scores what they bring itself. So a thread
 * has a worker of its own, a connection has its buffers, and nothing is shared on the way but the slots and the table of
 * answers. Where rows go through the batcher, the connection is suspended until they are back, and its thread serves others.
 * libmicrohttpd is known to source_http.c, request.c and reply.c alone.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "model/base/buf.h"
#include "server/engine/dispatcher.h"
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
struct connection;

/* One group of transactions under way; its thread keeps those that are free. */
struct http_group {
    struct ticket ticket;          /* first */
    struct connection *connection; /* whose; NULL: it can't be suspended */
    struct http_group *next;       /* of the free ones */
    uint32_t got, count;           /* slots taken, and those of them that hold an item */
    uint64_t first;                /* the first item's position in the body */
    struct txn *slots[HTTP_GROUP];
    bool open[HTTP_GROUP];         /* by slot: another one of the same id is being scored; ask again */
    uint32_t open_count;
    struct txn *claimed[HTTP_GROUP];     /* those that are scored now … */
    struct hash128 keys[HTTP_GROUP];     /* … and their keys in the table of answers */
    uint32_t claimed_count;
    bool submitted;                /* the claimed ones are, or were, with the batcher */
};

/* One of libmicrohttpd's threads. */
struct http_thread {
    struct http *http;
    struct worker *worker;
    struct metrics_shard *metrics;
    struct label_reader labels;
    struct http_group *free_groups;
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
    bool streamed;  /* what comes now goes out as the client reads */
    bool trial;     /* ?record=false */
    int64_t received_ns, given_ns; /* when it came, and the time that there is for its answer */
    struct http_group *group;      /* under way; NULL: none is */
    unsigned status; /* of the whole answer: 200, or for a single object what became of it */
};

/* Is there more to come of the answer? A group that waits may be the body's last. */
static inline bool walk_has_more(const struct walk *walk)
{
    return !walk->ended || walk->group;
}

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
    int64_t given_ns;          /* http.slo_ms, or less if the caller says so */
    struct MHD_Connection *mhd;
    bool walking;              /* its answer has been begun */
    int groups;                /* of its body that are in the answer */
    struct ticket reminder;
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
    atomic_bool draining, cutting; /* no new connections; nothing waits any more */
    _Atomic uint32_t suspended; /* connections that wait for the batcher */
    _Atomic uint32_t given_up;  /* transactions that the end came before */
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
/* Leaves the connection alone until its ticket's done (connection_resume) is called, which may be before this returns. false: it
 * is not suspended, as the server ends. */
bool connection_suspend(struct connection *connection);
/* The done and gone of a group's ticket. */
void connection_resume(struct ticket *ticket);
bool connection_gone(const struct ticket *ticket);
/* Suspends and comes back a moment later; likewise. */
bool connection_pause(struct connection *connection);

/* --- walk.c */
/* Looks at the body and begins. given_ns: the time there is for an answer. false: nothing of it can be scored, *fault says why
 * (an array must be JSON to its end). */
bool walk_begin(struct walk *walk, const struct buf *body, bool lines, bool trial, int64_t given_ns, struct decode_fault *fault);
/* Decodes the next transaction into a slot, which says what is wrong with it; false: there is none. */
bool walk_next(struct walk *walk, struct http_thread *thread, struct txn *txn);

/* --- score.c: knows nothing of HTTP but status codes */
/* Works on the next group and appends to out; walk->ended says whether all is done. WALK_WAITS: the connection is suspended; call
 * it again when it goes on. WALK_NO_SLOT: none was free, nothing happened. connection: to suspend; NULL: it waits itself. */
enum walk_step { WALK_WROTE, WALK_WAITS, WALK_NO_SLOT };
enum walk_step walk_group(struct walk *walk, struct http_thread *thread, struct connection *connection, const char *request_id,
                          struct buf *out);
/* Nobody will read the answer of the group under way, if any is; it is not with the batcher. */
void walk_cut(struct walk *walk, struct http_thread *thread);
void walk_groups_free(struct http_thread *thread);

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
