#include "tests/support/cuda_shim/compute.h"

#include <stdlib.h>

#include "tests/support/cuda_shim/shim.h"

const struct cuda_limits shim_limits = {.multiprocessors = 132, .shared_block_bytes = 227 << 10, .shared_multiprocessor_bytes = 228 << 10};

enum status shim_compute(const struct cuda_model *model, const struct cuda_launch *launch, const struct rows *rows, const uint32_t *slots,
                         uint32_t n, void *raw, struct error *err)
{
    size_t image_bytes, row_bytes = cuda_model_margins(model) * number_type_bytes(cuda_model_margin_type(model));
    const struct cuda_request request = {.sequence = 7, .n = n};
    uint64_t done = 0;
    uint32_t ticket = 0;
    void *scratch = launch->scratch_bytes ? aligned_alloc(256, (launch->scratch_bytes + 255) / 256 * 256) : NULL;
    struct cuda_args args = {.image = cuda_model_image(model, &image_bytes), .rows = rows->base, .stride = rows->stride, .request = &request,
                             .slots = slots, .done = &done, .ticket = &ticket, .scratch = scratch, .capacity = launch->capacity};
    enum status status = STATUS_OK;
    for (args.first = 0; status == STATUS_OK && args.first < n; args.first += launch->capacity) {
        args.margins = (char *)raw + args.first * row_bytes;
        done = 0;
        status = shim_launch(cuda_kernels[launch->kernel].function, &args, launch->grid, launch->block, launch->shared_bytes, err);
        if (status == STATUS_OK && (done != request.sequence || ticket != 0))
            status = error_set(err, STATUS_INVALID, "%s did not say that it was done", cuda_kernels[launch->kernel].name);
    }
    free(scratch);
    return status;
}
