/*
 * Kernels that are wrong, each in one way that the shim must find, and one that is right. `image` is an array of numbers that
 * they read, `margins` one that they write.
 */
#include "kernels/cuda/device.cuh"

#define SEEDED(name) extern "C" __global__ void seeded_##name([[maybe_unused]] const __grid_constant__ cuda_args args)

/* Each thread hands a number to the one across. */
SEEDED(right)
{
    CUDA_SHARED(shared);
    uint32_t *numbers = reinterpret_cast<uint32_t *>(shared);
    numbers[threadIdx.x] = at<uint32_t>(args.image, 0)[threadIdx.x];
    __syncthreads();
    static_cast<uint32_t *>(args.margins)[threadIdx.x] = numbers[blockDim.x - 1 - threadIdx.x];
}

SEEDED(missing_barrier)
{
    CUDA_SHARED(shared);
    uint32_t *numbers = reinterpret_cast<uint32_t *>(shared);
    numbers[threadIdx.x] = at<uint32_t>(args.image, 0)[threadIdx.x];
    static_cast<uint32_t *>(args.margins)[threadIdx.x] = numbers[blockDim.x - 1 - threadIdx.x];
}

SEEDED(divergent_barrier)
{
    if (threadIdx.x < 40)
        __syncthreads();
    static_cast<uint32_t *>(args.margins)[threadIdx.x] = threadIdx.x;
}

SEEDED(two_barriers)
{
    if (threadIdx.x < 40)
        __syncthreads();
    else
        __syncthreads();
    static_cast<uint32_t *>(args.margins)[threadIdx.x] = threadIdx.x;
}

SEEDED(divergent_shuffle)
{
    uint32_t number = threadIdx.x;
    if (threadIdx.x != 5)
        number = __shfl_xor_sync(0xffffffffu, number, 1);
    static_cast<uint32_t *>(args.margins)[threadIdx.x] = number;
}

SEEDED(overrun)
{
    CUDA_SHARED(shared);
    reinterpret_cast<uint32_t *>(shared)[threadIdx.x + 1] = 1; /* the last one writes behind the end */
}

/* What comes in is read before it is waited for. */
SEEDED(early_read)
{
    CUDA_SHARED(shared);
    uint32_t *numbers = reinterpret_cast<uint32_t *>(shared), first = threadIdx.x;
    if (first % 4 != 0)
        return;
    copy_async16(numbers + first, at<uint32_t>(args.image, 0) + first);
    for (uint32_t i = first; i < first + 4; i++)
        static_cast<uint32_t *>(args.margins)[i] = numbers[i];
    copy_async_wait();
}
