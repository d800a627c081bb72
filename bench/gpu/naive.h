/* libgpu-naive.so, as naive.c sees it: what a framework launches for a small network, through cuBLAS. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NAIVE_LAYERS_MAX = 16 };
enum naive_function { NAIVE_IDENTITY, NAIVE_RELU, NAIVE_SIGMOID };

struct naive_layer {
    uint32_t inputs, outputs;
    const float *weights; /* [inputs][outputs] */
    const float *bias;    /* [outputs] */
    enum naive_function function;
};

struct naive_net;

/* cublas: the library's path or name. NULL: why is in why[256]. */
typedef struct naive_net *naive_make(const char *cublas, const struct naive_layer *layers, uint32_t count, uint32_t rows_max, char *why);
/* rows[n][inputs] from pinned memory, scores[n] of the last layer's first output. 0: done. */
typedef int naive_score(struct naive_net *net, const float *rows, uint32_t n, float *scores);
/* Where rows are to be put: pinned, [rows_max][inputs]. */
typedef float *naive_rows(struct naive_net *net);
typedef void naive_free(struct naive_net *net);

#ifdef __cplusplus
}
#endif
