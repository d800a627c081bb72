/*
 * A network as it lies in device memory: one block of bytes without pointers, read by network.cu and made by network_image.c.
 *
 * A block of threads takes a tile of rows through all steps. Wires of the tile are [rows][stride] floats from place * rows on,
 * in shared memory where they fit, those that are not needed at the same time in the same place.
 *
 * The weights of most dense operations are *streamed*: cut into chunks that are copied to shared memory while the one before is
 * computed, through all such operations in their order. A chunk holds rows of 4 * n outputs, padded with 0: the biases, then
 * the weights of input 0, 1, ...; all chunks of an operation hold `chunk_inputs` inputs, the first one the biases as well.
 */
#pragma once

#include <stdint.h>

struct network_place {
    uint32_t place, stride; /* floats; a multiple of 16, a multiple of 4 */
};

struct network_step {
    uint8_t kind, function, reduce; /* as in struct network_op */
    uint8_t relu;                   /* DENSE: applied as sums are stored; function is then IDENTITY */
    float a, b;
    struct network_place x, z, c, y; /* the inputs, and what is made */
    uint32_t x_width, width;         /* of x and y */
    uint32_t groups, rows;           /* as in struct network_op */
    uint32_t first, count;           /* in the image's numbers or pieces */
    uint32_t chunks;                 /* DENSE: how many there are; 0: not streamed */
    uint32_t chunk_inputs;           /* a multiple of 4 */
    uint32_t padded;                 /* outputs of a group, up to a multiple of 4 */
};

struct network_part { /* of a COPY */
    struct network_place from;
    uint32_t column, count;
    int32_t step;
    uint32_t to; /* column of y */
};

struct network_chunk {
    uint64_t place; /* bytes from the image's start */
    uint32_t bytes; /* a multiple of 16 */
    uint32_t reserved;
};

/* Places are bytes from the image's start, multiples of 16. */
struct network_image {
    uint32_t features, outputs, steps, chunks;
    struct network_place row, margins; /* wires */
    uint32_t row_floats;               /* of all wires, for each row of a tile */
    uint32_t chunk_bytes;              /* of the largest one */
    uint64_t step_list;                /* struct network_step [steps] */
    uint64_t parts;                    /* struct network_part [] */
    uint64_t numbers;                  /* float [] as in struct network */
    uint64_t chunk_list;               /* struct network_chunk [chunks] */
};

enum {
    NETWORK_CHUNK_BYTES = 24 << 10, /* at most: two of them and a tile of 32 rows leave room for a second block */
    NETWORK_THREADS = 256,
};
