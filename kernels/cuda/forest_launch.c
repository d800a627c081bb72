#include "kernels/cuda/model.h"

enum { FEW_THREADS_MAX = 512, WARP = 32 };

struct widths { /* bytes */
    uint32_t key, kept, sum;
};

static struct widths widths_of(enum cuda_kernel kernel)
{
    switch (kernel) {
    case CUDA_forest_few_n8_f32:
        return (struct widths){4, 4, 4};
    case CUDA_forest_few_n8_f64:
        return (struct widths){4, 8, 8};
    case CUDA_forest_few_n16_f32:
        return (struct widths){8, 4, 4};
    case CUDA_forest_few_n16_f64:
        return (struct widths){8, 8, 8};
    case CUDA_forest_few_n8_f32_vector:
        return (struct widths){4, 8, 4};
    case CUDA_forest_few_n8_f64_vector:
        return (struct widths){4, 8, 8};
    case CUDA_forest_few_n16_f32_vector:
        return (struct widths){8, 8, 4};
    default:
        return (struct widths){8, 8, 8};
    }
}

/* A block a row; a thread a tree, up to what a block holds. */
static struct cuda_launch few(const struct cuda_model *model, uint32_t capacity)
{
    const struct forest_image *f = &model->forest_head;
    struct widths w = widths_of(model->kernel);
    uint32_t threads = (f->trees + WARP - 1) / WARP * WARP;
    threads = threads < 2 * WARP ? 2 * WARP : threads > FEW_THREADS_MAX ? FEW_THREADS_MAX : threads;
    return (struct cuda_launch){.kernel = model->kernel, .grid = capacity, .block = threads, .capacity = capacity,
                                .shared_bytes = forest_shared_of(f, 1, w.key, w.kept, w.sum).end};
}

uint32_t forest_launches(const struct cuda_model *model, const struct cuda_limits *limits, uint32_t capacity,
                         struct cuda_launch out[CUDA_LAUNCHES_MAX])
{
    uint32_t n = 0;
    struct cuda_launch launch = few(model, capacity);
    if (launch.shared_bytes <= limits->shared_block_bytes)
        out[n++] = launch;
    return n;
}
