#include "kernels/cuda/backend_cuda.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/cuda/engine_private.h"
#include "model/base/check.h"
#include "model/base/clock.h"
#include "model/model.h"

enum { PIECE_BYTES_MAX = 4 << 20, END_S = 10 };

static const int64_t NO_TIME = INT64_MAX;

/* --- options ----------------------------------------------------------------------------------------------------------- */

static const struct setting {
    const char *name;
    size_t offset;
    double min, max;
} settings[] = {
#define SETTING(field, min, max) {#field, offsetof(struct cuda_options, field), min, max}
    SETTING(device, 0, 63), SETTING(streams, 1, STREAMS_MAX), SETTING(batch_max, 1, 65536), SETTING(spin_us, 0, 1e6), SETTING(hang_ms, 1, 1e6),
#undef SETTING
};

static bool take_module(struct cuda_options *with, const char *word, size_t len)
{
    static const char key[] = "module=";
    size_t name = sizeof key - 1;
    if (len <= name || memcmp(word, key, name) != 0 || len - name >= sizeof with->module)
        return false;
    memcpy(with->module, word + name, len - name);
    with->module[len - name] = '\0';
    return true;
}

static bool take_setting(struct cuda_options *with, const char *word, size_t len)
{
    const char *equals = memchr(word, '=', len);
    size_t name = equals ? (size_t)(equals - word) : 0;
    for (size_t i = 0; equals && i < sizeof settings / sizeof settings[0]; i++) {
        if (strlen(settings[i].name) != name || memcmp(settings[i].name, word, name) != 0)
            continue;
        char *end;
        double value = strtod(equals + 1, &end);
        if (end != word + len || end == equals + 1 || !(value >= settings[i].min && value <= settings[i].max) || value != floor(value))
            return false;
        *(double *)(void *)((char *)with + settings[i].offset) = value;
        return true;
    }
    return false;
}

static enum status read_options(const char *options, struct cuda_options *out, struct error *err)
{
    *out = (struct cuda_options){.streams = STREAMS_MAX, .batch_max = 65536, .spin_us = 50, .hang_ms = 2000};
    for (const char *at = options; *at;) {
        size_t len = strcspn(at, ",");
        if (!take_setting(out, at, len) && !take_module(out, at, len))
            return error_set(err, STATUS_USAGE, "cuda engine: '%.*s' is no option of it; there are: device=, module=, streams= (1..%d), batch_max=, "
                             "spin_us=, hang_ms=", (int)len, at, STREAMS_MAX);
        at += len + (at[len] == ',');
    }
    return STATUS_OK;
}

static enum status cuda_configure(void *context, const char *options, struct error *err)
{
    struct engine_cuda *e = context;
    return read_options(options, &e->with, err);
}

static enum status cuda_devices(const char *options, uint32_t *count, struct error *found)
{
    struct cuda_options with;
    const struct cuda_module *module;
    *count = 0;
    enum status status = read_options(options, &with, found);
    if (status == STATUS_OK)
        status = cuda_module_load(with.module, &module, found);
    return status == STATUS_OK ? module->devices->count(count, found) : status;
}

/* --- opening and closing ----------------------------------------------------------------------------------------------- */

static enum status cuda_open(void **context, struct error *err)
{
    struct engine_cuda *e = aligned_alloc(64, (sizeof *e + 63) / 64 * 64);
    if (!e)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    memset(e, 0, sizeof *e);
    (void)pthread_mutex_init(&e->lock, NULL);
    (void)pthread_cond_init(&e->answered, NULL);
    (void)read_options("", &e->with, err);
    *context = e;
    return STATUS_OK;
}

void backend_cuda_use(void *context, const struct cuda_module *module)
{
    struct engine_cuda *e = context;
    e->module = module;
}

/* Ends the thread. False: it hangs in the driver and can't be waited for. */
static bool stop_thread(struct engine_cuda *e)
{
    struct timespec until;
    if (!e->started)
        return true;
    atomic_store_explicit(&e->stopping, true, memory_order_release);
    wake_now(&e->wake);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_S;
    e->started = pthread_timedjoin_np(e->thread, NULL, &until) != 0;
    return !e->started;
}

