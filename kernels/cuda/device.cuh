/*
 * What all kernels share: places in an image, the rows of a batch, and saying that it is done.
 *
 * With CUDA_SHIM defined the same source is host C++, where cuda_shim.h of tests/support stands for CUDA; it is then included
 * before anything else.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#ifndef CUDA_SHIM
#include <cuda_runtime.h>

/* The launch's dynamic shared memory. */
#define CUDA_SHARED(name) extern __shared__ uint4 name[]

/* A store that whoever sees it, on the device or the host, also sees all that was written before it. */
static __device__ __forceinline__ void store_release(uint64_t *at, uint64_t value)
{
    asm volatile("st.release.sys.global.u64 [%0], %1;" ::"l"(at), "l"(value) : "memory");
}

/* 16 or 8 bytes from global to shared memory, on their way until copy_async_wait, which waits for the thread's own copies. */
static __device__ __forceinline__ void copy_async16(void *to, const void *from)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))), "l"(from) : "memory");
}

static __device__ __forceinline__ void copy_async8(void *to, const void *from)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))), "l"(from) : "memory");
}

static __device__ __forceinline__ void copy_async_wait()
{
    asm volatile("cp.async.wait_all;" ::: "memory");
}
#endif

#include "kernels/cuda/kernels.h"

template <class T> static __device__ __forceinline__ const T *at(const void *image, uint64_t place)
{
    return reinterpret_cast<const T *>(static_cast<const char *>(image) + place);
}

template <class To, class From> static __device__ __forceinline__ To bits_as(From from)
{
    static_assert(sizeof(To) == sizeof(From), "as many bits");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

/* Rows of this launch: fewer than its capacity where the request ends before. */
static __device__ __forceinline__ uint32_t rows_of(const cuda_args &args)
{
    uint32_t n = args.request->n;
    uint32_t rest = n > args.first ? n - args.first : 0;
    return rest < args.capacity ? rest : args.capacity;
}

/* Row i of this launch. Reads slots before anybody knows whether row i exists: both come over the bus, and one wait is enough. */
static __device__ __forceinline__ const char *row_at(const cuda_args &args, uint32_t i)
{
    uint64_t slot = args.slots ? args.slots[args.first + i] : args.first + i;
    return static_cast<const char *>(args.rows) + slot * args.stride;
}

/* Every thread of each of `blocks` blocks comes here, its margins written: the last block says that the launch is done. */
static __device__ __forceinline__ void finish(const cuda_args &args, uint32_t blocks)
{
    __syncthreads();
    if (threadIdx.x != 0)
        return;
    __threadfence_system(); /* the block's margins, before its ticket */
    if (atomicAdd(args.ticket, 1u) + 1 != blocks)
        return;
    *args.ticket = 0;
    __threadfence_system(); /* those of all blocks, before the flag */
    store_release(args.done, args.request->sequence);
}
