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
    uint32_t bytes;
};

/* The running CUDA thread. */
struct shim_thread {
    struct shim_dim thread, block, block_size, grid_size;
    void *shared;
    struct shim_copy copies[SHIM_COPIES_MAX]; /* on their way */
    uint32_t copy_count;
};

/* Called by kernels, through cuda_shim.h. */
struct shim_thread *shim_self(void);
void shim_block_barrier(const char *file, int line);
void shim_warp_barrier(uint32_t mask, const char *file, int line);
/* all[i] = the value of lane i, for every lane of the mask, which the caller belongs to. Orders no memory. */
void shim_exchange(uint32_t mask, uint64_t value, uint64_t all[32], const char *file, int line);
/* The launch is about to say that it is done. */
void shim_before_done(void);

#ifdef __cplusplus
}
#else

#include "kernels/cuda/kernels.h"

#ifdef __has_feature /* clang */
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
enum { SHIM_FINDS_RACES = 1 }; /* and takes thirty times as long */
#else
enum { SHIM_FINDS_RACES = 0 };
#endif

enum { SHIM_BLOCK_MAX = 1024 };

/* Runs a kernel to its end. STATUS_INVALID: it did what is said above, the message says what and where; its outputs are then
 * garbage. STATUS_NO_MEMORY. Any thread; two may run launches at the same time. */
MUST_USE enum status shim_launch(cuda_function kernel, const struct cuda_args *args, uint32_t grid, uint32_t block, uint32_t shared_bytes,
                                 struct error *err);

/* On this thread, called as a kernel says that it is done, by the CUDA thread that does: what a host that spins on the flag
 * would see from then on. NULL: nothing is. */
void shim_on_done(void (*hook)(void *arg), void *arg);

/* For tests of the tests. Which block barriers kernels came to, in this process: up to `max` of them, returns how many there
 * are. And: the barrier at that line of that file (the end of its path) does nothing; NULL: all work again. Neither while a
 * launch runs. */
struct shim_barrier {
    const char *file;
    int line;
};
uint32_t shim_barriers(struct shim_barrier *out, uint32_t max);
void shim_remove_barrier(const char *file, int line);

#endif
