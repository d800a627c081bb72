/*
 * A forest as it lies in device memory: one block of bytes without pointers, read by forest_*.cu and made by forest_image.c.
 *
 * As in kernels/cpu/inputs.h every test is one comparison of integers. A feature has one or several *inputs*, each a rule that
 * makes a key of its value; a node asks whether the key of its input is above its limit:
 *
 *     at = tree + node.child + (keys[node.input] > node.limit)        siblings are adjacent, the failing one first
 *
 * Nodes lie tree after tree, breadth first, so that the top levels of a tree, where every row comes by, share few cache lines.
 * A node is 8 bytes (int32 keys) or 16 (int64 keys; larger trees, more inputs), loaded at once. A leaf has no child; its limit
 * holds what it adds: the bits of the number; or, where those of a float64 do not fit, the place of the number among `values`;
 * or, where a leaf adds several numbers, the place of the first of them, and `input` says how many. A linear leaf (16 bytes
 * only) has its formula's number in `input`, counted from 1.
 *
 * Where every leaf adds one number, trees are sorted by output (kernels/cpu/leaves.h), so that each output has one run of them.
 */
#pragma once

#include <stdint.h>

struct forest_node8 {
    int32_t limit;
    uint16_t input, child; /* child: from the tree's first node */
};

struct forest_node16 {
    int64_t limit;
    uint32_t input, child;
};

enum forest_rule_kind { FOREST_RULE_ORDER, FOREST_RULE_EQUAL, FOREST_RULE_NOT_EQUAL, FOREST_RULE_MEMBER };

/* How a feature's value becomes a key. ORDER: as inputs.h says, |x| with a key of at most tiny_limit gets tiny_key, NaN
 * gets nan_key. The others: 1 for yes and 0 for no. */
struct forest_rule {
    int64_t nan_key, tiny_limit, tiny_key; /* ORDER */
    double operand;                        /* EQUAL, NOT_EQUAL */
    uint32_t set_first, set_words;         /* MEMBER */
    uint8_t kind;
    uint8_t missing;     /* enum forest_missing; not of ORDER */
    uint8_t missing_yes; /* likewise */
    uint8_t reserved[5];
};

/* A linear leaf: constant + sum of coefficient * x in order; any NaN among its x: the leaf's plain number. */
struct forest_formula {
    double constant;
    uint32_t first, count; /* in terms */
};

struct forest_term {
    double coefficient;
    uint32_t feature, reserved;
};

/* Places are bytes from the image's start, multiples of 16. */
struct forest_image {
    uint32_t trees, outputs, inputs, features;
    uint8_t rows_f64, base_first, tiny_is_zero, category_rule;
    uint32_t reserved;
    uint64_t input_first; /* uint32_t [features + 1]: the inputs of feature f are input_first[f] to input_first[f + 1] - 1 */
    uint64_t rules;       /* struct forest_rule [inputs] */
    uint64_t set_words;   /* uint32_t [] */
    uint64_t roots;       /* uint32_t [trees + 1]: where the nodes of a tree begin */
    uint64_t nodes;       /* struct forest_node8 or forest_node16 [] */
    uint64_t output_end;  /* uint32_t [outputs]: one past the last tree of each; one number a leaf only */
    uint64_t base;        /* of the sum type, [outputs] */
    uint64_t values;      /* of the sum type, [] */
    uint64_t value_outputs; /* uint32_t [], beside values; several numbers a leaf only */
    uint64_t linear;        /* struct forest_formula [] */
    uint64_t terms;         /* struct forest_term [] */
};

enum {
    FOREST_FEW_CHUNK = 4096, /* trees whose leaves a block keeps before it adds them */
    FOREST_MANY_ROWS = 32,   /* a warp's lanes are the rows of a block */
    FOREST_MANY_CHUNK = 32,
    FOREST_TOP = 32,         /* first nodes of a tree that are kept in shared memory: five levels where it is full */
};

#ifdef __CUDACC__
#define FOREST_INLINE static __host__ __device__ __forceinline__
#else
#define FOREST_INLINE static inline
#endif

/* Bytes in the variant of a kernel. */
struct forest_widths {
    uint32_t node, key, kept, sum; /* kept: what a leaf adds */
};

/* A block's shared memory: a key of each input for each row, from the start; then, places in bytes, what the leaves of a chunk
 * of trees add to each row, the margins, and the tops of a chunk's trees. Many rows: chunks and tops are there twice, as one is
 * worked on while another is added or comes in. */
struct forest_shared {
    uint32_t chunk; /* trees */
    uint32_t kept, sums, tops, end;
};

FOREST_INLINE uint32_t forest_lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

FOREST_INLINE struct forest_shared forest_shared_few(const struct forest_image *f, struct forest_widths w)
{
    struct forest_shared s;
    s.chunk = forest_lesser(f->trees, FOREST_FEW_CHUNK);
    s.kept = (f->inputs * w.key + 15) / 16 * 16;
    s.sums = s.kept + (s.chunk * w.kept + 15) / 16 * 16;
    s.tops = s.end = s.sums + f->outputs * w.sum;
    return s;
}

FOREST_INLINE struct forest_shared forest_shared_many(const struct forest_image *f, struct forest_widths w)
{
    struct forest_shared s;
    s.chunk = forest_lesser(f->trees, FOREST_MANY_CHUNK);
    s.kept = f->inputs * FOREST_MANY_ROWS * w.key;
    s.sums = s.kept + 2 * s.chunk * FOREST_MANY_ROWS * w.kept;
    s.tops = s.sums + f->outputs * FOREST_MANY_ROWS * w.sum;
    s.end = s.tops + 2 * s.chunk * FOREST_TOP * w.node;
    return s;
}
