/*
 * The device thread's turn: an order if there is one, what came back, what can be sent, and a rest. It is the only one that
 * speaks to the device, so a driver that is slow to answer holds up nobody else.
 */
#include "kernels/cuda/engine_private.h"

#include <stdio.h>
#include <sys/prctl.h>

#include "model/base/clock.h"
#include "model/model.h"

static const int64_t QUERY_NS = 200000; /* between looks at a stream whose flag is not there */
static const int64_t NAP_NS = 20000;    /* between looks at the flags, once spinning has lasted long enough */

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* --- back -------------------------------------------------------------------------------------------------------------- */

static void give_back(struct engine_cuda *e, struct place *place, enum status status)
{
    place->status = status;
    atomic_store_explicit(&place->state, PLACE_DONE, memory_order_release); /* with its status, margins and scores */
    (void)pthread_mutex_lock(&e->lock); /* so that an owner who is told of no more may go */
    if (e->wake_caller)
        e->wake_caller(e->wake_owner);
    (void)pthread_mutex_unlock(&e->lock);
}

/* Takes the place from whatever state the callers may still change; false: they have given it up. */
static bool claim(struct place *place, int from, int to)
{
    return atomic_compare_exchange_strong_explicit(&place->state, &from, to, memory_order_acquire, memory_order_relaxed);
}

/* Everything that was given comes back at once, before the device is seen to, which may take long. */
static void fail_places(struct engine_cuda *e)
{
    for (uint32_t i = 0; i < STREAMS_MAX; i++)
        e->flights[i].place = NULL;
    e->flying = 0;
    for (uint32_t i = 0; i < PLACES; i++) {
        struct place *place = &e->places[i];
        if (claim(place, PLACE_GIVEN, PLACE_SCORING) || claim(place, PLACE_TAKEN, PLACE_SCORING))
            give_back(e, place, STATUS_UNAVAILABLE);
        else
            (void)claim(place, PLACE_LOST, PLACE_FREE);
    }
}

static void fault(struct engine_cuda *e, const char *reason)
{
    world_blame(e, reason);
    figure_add(&e->figures.faults, 1);
    fail_places(e);
    world_down(e);
}

static void fault_of(struct engine_cuda *e)
{
    fault(e, e->table->fault(e->device));
}

static void land(struct engine_cuda *e, struct flight *flight, int64_t now_ns)
{
    flight->place = NULL;
    if (--e->flying == 0)
        figure_add(&e->figures.busy_ns, (uint64_t)(now_ns - e->busy_since_ns));
}

static void take_back(struct engine_cuda *e, uint32_t stream, int64_t now_ns)
{
    struct flight *flight = &e->flights[stream];
    struct place *place = flight->place;
    const struct prepared *p = place->prepared;
    struct batch *batch = place->batch;
    uint32_t at = flight->at, n = flight->n;
    if (!claim(place, PLACE_TAKEN, PLACE_SCORING)) /* given up: see to it in the next turn */
        return;
    const struct model_info *info = model_info(p->model);
    cuda_model_scores(p->laid_out, p->pieces[stream].margins, n, batch->margins + (size_t)at * info->margins,
                      batch->scores + (size_t)at * info->scores);
    int64_t end_ns = clock_monotonic_ns();
    figure_add(&e->figures.phase_ns[PHASE_DEVICE], (uint64_t)(now_ns - flight->sent_ns));
    figure_add(&e->figures.phase_ns[PHASE_RETURN], (uint64_t)(end_ns - now_ns));
    figure_add(&e->figures.rows, n);
    figure_add(&e->figures.bytes_out, n * info->margins * number_type_bytes(cuda_model_margin_type(p->laid_out)));
    land(e, flight, now_ns);
    place->back += n;
    if (place->back == batch->n)
        give_back(e, place, STATUS_OK);
    else
        atomic_store_explicit(&place->state, PLACE_TAKEN, memory_order_release);
}

/* The flag is the answer; only when it is late is the stream asked, which alone can tell of a failure. False: the device is
 * down now. */
static bool look_at(struct engine_cuda *e, uint32_t stream, int64_t now_ns)
{
    struct flight *flight = &e->flights[stream];
    enum device_status status = e->table->query(e->device, flight->stream);
    flight->look_ns = now_ns + QUERY_NS;
    if (status == DEVICE_NOT_READY && (double)(now_ns - flight->sent_ns) < e->with.hang_ms * 1e6)
        return true;
    if (status == DEVICE_OK && piece_is_done(flight->place->prepared, stream, flight->sequence))
        return true;
    if (status == DEVICE_OK)
        fault(e, "a kernel ended without an answer");
    else if (status == DEVICE_NOT_READY)
        fault(e, "a kernel hangs");
    else
        fault_of(e);
    return false;
}

static bool take_answers(struct engine_cuda *e)
{
    bool some = false;
    int64_t now_ns = e->flying > 0 ? clock_monotonic_ns() : 0;
    for (uint32_t i = 0; i < STREAMS_MAX && e->flying > 0; i++) {
        struct flight *flight = &e->flights[i];
        if (!flight->place)
            continue;
        if (piece_is_done(flight->place->prepared, i, flight->sequence)) {
            take_back(e, i, now_ns);
            now_ns = clock_monotonic_ns();
            some = true;
        } else if (now_ns >= flight->look_ns && !look_at(e, i, now_ns)) {
            return true;
        }
    }
    return some;
}

