#include "kernels/cpu/network_layout.h"

#include <stdlib.h>
#include <string.h>

/* --- places ----------------------------------------------------------------------------------------------------------- */

struct placing {
    const struct network *network;
    struct network_wire *wires;
    uint32_t *last_reader; /* [op_count + 1]: the operation that reads it last; op_count: needed to the end */
    uint32_t *live;        /* wires in use, by ascending place */
    uint32_t live_count;
};

static void read_by(struct placing *p, uint32_t wire, uint32_t op)
{
    p->last_reader[wire] = op; /* operations come in ascending order */
}

static void find_last_readers(struct placing *p)
{
    const struct network *n = p->network;
    for (uint32_t i = 0; i < n->op_count; i++) {
        const struct network_op *op = &n->ops[i];
        for (uint32_t k = 0; k < network_inputs(op); k++)
            read_by(p, op->inputs[k], i);
        for (uint32_t k = op->first; op->kind == NETWORK_COPY && k < op->first + op->count; k++)
            read_by(p, n->pieces[k].wire, i);
    }
    read_by(p, n->op_count, n->op_count);
}

/* Floats of a row's share; a narrow wire of n rows may end in the middle of a register, so it gets room for a whole one. */
static size_t room(const struct network_wire *wire)
{
    return wire->stride < NETWORK_LANES ? NETWORK_LANES : wire->stride;
}

static void drop_dead(struct placing *p, uint32_t op)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < p->live_count; k++) {
        if (p->last_reader[p->live[k]] >= op)
            p->live[kept++] = p->live[k];
    }
    p->live_count = kept;
}

/* The first gap that is large enough. */
static void place(struct placing *p, uint32_t wire)
{
    struct network_wire *w = &p->wires[wire];
    size_t at = 0;
    uint32_t k = 0;
    for (; k < p->live_count; k++) {
        const struct network_wire *next = &p->wires[p->live[k]];
        if (next->place >= at + room(w))
            break;
        at = next->place + room(next);
    }
    w->place = at;
    memmove(p->live + k + 1, p->live + k, (p->live_count - k) * sizeof *p->live);
    p->live[k] = wire;
    p->live_count++;
}

enum status network_place_wires(const struct network *network, struct network_wire **wires, size_t *row_floats, struct error *err)
{
    uint32_t count = network->op_count + 1;
    struct placing p = {.network = network,
                        .wires = calloc(count, sizeof *p.wires),
                        .last_reader = calloc(count, sizeof *p.last_reader),
                        .live = calloc(count, sizeof *p.live)};
    if (!p.wires || !p.last_reader || !p.live) {
        free(p.wires);
        p.wires = NULL;
    } else {
        find_last_readers(&p);
        *row_floats = 0;
        for (uint32_t w = 0; w < count; w++) {
            p.wires[w].width = network_width(network, w);
            p.wires[w].stride = network_stride(p.wires[w].width);
            if (w > 0)
                drop_dead(&p, w - 1); /* operation w - 1 makes wire w beside those that it reads itself */
            place(&p, w);
            size_t end = p.wires[w].place + room(&p.wires[w]);
            *row_floats = end > *row_floats ? end : *row_floats;
        }
    }
    free(p.last_reader);
    free(p.live);
    *wires = p.wires;
    return p.wires ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
}

/* --- weights ---------------------------------------------------------------------------------------------------------- */

static size_t rounded(size_t floats)
{
    return (floats + NETWORK_LANES - 1) / NETWORK_LANES * NETWORK_LANES;
}

static uint32_t group_inputs(const struct network *network, const struct network_op *op)
{
    return network_width(network, op->inputs[0]) / op->groups;
}

size_t network_packed_floats(const struct network *network, const struct network_op *op)
{
    if (op->kind == NETWORK_DENSE)
        return rounded(op->width / op->groups) * ((size_t)group_inputs(network, op) + 1);
    if (op->kind == NETWORK_AFFINE)
        return 2 * rounded(op->width);
    return op->kind == NETWORK_WITH ? rounded(op->width) : 0;
}

static void pack_dense(const struct network *network, const struct network_op *op, float *out)
{
    uint32_t in = group_inputs(network, op), outputs = op->width / op->groups;
    const float *weights = network->numbers + op->first, *bias = weights + (size_t)in * outputs;
    for (uint32_t from = 0; from < outputs; from += NETWORK_PANEL) {
        uint32_t count = outputs - from < NETWORK_PANEL ? outputs - from : NETWORK_PANEL;
        size_t lanes = rounded(count);
        memcpy(out, bias + from, count * sizeof *out);
        for (uint32_t i = 0; i < in; i++)
            memcpy(out + (i + 1) * lanes, weights + (size_t)i * outputs + from, count * sizeof *out);
        out += (in + 1) * lanes;
    }
}

void network_pack(const struct network *network, const struct network_op *op, float *out)
{
    const float *numbers = network->numbers + op->first;
    if (op->kind == NETWORK_DENSE)
        pack_dense(network, op, out);
    else
        memcpy(out, numbers, op->width * sizeof *out);
    if (op->kind == NETWORK_AFFINE)
        memcpy(out + rounded(op->width), numbers + op->width, op->width * sizeof *out);
}
