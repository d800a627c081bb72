/*
 * What is on the device, and making it anew: after a failure the device is closed, which ends everything on it whatever state
 * it is in, and opened again later; models, registered memory and streams are then put back from what the host kept.
 */
#include "kernels/cuda/engine_private.h"

#include <stdio.h>
#include <string.h>

#include "model/base/clock.h"

enum { LINE = 64, DEVICE_ALIGN = 256 };

static const int64_t RETRY_FIRST_NS = 50000000, RETRY_MOST_NS = 30000000000;
static const int64_t LASTED_NS = 1000000000; /* a device that was up for so long had healed */

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* A device's refusal as a status, its words as the message. */
static enum status refusal(const struct engine_cuda *e, enum device_status status, const char *what, struct error *err)
{
    if (status == DEVICE_OK)
        return STATUS_OK;
    return error_set(err, status == DEVICE_NO_MEMORY ? STATUS_NO_MEMORY : STATUS_UNAVAILABLE, "%s: %s", what, e->table->fault(e->device));
}

/* --- a model ----------------------------------------------------------------------------------------------------------- */

static size_t margin_bytes(const struct prepared *p)
{
    return cuda_model_margins(p->laid_out) * number_type_bytes(cuda_model_margin_type(p->laid_out));
}

static enum device_status make_piece_memory(struct engine_cuda *e, struct prepared *p, struct piece_memory *m)
{
    size_t slots_at = 2 * LINE, margins_at = slots_at + round_up(p->piece_max * sizeof *m->slots, LINE);
    size_t rows_at = margins_at + round_up(p->piece_max * margin_bytes(p), LINE);
    size_t host_bytes = rows_at + p->piece_max * p->stride;
    void *host = NULL, *there = NULL, *device = NULL;
    enum device_status status = e->table->host_alloc(e->device, host_bytes, &host, &there);
    if (status != DEVICE_OK)
        return status;
    memset(host, 0, host_bytes);
    m->host = host;
    m->host_mapped = there;
    m->request = (struct cuda_request *)host;
    m->done = (_Atomic uint64_t *)(void *)(m->host + LINE); /* on its own line: the device writes it while we look */
    m->slots = (uint32_t *)(void *)(m->host + slots_at);
    m->margins = m->host + margins_at;
    m->rows = m->host + rows_at;
    m->scratch_at = DEVICE_ALIGN;
    m->rows_at = m->scratch_at + round_up(p->scratch_bytes, DEVICE_ALIGN);
    status = e->table->alloc(e->device, m->rows_at + p->piece_max * p->stride, &device);
    m->device = device;
    static const char zero[DEVICE_ALIGN];
    return status == DEVICE_OK ? e->table->upload(e->device, device, zero, sizeof zero) : status; /* the ticket starts at 0 */
}

static void free_pieces(struct engine_cuda *e, struct prepared *p)
{
    for (uint32_t i = 0; i < STREAMS_MAX; i++) {
        if (p->pieces[i].host)
            e->table->host_free(e->device, p->pieces[i].host);
        if (p->pieces[i].device)
            e->table->free(e->device, p->pieces[i].device);
    }
    if (p->image)
        e->table->free(e->device, p->image);
}

static void forget(struct prepared *p)
{
    memset(p->pieces, 0, sizeof p->pieces);
    p->image = NULL;
}

static enum device_status put_image(struct engine_cuda *e, struct prepared *p)
{
    size_t bytes;
    const void *image = cuda_model_image(p->laid_out, &bytes);
    p->image_bytes = bytes;
    enum device_status status = e->table->alloc(e->device, bytes, &p->image);
    if (status == DEVICE_OK)
        status = e->table->upload(e->device, p->image, image, bytes);
    if (status == DEVICE_OK && e->module->uploaded)
        e->module->uploaded(p->image, p->model);
    return status;
}

static void note_memory(struct engine_cuda *e)
{
    uint64_t rest, total;
    if (e->table->memory(e->device, &rest, &total) != DEVICE_OK)
        return;
    atomic_store_explicit(&e->figures.memory_free, rest, memory_order_relaxed);
    atomic_store_explicit(&e->figures.memory_total, total, memory_order_relaxed);
}

/* Loads every kernel that may compute the model, and finds the scratch memory that the neediest of them wants. */
static enum status plan_ways(struct engine_cuda *e, struct prepared *p, struct error *err)
{
    const struct device_facts *facts = e->table->facts(e->device);
    const struct cuda_limits limits = device_limits(facts);
    p->scratch_bytes = 0;
    for (uint32_t b = 0; b < p->bucket_count; b++) {
        struct cuda_launch launches[CUDA_LAUNCHES_MAX];
        uint32_t n = cuda_model_launches(p->laid_out, &limits, 1u << b, launches);
        if (n == 0)
            return error_set(err, STATUS_UNSUPPORTED, "%s has too little shared memory for this model", facts->name);
        for (uint32_t i = 0; i < n; i++) {
            p->scratch_bytes = launches[i].scratch_bytes > p->scratch_bytes ? launches[i].scratch_bytes : p->scratch_bytes;
            enum device_status status = e->table->prepare(e->device, e->module->kernels[launches[i].kernel].function, launches[i].shared_bytes);
            if (status != DEVICE_OK)
                return refusal(e, status, "loading a kernel", err);
        }
    }
    return STATUS_OK;
}

