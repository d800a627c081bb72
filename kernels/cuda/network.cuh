/*
 * The operations of networks on a tile of rows, as model/network.h defines them. Each is called by all threads of a block; the
 * caller puts a barrier behind it. `rows` of the tile hold something; the others may be computed and are not looked at.
 */
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/network_image.h"
#include "model/network.h"

#define NETWORK_INLINE static __device__ __forceinline__
#include "model/network_math.h"

enum { NETWORK_SUM_LANES = 16 }; /* of a lane sum */

/* A wire of the tile: row r, column i. */
struct wire {
    float *at;
    uint32_t stride;

    __device__ __forceinline__ float &operator()(uint32_t r, uint32_t i) const
    {
        return at[r * stride + i];
    }
};

/* What every operation is given. */
struct tile {
    const void *image;
    const network_image *head;
    float *wires;
    uint32_t height; /* rows that the tile has room for */
    uint32_t rows;

    __device__ __forceinline__ wire operator[](const network_place &place) const
    {
        return {wires + static_cast<size_t>(place.place) * height, place.stride};
    }

    __device__ __forceinline__ const float *numbers(uint32_t first) const
    {
        return at<float>(image, head->numbers) + first;
    }
};

static __device__ __forceinline__ float function_of(uint32_t function, float a, float b, float x, float z)
{
    switch (function) {
#define NETWORK_UNARY(name, shown, value)                                                                                        \
    case NETWORK_FN_##name:                                                                                                      \
        return value;
#define NETWORK_BINARY(name, shown, value) NETWORK_UNARY(name, shown, value)
#include "model/network_functions.def"
#undef NETWORK_UNARY
#undef NETWORK_BINARY
    default:
        return x;
    }
}

/* --- each number by itself ----------------------------------------------------------------------------------------------- */

static __device__ __forceinline__ void each(const tile &t, const network_step &s, uint32_t kind, const network_place &from)
{
    wire x = t[from], z = t[s.z], c = t[s.c], y = t[s.y];
    const float *numbers = t.numbers(s.first);
    for (uint32_t at = threadIdx.x; at < t.rows * s.width; at += blockDim.x) {
        uint32_t r = at / s.width, i = at % s.width;
        float value;
        if (kind == NETWORK_CONSTANT)
            value = numbers[i];
        else if (kind == NETWORK_AFFINE)
            value = fmaf(x(r, i), numbers[i], numbers[s.width + i]);
        else if (kind == NETWORK_SELECT)
            value = c(r, i) != 0 ? x(r, i) : z(r, i);
        else
            value = function_of(s.function, s.a, s.b, x(r, i), kind == NETWORK_PAIR ? z(r, i) : kind == NETWORK_WITH ? numbers[i] : 0.0f);
        y(r, i) = value;
    }
}

static __device__ __forceinline__ void copy(const tile &t, const network_step &s)
{
    wire y = t[s.y];
    for (uint32_t k = 0; k < s.count; k++) {
        const network_part part = at<network_part>(t.image, t.head->parts)[s.first + k];
        wire x = t[part.from];
        for (uint32_t at = threadIdx.x; at < t.rows * part.count; at += blockDim.x) {
            uint32_t r = at / part.count, i = at % part.count;
            y(r, part.to + i) = x(r, static_cast<uint32_t>(static_cast<int32_t>(part.column) + static_cast<int32_t>(i) * part.step));
        }
    }
}

static __device__ __forceinline__ void embed(const tile &t, const network_step &s)
{
    wire x = t[s.x], y = t[s.y];
    const float *table = t.numbers(s.first);
    uint32_t length = s.width / s.x_width;
    for (uint32_t at = threadIdx.x; at < t.rows * s.width; at += blockDim.x) {
        uint32_t r = at / s.width, i = at % s.width;
        float index = truncf(x(r, i / length));
        index = index < 0 ? index + static_cast<float>(s.rows) : index;
        bool exists = index >= 0 && index < static_cast<float>(s.rows);
        y(r, i) = exists ? table[static_cast<size_t>(index) * length + i % length] : NAN;
    }
}

static __device__ __forceinline__ void lookup(const tile &t, const network_step &s)
{
    wire x = t[s.x], y = t[s.y];
    const float *keys = t.numbers(s.first);
    for (uint32_t at = threadIdx.x; at < t.rows * s.width; at += blockDim.x) {
        uint32_t r = at / s.width, i = at % s.width;
        float key = x(r, i);
        uint32_t low = 0, high = s.rows; /* the first key that is not below it lies in low .. high */
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (keys[middle] < key)
                low = middle + 1;
            else
                high = middle;
        }
        bool found = low < s.rows && keys[low] == key;
        y(r, i) = key != key ? s.b : found ? keys[s.rows + low] : s.a;
    }
}

/* --- groups: 16 lanes take one, each the terms of its own partial sum ---------------------------------------------------- */

enum term { TERM_PLAIN, TERM_ABS, TERM_SQUARE };

