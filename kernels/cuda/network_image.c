#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/network_layout.h"
#include "kernels/cuda/model.h"
#include "model/network.h"

enum { PER_THREAD = 4 }; /* outputs */

struct maker {
    const struct network *network;
    struct network_wire *wires;
    size_t row_floats;
    struct network_image head;
    char *image;
    uint64_t weights; /* where the next chunk goes */
    uint32_t chunks;  /* put so far */
};

static struct network_place place_of(const struct maker *m, uint32_t wire)
{
    const struct network_wire *w = &m->wires[wire];
    uint32_t narrow = (w->width + PER_THREAD - 1) / PER_THREAD * PER_THREAD; /* there is room for 16 */
    return (struct network_place){.place = (uint32_t)w->place, .stride = w->width < NETWORK_LANES ? narrow : w->stride};
}

/* --- dense operations -------------------------------------------------------------------------------------------------- */

struct dense {
    uint32_t in, out, padded; /* of a group */
    uint32_t chunk_inputs;
    uint32_t chunks; /* 0: not streamed */
};

static struct dense dense_of(const struct network *n, const struct network_op *op)
{
    struct dense d = {.in = network_width(n, op->inputs[0]) / op->groups, .out = op->width / op->groups};
    d.padded = (d.out + PER_THREAD - 1) / PER_THREAD * PER_THREAD;
    /* Groups begin where four numbers can be loaded at once, and a chunk holds four inputs at least. */
    bool aligned = op->groups == 1 || (d.in % PER_THREAD == 0 && d.out % PER_THREAD == 0);
    uint32_t fit = (uint32_t)(NETWORK_CHUNK_BYTES / sizeof(float)) / d.padded;
    if (op->kind != NETWORK_DENSE || !aligned || fit < 2 * PER_THREAD)
        return d;
    d.chunk_inputs = (fit - 1) / PER_THREAD * PER_THREAD; /* beside the biases */
    d.chunks = (d.in + d.chunk_inputs - 1) / d.chunk_inputs;
    return d;
}

static size_t chunk_floats(const struct dense *d, uint32_t chunk)
{
    uint32_t from = chunk * d->chunk_inputs, inputs = d->in - from < d->chunk_inputs ? d->in - from : d->chunk_inputs;
    return (size_t)(inputs + (chunk == 0)) * d->padded;
}

static void put_chunk(struct maker *m, const struct network_op *op, const struct dense *d, uint32_t chunk)
{
    const float *weights = m->network->numbers + op->first, *bias = weights + (size_t)d->in * d->out;
    float *to = (float *)(void *)(m->image + m->weights);
    size_t floats = chunk_floats(d, chunk);
    uint32_t input = chunk * d->chunk_inputs;
    struct network_chunk *list = (struct network_chunk *)(void *)(m->image + m->head.chunk_list);
    list[m->chunks++] = (struct network_chunk){.place = m->weights, .bytes = (uint32_t)(floats * sizeof *to)};
    m->weights += floats * sizeof *to;
    const float *end = to + floats;
    if (chunk == 0) {
        memcpy(to, bias, d->out * sizeof *to);
        to += d->padded;
    }
    for (; to < end; to += d->padded, input++)
        memcpy(to, weights + (size_t)input * d->out, d->out * sizeof *to);
}

/* --- the image --------------------------------------------------------------------------------------------------------- */

