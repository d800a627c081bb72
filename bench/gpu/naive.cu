// A network as a framework computes it: rows copied in, a cuBLAS product and a kernel of bias and function a layer, scores
// copied out, and a wait. cuBLAS is loaded when it is asked for, so that this builds without it.
#include "bench/gpu/naive.h"

#include <cuda_runtime.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

// What cublas_v2.h declares; its enumerators have been these numbers since CUDA 4.
typedef int (*create_call)(void **handle);
typedef int (*stream_call)(void *handle, cudaStream_t stream);
typedef int (*product_call)(void *handle, int transa, int transb, int m, int n, int k, const float *alpha, const float *a, int lda, const float *b, int ldb,
                            const float *beta, float *c, int ldc);

struct naive_net {
    uint32_t count, rows_max;
    struct naive_layer layers[NAIVE_LAYERS_MAX];
    float *weights[NAIVE_LAYERS_MAX], *bias[NAIVE_LAYERS_MAX], *wires[NAIVE_LAYERS_MAX + 1]; // on the device
    float *rows, *scores;                                                                    // pinned
    cudaStream_t stream;
    void *handle;
    product_call product;
};

static __global__ void finish_layer(float *wire, const float *bias, uint32_t width, uint32_t n, int function)
{
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n * width)
        return;
    float x = wire[i] + bias[i % width];
    wire[i] = function == NAIVE_RELU ? fmaxf(x, 0.f) : function == NAIVE_SIGMOID ? 1.f / (1.f + expf(-x)) : x;
}

static bool put(float **out, const float *from, size_t n)
{
    return cudaMalloc((void **)out, n * sizeof(float)) == cudaSuccess &&
           (!from || cudaMemcpy(*out, from, n * sizeof(float), cudaMemcpyHostToDevice) == cudaSuccess);
}

static bool make(struct naive_net *net)
{
    bool ok = put(&net->wires[0], NULL, (size_t)net->rows_max * net->layers[0].inputs);
    for (uint32_t i = 0; i < net->count && ok; i++) {
        const struct naive_layer *l = &net->layers[i];
        ok = put(&net->weights[i], l->weights, (size_t)l->inputs * l->outputs) && put(&net->bias[i], l->bias, l->outputs) &&
             put(&net->wires[i + 1], NULL, (size_t)net->rows_max * l->outputs);
    }
    return ok && cudaStreamCreate(&net->stream) == cudaSuccess &&
           cudaMallocHost((void **)&net->rows, (size_t)net->rows_max * net->layers[0].inputs * sizeof(float)) == cudaSuccess &&
           cudaMallocHost((void **)&net->scores, (size_t)net->rows_max * net->layers[net->count - 1].outputs * sizeof(float)) == cudaSuccess;
}

static bool load_cublas(struct naive_net *net, const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    if (!library)
        return false;
    create_call create = (create_call)dlsym(library, "cublasCreate_v2");
    stream_call set_stream = (stream_call)dlsym(library, "cublasSetStream_v2");
    net->product = (product_call)dlsym(library, "cublasSgemm_v2");
    return create && set_stream && net->product && create(&net->handle) == 0 && set_stream(net->handle, net->stream) == 0;
}

extern "C" __attribute__((visibility("default"))) struct naive_net *naive_net_make(const char *cublas, const struct naive_layer *layers, uint32_t count,
                                                                                   uint32_t rows_max, char *why)
{
    struct naive_net *net = (struct naive_net *)calloc(1, sizeof *net);
    net->count = count;
    net->rows_max = rows_max;
    for (uint32_t i = 0; i < count; i++)
        net->layers[i] = layers[i];
    if (!make(net)) {
        (void)snprintf(why, 256, "%s", cudaGetErrorString(cudaGetLastError()));
        return NULL;
    }
    if (!load_cublas(net, cublas)) {
        (void)snprintf(why, 256, "no cuBLAS at %s", cublas);
        return NULL;
    }
    return net;
}

extern "C" __attribute__((visibility("default"))) float *naive_net_rows(struct naive_net *net)
{
    return net->rows;
}

extern "C" __attribute__((visibility("default"))) int naive_net_score(struct naive_net *net, const float *rows, uint32_t n, float *scores)
{
    const float one = 1, zero = 0;
    uint32_t last = net->layers[net->count - 1].outputs;
    int wrong = cudaMemcpyAsync(net->wires[0], rows, (size_t)n * net->layers[0].inputs * sizeof(float), cudaMemcpyHostToDevice, net->stream) != cudaSuccess;
    for (uint32_t i = 0; i < net->count; i++) {
        const struct naive_layer *l = &net->layers[i];
        int m = (int)l->outputs, k = (int)l->inputs;
        // Rows lie one after the other, which to cuBLAS is a matrix by columns: [outputs][n] = [outputs][inputs] x [inputs][n].
        wrong |= net->product(net->handle, 0, 0, m, (int)n, k, &one, net->weights[i], m, net->wires[i], k, &zero, net->wires[i + 1], m);
        finish_layer<<<(n * l->outputs + 255) / 256, 256, 0, net->stream>>>(net->wires[i + 1], net->bias[i], l->outputs, n, l->function);
    }
    wrong |= cudaMemcpyAsync(net->scores, net->wires[net->count], (size_t)n * last * sizeof(float), cudaMemcpyDeviceToHost, net->stream) != cudaSuccess;
    wrong |= cudaStreamSynchronize(net->stream) != cudaSuccess;
    for (uint32_t i = 0; i < n; i++)
        scores[i] = net->scores[(size_t)i * last];
    return wrong;
}

extern "C" __attribute__((visibility("default"))) void naive_net_free(struct naive_net *net)
{
    for (uint32_t i = 0; i <= net->count; i++) {
        (void)cudaFree(net->wires[i]);
        if (i == net->count)
            break;
        (void)cudaFree(net->weights[i]);
        (void)cudaFree(net->bias[i]);
    }
    (void)cudaFreeHost(net->rows);
    (void)cudaFreeHost(net->scores);
    (void)cudaStreamDestroy(net->stream);
    free(net);
}
