/* A tile of rows on its way through a network, one operation after the other. */
#pragma once

#include "kernels/cpu/network_layout.h"
#include "model/backend.h"

struct plan;

/* What all tiles share. */
struct network_tile_plan {
    const struct network *network;
    const struct network_kernels *kernels;
    struct network_wire *wires; /* [op_count + 1] */
    float *packed;
    size_t packed_bytes;
    const float **numbers; /* [op_count]: the operation's, packed or the network's own */
    struct plan **forests; /* [forest_count] */
};

struct network_tile {
    const struct network_tile_plan *plan;
    float *memory; /* aligned to 64 bytes */
    uint32_t rows;
};

/* Where a wire begins. */
static inline float *network_tile_wire(const struct network_tile *tile, uint32_t wire)
{
    return tile->memory + tile->plan->wires[wire].place * tile->rows;
}

/* Wire 0 from rows[slots[i]], i < tile->rows. */
void network_tile_load(const struct network_tile *tile, const struct rows *rows, const uint32_t *slots);
/* Makes wire op + 1 from those before it. */
void network_tile_step(const struct network_tile *tile, uint32_t op);
