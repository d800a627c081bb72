#include "kernels/cuda/model.h"

enum { WARP = 32, FEW_THREADS_MIN = 64, FEW_THREADS_MAX = 512, MANY_THREADS = 256, MANY_THREADS_MAX = 1024 };

static enum cuda_kernel kernel_of(enum cuda_kernel first, const struct forest_variant *v)
{
    return (enum cuda_kernel)(first + v->is_vector * 4 + v->is_wide * 2 + v->sums_f64); /* the order of kernels.def */
}

static struct forest_widths widths_of(const struct forest_variant *v)
{
    uint32_t sum = v->sums_f64 ? sizeof(double) : sizeof(float);
    return (struct forest_widths){.node = v->is_wide ? sizeof(struct forest_node16) : sizeof(struct forest_node8),
                                  .key = v->is_wide ? sizeof(int64_t) : sizeof(int32_t),
                                  .kept = v->is_vector ? 2 * sizeof(uint32_t) : sum,
                                  .sum = sum};
}

/* A block a row; a thread a tree, up to what a block holds. */
static struct cuda_launch few(const struct cuda_model *model, uint32_t capacity)
{
    uint32_t threads = (model->forest_head.trees + WARP - 1) / WARP * WARP;
    threads = threads < FEW_THREADS_MIN ? FEW_THREADS_MIN : threads > FEW_THREADS_MAX ? FEW_THREADS_MAX : threads;
    return (struct cuda_launch){.kernel = kernel_of(CUDA_forest_few_n8_f32, &model->variant), .grid = capacity, .block = threads,
                                .shared_bytes = forest_shared_few(&model->forest_head, widths_of(&model->variant)).end, .capacity = capacity};
}

/* A block 32 rows; more threads make a block sooner done, fewer leave room for more blocks. */
static struct cuda_launch many(const struct cuda_model *model, uint32_t capacity, uint32_t threads)
{
    return (struct cuda_launch){.kernel = kernel_of(CUDA_forest_many_n8_f32, &model->variant), .grid = (capacity - 1) / FOREST_MANY_ROWS + 1,
                                .block = threads, .shared_bytes = forest_shared_many(&model->forest_head, widths_of(&model->variant)).end,
                                .capacity = capacity};
}

uint32_t forest_launches(const struct cuda_model *model, const struct cuda_limits *limits, uint32_t capacity,
                         struct cuda_launch out[CUDA_LAUNCHES_MAX])
{
    const struct cuda_launch all[] = {few(model, capacity), many(model, capacity, MANY_THREADS_MAX), many(model, capacity, MANY_THREADS)};
    enum { WAYS = sizeof all / sizeof all[0] };
    uint32_t sms = limits->multiprocessors, n = 0;
    uint32_t best = capacity <= 4 * sms ? 0 : capacity <= FOREST_MANY_ROWS * sms ? 1 : 2;
    for (uint32_t i = 0; i < WAYS; i++) {
        uint32_t way = i == 0 ? best : i <= best ? i - 1 : i; /* the best one first */
        if (all[way].shared_bytes <= limits->shared_block_bytes)
            out[n++] = all[way];
    }
    return n;
}
