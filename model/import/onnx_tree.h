/* Private to onnx_tree.c and onnx_leaves.c: an ensemble of ai.onnx.ml 1 or 3 as the file lists it. */
#pragma once

#include "model/import/onnx_forest.h"

struct onnx_lists {
    struct onnx_forest *x;
    struct i32s tree, node, feature, yes, no, tracks;
    struct f64s value;
    uint32_t *order; /* [nodes] entries sorted by tree and node id; NULL where they are listed that way */
    size_t order_capacity;
    uint8_t *seen; /* [nodes] reached from another */
    size_t seen_capacity;
    size_t tree_start; /* where the tree last looked into begins */
    uint32_t *leaf_of; /* [weights] the entry of the leaf; UINT32_MAX: not a leaf, as ONNX Runtime passes over it */
    size_t leaf_of_capacity;
};

/* The entry of a node; false where there is none. */
bool onnx_find_entry(struct onnx_lists *l, int32_t tree, int32_t node, uint32_t *out);
/* The leaves' entries, once the nodes are in the forest and the outputs are known. */
bool onnx_read_leaves(struct onnx_lists *l);
