/*
 * CUDA kernels on the host: each CUDA thread of a block is a fiber, blocks run one after the other. A kernel is an ordinary
 * function, compiled from its .cu file by a C++ compiler (cuda_shim.h).
 *
 * What a GPU leaves undefined is an error here:
 *   - a barrier or shuffle that not all its threads come to, or that they come to at different places of the source;
 *   - shared memory that is read before it is written holds garbage, another one from launch to launch;
 *   - a write past the shared memory of the launch;
 *   - under ThreadSanitizer, what one thread writes and another one touches with no barrier between them: each fiber is a
 *     thread of its own to it, and only barriers order them, so that a race is found however the fibers happened to run.
 * Threads run from the first to the last between two barriers in one block, from the last to the first in the next.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shim_dim {
    uint32_t x, y, z;
};

enum { SHIM_COPIES_MAX = 256 };

struct shim_copy {
    void *to;
    const void *from;
};

/* The running CUDA thread. */
struct shim_thread {
    struct shim_dim thread, block, block_size, grid_size;
    void *shared;
    struct shim_copy copies[SHIM_COPIES_MAX]; /* of 16 bytes, on their way */
    uint32_t copy_count;
};

/* Called by kernels, through cuda_shim.h. */
struct shim_thread *shim_self(void);
void shim_block_barrier(const char *file, int line);
void shim_warp_barrier(uint32_t mask, const char *file, int line);
/* all[i] = the value of lane i, for every lane of the mask, which the caller belongs to. Orders no memory. */
void shim_exchange(uint32_t mask, uint64_t value, uint64_t all[32], const char *file, int line);

#ifdef __cplusplus
}
#else

#include "kernels/cuda/kernels.h"

enum { SHIM_BLOCK_MAX = 1024 };

/* Runs a kernel to its end. STATUS_INVALID: it did what is said above, the message says what and where; its outputs are then
 * garbage. STATUS_NO_MEMORY. Any thread; two may run launches at the same time. */
MUST_USE enum status shim_launch(cuda_function kernel, const struct cuda_args *args, uint32_t grid, uint32_t block, uint32_t shared_bytes,
                                 struct error *err);

/* For tests of the tests: the block barrier at that line of that file does nothing. NULL: all work again. Not while a launch
 * runs. */
void shim_remove_barrier(const char *file, int line);

#endif