static void cuda_close(void *context)
{
    struct engine_cuda *e = context;
    if (!stop_thread(e))
        return; /* the thread may yet come back and look at its memory */
    (void)pthread_mutex_destroy(&e->lock);
    (void)pthread_cond_destroy(&e->answered);
    free(e);
}

/* The module is looked for and the device opened with the first model, so that an engine that is not used costs nothing. */
static enum status start(struct engine_cuda *e, struct error *err)
{
    enum status status = e->module ? STATUS_OK : cuda_module_load(e->with.module, &e->module, err);
    if (status != STATUS_OK || e->started)
        return status;
    e->table = e->module->devices;
    if (pthread_create(&e->thread, NULL, engine_run, e) != 0)
        return error_set(err, STATUS_LIMIT, "no thread for a GPU");
    e->started = true;
    struct order order = {.kind = ORDER_OPEN, .err = err};
    status = engine_order(e, &order);
    if (status == STATUS_OK)
        return STATUS_OK;
    (void)stop_thread(e);
    return status == STATUS_UNAVAILABLE ? STATUS_UNSUPPORTED : status; /* this machine has no such device */
}

/* --- models ------------------------------------------------------------------------------------------------------------ */

static void free_prepared(struct prepared *p)
{
    cuda_model_free(p->laid_out);
    free(p->trial);
    free(p->trial_slots);
    free(p->expected);
    free(p);
}

/* Rows of a piece: as many as are worth a launch, and as fit the pinned memory that one stream may have. */
static void size_pieces(const struct engine_cuda *e, struct prepared *p)
{
    p->row_bytes = cuda_model_features(p->laid_out) * number_type_bytes(cuda_model_row_type(p->laid_out));
    p->stride = p->row_bytes ? (p->row_bytes + 63) / 64 * 64 : 64;
    p->bucket_count = BUCKETS_MAX;
    while (p->bucket_count > 6 && p->stride << (p->bucket_count - 1) > PIECE_BYTES_MAX)
        p->bucket_count--;
    p->piece_max = 1u << (p->bucket_count - 1);
    p->batch_max = (uint32_t)e->with.batch_max;
}

static enum status cuda_prepare(void *context, const struct model *model, struct prepared **out, struct error *err)
{
    struct engine_cuda *e = context;
    struct prepared *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    p->model = model;
    enum status status = start(e, err); /* first: "no GPU" says more than what it could not have computed */
    if (status == STATUS_OK)
        status = cuda_model_make(model, &p->laid_out, err);
    if (status == STATUS_OK) {
        size_pieces(e, p);
        status = tune_trial_rows(p, err);
    }
    if (status == STATUS_OK) {
        struct order order = {.kind = ORDER_PREPARE, .prepared = p, .err = err};
        status = engine_order(e, &order);
    }
    if (status != STATUS_OK) {
        free_prepared(p);
        return status;
    }
    *out = p;
    return STATUS_OK;
}

static void cuda_release(void *context, struct prepared *p)
{
    struct engine_cuda *e = context;
    struct error err;
    struct order order = {.kind = ORDER_RELEASE, .prepared = p, .err = &err};
    if (engine_order(e, &order) == STATUS_OK)
        free_prepared(p);
}

static enum status cuda_attach(void *context, void *memory, size_t bytes, struct error *err)
{
    struct engine_cuda *e = context;
    struct order order = {.kind = ORDER_ATTACH, .region = {.memory = memory, .bytes = bytes}, .err = err};
    CHECK(e->started);
    return engine_order(e, &order);
}

/* --- batches ----------------------------------------------------------------------------------------------------------- */

