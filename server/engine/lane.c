#include "server/engine/lane.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/base/check.h"
#include "model/base/clock.h"

static void on_done(struct batch *batch, enum status status)
{
    struct work *work = batch->owner;
    struct finished *finished = work->lane->with.finished;
    work->status = status;
    work->done_ns = clock_monotonic_ns();
    (void)atomic_fetch_sub_explicit(&work->lane->busy, 1, memory_order_relaxed); /* read by lane_stop alone, in the thread that polls */
    work->next = atomic_load_explicit(&finished->newest, memory_order_relaxed);
    /* release: the taker sees the scores and all of the work */
    while (!atomic_compare_exchange_weak_explicit(&finished->newest, &work->next, work, memory_order_release, memory_order_relaxed))
        continue;
    wake_now(finished->wake);
}

struct work *finished_take(struct finished *finished)
{
    if (!atomic_load_explicit(&finished->newest, memory_order_relaxed))
        return NULL;
    return atomic_exchange_explicit(&finished->newest, NULL, memory_order_acquire);
}

static void submit(struct work *work)
{
    const struct lane_options *with = &work->lane->with;
    enum status status = engine_submit(with->engine, with->prepared, &work->batch);
    if (status != STATUS_OK)
        on_done(&work->batch, status);
}

static void *run(void *argument)
{
    struct lane *lane = argument;
    char name[16];
    (void)snprintf(name, sizeof name, "engine-%u", lane->with.number);
    (void)pthread_setname_np(pthread_self(), name);
    for (;;) {
        struct work *work = atomic_exchange_explicit(&lane->given, NULL, memory_order_acquire);
        if (work) {
            submit(work);
            continue;
        }
        if (atomic_load_explicit(&lane->stopping, memory_order_acquire))
            return NULL;
        wake_prepare(&lane->wake);
        if (atomic_load_explicit(&lane->given, memory_order_relaxed) || atomic_load_explicit(&lane->stopping, memory_order_relaxed))
            wake_cancel(&lane->wake);
        else
            wake_sleep(&lane->wake, INT64_MAX);
    }
}

static bool work_init(struct lane *lane, uint32_t place)
{
    const struct lane_options *with = &lane->with;
    struct work *work = &lane->works[place];
    work->rows = calloc(with->batch_max, sizeof *work->rows);
    work->slots = calloc(with->batch_max, sizeof *work->slots);
    work->lane = lane;
    work->place = place;
    work->batch = (struct batch){.rows = with->rows, .slots = work->slots, .done = on_done, .owner = work};
    work->batch.margins = calloc((size_t)with->batch_max * with->margins, sizeof(double));
    work->batch.scores = calloc((size_t)with->batch_max * with->scores, sizeof(double));
    return work->rows && work->slots && work->batch.margins && work->batch.scores;
}

enum status lane_init(struct lane *lane, const struct lane_options *options, struct error *err)
{
    memset(lane, 0, sizeof *lane);
    lane->with = *options;
    lane->works = calloc(options->works, sizeof *lane->works);
    bool whole = lane->works != NULL;
    for (uint32_t i = 0; i < options->works && whole; i++)
        whole = work_init(lane, i);
    if (!whole)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the batches of an engine");
    if (!options->threaded)
        return STATUS_OK;
    int code = pthread_create(&lane->thread, NULL, run, lane);
    if (code != 0)
        return error_set(err, STATUS_LIMIT, "no thread for an engine: %s", strerror(code));
    lane->started = true;
    return STATUS_OK;
}

uint32_t lane_stop(struct lane *lane, int64_t most_ns)
{
    const struct timespec look = {.tv_nsec = 1000000};
    if (lane->started) {
        atomic_store_explicit(&lane->stopping, true, memory_order_release);
        wake_now(&lane->wake);
        (void)pthread_join(lane->thread, NULL);
        lane->started = false;
    }
    int64_t end_ns = clock_monotonic_ns() + most_ns;
    while (atomic_load_explicit(&lane->busy, memory_order_relaxed) > 0 && clock_monotonic_ns() < end_ns) {
        (void)engine_poll(lane->with.engine);
        (void)nanosleep(&look, NULL);
    }
    return atomic_load_explicit(&lane->busy, memory_order_relaxed);
}

void lane_free(struct lane *lane)
{
    for (uint32_t i = 0; lane->works && i < lane->with.works; i++) {
        free(lane->works[i].rows);
        free(lane->works[i].slots);
        free(lane->works[i].batch.margins);
        free(lane->works[i].batch.scores);
    }
    free(lane->works);
}

void lane_send(struct lane *lane, uint32_t place, uint32_t n, int64_t now_ns)
{
    CHECK(place < lane->with.works && n > 0 && n <= lane->with.batch_max);
    struct work *work = &lane->works[place];
    work->batch.n = n;
    work->sent_ns = now_ns;
    (void)atomic_fetch_add_explicit(&lane->busy, 1, memory_order_relaxed);
    if (!lane->with.threaded) {
        submit(work);
        return;
    }
    /* release: the thread sees the rows */
    CHECK(atomic_exchange_explicit(&lane->given, work, memory_order_acq_rel) == NULL);
    wake_now(&lane->wake);
}
