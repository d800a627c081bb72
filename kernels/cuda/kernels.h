/*
 * What runs on a CUDA device, as host code sees it: models laid out as images, the kernels that compute them, and how each is
 * launched for a batch. No CUDA header is needed here, and nothing here calls CUDA: the caller owns device, memory and
 * streams, uploads the image, and launches through whatever it has (cudaLaunchKernel, a graph, or the shim of
 * tests/support/cuda_shim, which runs the same .cu files as host code).
 *
 *     model ──cuda_model_make──► image ──upload──► device memory ──┐
 *     batch size ──cuda_model_launches──► kernel, grid, block, ... ├──► kernel(struct cuda_args) ──► margins, *done = sequence
 *     rows, struct cuda_request (mapped host memory) ──────────────┘                                    │
 *     scores ◄──────────────────────────────cuda_model_scores───────────────────────────────────────────┘
 *
 * Every kernel gives the margins of the reference (kernels/ref), to the bit, whatever the batch, the position in it and the
 * launch. For that the .cu files are compiled with -fmad=false and without -use_fast_math. Links are computed on the host:
 * they are the C library's expf and exp, whose last bit no device function promises.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A batch, in mapped host memory that the device can read: written before the launch, unchanged until *done. */
struct cuda_request {
    uint64_t sequence; /* what *done gets; not the value that is there already */
    uint32_t n;        /* rows of the batch; a captured launch takes any n up to its capacity */
    uint32_t reserved;
};

/* The argument of every kernel, by value. All pointers are the device's. Rows `first` to first + capacity - 1 of the request
 * are computed, as far as there are any: a large batch may be several launches, each with a `done` of its own. */
struct cuda_args {
    const void *image; /* aligned to CUDA_IMAGE_ALIGN */
    const void *rows;  /* aligned to 64 bytes; type and number of columns as the model says (model/backend.h, struct rows) */
    uint64_t stride;   /* bytes between rows, a multiple of 64 */
    const struct cuda_request *request;
    const uint32_t *slots; /* row i of the request is row slots[i]; NULL: rows lie densely, row first + i is row i */
    void *margins;         /* out: [capacity][margins] of the model's margin type, row first + i at i */
    uint64_t *done;        /* out: the sequence, once all margins can be seen by the host; mapped host memory */
    uint32_t *ticket;      /* device memory, zero before the first launch, zero again after each; one launch at a time */
    void *scratch;         /* device memory of cuda_launch.scratch_bytes, aligned to 256; one launch at a time */
    uint32_t first, capacity;
};

enum cuda_kernel {
#define CUDA_KERNEL(name) CUDA_##name,
#include "kernels/cuda/kernels.def"
#undef CUDA_KERNEL
    CUDA_KERNEL_COUNT
};

/* Address of a kernel: what cudaLaunchKernel and cudaFuncSetAttribute take, or the shim's function. */
typedef void (*cuda_function)(struct cuda_args args);

struct cuda_kernel_entry {
    const char *name;
    cuda_function function;
};

/* By enum cuda_kernel. Links with the .cu files' objects, whichever compiler made them. */
extern const struct cuda_kernel_entry cuda_kernels[CUDA_KERNEL_COUNT];

#ifdef __cplusplus
}
#else

#include "model/base/number_type.h"
#include "model/base/status.h"

struct forest;
struct model;
struct network;

enum { CUDA_IMAGE_ALIGN = 256, CUDA_LAUNCHES_MAX = 8 };

/* What limits a launch: cudaDevAttrMultiProcessorCount, cudaDevAttrMaxSharedMemoryPerBlockOptin and ...PerMultiprocessor. */
struct cuda_limits {
    uint32_t multiprocessors;
    uint32_t shared_block_bytes, shared_multiprocessor_bytes;
};

/* One way to compute a batch of up to `capacity` rows. Before the first launch of a kernel that takes more than 48 KB of
 * shared memory, cudaFuncAttributeMaxDynamicSharedMemorySize must be raised to it. */
struct cuda_launch {
    enum cuda_kernel kernel;
    uint32_t grid, block;  /* x; y and z are 1 */
    uint32_t shared_bytes; /* dynamic; kernels have no other */
    size_t scratch_bytes;
    uint32_t capacity;
};

struct cuda_model;

/* Lays a model out. It is borrowed and outlives *out, which is owned: cuda_model_free. STATUS_UNSUPPORTED: the message says
 * what of the model no kernel computes. STATUS_NO_MEMORY. */
MUST_USE enum status cuda_model_make(const struct model *model, struct cuda_model **out, struct error *err);
/* The same of a bare forest or network; the other one is NULL. */
MUST_USE enum status cuda_model_make_of(const struct forest *forest, const struct network *network, struct cuda_model **out,
                                        struct error *err);
void cuda_model_free(struct cuda_model *model);

/* The bytes to upload; they hold no pointers. Owned by the model; may be dropped once uploaded, then NULL. */
const void *cuda_model_image(const struct cuda_model *model, size_t *bytes);
void cuda_model_drop_image(struct cuda_model *model);

enum number_type cuda_model_row_type(const struct cuda_model *model);
uint32_t cuda_model_features(const struct cuda_model *model);
/* Margins leave the device in the type that they are summed in. */
enum number_type cuda_model_margin_type(const struct cuda_model *model);
uint32_t cuda_model_margins(const struct cuda_model *model);

/* The ways to compute up to `capacity` rows on a device, the likeliest to be fastest first; which one is, only measuring
 * tells. At least one, at most CUDA_LAUNCHES_MAX; 0: the device has too little shared memory for this model. */
uint32_t cuda_model_launches(const struct cuda_model *model, const struct cuda_limits *limits, uint32_t capacity,
                             struct cuda_launch out[CUDA_LAUNCHES_MAX]);

/* What the contract of model/backend.h asks for, from margins as a kernel wrote them: margins[n][margins] widened, and
 * scores[n][scores], the link applied. Host code, any thread. */
void cuda_model_scores(const struct cuda_model *model, const void *raw, uint32_t n, double *margins, double *scores);

#endif
