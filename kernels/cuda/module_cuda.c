/* The way into libassay-cuda.so. */
#include "kernels/cuda/device_cuda.h"
#include "kernels/cuda/module.h"

__attribute__((visibility("default"))) const struct cuda_module *assay_cuda_module(void);

const struct cuda_module *assay_cuda_module(void)
{
    static const struct cuda_module module = {.layout = ASSAY_CUDA_LAYOUT, .devices = &device_cuda, .kernels = cuda_kernels};
    return &module;
}
