#include "tests/support/cuda_shim/shim.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "tests/support/cuda_shim/fiber.h"

#ifdef SHIM_TSAN
#include <sanitizer/tsan_interface.h>
#define ORDER_BEFORE(place) __tsan_release(place)
#define ORDER_AFTER(place) __tsan_acquire(place)
#else
#define ORDER_BEFORE(place) (void)(place)
#define ORDER_AFTER(place) (void)(place)
#endif

enum { WARP = 32, GUARD_BYTES = 64, GUARD = 0x5C };

enum wait { RUNS, AT_BLOCK_BARRIER, AT_WARP_BARRIER, HAS_ENDED };

struct thread {
    struct shim_thread self;
    struct fiber *fiber;
    struct launch *launch;
    enum wait wait;
    const char *file; /* where it waits */
    int line;
    uint32_t mask;  /* of a warp barrier */
    uint64_t value; /* what it exchanges */
    unsigned block_barriers, warp_barriers; /* passed */
};

struct launch {
    struct thread threads[SHIM_BLOCK_MAX];
    uint32_t made; /* of threads, those that have a fiber */
    uint32_t n;    /* threads of a block */
    cuda_function kernel;
    struct cuda_args args;
    char *shared;
    uint32_t shared_bytes;
    /* Places that ThreadSanitizer orders by: two of each, as threads may come to the next barrier before all left this one. */
    char began, ended, block_barrier[2], warp_barrier[SHIM_BLOCK_MAX / WARP][2];
    struct launch *next_idle;
};

static _Thread_local struct thread *current;
static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static struct launch *idle; /* launches that ended, their fibers kept */
static _Thread_local void (*done_hook)(void *arg);
static _Thread_local void *done_arg;

enum { BARRIERS_MAX = 64 };
static struct shim_barrier barriers[BARRIERS_MAX]; /* under idle_lock */
static uint32_t barrier_count;
static const char *removed_file;
static int removed_line;

/* --- called by kernels ------------------------------------------------------------------------------------------------ */

struct shim_thread *shim_self(void)
{
    return &current->self;
}

static void wait_at(struct thread *me, enum wait wait, const char *file, int line)
{
    me->file = file;
    me->line = line;
    me->wait = wait;
    fiber_yield(me->fiber);
}

static void note_barrier(const char *file, int line)
{
    uint32_t i = 0;
    pthread_mutex_lock(&idle_lock);
    while (i < barrier_count && (barriers[i].line != line || strcmp(barriers[i].file, file) != 0))
        i++;
    CHECK(i < BARRIERS_MAX);
    barriers[i] = (struct shim_barrier){file, line};
    barrier_count = i == barrier_count ? i + 1 : barrier_count;
    pthread_mutex_unlock(&idle_lock);
}

void shim_block_barrier(const char *file, int line)
{
    struct thread *me = current;
    if (me == me->launch->threads) /* one thread is enough, and none would notice a lock that orders them */
        note_barrier(file, line);
    if (removed_file && line == removed_line && strstr(file, removed_file))
        return;
    char *place = &me->launch->block_barrier[me->block_barriers++ % 2];
    ORDER_BEFORE(place);
    wait_at(me, AT_BLOCK_BARRIER, file, line);
    ORDER_AFTER(place);
}

void shim_warp_barrier(uint32_t mask, const char *file, int line)
{
    struct thread *me = current;
    char *place = &me->launch->warp_barrier[me->self.thread.x / WARP][me->warp_barriers++ % 2];
    me->mask = mask;
    ORDER_BEFORE(place);
    wait_at(me, AT_WARP_BARRIER, file, line);
    ORDER_AFTER(place);
}

