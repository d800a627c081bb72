/* The dispatcher's inside: dispatcher.c is its thread, dispatcher_open.c makes and ends it and is what sources call,
 * dispatcher_mode.c says whether rows come at all, dispatcher_late.c gives up on rows, dispatcher_show.c tells others how things
 * stand. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "server/engine/dispatcher.h"
#include "server/engine/lane.h"

enum { DISPATCHER_ATTEMPTS = 3 }; /* engines that a caller's row goes to, and any row that gets stuck */

/* What admission goes by, as the thread sees it. Each field is whole; the set may be a moment apart, and is a guess anyway. */
struct published {
    _Alignas(64) _Atomic int64_t free_ns;
    _Atomic int64_t row_ns, one_ns, full_ns, next_ns;
    _Atomic uint32_t full, next;
    _Atomic bool usable;
    _Atomic int64_t at_ns;
};

/* An engine as a scrape sees it. */
struct engine_view {
    _Atomic double mean_ns[COST_SIZES_MAX], tail_ns[COST_SIZES_MAX];
    _Atomic int health; /* enum route_health */
};

struct dispatcher {
    struct dispatcher_options with;
    struct metrics_shard *metrics; /* the thread's */
    pthread_t thread;
    bool started;
    struct wake wake;
    _Atomic bool stopping;
    _Atomic int64_t end_ns; /* dispatcher_end */

    /* Read with every row, changed hardly ever: on no line that is written often. */
    _Alignas(64) _Atomic bool batches;
    bool synchronous;      /* the first engine: inline is possible */
    bool may_return;       /* from batched to inline */
    double alone_limit_ns; /* a row alone that takes longer makes it batched */

    /* Written by sources. */
    _Alignas(64) struct txn *_Atomic inbox; /* newest first */
    struct ticket *_Atomic reminders;
    _Alignas(64) _Atomic uint32_t callers;  /* callers' rows that were let in and are with no engine yet */
    _Atomic int64_t reply_ns;               /* tail; any source thread may write it, and a lost update does no harm */

    /* The thread's own. */
    _Alignas(64) struct batcher batcher;
    struct lane lanes[ROUTE_ENGINES_MAX];
    uint32_t lane_count;
    struct finished finished;
    struct ticket *remembered;
    int64_t shown_waiting[ROW_KINDS];
    bool changed, usable;
    bool failing[ROUTE_ENGINES_MAX]; /* the log says so */
    bool over; /* end_ns has come */
    bool batched;    /* when the mode was looked at last … */
    int64_t paid_ns; /* … and when batches last paid */
    int64_t published_ns;
    int64_t give_up_ns; /* when dispatcher_give_up has something to do */

    struct published published;
    struct engine_view views[ROUTE_ENGINES_MAX];
};

void *dispatcher_run(void *dispatcher);
/* Gives a row back as refused. */
void dispatcher_refuse(struct dispatcher *d, const struct row *row, enum refusal refusal);
/* Finds other engines for the rows of stuck batches, answers callers whose batch will not be back in time, and when it is over
 * everybody. Returns when to look again. */
int64_t dispatcher_give_up(struct dispatcher *d, int64_t now_ns);
/* When it is over: gives back what waits. */
void dispatcher_empty(struct dispatcher *d);
/* The engine is done with the slot of a row that it was given up on with. */
void dispatcher_let_go(struct dispatcher *d, const struct row *row);
void dispatcher_mode_choose(struct dispatcher *d);
/* The thread's, now and then. */
void dispatcher_mode_reconsider(struct dispatcher *d, int64_t now_ns);
/* The thread's: what admission goes by, and now and then what a scrape shows. */
void dispatcher_publish(struct dispatcher *d, int64_t now_ns);
/* Says in the log that an engine began to fail, or that it is well again. */
void dispatcher_tell(struct dispatcher *d, uint32_t engine, bool ok);
/* A collector of metrics.h. */
void dispatcher_collect(void *dispatcher, struct buf *out);
