/*
 * A batch on its way through an engine, and the thread that works for an engine which answers before submit returns. Both
 * kinds of engine thus look alike to the dispatcher: it hands a batch over and finds it among the finished ones later.
 */
#pragma once

#include <pthread.h>

#include "model/backend.h"
#include "model/base/wake.h"
#include "server/engine/queue.h"

struct lane;

/* One batch that an engine may have at a time; made at start, used again and again. */
struct work {
    struct batch batch; /* slots, margins and scores are its own */
    struct lane *lane;
    struct work *next;  /* among the finished */
    struct row *rows;   /* [batch.n] in the order of batch.slots */
    uint32_t *slots;
    uint32_t place;     /* its number with the batcher */
    enum status status;
    int64_t sent_ns, done_ns;
    int64_t look_ns;    /* when a row of it may be late; the dispatcher's */
};

/* Finished batches, newest first; any thread adds, one takes all. */
struct finished {
    _Alignas(64) struct work *_Atomic newest;
    struct wake *wake; /* of who takes */
};

struct lane_options {
    const struct engine *engine;     /* borrowed */
    const struct prepared *prepared; /* borrowed */
    const struct rows *rows;         /* borrowed */
    uint32_t number;                 /* the engine's */
    uint32_t batch_max, works;       /* rows of a batch; batches at a time: 1 for an engine with a thread */
    uint32_t margins, scores;        /* a row */
    bool threaded;                   /* the engine is synchronous */
    struct finished *finished;       /* borrowed */
};

struct lane {
    struct lane_options with;
    struct work *works; /* [with.works] by place */
    pthread_t thread;
    bool started;
    _Atomic bool stopping;
    _Atomic uint32_t busy;      /* works that the engine has */
    struct work *_Atomic given; /* to the thread; NULL: it has none */
    struct wake wake;
};

/* STATUS_NO_MEMORY, STATUS_LIMIT (no thread). Free with lane_free, also after a failure. */
MUST_USE enum status lane_init(struct lane *lane, const struct lane_options *options, struct error *err);
/* Ends the thread, or waits for what is in flight, but no longer than so. Returns the works that the engine has still. */
uint32_t lane_stop(struct lane *lane, int64_t most_ns);
void lane_free(struct lane *lane); /* after lane_stop */
/* The batch of this place, of n rows whose slots are filled in; it comes back among the finished whatever happens. */
void lane_send(struct lane *lane, uint32_t place, uint32_t n, int64_t now_ns);

/* Takes all finished ones, in any order. */
struct work *finished_take(struct finished *finished);