void shim_exchange(uint32_t mask, uint64_t value, uint64_t all[WARP], const char *file, int line)
{
    struct thread *me = current, *warp = me - me->self.thread.x % WARP;
    me->mask = mask;
    me->value = value;
    wait_at(me, AT_WARP_BARRIER, file, line);
    for (uint32_t i = 0; i < WARP; i++)
        all[i] = mask >> i & 1 ? warp[i].value : value;
    wait_at(me, AT_WARP_BARRIER, file, line); /* all have read before the next value is put there */
}

void shim_before_done(void)
{
    if (done_hook)
        done_hook(done_arg);
}

/* --- waking those that wait ------------------------------------------------------------------------------------------- */

static enum status wrong(const struct launch *l, const struct thread *a, const struct thread *b, const char *what, struct error *err)
{
    char other[128] = "has ended";
    if (b->wait != HAS_ENDED)
        (void)snprintf(other, sizeof other, "waits at %s:%d", strrchr(b->file, '/') ? strrchr(b->file, '/') + 1 : b->file, b->line);
    return error_set(err, STATUS_INVALID, "divergent %s in block %u: thread %u waits at %s:%d, thread %u %s", what, a->self.block.x,
                     (unsigned)(a - l->threads), strrchr(a->file, '/') ? strrchr(a->file, '/') + 1 : a->file, a->line,
                     (unsigned)(b - l->threads), other);
}

/* No thread runs and none waits for its warp: all must be at one barrier. */
static enum status wake_block(struct launch *l, struct error *err)
{
    struct thread *first = NULL;
    for (uint32_t i = 0; i < l->n && !first; i++)
        first = l->threads[i].wait == AT_BLOCK_BARRIER ? &l->threads[i] : NULL;
    for (uint32_t i = 0; i < l->n; i++) {
        struct thread *t = &l->threads[i];
        if (t->wait != AT_BLOCK_BARRIER || t->line != first->line || strcmp(t->file, first->file) != 0)
            return wrong(l, first, t, "__syncthreads", err);
    }
    for (uint32_t i = 0; i < l->n; i++)
        l->threads[i].wait = RUNS;
    return STATUS_OK;
}

/* No thread runs: a warp whose lanes all wait for each other goes on. *woken: how many did. */
static enum status wake_warp(struct launch *l, uint32_t first, bool *woken, struct error *err)
{
    for (uint32_t lane = 0; lane < WARP && first + lane < l->n; lane++) {
        struct thread *me = &l->threads[first + lane];
        if (me->wait != AT_WARP_BARRIER)
            continue;
        for (uint32_t i = 0; i < WARP; i++) {
            if (!(me->mask >> i & 1) || first + i >= l->n)
                continue;
            struct thread *other = &l->threads[first + i];
            if (other->wait != AT_WARP_BARRIER || other->mask != me->mask || other->line != me->line || strcmp(other->file, me->file) != 0)
                return wrong(l, me, other, "warp", err);
        }
        for (uint32_t i = 0; i < WARP && first + i < l->n; i++) {
            if (me->mask >> i & 1)
                l->threads[first + i].wait = RUNS;
        }
        *woken = true;
    }
    return STATUS_OK;
}

static enum status wake(struct launch *l, struct error *err)
{
    bool woken = false;
    for (uint32_t first = 0; first < l->n; first += WARP) {
        enum status status = wake_warp(l, first, &woken, err);
        if (status != STATUS_OK)
            return status;
    }
    return woken ? STATUS_OK : wake_block(l, err);
}

/* --- blocks ----------------------------------------------------------------------------------------------------------- */

static void run_thread(void *arg)
{
    struct thread *me = arg;
    ORDER_AFTER(&me->launch->began);
    me->launch->kernel(me->launch->args);
    ORDER_BEFORE(&me->launch->ended);
}

/* Runs every thread that can run until it waits or ends. Returns how many have not ended. */
static uint32_t run_threads(struct launch *l, bool backwards)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        struct thread *t = &l->threads[backwards ? l->n - 1 - i : i];
        if (t->wait == RUNS) {
            current = t;
            if (fiber_run(t->fiber))
                t->wait = HAS_ENDED;
        }
        left += t->wait != HAS_ENDED;
    }
    return left;
}

