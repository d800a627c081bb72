/*
 * The inside of the CUDA engine. Who touches what:
 *
 *     submit, poll (callers)      places, by their state
 *     device thread (thread.c)    the device and all that is on it, flights, places in PLACE_TAKEN
 *     prepare, attach, release    hand the device thread an order and wait for it (orders.c)
 *
 *     A place:  FREE ─submit─► GIVEN ─thread─► TAKEN ─thread─► DONE ─poll─► FREE
 *                                └──────┬────────┘
 *                                 poll, after hang_ms ─► LOST ─thread─► FREE
 *
 * A batch goes to the device in pieces of at most prepared->piece_max rows, each on a stream of its own: while one is
 * computed the next is on its way, and the scores of the one before are worked out.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "kernels/cuda/module.h"
#include "model/backend.h"
#include "model/base/wake.h"

enum {
    STREAMS_MAX = 4,
    PLACES = 8,
    PIECE_ROWS_MAX = 4096,
    BUCKETS_MAX = 13, /* 1, 2, 4 … PIECE_ROWS_MAX rows */
    REGIONS_MAX = 8,
    PHASES = 4,
    CHECK_ROWS = 65 /* rows that a device computes as the CPU does before it is trusted */
};

struct cuda_options {
    double device, streams, batch_max, spin_us, hang_ms;
    char module[256];
};

enum place_state { PLACE_FREE, PLACE_GIVEN, PLACE_TAKEN, PLACE_SCORING, PLACE_DONE, PLACE_LOST };

struct place {
    _Alignas(64) _Atomic int state; /* enum place_state */
    struct batch *batch;
    const struct prepared *prepared;
    enum status status;
    uint64_t turn; /* the lower one was given earlier */
    int64_t given_ns;
    uint32_t sent, back; /* rows; the thread's */
};

/* How batches of up to launch.capacity rows are computed: what was fastest when the model was loaded. */
struct way {
    struct cuda_launch launch;
    bool copied; /* rows that lie densely are copied to the device first; else its kernels read them across the bus */
    double us;   /* as measured; 0: it was not */
};

/* What a piece of one model needs on one stream. Host memory is pinned and mapped: pairs of our address and the device's. */
struct piece_memory {
    char *host, *host_mapped; /* one allocation; the rest of the host pointers lie in it */
    struct cuda_request *request;
    _Atomic uint64_t *done;
    uint32_t *slots; /* [piece_max] */
    void *margins;   /* [piece_max][margins] */
    char *rows;      /* [piece_max] of the model's stride: rows that lie where the device cannot read them are gathered here */
    char *device;    /* one allocation: ticket, scratch, rows that are copied */
    size_t scratch_at, rows_at;
};

struct prepared {
    struct prepared *next; /* in engine->models; the thread's */
    const struct model *model; /* borrowed */
    struct cuda_model *laid_out;
    size_t stride, row_bytes; /* of rows that are gathered; of what a row's features take */
    size_t image_bytes, scratch_bytes;
    uint32_t piece_max, bucket_count, batch_max;
    struct way ways[BUCKETS_MAX]; /* chosen once, at the first load */
    bool tuned;
    char *trial;           /* [piece_max] rows of stride for measuring and checking … */
    uint32_t *trial_slots; /* … and 0, 1, 2 … */
    double *expected;      /* [CHECK_ROWS][margins] of the first trial rows, by the reference */
    void *image;           /* on the device; NULL: the device is down */
    struct piece_memory pieces[STREAMS_MAX];
};

/* A piece under way on a stream. */
struct flight {
    struct device_stream *stream;
    struct place *place; /* NULL: the stream is free */
    uint32_t at, n;      /* rows of the batch */
    uint32_t bucket;
    uint64_t sequence;
    int64_t sent_ns, look_ns; /* look: when the stream is asked how it is */
};

/* Host memory that rows may lie in. */
struct region {
    char *memory;
    size_t bytes;
    char *mapped; /* NULL: not registered now */
};

enum phase { PHASE_WAIT, PHASE_SEND, PHASE_DEVICE, PHASE_RETURN };

