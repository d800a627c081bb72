/*
 * libassay-cuda.so: all of CUDA that Assay has, in a library of its own that is looked for at run time. The binary links to
 * none of it, and runs the same on a machine without a driver. What the library exports is one function; what is behind it
 * must have been built from the same headers as the binary, which `layout` proves.
 */
#pragma once

#include "kernels/cuda/device.h"
#include "kernels/cuda/kernels.h"

struct cuda_module {
    const char *layout; /* a digest of the sources that both sides share */
    const struct device_table *devices;
    const struct cuda_kernel_entry *kernels; /* [CUDA_KERNEL_COUNT] */
    /* Optional: the image at this address is of that model. For a stand-in that computes as it likes. */
    void (*uploaded)(const void *image, const struct model *model);
};

/* What this was built with. */
const char *cuda_layout(void);

/* The one symbol of the library. */
typedef const struct cuda_module *cuda_module_entry(void);
#define CUDA_MODULE_SYMBOL "assay_cuda_module"
#define CUDA_MODULE_FILE "libassay-cuda.so"

/* Loads it from `path`, or where that is "": as ASSAY_CUDA_MODULE says, beside the running binary, or where the dynamic linker
 * looks. It stays loaded. STATUS_UNSUPPORTED: there is none, or none of this build; the message says what to do. Any thread. */
MUST_USE enum status cuda_module_load(const char *path, const struct cuda_module **out, struct error *err);
