/* The device table over the CUDA runtime; in libassay-cuda.so alone. */
#pragma once

#include "kernels/cuda/device.h"

extern const struct device_table device_cuda;
