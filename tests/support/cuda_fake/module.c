/* libassay-cuda-fake.so: a module as libassay-cuda.so is one, for tests that run the real binary. ASSAY_FAKE_CUDA holds the
 * options of its devices. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/cuda_fake/device_fake.h"

const struct cuda_module *assay_cuda_module(void);

const struct cuda_module *assay_cuda_module(void)
{
    static struct cuda_module module;
    struct error err;
    const char *options = getenv("ASSAY_FAKE_CUDA");
    if (!module.devices && fake_configure(options ? options : "", &err) != STATUS_OK) {
        (void)fprintf(stderr, "ASSAY_FAKE_CUDA: %s\n", err.message);
        return NULL;
    }
    module = fake_module;
    module.layout = ASSAY_CUDA_LAYOUT;
    return &module;
}
