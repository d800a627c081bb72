/*
 * Networks: a block takes a tile of rows through all steps of the network, then the next tile. Wires stay on the chip where they
 * fit; weights stream through shared memory (network_dense.cuh), the first of them while the rows are still on their way.
 */
#include "kernels/cuda/network_dense.cuh"

static __device__ __forceinline__ void load_rows(const cuda_args &args, const tile &t, uint32_t first)
{
    wire row = t[t.head->row];
    const uint32_t parts = (t.head->features + 3) / 4;
    for (uint32_t item = threadIdx.x; item < parts * t.rows; item += blockDim.x) {
        uint32_t r = item / parts, part = item % parts;
        *reinterpret_cast<float4 *>(&row(r, part * 4)) = reinterpret_cast<const float4 *>(row_at(args, first + r))[part];
    }
}

static __device__ __forceinline__ void store_margins(const cuda_args &args, const tile &t, uint32_t first)
{
    wire last = t[t.head->margins];
    float *margins = static_cast<float *>(args.margins) + static_cast<size_t>(first) * t.head->outputs;
    for (uint32_t item = threadIdx.x; item < t.rows * t.head->outputs; item += blockDim.x)
        margins[item] = network_one_nan(last(item / t.head->outputs, item % t.head->outputs));
}

template <uint32_t HEIGHT> static __device__ __forceinline__ void run_step(const tile &t, const network_step &s, weight_stream &stream)
{
    uint32_t kind = s.kind;
    network_place from = s.x;
    if (kind == NETWORK_DENSE) {
        if (s.chunks > 0)
            dense_streamed<HEIGHT>(t, s, stream);
        else
            dense_plain(t, s);
        if (s.function == NETWORK_FN_IDENTITY)
            return;
        __syncthreads();
        kind = NETWORK_MAP; /* of the sums, where they are */
        from = s.y;
    }
    switch (kind) {
    case NETWORK_LINEAR:
        linear(t, s);
        return;
    case NETWORK_COPY:
        copy(t, s);
        return;
    case NETWORK_EMBED:
        embed(t, s);
        return;
    case NETWORK_LOOKUP:
        lookup(t, s);
        return;
    case NETWORK_LAYER_NORM:
    case NETWORK_SOFTMAX:
    case NETWORK_NORMALIZE:
    case NETWORK_REDUCE:
        groups(t, s);
        return;
    default:
        each(t, s, kind, from);
        return;
    }
}

/* ROWS of a tile, HEIGHT of them side by side in a thread of a dense operation; ON_CHIP: wires are in shared memory. */
template <uint32_t ROWS, uint32_t HEIGHT, bool ON_CHIP> static __device__ __forceinline__ void run_tiles(const cuda_args &args)
{
    CUDA_SHARED(shared);
    const network_image *head = at<network_image>(args.image, 0);
    char *buffers = reinterpret_cast<char *>(shared);
    float *wires = ON_CHIP ? reinterpret_cast<float *>(buffers + 2 * head->chunk_bytes)
                           : static_cast<float *>(args.scratch) + static_cast<size_t>(blockIdx.x) * ROWS * head->row_floats;
    tile t = {args.image, head, wires, ROWS, 0};
    weight_stream stream = {buffers, 0, head->chunks};
    start_chunk(t, stream, 0);
    const uint32_t rows = rows_of(args), tiles = (rows + ROWS - 1) / ROWS, blocks = gridDim.x < tiles ? gridDim.x : tiles;
    if (blockIdx.x >= tiles) {
        copy_async_wait();
        return;
    }
    stream.total = (tiles - blockIdx.x + gridDim.x - 1) / gridDim.x * head->chunks;
    const network_step *steps = at<network_step>(args.image, head->step_list);
    for (uint32_t number = blockIdx.x; number < tiles; number += gridDim.x) {
        uint32_t first = number * ROWS;
        t.rows = rows - first < ROWS ? rows - first : ROWS;
        load_rows(args, t, first);
        __syncthreads();
        for (uint32_t i = 0; i < head->steps; i++) {
            run_step<HEIGHT>(t, steps[i], stream);
            __syncthreads();
        }
        store_margins(args, t, first);
        __syncthreads();
    }
    finish(args, blocks);
}

#define NETWORK(name, ROWS, HEIGHT, ON_CHIP)                                                                                     \
    extern "C" __global__ void __launch_bounds__(NETWORK_THREADS, 2) cuda_network_##name(const __grid_constant__ cuda_args args) \
    {                                                                                                                            \
        run_tiles<ROWS, HEIGHT, ON_CHIP>(args);                                                                                  \
    }
NETWORK(1, 1, 1, true)
NETWORK(8, 8, 4, true)
NETWORK(32, 32, 8, true)
NETWORK(wide, 8, 4, false)
