/* Inside of a network plan: where wires lie in a tile, and packed weights. */
#pragma once

#include "kernels/cpu/network_kernels.h"
#include "model/base/status.h"

/* A wire in a tile of n rows: [n][stride] floats from place * n on. */
struct network_wire {
    uint32_t width, stride;
    size_t place; /* floats, a multiple of 16 */
};

/* 16 or more are padded, so that registers are loaded and stored whole; fewer lie side by side. */
static inline uint32_t network_stride(uint32_t width)
{
    return width < NETWORK_LANES ? width : (width + NETWORK_LANES - 1) / NETWORK_LANES * NETWORK_LANES;
}

/* Places for all wires, such that two that are needed at the same time do not overlap: *wires[op_count + 1], owned by the
 * caller, and the floats that a row takes. STATUS_NO_MEMORY. */
MUST_USE enum status network_place_wires(const struct network *network, struct network_wire **wires, size_t *row_floats,
                                         struct error *err);

/* Floats that the numbers of an operation take once packed; 0: they are used as they are. */
size_t network_packed_floats(const struct network *network, const struct network_op *op);
/* Packs them into out, which is zeroed and aligned to 64 bytes. */
void network_pack(const struct network *network, const struct network_op *op, float *out);
