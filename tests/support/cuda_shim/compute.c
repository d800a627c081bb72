#include "tests/support/cuda_shim/compute.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/cuda_shim/shim.h"

const struct cuda_limits shim_limits = {.multiprocessors = 132, .shared_block_bytes = 227 << 10, .shared_multiprocessor_bytes = 228 << 10};

enum { UNWRITTEN = 0xEE };

struct seen {
    char *margins; /* as the host sees them when the kernel says that it is done, which may be too early */
    const char *written;
    size_t bytes;
};

static void on_done(void *arg)
{
    const struct seen *seen = arg;
    for (size_t i = 0; i < seen->bytes; i++) /* by hand, so that ThreadSanitizer sees it */
        seen->margins[i] = seen->written[i];
}

static enum status run(const struct cuda_launch *launch, struct cuda_args *args, struct seen *seen, struct error *err)
{
    const struct cuda_kernel_entry *kernel = &cuda_kernels[launch->kernel];
    *args->done = 0;
    memset(args->margins, UNWRITTEN, seen->bytes);
    shim_on_done(on_done, seen);
    enum status status = shim_launch(kernel->function, args, launch->grid, launch->block, launch->shared_bytes, err);
    shim_on_done(NULL, NULL);
    if (status == STATUS_OK && (*args->done != args->request->sequence || *args->ticket != 0))
        return error_set(err, STATUS_INVALID, "%s did not say that it was done", kernel->name);
    return status;
}

enum status shim_compute(const struct cuda_model *model, const struct cuda_launch *launch, const struct rows *rows, const uint32_t *slots,
                         uint32_t n, void *raw, struct error *err)
{
    size_t image_bytes, row_bytes = cuda_model_margins(model) * number_type_bytes(cuda_model_margin_type(model));
    const struct cuda_request request = {.sequence = 7, .n = n};
    uint64_t done = 0;
    uint32_t ticket = 0;
    void *scratch = aligned_alloc(256, (launch->scratch_bytes / 256 + 1) * 256), *margins = malloc(launch->capacity * row_bytes);
    struct cuda_args args = {.image = cuda_model_image(model, &image_bytes), .rows = rows->base, .stride = rows->stride, .request = &request,
                             .slots = slots, .margins = margins, .done = &done, .ticket = &ticket, .scratch = scratch,
                             .capacity = launch->capacity};
    enum status status = scratch && margins ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (; status == STATUS_OK && args.first < n; args.first += launch->capacity) {
        uint32_t here = n - args.first < launch->capacity ? n - args.first : launch->capacity;
        struct seen seen = {.margins = (char *)raw + args.first * row_bytes, .written = margins, .bytes = here * row_bytes};
        status = run(launch, &args, &seen, err);
    }
    free(scratch);
    free(margins);
    return status;
}
