/*
 * What the forest kernels share: rows to keys, and the walk from a root to a leaf. See forest_image.h.
 */
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/forest_image.h"
#include "model/forest.h"

/* --- nodes: 8 or 16 bytes, loaded at once ------------------------------------------------------------------------------- */

struct nodes8 {
    typedef int32_t key;
    typedef forest_node8 node;

    static __device__ __forceinline__ node load(const node *from)
    {
        uint2 raw = __ldg(reinterpret_cast<const uint2 *>(from));
        return {static_cast<int32_t>(raw.x), static_cast<uint16_t>(raw.y & 0xffff), static_cast<uint16_t>(raw.y >> 16)};
    }
};

struct nodes16 {
    typedef int64_t key;
    typedef forest_node16 node;

    static __device__ __forceinline__ node load(const node *from)
    {
        uint4 raw = __ldg(reinterpret_cast<const uint4 *>(from));
        return {static_cast<int64_t>(static_cast<uint64_t>(raw.y) << 32 | raw.x), raw.z, raw.w};
    }
};

/* --- rows to keys ------------------------------------------------------------------------------------------------------- */

/* LightGBM's kZeroThreshold: the float 1e-35f, widened. */
static __device__ __forceinline__ bool is_tiny(double x)
{
    return fabs(x) <= static_cast<double>(1e-35f);
}

static __device__ __forceinline__ bool in_set(const void *image, const forest_image *f, const forest_rule &rule, double x)
{
    if (f->category_rule == FOREST_CATEGORY_XGBOOST) {
        if (!(x >= 0 && x < 16777216))
            return false;
    } else if (!(x > -1 && x < 2147483648.0)) { /* truncated first: -0.5 is category 0 */
        return false;
    }
    uint32_t v = static_cast<uint32_t>(static_cast<int32_t>(x));
    if (f->category_rule == FOREST_CATEGORY_EXACT && (x < 0 || x != static_cast<double>(v)))
        return false;
    return v / 32 < rule.set_words && (at<uint32_t>(image, f->set_words)[rule.set_first + v / 32] >> (v % 32) & 1);
}

/* What is no question of order. */
static __device__ __forceinline__ bool answer(const void *image, const forest_image *f, const forest_rule &rule, double x)
{
    if (f->tiny_is_zero && is_tiny(x))
        x = 0;
    bool is_nan = x != x;
    if ((rule.missing == FOREST_MISSING_NAN && is_nan) || (rule.missing == FOREST_MISSING_ZERO && (is_nan || is_tiny(x))))
        return rule.missing_yes;
    if (rule.missing == FOREST_MISSING_AS_ZERO && is_nan)
        x = 0;
    if (rule.kind == FOREST_RULE_MEMBER)
        return in_set(image, f, rule, x);
    return rule.kind == FOREST_RULE_EQUAL ? x == rule.operand : x != rule.operand;
}

static __device__ __forceinline__ int64_t key_of(const forest_rule &rule, float x)
{
    int32_t bits = bits_as<int32_t>(x), magnitude = bits & INT32_MAX;
    int64_t key = magnitude <= rule.tiny_limit ? rule.tiny_key : bits < 0 ? -magnitude : magnitude;
    return magnitude > 0x7F800000 ? rule.nan_key : key;
}

static __device__ __forceinline__ int64_t key_of(const forest_rule &rule, double x)
{
    int64_t bits = bits_as<int64_t>(x), magnitude = bits & INT64_MAX;
    int64_t key = magnitude <= rule.tiny_limit ? rule.tiny_key : bits < 0 ? -magnitude : magnitude;
    return magnitude > 0x7FF0000000000000 ? rule.nan_key : key;
}

/* The keys of all inputs of one feature. */
template <class Key, class Number>
static __device__ __forceinline__ void put_keys(const void *image, const forest_image *f, uint32_t feature, Number x, Key *keys,
                                                uint32_t step)
{
    const uint32_t *input_first = at<uint32_t>(image, f->input_first);
    const forest_rule *rules = at<forest_rule>(image, f->rules);
    for (uint32_t i = input_first[feature]; i < input_first[feature + 1]; i++) {
        bool is_order = rules[i].kind == FOREST_RULE_ORDER;
        keys[i * step] = static_cast<Key>(is_order ? key_of(rules[i], x) : answer(image, f, rules[i], static_cast<double>(x)));
    }
}

