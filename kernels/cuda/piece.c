#include <string.h>

#include "kernels/cuda/engine_private.h"

uint32_t piece_bucket(uint32_t n)
{
    uint32_t bucket = 0;
    while ((1u << bucket) < n)
        bucket++;
    return bucket;
}

static bool is_dense(const uint32_t *slots, uint32_t n)
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < n; i++) /* no early end: this becomes a vector loop */
        wrong |= slots[i] ^ (slots[0] + i);
    return wrong == 0;
}

/* The device's address of the rows' first byte; NULL: the device cannot read them where they lie. */
static char *mapped_rows(const struct engine_cuda *e, const struct rows *rows)
{
    const char *base = rows->base;
    for (uint32_t i = 0; i < e->region_count; i++) {
        const struct region *r = &e->regions[i];
        if (base >= r->memory && base < r->memory + r->bytes && r->mapped)
            return r->mapped + (base - r->memory);
    }
    return NULL;
}

static void gather(const struct piece *piece, char *to)
{
    const struct prepared *p = piece->prepared;
    for (uint32_t i = 0; i < piece->n; i++)
        memcpy(to + i * p->stride, (const char *)piece->rows->base + (size_t)piece->slots[i] * piece->rows->stride, p->row_bytes);
}

static char *mapped(const struct piece_memory *m, const void *host)
{
    return m->host_mapped + ((const char *)host - m->host);
}

/* Where the kernel finds the rows: by their slots in the callers' memory, or one after the other, there or gathered. Dense ones
 * may be copied to the device first. */
static enum device_status place_rows(struct engine_cuda *e, const struct piece *piece, const struct piece_memory *m, struct cuda_args *args)
{
    const struct prepared *p = piece->prepared;
    const char *there = mapped_rows(e, piece->rows), *host = m->rows;
    args->stride = there ? piece->rows->stride : p->stride;
    if (there && !is_dense(piece->slots, piece->n)) {
        memcpy(m->slots, piece->slots, piece->n * sizeof *m->slots);
        args->slots = (const uint32_t *)(const void *)mapped(m, m->slots);
        args->rows = there;
        return DEVICE_OK;
    }
    if (there) {
        host = (const char *)piece->rows->base + piece->slots[0] * args->stride;
        args->rows = there + piece->slots[0] * args->stride;
    } else {
        gather(piece, m->rows);
        args->rows = mapped(m, m->rows);
    }
    if (!piece->way->copied || args->stride > p->stride)
        return DEVICE_OK;
    args->rows = m->device + m->rows_at;
    return e->table->copy(e->device, e->flights[piece->stream].stream, m->device + m->rows_at, host, piece->n * args->stride);
}

enum device_status piece_send(struct engine_cuda *e, const struct piece *piece)
{
    const struct prepared *p = piece->prepared;
    const struct piece_memory *m = &p->pieces[piece->stream];
    const struct cuda_launch *launch = &piece->way->launch;
    *m->request = (struct cuda_request){.sequence = piece->sequence, .n = piece->n};
    struct cuda_args args = {
        .image = p->image,
        .request = (const struct cuda_request *)(const void *)mapped(m, m->request),
        .margins = mapped(m, m->margins),
        .done = (uint64_t *)(void *)mapped(m, m->done),
        .ticket = (uint32_t *)(void *)m->device,
        .scratch = m->device + m->scratch_at,
        .capacity = launch->capacity,
    };
    enum device_status status = place_rows(e, piece, m, &args);
    if (status != DEVICE_OK)
        return status;
    return e->table->launch(e->device, e->flights[piece->stream].stream, e->module->kernels[launch->kernel].function, launch, &args);
}

bool piece_is_done(const struct prepared *p, uint32_t stream, uint64_t sequence)
{
    /* acquire: the margins were there before the flag */
    return atomic_load_explicit(p->pieces[stream].done, memory_order_acquire) == sequence;
}