/* Written by the thread, read by anybody. */
struct figures {
    _Atomic bool up;
    _Atomic uint64_t rows, bytes_in, bytes_out, faults, recoveries, hung, busy_ns, memory_free, memory_total;
    _Atomic uint64_t batches[BUCKETS_MAX], phase_ns[PHASES];
};

enum order_kind { ORDER_OPEN, ORDER_PREPARE, ORDER_RELEASE, ORDER_ATTACH };

struct order {
    enum order_kind kind;
    struct prepared *prepared;
    struct region region;
    enum status status;
    struct error *err;
    bool done;
};

struct engine_cuda {
    struct cuda_options with;
    const struct cuda_module *module;
    const struct device_table *table;
    pthread_t thread;
    bool started;

    struct place places[PLACES];
    _Atomic uint64_t turn;
    struct wake wake;
    _Atomic bool stopping, listened; /* listened: somebody is woken, and need not poll */
    pthread_mutex_t lock; /* of order, of who is woken, and of the texts */
    pthread_cond_t answered;
    struct order *_Atomic order;
    void (*wake_caller)(void *owner);
    void *wake_owner;
    char reason[DEVICE_FAULT_MAX]; /* why it is down */
    char name[DEVICE_NAME_MAX];
    char bus[24];

    /* The thread's. */
    struct device *device; /* NULL: down */
    struct prepared *models;
    struct flight flights[STREAMS_MAX];
    struct region regions[REGIONS_MAX];
    uint32_t region_count, flying;
    int64_t opened_ns, retry_ns, retry_after_ns, busy_since_ns;
    struct figures figures;
};

static inline struct cuda_limits device_limits(const struct device_facts *facts)
{
    return (struct cuda_limits){.multiprocessors = facts->processors, .shared_block_bytes = facts->block_shared_max,
                                .shared_multiprocessor_bytes = facts->processor_shared};
}

static inline void figure_add(_Atomic uint64_t *figure, uint64_t n)
{
    /* One writer, so no read-modify-write is needed; relaxed: a figure orders nothing. */
    atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + n, memory_order_relaxed);
}

/* --- thread.c: the device thread */
void *engine_run(void *engine);

/* --- orders.c: hands the order to the device thread and waits for its answer. STATUS_TIMEOUT: the thread hangs in the driver, and
 * has not taken it. */
enum status engine_order(struct engine_cuda *e, struct order *order);
/* The device thread's side. True: there was one. */
bool engine_take_order(struct engine_cuda *e);

/* --- world.c: what is on the device. All of it in the device thread. */
/* Opens the device and makes everything on it that there was before. */
enum status world_open(struct engine_cuda *e, struct error *err);
/* Ends it; what it held is gone. */
void world_close(struct engine_cuda *e);
/* The device is down from now on, and why. */
void world_blame(struct engine_cuda *e, const char *reason);
/* Closes it, and settles when it is tried again. */
void world_down(struct engine_cuda *e);
enum status world_add(struct engine_cuda *e, struct prepared *p, struct error *err);
void world_remove(struct engine_cuda *e, struct prepared *p);
enum status world_attach(struct engine_cuda *e, struct region region, struct error *err);

/* --- piece.c: one piece of a batch, to the device and back */
struct piece {
    const struct prepared *prepared;
    const struct rows *rows;
    const uint32_t *slots; /* [n] */
    uint32_t n, stream;
    uint64_t sequence;
    const struct way *way;
};

uint32_t piece_bucket(uint32_t n);
/* Fills in what the device reads and launches the kernel; does not wait. */
enum device_status piece_send(struct engine_cuda *e, const struct piece *piece);
bool piece_is_done(const struct prepared *p, uint32_t stream, uint64_t sequence);

/* --- tune.c: ways are measured, and the device's margins checked against the reference's */
enum status tune_trial_rows(struct prepared *p, struct error *err);
enum status tune_ways(struct engine_cuda *e, struct prepared *p, struct error *err);
enum status tune_check(struct engine_cuda *e, struct prepared *p, struct error *err);

/* --- show.c: entries of the backend's table */
void engine_state_cuda(void *context, struct engine_state *out);
void engine_describe_cuda(void *context, const struct prepared *p, struct buf *out);
size_t engine_figures_cuda(void *context, struct engine_figure *out, size_t max);
