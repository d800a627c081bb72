#include "kernels/cuda/kernels.h"

#define CUDA_KERNEL(name) void cuda_##name(struct cuda_args args);
#include "kernels/cuda/kernels.def"
#undef CUDA_KERNEL

const struct cuda_kernel_entry cuda_kernels[CUDA_KERNEL_COUNT] = {
#define CUDA_KERNEL(name) {#name, cuda_##name},
#include "kernels/cuda/kernels.def"
#undef CUDA_KERNEL
};
