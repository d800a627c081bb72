#include "kernels/cuda/model.h"

enum { THREADS_OF_A_MULTIPROCESSOR = 2048, RESERVED_BYTES = 1024 }; /* of shared memory, for each block that runs */

/* Blocks that a multiprocessor runs at once; each then takes several tiles, if there are more. */
static uint32_t resident(const struct cuda_limits *limits, uint32_t shared_bytes)
{
    uint32_t by_memory = limits->shared_multiprocessor_bytes / (shared_bytes + RESERVED_BYTES);
    uint32_t most = THREADS_OF_A_MULTIPROCESSOR / NETWORK_THREADS;
    return by_memory == 0 ? 1 : by_memory < most ? by_memory : most;
}

static struct cuda_launch launch_of(const struct cuda_model *model, const struct cuda_limits *limits, enum cuda_kernel kernel, uint32_t rows,
                                    uint32_t capacity)
{
    const struct network_image *h = &model->network_head;
    bool is_wide = kernel == CUDA_network_wide;
    size_t wires = (size_t)rows * h->row_floats * sizeof(float);
    size_t shared = 2 * (size_t)h->chunk_bytes + (is_wide ? 0 : wires);
    uint32_t shared_bytes = shared > UINT32_MAX ? UINT32_MAX : (uint32_t)shared;
    uint32_t tiles = (capacity - 1) / rows + 1, at_once = limits->multiprocessors * resident(limits, shared_bytes);
    uint32_t grid = tiles < at_once ? tiles : at_once;
    return (struct cuda_launch){.kernel = kernel, .grid = grid, .block = NETWORK_THREADS, .shared_bytes = shared_bytes,
                                .scratch_bytes = is_wide ? grid * wires : 0, .capacity = capacity};
}

/* Tall tiles read the weights less often; low ones let more multiprocessors take part. */
uint32_t network_launches(const struct cuda_model *model, const struct cuda_limits *limits, uint32_t capacity,
                          struct cuda_launch out[CUDA_LAUNCHES_MAX])
{
    static const struct {
        enum cuda_kernel kernel;
        uint32_t rows;
    } kernels[] = {{CUDA_network_1, 1}, {CUDA_network_8, 8}, {CUDA_network_32, 32}};
    enum { KERNELS = sizeof kernels / sizeof kernels[0] };
    uint32_t best = 0, n = 0;
    while (best + 1 < KERNELS && capacity > kernels[best].rows * limits->multiprocessors)
        best++;
    for (uint32_t i = 0; i < KERNELS; i++) {
        uint32_t k = i == 0 ? best : i <= best ? i - 1 : i; /* the best one first */
        struct cuda_launch launch = launch_of(model, limits, kernels[k].kernel, kernels[k].rows, capacity);
        if (launch.shared_bytes <= limits->shared_block_bytes)
            out[n++] = launch;
    }
    struct cuda_launch wide = launch_of(model, limits, CUDA_network_wide, 8, capacity);
    if (wide.shared_bytes <= limits->shared_block_bytes)
        out[n++] = wide;
    return n;
}