static enum status run_block(struct launch *l, uint32_t block, unsigned char garbage, struct error *err)
{
    memset(l->shared, garbage, l->shared_bytes);
    memset(l->shared + l->shared_bytes, GUARD, GUARD_BYTES);
    for (uint32_t i = 0; i < l->n; i++) {
        struct thread *t = &l->threads[i];
        t->self.block.x = block;
        t->wait = RUNS;
        t->block_barriers = t->warp_barriers = 0;
        t->self.copy_count = 0;
        fiber_start(t->fiber, run_thread, t);
    }
    ORDER_BEFORE(&l->began);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && run_threads(l, block % 2 == 1) > 0)
        status = wake(l, err);
    ORDER_AFTER(&l->ended);
    for (uint32_t i = 0; status == STATUS_OK && i < GUARD_BYTES; i++) {
        if (l->shared[l->shared_bytes + i] != GUARD)
            status = error_set(err, STATUS_INVALID, "block %u wrote past its %u bytes of shared memory", block, l->shared_bytes);
    }
    return status;
}

/* --- launches --------------------------------------------------------------------------------------------------------- */

static struct launch *take(void)
{
    pthread_mutex_lock(&idle_lock);
    struct launch *l = idle;
    if (l)
        idle = l->next_idle;
    pthread_mutex_unlock(&idle_lock);
    return l ? l : calloc(1, sizeof *l);
}

static void give_back(struct launch *l)
{
    free(l->shared);
    l->shared = NULL;
    pthread_mutex_lock(&idle_lock);
    l->next_idle = idle;
    idle = l;
    pthread_mutex_unlock(&idle_lock);
}

static bool make_threads(struct launch *l, uint32_t n)
{
    for (; l->made < n; l->made++) {
        l->threads[l->made].fiber = fiber_make();
        if (!l->threads[l->made].fiber)
            return false;
    }
    return true;
}

enum status shim_launch(cuda_function kernel, const struct cuda_args *args, uint32_t grid, uint32_t block, uint32_t shared_bytes,
                        struct error *err)
{
    static _Atomic unsigned launches;
    static const unsigned char garbage[] = {0xFF, 0x7F, 0x3E}; /* NaN; large; small numbers */
    CHECK(block > 0 && block <= SHIM_BLOCK_MAX);
    struct launch *l = take();
    if (!l)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    size_t bytes = ((size_t)shared_bytes + GUARD_BYTES + 127) / 128 * 128;
    l->shared = aligned_alloc(128, bytes);
    enum status status = l->shared && make_threads(l, block) ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
    l->n = block;
    l->kernel = kernel;
    l->args = *args;
    l->shared_bytes = shared_bytes;
    for (uint32_t i = 0; status == STATUS_OK && i < block; i++) {
        l->threads[i].launch = l;
        struct shim_thread *self = &l->threads[i].self;
        self->thread = (struct shim_dim){i, 0, 0};
        self->block_size = (struct shim_dim){block, 1, 1};
        self->grid_size = (struct shim_dim){grid, 1, 1};
        self->shared = l->shared;
    }
    unsigned number = launches++;
    for (uint32_t b = 0; status == STATUS_OK && b < grid; b++)
        status = run_block(l, b, garbage[number % sizeof garbage], err);
    give_back(l);
    return status;
}

void shim_on_done(void (*hook)(void *arg), void *arg)
{
    done_hook = hook;
    done_arg = arg;
}

uint32_t shim_barriers(struct shim_barrier *out, uint32_t max)
{
    memcpy(out, barriers, (barrier_count < max ? barrier_count : max) * sizeof *out);
    return barrier_count;
}

void shim_remove_barrier(const char *file, int line)
{
    removed_file = file;
    removed_line = line;
}
