/*
 * What a .cu file sees of CUDA when it is compiled as host C++ (-DCUDA_SHIM -include this): the words of the language, as far as our
 * kernels use them. The functions behind them are in shim.c. Every collective names the place it stands at, so that threads
 * which wait at different ones are told apart.
 */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/cuda_shim/shim.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)

#define threadIdx (shim_self()->thread)
#define blockIdx (shim_self()->block)
#define blockDim (shim_self()->block_size)
#define gridDim (shim_self()->grid_size)
#define CUDA_SHARED(name) uint4 *name = static_cast<uint4 *>(shim_self()->shared)

struct alignas(8) uint2 {
    uint32_t x, y;
};
struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};
struct alignas(16) float4 {
    float x, y, z, w;
};

static inline uint2 make_uint2(uint32_t x, uint32_t y)
{
    return {x, y};
}

static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}

template <class T> static inline T __ldg(const T *from)
{
    return *from;
}

#define __syncthreads() shim_block_barrier(__FILE__, __LINE__)
#define __syncwarp() shim_warp_barrier(0xffffffffu, __FILE__, __LINE__)

static inline void __threadfence_system()
{
    __asm__ volatile("" ::: "memory");
}

static inline void store_release(uint64_t *at, uint64_t value)
{
    shim_before_done();
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* Copied when it is waited for, so that who does not wait finds what was there before. */
static inline void shim_copy_async(void *to, const void *from, uint32_t bytes)
{
    struct shim_thread *self = shim_self();
    if (self->copy_count == SHIM_COPIES_MAX)
        __builtin_trap();
    self->copies[self->copy_count++] = {to, from, bytes};
}

static inline void copy_async16(void *to, const void *from)
{
    shim_copy_async(to, from, 16);
}

static inline void copy_async8(void *to, const void *from)
{
    shim_copy_async(to, from, 8);
}

static inline void copy_async_wait()
{
    struct shim_thread *self = shim_self();
    for (uint32_t i = 0; i < self->copy_count; i++) {
        const struct shim_copy &copy = self->copies[i];
        for (uint32_t k = 0; k < copy.bytes / 8; k++)
            static_cast<uint64_t *>(copy.to)[k] = static_cast<const uint64_t *>(copy.from)[k];
    }
    self->copy_count = 0;
}

static inline uint32_t atomicAdd(uint32_t *at, uint32_t more)
{
    return __atomic_fetch_add(at, more, __ATOMIC_RELAXED);
}

/* All lanes' values of one shuffle; the value is the lane's own where the lane asked for is not in the mask. */
template <class T> static inline T shim_shuffle(uint32_t mask, T value, uint32_t from, const char *file, int line)
{
    static_assert(sizeof(T) <= 8, "a shuffle moves 4 or 8 bytes");
    uint64_t bits = 0, all[32];
    memcpy(&bits, &value, sizeof value);
    shim_exchange(mask, bits, all, file, line);
    memcpy(&value, &all[from % 32], sizeof value);
    return value;
}
#define __shfl_sync(mask, value, lane) shim_shuffle(mask, value, lane, __FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, other) shim_shuffle(mask, value, (threadIdx.x % 32) ^ (other), __FILE__, __LINE__)
#define __shfl_down_sync(mask, value, by)                                                                                        \
    shim_shuffle(mask, value, threadIdx.x % 32 + (by) < 32 ? threadIdx.x % 32 + (by) : threadIdx.x % 32, __FILE__, __LINE__)

static inline uint32_t shim_ballot(uint32_t mask, bool yes, const char *file, int line)
{
    uint64_t all[32];
    uint32_t votes = 0;
    shim_exchange(mask, yes, all, file, line);
    for (uint32_t i = 0; i < 32; i++)
        votes |= (mask >> i & 1 && all[i] ? 1u : 0u) << i;
    return votes;
}
#define __ballot_sync(mask, yes) shim_ballot(mask, yes, __FILE__, __LINE__)
#define __any_sync(mask, yes) (__ballot_sync(mask, yes) != 0)