/* Of the lanes' partials, the same for all of them. */
static __device__ __forceinline__ float sum_lanes(float partial)
{
    for (uint32_t half = NETWORK_SUM_LANES / 2; half > 0; half /= 2)
        partial = partial + __shfl_down_sync(0xffffffffu, partial, half); /* right in lanes below half, which the next one reads */
    return __shfl_sync(0xffffffffu, partial, threadIdx.x & 16u);
}

static __device__ __forceinline__ float lane_sum(const float *x, uint32_t n, term kind)
{
    float partial = 0.0f;
    for (uint32_t i = threadIdx.x % NETWORK_SUM_LANES; i < n; i += NETWORK_SUM_LANES)
        partial = kind == TERM_SQUARE ? fmaf(x[i], x[i], partial) : partial + (kind == TERM_ABS ? network_abs(x[i]) : x[i]);
    return sum_lanes(partial);
}

static __device__ __forceinline__ float extreme_of(float found, float x, bool largest)
{
    bool takes = x != x || (largest ? x > found : x < found);
    return found == found && takes ? x : found;
}

/* The largest, or the smallest; NaN where there is one; a zero is +0. */
static __device__ __forceinline__ float extreme(const float *x, uint32_t n, bool largest)
{
    float found = n > 0 ? x[0] : 0.0f;
    for (uint32_t i = threadIdx.x % NETWORK_SUM_LANES; i < n; i += NETWORK_SUM_LANES)
        found = extreme_of(found, x[i], largest);
    for (uint32_t half = NETWORK_SUM_LANES / 2; half > 0; half /= 2)
        found = extreme_of(found, __shfl_xor_sync(0xffffffffu, found, half), largest);
    return found + 0.0f;
}

/* `reduce` is the same in all threads, so they come to the same shuffles. */
static __device__ __forceinline__ float reduced(uint32_t reduce, const float *x, uint32_t n)
{
    if (reduce == NETWORK_MAX || reduce == NETWORK_MIN)
        return extreme(x, n, reduce == NETWORK_MAX);
    float sum = lane_sum(x, n, reduce == NETWORK_L1 ? TERM_ABS : reduce == NETWORK_L2 ? TERM_SQUARE : TERM_PLAIN);
    return reduce == NETWORK_MEAN ? sum / static_cast<float>(n) : reduce == NETWORK_L2 ? sqrtf(sum) : sum;
}

static __device__ __forceinline__ void layer_norm(const float *x, uint32_t n, uint32_t size, float epsilon, const float *scale, float *y)
{
    const uint32_t lane = threadIdx.x % NETWORK_SUM_LANES;
    float mean = lane_sum(x, n, TERM_PLAIN) / static_cast<float>(size);
    for (uint32_t i = lane; i < n; i += NETWORK_SUM_LANES)
        y[i] = x[i] - mean;
    float variance = lane_sum(y, n, TERM_SQUARE) / static_cast<float>(size); /* a lane reads what it wrote itself */
    float r = 1.0f / sqrtf(variance + epsilon);
    for (uint32_t i = lane; i < n; i += NETWORK_SUM_LANES)
        y[i] = fmaf(y[i] * r, scale[i], scale[size + i]);
}

static __device__ __forceinline__ void softmax(const float *x, uint32_t n, float *y)
{
    const uint32_t lane = threadIdx.x % NETWORK_SUM_LANES;
    float largest = extreme(x, n, true);
    for (uint32_t i = lane; i < n; i += NETWORK_SUM_LANES)
        y[i] = network_exp(x[i] - largest);
    float sum = lane_sum(y, n, TERM_PLAIN);
    for (uint32_t i = lane; i < n; i += NETWORK_SUM_LANES)
        y[i] = y[i] / sum;
}

/* LAYER_NORM, SOFTMAX, NORMALIZE, REDUCE. Lanes whose group does not exist come along with none of its numbers, as the
 * shuffles want all lanes of a warp. */
static __device__ __forceinline__ void groups(const tile &t, const network_step &s)
{
    wire x = t[s.x], y = t[s.y];
    const uint32_t size = s.x_width / s.groups, count = t.rows * s.groups, lane = threadIdx.x % NETWORK_SUM_LANES;
    const uint32_t side_by_side = blockDim.x / NETWORK_SUM_LANES;
    for (uint32_t first = 0; first < count; first += side_by_side) {
        uint32_t number = first + threadIdx.x / NETWORK_SUM_LANES;
        uint32_t n = number < count ? size : 0, r = n ? number / s.groups : 0, g = n ? number % s.groups : 0;
        const float *from = &x(r, g * size);
        float *to = &y(r, s.kind == NETWORK_REDUCE ? g : g * size);
        if (s.kind == NETWORK_LAYER_NORM) {
            layer_norm(from, n, size, s.a, t.numbers(s.first), to);
        } else if (s.kind == NETWORK_SOFTMAX) {
            softmax(from, n, to);
        } else {
            float found = reduced(s.reduce, from, n);
            if (s.kind == NETWORK_REDUCE && n > 0 && lane == 0)
                *to = found;
            for (uint32_t i = lane; s.kind == NETWORK_NORMALIZE && i < n; i += NETWORK_SUM_LANES)
                to[i] = found == 0 ? from[i] : from[i] / found;
        }
    }
}
