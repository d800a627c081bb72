/* Inside of a cuda_model: what the image makers hand to model.c. */
#pragma once

#include "kernels/cuda/forest_image.h"
#include "kernels/cuda/kernels.h"
#include "model/forest.h"

struct cuda_model {
    const struct forest *forest; /* one of the two, borrowed */
    const struct network *network;
    void *image; /* aligned to CUDA_IMAGE_ALIGN, zeroed where nothing was put; NULL once dropped */
    size_t image_bytes;
    enum cuda_kernel kernel; /* the variant: forest_few_..., network_... */
    struct forest_image forest_head; /* a copy of what the image begins with */
};

/* Room for a part of an image: where it begins. */
static inline uint64_t cuda_image_place(size_t *end, size_t count, size_t bytes)
{
    uint64_t at = *end;
    *end += (count * bytes + 15) / 16 * 16;
    return at;
}

/* Fills in image, kernel and head of a model whose forest is set. STATUS_NO_MEMORY, STATUS_UNSUPPORTED. */
MUST_USE enum status forest_image_make(struct cuda_model *model, struct error *err);

/* Its launches, as cuda_model_launches. */
uint32_t forest_launches(const struct cuda_model *model, const struct cuda_limits *limits, uint32_t capacity,
                         struct cuda_launch out[CUDA_LAUNCHES_MAX]);