/* Those of the 16 bytes of a row that are part number `part` of it. */
template <class Key>
static __device__ __forceinline__ void put_part(const void *image, const forest_image *f, const char *row, uint32_t part, Key *keys,
                                                uint32_t step)
{
    uint4 raw = reinterpret_cast<const uint4 *>(row)[part];
    if (f->rows_f64) {
        double x[2] = {bits_as<double>(static_cast<uint64_t>(raw.y) << 32 | raw.x), bits_as<double>(static_cast<uint64_t>(raw.w) << 32 | raw.z)};
#pragma unroll
        for (uint32_t i = 0; i < 2; i++)
            if (part * 2 + i < f->features)
                put_keys(image, f, part * 2 + i, x[i], keys, step);
    } else {
        uint32_t x[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
        for (uint32_t i = 0; i < 4; i++)
            if (part * 4 + i < f->features)
                put_keys(image, f, part * 4 + i, bits_as<float>(x[i]), keys, step);
    }
}

static __device__ __forceinline__ uint32_t row_parts(const forest_image *f)
{
    return f->rows_f64 ? (f->features + 1) / 2 : (f->features + 3) / 4;
}

/* --- leaves: what a block keeps of each until it is added, and how it is added ------------------------------------------- */

static __device__ __forceinline__ double feature_of(const forest_image *f, const char *row, uint32_t feature)
{
    double x = f->rows_f64 ? reinterpret_cast<const double *>(row)[feature] : static_cast<double>(reinterpret_cast<const float *>(row)[feature]);
    return f->tiny_is_zero && is_tiny(x) ? 0.0 : x;
}

/* A linear leaf in LightGBM's order: multiply, then add. */
static __device__ __forceinline__ double linear_of(const void *image, const forest_image *f, const char *row, uint32_t number, double plain)
{
    const forest_formula formula = at<forest_formula>(image, f->linear)[number - 1];
    const forest_term *terms = at<forest_term>(image, f->terms);
    double sum = formula.constant;
    for (uint32_t i = formula.first; i < formula.first + formula.count; i++) {
        double x = feature_of(f, row, terms[i].feature);
        if (x != x)
            return plain;
        double product = terms[i].coefficient * x;
        sum = sum + product;
    }
    return sum;
}

static __device__ __forceinline__ void number_of(const void *, const forest_image *, const char *, forest_node8 leaf, float *out)
{
    *out = bits_as<float>(leaf.limit);
}

static __device__ __forceinline__ void number_of(const void *image, const forest_image *f, const char *, forest_node8 leaf, double *out)
{
    *out = at<double>(image, f->values)[leaf.limit];
}

static __device__ __forceinline__ void number_of(const void *image, const forest_image *f, const char *row, forest_node16 leaf, float *out)
{
    float plain = bits_as<float>(static_cast<int32_t>(leaf.limit));
    *out = leaf.input ? static_cast<float>(linear_of(image, f, row, leaf.input, static_cast<double>(plain))) : plain;
}

static __device__ __forceinline__ void number_of(const void *image, const forest_image *f, const char *row, forest_node16 leaf, double *out)
{
    double plain = bits_as<double>(leaf.limit);
    *out = leaf.input ? linear_of(image, f, row, leaf.input, plain) : plain;
}

/* One number a leaf. */
template <class Sum_> struct one_number {
    typedef Sum_ Sum;
    typedef Sum_ Kept;

    template <class Node>
    static __device__ __forceinline__ Kept keep(const void *image, const forest_image *f, const char *row, Node leaf)
    {
        Kept kept;
        number_of(image, f, row, leaf, &kept);
        return kept;
    }

    /* sum, with what trees first to first + count - 1 add to output o; kept: of tree first, the next one's `step` further on. */
    static __device__ __forceinline__ Sum add(const void *image, const forest_image *f, uint32_t o, uint32_t first, uint32_t count,
                                              const Kept *kept, uint32_t step, Sum sum)
    {
        const uint32_t *output_end = at<uint32_t>(image, f->output_end);
        uint32_t from = o == 0 ? 0 : output_end[o - 1], to = output_end[o]; /* trees are sorted by output */
        from = from > first ? from - first : 0;
        to = to > first ? forest_lesser(to - first, count) : 0;
#pragma unroll 4
        for (uint32_t t = from; t < to; t++)
            sum = sum + kept[t * step];
        return sum;
    }
};

/* Any count of numbers a leaf, each with its output. */
template <class Sum_> struct many_numbers {
    typedef Sum_ Sum;
    typedef uint2 Kept; /* the first one's place, and how many */

    template <class Node> static __device__ __forceinline__ Kept keep(const void *, const forest_image *, const char *, Node leaf)
    {
        return make_uint2(static_cast<uint32_t>(leaf.limit), static_cast<uint32_t>(leaf.input));
    }

    static __device__ __forceinline__ Sum add(const void *image, const forest_image *f, uint32_t o, uint32_t, uint32_t count,
                                              const Kept *kept, uint32_t step, Sum sum)
    {
        const Sum *values = at<Sum>(image, f->values);
        const uint32_t *outputs = at<uint32_t>(image, f->value_outputs);
        for (uint32_t t = 0; t < count; t++) {
            uint2 leaf = kept[t * step];
            for (uint32_t e = leaf.x; e < leaf.x + leaf.y; e++)
                sum = outputs[e] == o ? sum + values[e] : sum;
        }
        return sum;
    }
};

template <class Nodes, class Leaf> static __device__ __forceinline__ forest_widths widths()
{
    return {sizeof(typename Nodes::node), sizeof(typename Nodes::key), sizeof(typename Leaf::Kept), sizeof(typename Leaf::Sum)};
}

/* The margin before the first tree, and after the last one. */
template <class Sum> static __device__ __forceinline__ Sum first_sum(const void *image, const forest_image *f, uint32_t o)
{
    return f->base_first ? at<Sum>(image, f->base)[o] : Sum(0);
}

template <class Sum> static __device__ __forceinline__ Sum last_sum(const void *image, const forest_image *f, uint32_t o, Sum sum)
{
    return f->base_first ? sum : sum + at<Sum>(image, f->base)[o];
}