static enum status put_model(struct engine_cuda *e, struct prepared *p, struct error *err)
{
    enum status status = plan_ways(e, p, err);
    if (status == STATUS_OK)
        status = refusal(e, put_image(e, p), "putting the model on the device", err);
    for (uint32_t i = 0; i < (uint32_t)e->with.streams && status == STATUS_OK; i++)
        status = refusal(e, make_piece_memory(e, p, &p->pieces[i]), "memory for batches", err);
    if (status == STATUS_OK && !p->tuned)
        status = tune_ways(e, p, err);
    if (status == STATUS_OK)
        status = tune_check(e, p, err);
    note_memory(e);
    return status;
}

enum status world_add(struct engine_cuda *e, struct prepared *p, struct error *err)
{
    if (!e->device)
        return error_set(err, STATUS_UNAVAILABLE, "%s", e->reason);
    enum status status = put_model(e, p, err);
    if (status == STATUS_OK) {
        p->next = e->models;
        e->models = p;
    } else {
        free_pieces(e, p);
        forget(p);
    }
    return status;
}

void world_remove(struct engine_cuda *e, struct prepared *p)
{
    for (struct prepared **at = &e->models; *at; at = &(*at)->next) {
        if (*at != p)
            continue;
        *at = p->next;
        break;
    }
    if (e->device)
        free_pieces(e, p);
    forget(p);
}

/* --- memory that rows lie in ------------------------------------------------------------------------------------------- */

static enum status map_region(struct engine_cuda *e, struct region *r, struct error *err)
{
    void *there = NULL;
    enum status status = refusal(e, e->table->host_register(e->device, r->memory, r->bytes, &there), "registering memory of rows", err);
    r->mapped = status == STATUS_OK ? there : NULL;
    return status;
}

enum status world_attach(struct engine_cuda *e, struct region region, struct error *err)
{
    if (e->region_count == REGIONS_MAX)
        return error_set(err, STATUS_LIMIT, "more than %d pieces of memory for rows", REGIONS_MAX);
    region.mapped = NULL;
    enum status status = e->device ? map_region(e, &region, err) : STATUS_OK;
    e->regions[e->region_count++] = region; /* a device that is down, or is lost just now, maps it when it is back */
    return status == STATUS_OK ? status : STATUS_UNSUPPORTED;
}

/* --- the device -------------------------------------------------------------------------------------------------------- */

static enum status make_all(struct engine_cuda *e, struct error *err)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < (uint32_t)e->with.streams && status == STATUS_OK; i++)
        status = refusal(e, e->table->stream_create(e->device, 1, &e->flights[i].stream), "streams", err);
    for (uint32_t i = 0; i < e->region_count && status == STATUS_OK; i++)
        (void)map_region(e, &e->regions[i], err); /* without it rows are copied; a device that is no good shows below */
    for (struct prepared *p = e->models; p && status == STATUS_OK; p = p->next)
        status = put_model(e, p, err);
    return status;
}

enum status world_open(struct engine_cuda *e, struct error *err)
{
    uint32_t number = (uint32_t)e->with.device, count = 0;
    enum status status = e->table->count(&count, err);
    if (status != STATUS_OK)
        return status;
    if (number >= count)
        return error_set(err, STATUS_UNAVAILABLE, count == 0 ? "no GPU that this process may use" : "no GPU %u; there are %u", number, count);
    status = e->table->open(number, &e->device, err);
    if (status != STATUS_OK)
        return status;
    status = make_all(e, err);
    if (status != STATUS_OK) {
        world_close(e);
        return status;
    }
    (void)pthread_mutex_lock(&e->lock);
    (void)snprintf(e->name, sizeof e->name, "%s", e->table->facts(e->device)->name);
    (void)snprintf(e->bus, sizeof e->bus, "%s", e->table->facts(e->device)->bus);
    e->reason[0] = '\0';
    (void)pthread_mutex_unlock(&e->lock);
    e->opened_ns = clock_monotonic_ns();
    atomic_store_explicit(&e->figures.up, true, memory_order_release);
    return STATUS_OK;
}

void world_close(struct engine_cuda *e)
{
    if (!e->device)
        return;
    for (uint32_t i = 0; i < e->region_count; i++) {
        if (e->regions[i].mapped)
            e->table->host_unregister(e->device, e->regions[i].memory);
        e->regions[i].mapped = NULL;
    }
    e->table->close(e->device);
    e->device = NULL;
    for (struct prepared *p = e->models; p; p = p->next)
        forget(p);
    for (uint32_t i = 0; i < STREAMS_MAX; i++)
        e->flights[i].stream = NULL;
}

void world_blame(struct engine_cuda *e, const char *reason)
{
    char kept[DEVICE_FAULT_MAX];
    (void)snprintf(kept, sizeof kept, "%s", reason); /* it may be e->reason */
    (void)pthread_mutex_lock(&e->lock);
    (void)snprintf(e->reason, sizeof e->reason, "%s", kept);
    (void)pthread_mutex_unlock(&e->lock);
    atomic_store_explicit(&e->figures.up, false, memory_order_release); /* after the reason: who sees it down may ask why */
}

void world_down(struct engine_cuda *e)
{
    bool lasted = e->device && clock_monotonic_ns() - e->opened_ns > LASTED_NS;
    int64_t longer_ns = e->retry_after_ns * 2 < RETRY_MOST_NS ? e->retry_after_ns * 2 : RETRY_MOST_NS;
    e->retry_after_ns = lasted || longer_ns == 0 ? RETRY_FIRST_NS : longer_ns;
    world_close(e);
    e->retry_ns = clock_monotonic_ns() + e->retry_after_ns;
}