static enum status cuda_submit(void *context, const struct prepared *p, struct batch *batch)
{
    struct engine_cuda *e = context;
    CHECK(batch->n <= p->batch_max);
    if (!atomic_load_explicit(&e->figures.up, memory_order_acquire))
        return STATUS_UNAVAILABLE;
    for (uint32_t i = 0; i < PLACES; i++) {
        struct place *place = &e->places[i];
        int free_now = PLACE_FREE;
        if (!atomic_compare_exchange_strong_explicit(&place->state, &free_now, PLACE_SCORING, memory_order_acquire, memory_order_relaxed))
            continue;
        place->batch = batch;
        place->prepared = p;
        place->sent = place->back = 0;
        place->turn = atomic_fetch_add_explicit(&e->turn, 1, memory_order_relaxed);
        place->given_ns = clock_monotonic_ns();
        atomic_store_explicit(&place->state, PLACE_GIVEN, memory_order_release); /* with all of the above */
        wake_now(&e->wake);
        return STATUS_OK;
    }
    return STATUS_BUSY;
}

static bool give_up(struct engine_cuda *e, struct place *place, int state)
{
    if (!atomic_compare_exchange_strong_explicit(&place->state, &state, PLACE_LOST, memory_order_acq_rel, memory_order_relaxed))
        return false;
    (void)atomic_fetch_add_explicit(&e->figures.hung, 1, memory_order_relaxed);
    wake_now(&e->wake);
    return true;
}

/* The thread's own patience is hang_ms; when it says nothing for twice as long it hangs itself. */
static int64_t lost_ns(const struct engine_cuda *e, const struct place *place)
{
    return place->given_ns + (int64_t)(2e6 * e->with.hang_ms);
}

static unsigned cuda_poll(void *context)
{
    struct engine_cuda *e = context;
    unsigned done = 0;
    for (uint32_t i = 0; i < PLACES; i++) {
        struct place *place = &e->places[i];
        int state = atomic_load_explicit(&place->state, memory_order_acquire); /* what the thread wrote to the batch */
        if (state == PLACE_FREE || state == PLACE_LOST)
            continue;
        struct batch *batch = place->batch;
        enum status status = STATUS_UNAVAILABLE;
        if (state == PLACE_DONE) {
            status = place->status;
            atomic_store_explicit(&place->state, PLACE_FREE, memory_order_release);
        } else if (state == PLACE_SCORING || clock_monotonic_ns() < lost_ns(e, place) || !give_up(e, place, state)) {
            continue;
        }
        batch->done(batch, status);
        done++;
    }
    return done;
}

static int64_t cuda_due(void *context)
{
    const struct engine_cuda *e = context;
    int64_t due_ns = NO_TIME;
    for (uint32_t i = 0; i < PLACES; i++) {
        int state = atomic_load_explicit(&e->places[i].state, memory_order_acquire);
        if (state == PLACE_DONE)
            return 1;
        if (state == PLACE_FREE || state == PLACE_LOST)
            continue;
        int64_t at_ns = atomic_load_explicit(&e->listened, memory_order_relaxed) ? lost_ns(e, &e->places[i]) : 0;
        due_ns = at_ns < due_ns ? at_ns : due_ns;
    }
    return due_ns;
}

static void cuda_notify(void *context, void (*wake)(void *owner), void *owner)
{
    struct engine_cuda *e = context;
    (void)pthread_mutex_lock(&e->lock);
    e->wake_caller = wake;
    e->wake_owner = owner;
    (void)pthread_mutex_unlock(&e->lock);
    atomic_store_explicit(&e->listened, wake != NULL, memory_order_relaxed);
}

static void cuda_limits_of(void *context, const struct prepared *p, struct backend_limits *out)
{
    const struct engine_cuda *e = context;
    *out = (struct backend_limits){.batch_max = p->batch_max, .in_flight_max = (uint32_t)e->with.streams};
}

const struct backend backend_cuda = {
    .name = "cuda",
    .summary = "NVIDIA GPUs, through libassay-cuda.so",
    .open = cuda_open,
    .configure = cuda_configure,
    .close = cuda_close,
    .prepare = cuda_prepare,
    .release = cuda_release,
    .submit = cuda_submit,
    .limits = cuda_limits_of,
    .poll = cuda_poll,
    .due = cuda_due,
    .describe = engine_describe_cuda,
    .devices = cuda_devices,
    .attach = cuda_attach,
    .notify = cuda_notify,
    .state = engine_state_cuda,
    .figures = engine_figures_cuda,
};
