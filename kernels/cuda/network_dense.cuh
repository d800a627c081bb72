/*
 * Dense operations: weights streamed through shared memory, chunk after chunk, and sums that run over the inputs in their order.
 */
#pragma once

#include "kernels/cuda/network.cuh"

/* Two buffers in shared memory: one is computed from while the next chunk, of this operation or a later one, comes in. */
struct weight_stream {
    char *buffers;
    uint32_t taken; /* chunks, of all tiles */
    uint32_t total; /* chunks that this block will take */
};

static __device__ __forceinline__ void start_chunk(const tile &t, const weight_stream &s, uint32_t number)
{
    if (number >= s.total)
        return;
    const network_chunk chunk = at<network_chunk>(t.image, t.head->chunk_list)[number % t.head->chunks];
    const char *from = at<char>(t.image, chunk.place);
    char *to = s.buffers + (number % 2) * t.head->chunk_bytes;
    for (uint32_t byte = threadIdx.x * 16; byte < chunk.bytes; byte += blockDim.x * 16)
        copy_async16(to + byte, from + byte);
}

/* The next chunk, whole. Has a barrier, behind which the chunk before is no longer read. */
static __device__ __forceinline__ const float *take_chunk(const tile &t, weight_stream &s)
{
    copy_async_wait();
    __syncthreads();
    uint32_t number = s.taken++;
    start_chunk(t, s, number + 1);
    return reinterpret_cast<const float *>(s.buffers + (number % 2) * t.head->chunk_bytes);
}

static __device__ __forceinline__ float4 fma4(float x, float4 w, float4 sum)
{
    return make_float4(fmaf(x, w.x, sum.x), fmaf(x, w.y, sum.y), fmaf(x, w.z, sum.z), fmaf(x, w.w, sum.w));
}

static __device__ __forceinline__ float4 relu4(float4 x)
{
    return make_float4(network_at_least(x.x, 0.0f), network_at_least(x.y, 0.0f), network_at_least(x.z, 0.0f), network_at_least(x.w, 0.0f));
}

static __device__ __forceinline__ float4 load4(const float *from)
{
    return *reinterpret_cast<const float4 *>(from);
}

/* The sums of 4 outputs of HEIGHT rows, gone on with over one chunk's inputs. x, y: of the first row; weights: of the 4. */
template <uint32_t HEIGHT>
static __device__ __forceinline__ void add_chunk(const network_step &s, const float *x, float *y, const float *weights, uint32_t chunk,
                                                 uint32_t inputs)
{
    float4 sums[HEIGHT];
    if (chunk == 0) {
        float4 bias = load4(weights);
        weights += s.padded;
#pragma unroll
        for (uint32_t r = 0; r < HEIGHT; r++)
            sums[r] = bias;
    } else {
#pragma unroll
        for (uint32_t r = 0; r < HEIGHT; r++)
            sums[r] = load4(y + r * s.y.stride);
    }
    uint32_t i = 0;
    for (; i + 4 <= inputs; i += 4, weights += 4 * s.padded) {
        float4 w0 = load4(weights), w1 = load4(weights + s.padded), w2 = load4(weights + 2 * s.padded), w3 = load4(weights + 3 * s.padded);
#pragma unroll
        for (uint32_t r = 0; r < HEIGHT; r++) {
            float4 four = load4(x + r * s.x.stride + i);
            sums[r] = fma4(four.w, w3, fma4(four.z, w2, fma4(four.y, w1, fma4(four.x, w0, sums[r]))));
        }
    }
    for (; i < inputs; i++, weights += s.padded) {
        float4 w = load4(weights);
#pragma unroll
        for (uint32_t r = 0; r < HEIGHT; r++)
            sums[r] = fma4(x[r * s.x.stride + i], w, sums[r]);
    }
    bool is_last = chunk + 1 == s.chunks;
#pragma unroll
    for (uint32_t r = 0; r < HEIGHT; r++)
        *reinterpret_cast<float4 *>(y + r * s.y.stride) = s.relu && is_last ? relu4(sums[r]) : sums[r];
}

/* A thread takes 4 outputs of HEIGHT rows, the same ones at every chunk. */
template <uint32_t HEIGHT>
static __device__ __forceinline__ void dense_streamed(const tile &t, const network_step &s, weight_stream &stream)
{
    wire x = t[s.x], y = t[s.y];
    const uint32_t in = s.x_width / s.groups, out = s.width / s.groups, fours = s.padded / 4, strips = t.height / HEIGHT;
    for (uint32_t chunk = 0; chunk < s.chunks; chunk++) {
        const float *weights = take_chunk(t, stream);
        uint32_t first = chunk * s.chunk_inputs, inputs = in - first < s.chunk_inputs ? in - first : s.chunk_inputs;
        for (uint32_t item = threadIdx.x; item < fours * strips * s.groups; item += blockDim.x) {
            uint32_t o = item % fours * 4, r = item / fours % strips * HEIGHT, g = item / fours / strips;
            add_chunk<HEIGHT>(s, &x(r, g * in + first), &y(r, g * out + o), weights + o, chunk, inputs);
        }
    }
}

/* Any shape, weights where they are. */
static __device__ __forceinline__ void dense_plain(const tile &t, const network_step &s)
{
    wire x = t[s.x], y = t[s.y];
    const uint32_t in = s.x_width / s.groups, out = s.width / s.groups;
    const float *weights = t.numbers(s.first), *bias = weights + static_cast<size_t>(in) * out;
    for (uint32_t item = threadIdx.x; item < t.rows * s.width; item += blockDim.x) {
        uint32_t r = item / s.width, g = item % s.width / out, o = item % out;
        float sum = bias[o];
        for (uint32_t i = 0; i < in; i++)
            sum = fmaf(x(r, g * in + i), weights[static_cast<size_t>(i) * out + o], sum);
        y(r, g * out + o) = s.relu ? network_at_least(sum, 0.0f) : sum;
    }
}

/* gblinear: multiply, round, add, round; a NaN is skipped. */
static __device__ __forceinline__ void linear(const tile &t, const network_step &s)
{
    wire x = t[s.x], y = t[s.y];
    const float *weights = t.numbers(s.first), *bias = weights + static_cast<size_t>(s.x_width) * s.width;
    for (uint32_t item = threadIdx.x; item < t.rows * s.width; item += blockDim.x) {
        uint32_t r = item / s.width, o = item % s.width;
        float sum = bias[o];
        for (uint32_t i = 0; i < s.x_width; i++) {
            float number = x(r, i), product = number * weights[static_cast<size_t>(i) * s.width + o];
            sum = number != number ? sum : sum + product;
        }
        y(r, o) = sum;
    }
}