/* A batch that the callers gave up waiting for means that this thread hung in a call: the device is no good. */
static bool see_to_lost(struct engine_cuda *e)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        if (atomic_load_explicit(&e->places[i].state, memory_order_relaxed) != PLACE_LOST)
            continue;
        if (e->device)
            fault(e, "a call of the driver took too long");
        else
            fail_places(e);
        return true;
    }
    return false;
}

/* --- out --------------------------------------------------------------------------------------------------------------- */

/* The batch that was given first of those with rows that are not sent. */
static struct place *next_place(struct engine_cuda *e)
{
    struct place *first = NULL;
    for (uint32_t i = 0; i < PLACES; i++) {
        struct place *place = &e->places[i];
        int state = atomic_load_explicit(&place->state, memory_order_acquire); /* what submit wrote to it */
        bool waits = state == PLACE_GIVEN || (state == PLACE_TAKEN && place->sent < place->batch->n);
        if (waits && (!first || place->turn < first->turn))
            first = place;
    }
    return first;
}

static void send(struct engine_cuda *e, struct place *place, uint32_t stream)
{
    struct flight *flight = &e->flights[stream];
    const struct prepared *p = place->prepared;
    const struct batch *batch = place->batch;
    uint32_t rest = batch->n - place->sent, n = rest < p->piece_max ? rest : p->piece_max, bucket = piece_bucket(n);
    const struct piece piece = {.prepared = p, .rows = batch->rows, .slots = batch->slots + place->sent, .n = n, .stream = stream,
                                .sequence = ++flight->sequence, .way = &p->ways[bucket]};
    int64_t begin_ns = clock_monotonic_ns();
    enum device_status status = piece_send(e, &piece);
    if (status != DEVICE_OK) {
        fault_of(e);
        return;
    }
    int64_t now_ns = clock_monotonic_ns();
    flight->place = place;
    flight->at = place->sent;
    flight->n = n;
    flight->sent_ns = now_ns;
    flight->look_ns = now_ns + QUERY_NS;
    if (e->flying++ == 0)
        e->busy_since_ns = begin_ns;
    if (place->sent == 0)
        figure_add(&e->figures.phase_ns[PHASE_WAIT], (uint64_t)(begin_ns - place->given_ns));
    figure_add(&e->figures.phase_ns[PHASE_SEND], (uint64_t)(now_ns - begin_ns));
    figure_add(&e->figures.bytes_in, n * p->row_bytes);
    figure_add(&e->figures.batches[bucket], 1);
    place->sent += n;
}

static bool send_pieces(struct engine_cuda *e)
{
    bool some = false;
    for (uint32_t i = 0; i < (uint32_t)e->with.streams && e->device; i++) {
        if (e->flights[i].place)
            continue;
        struct place *place = next_place(e);
        if (!place)
            return some;
        if (place->sent == 0 && !claim(place, PLACE_GIVEN, PLACE_TAKEN))
            continue;
        send(e, place, i);
        some = true;
    }
    return some;
}

/* --- rest -------------------------------------------------------------------------------------------------------------- */

static bool is_needed(struct engine_cuda *e)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        int state = atomic_load_explicit(&e->places[i].state, memory_order_relaxed);
        if ((state == PLACE_GIVEN && e->flying < (uint32_t)e->with.streams) || state == PLACE_LOST)
            return true;
    }
    return atomic_load_explicit(&e->order, memory_order_relaxed) || atomic_load_explicit(&e->stopping, memory_order_relaxed);
}

static void rest(struct engine_cuda *e, int64_t worked_ns)
{
    int64_t now_ns = clock_monotonic_ns();
    if (e->device && (double)(now_ns - worked_ns) < e->with.spin_us * 1e3) {
        cpu_relax();
        return;
    }
    bool retries = !e->device && e->retry_ns > 0;
    int64_t until_ns = e->flying > 0 ? now_ns + NAP_NS : retries ? e->retry_ns : INT64_MAX;
    wake_prepare(&e->wake);
    if (is_needed(e))
        wake_cancel(&e->wake);
    else
        wake_sleep(&e->wake, until_ns);
}

/* The device is down: nothing is kept waiting for it, and now and then it is tried. */
static void try_device(struct engine_cuda *e)
{
    struct error err = {""};
    fail_places(e);
    if (e->retry_ns == 0 || clock_monotonic_ns() < e->retry_ns)
        return;
    if (world_open(e, &err) == STATUS_OK) {
        figure_add(&e->figures.recoveries, 1);
        return;
    }
    world_blame(e, err.message);
    world_down(e);
}

void *engine_run(void *argument)
{
    struct engine_cuda *e = argument;
    char name[16];
    (void)snprintf(name, sizeof name, "cuda-%u", (unsigned)e->with.device);
    (void)pthread_setname_np(pthread_self(), name);
    (void)prctl(PR_SET_TIMERSLACK, 1000UL); /* ns; naps are short */
    int64_t worked_ns = 0;
    while (!atomic_load_explicit(&e->stopping, memory_order_acquire) || e->flying > 0) {
        bool worked = engine_take_order(e);
        worked = take_answers(e) || worked;
        worked = see_to_lost(e) || worked;
        worked = send_pieces(e) || worked;
        if (!e->device)
            try_device(e);
        if (worked)
            worked_ns = clock_monotonic_ns();
        else
            rest(e, worked_ns);
    }
    world_close(e);
    return NULL;
}