static size_t plan_places(struct maker *m)
{
    const struct network *n = m->network;
    struct network_image *h = &m->head;
    size_t end = 0, weight_floats = 0;
    *h = (struct network_image){.features = n->features, .outputs = n->outputs, .steps = n->op_count, .row = place_of(m, 0),
                                .margins = place_of(m, n->op_count), .row_floats = (uint32_t)m->row_floats};
    for (uint32_t i = 0; i < n->op_count; i++) {
        struct dense d = dense_of(n, &n->ops[i]);
        h->chunks += d.chunks;
        for (uint32_t c = 0; c < d.chunks; c++) {
            size_t floats = chunk_floats(&d, c);
            weight_floats += floats;
            h->chunk_bytes = floats * sizeof(float) > h->chunk_bytes ? (uint32_t)(floats * sizeof(float)) : h->chunk_bytes;
        }
    }
    (void)cuda_image_place(&end, 1, sizeof *h);
    h->step_list = cuda_image_place(&end, n->op_count, sizeof(struct network_step));
    h->parts = cuda_image_place(&end, n->piece_count, sizeof(struct network_part));
    h->numbers = cuda_image_place(&end, n->number_count, sizeof(float));
    h->chunk_list = cuda_image_place(&end, h->chunks, sizeof(struct network_chunk));
    m->weights = cuda_image_place(&end, weight_floats, sizeof(float));
    return (end + CUDA_IMAGE_ALIGN - 1) / CUDA_IMAGE_ALIGN * CUDA_IMAGE_ALIGN;
}

static struct network_step step_of(const struct maker *m, uint32_t number)
{
    const struct network_op *op = &m->network->ops[number];
    struct dense d = dense_of(m->network, op);
    bool relu = op->kind == NETWORK_DENSE && op->function == NETWORK_FN_RELU;
    return (struct network_step){.kind = op->kind,
                                 .function = relu ? (uint8_t)NETWORK_FN_IDENTITY : op->function,
                                 .reduce = op->reduce,
                                 .relu = relu,
                                 .a = op->a,
                                 .b = op->b,
                                 .x = place_of(m, op->inputs[0]),
                                 .z = place_of(m, op->inputs[1]),
                                 .c = place_of(m, op->inputs[2]),
                                 .y = place_of(m, number + 1),
                                 .x_width = network_width(m->network, op->inputs[0]),
                                 .width = op->width,
                                 .groups = op->groups,
                                 .rows = op->rows,
                                 .first = op->first,
                                 .count = op->count,
                                 .chunks = d.chunks,
                                 .chunk_inputs = d.chunk_inputs,
                                 .padded = d.padded};
}

static void put_parts(const struct maker *m, const struct network_op *op)
{
    struct network_part *parts = (struct network_part *)(void *)(m->image + m->head.parts);
    uint32_t to = 0;
    for (uint32_t k = op->first; k < op->first + op->count; k++) {
        const struct network_piece *p = &m->network->pieces[k];
        parts[k] = (struct network_part){.from = place_of(m, p->wire), .column = p->column, .count = p->count, .step = p->step, .to = to};
        to += p->count;
    }
}

static void put(struct maker *m)
{
    const struct network *n = m->network;
    struct network_step *steps = (struct network_step *)(void *)(m->image + m->head.step_list);
    memcpy(m->image, &m->head, sizeof m->head);
    if (n->number_count)
        memcpy(m->image + m->head.numbers, n->numbers, n->number_count * sizeof *n->numbers);
    for (uint32_t i = 0; i < n->op_count; i++) {
        struct dense d = dense_of(n, &n->ops[i]);
        steps[i] = step_of(m, i);
        if (n->ops[i].kind == NETWORK_COPY)
            put_parts(m, &n->ops[i]);
        for (uint32_t c = 0; c < d.chunks; c++)
            put_chunk(m, &n->ops[i], &d, c);
    }
}

static enum status refuse(const struct network *n, struct error *err)
{
    if (n->forest_count > 0)
        return error_set(err, STATUS_UNSUPPORTED, "a network with forests inside: only the CPU engine takes these");
    return STATUS_OK;
}

enum status network_image_make(struct cuda_model *model, struct error *err)
{
    struct maker m = {.network = model->network};
    enum status status = refuse(model->network, err);
    if (status == STATUS_OK)
        status = network_place_wires(m.network, &m.wires, &m.row_floats, err);
    if (status != STATUS_OK)
        return status;
    size_t bytes = plan_places(&m);
    m.image = aligned_alloc(CUDA_IMAGE_ALIGN, bytes);
    if (m.image) {
        memset(m.image, 0, bytes);
        put(&m);
        model->image = m.image;
        model->image_bytes = bytes;
        model->network_head = m.head;
    }
    free(m.wires);
    return m.image ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
}
