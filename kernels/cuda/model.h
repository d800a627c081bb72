/* Inside of a cuda_model: what the image makers hand to model.c. */
#pragma once

#include <stdbool.h>

#include "kernels/cuda/forest_image.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/network_image.h"
#include "model/forest.h"

/* Which variant of the forest kernels takes the forest. */
struct forest_variant {
    bool is_wide;   /* nodes of 16 bytes, keys of 8 */
    bool sums_f64;
    bool is_vector; /* leaves add several numbers */
};

struct cuda_model {
    const struct forest *forest; /* one of the two, borrowed */
    const struct network *network;
    void *image; /* aligned to CUDA_IMAGE_ALIGN, zeroed where nothing was put; NULL once dropped */
    size_t image_bytes;
    struct forest_variant variant;
    struct forest_image forest_head; /* a copy of what the image begins with: one of the two */
    struct network_image network_head;
};

/* Room for a part of an image: where it begins. */
static inline uint64_t cuda_image_place(size_t *end, size_t count, size_t bytes)
{
    uint64_t at = *end;
    *end += (count * bytes + 15) / 16 * 16;
    return at;
}

/* Fill in image and head, and a forest's variant. STATUS_NO_MEMORY, STATUS_UNSUPPORTED. */
MUST_USE enum status forest_image_make(struct cuda_model *model, struct error *err);
MUST_USE enum status network_image_make(struct cuda_model *model, struct error *err);

/* As cuda_model_launches. */
uint32_t forest_launches(const struct cuda_model *model, const struct cuda_limits *limits, uint32_t capacity,
                         struct cuda_launch out[CUDA_LAUNCHES_MAX]);
uint32_t network_launches(const struct cuda_model *model, const struct cuda_limits *limits, uint32_t capacity,
                          struct cuda_launch out[CUDA_LAUNCHES_MAX]);
