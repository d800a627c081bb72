#include "kernels/cpu/shape.h"

#include <stdlib.h>

#include "kernels/cpu/preorder.h"
#include "model/base/check.h"
#include "model/import/import.h"

int shape_make(const struct forest *forest, struct shape *out)
{
    uint32_t leaves = (forest_largest_tree(forest) + 1) / 2;
    *out = (struct shape){0};
    out->splits = malloc(leaves * sizeof *out->splits);
    out->values = malloc(leaves * sizeof *out->values);
    return out->splits && out->values ? 0 : -1;
}

void shape_free(struct shape *shape)
{
    free(shape->splits);
    free(shape->values);
    *shape = (struct shape){0};
}

uint32_t shape_leaves(const struct shape *shape, uint32_t child)
{
    return child & SHAPE_LEAF ? 1 : shape->splits[child].leaves;
}

uint32_t shape_depth(const struct shape *shape, uint32_t child)
{
    return child & SHAPE_LEAF ? 0 : shape->splits[child].depth;
}

struct waiting {
    uint32_t node;   /* of the forest */
    uint32_t parent; /* split that it is a child of */
    bool is_pass;
};

static uint32_t add_leaf(struct shape *shape, const struct forest *forest, const struct forest_node *node)
{
    shape->values[shape->leaf_count] = forest->leaf_values[node->yes];
    return SHAPE_LEAF | shape->leaf_count++;
}

void shape_read(struct shape *shape, const struct ranks *ranks, uint32_t tree)
{
    const struct forest *forest = ranks->inputs->forest;
    struct waiting stack[FOREST_DEPTH_MAX + 2]; /* at most one sibling a level waits */
    uint32_t n = 0;
    shape->split_count = shape->leaf_count = 0;
    stack[n++] = (struct waiting){.node = forest->trees[tree].root};
    while (n > 0) {
        struct waiting at = stack[--n];
        const struct forest_node *node = &forest->nodes[at.node];
        bool is_leaf = node->op == FOREST_LEAF, is_root = shape->split_count == 0 && shape->leaf_count == 0;
        uint32_t child = is_leaf ? add_leaf(shape, forest, node) : shape->split_count++;
        if (is_root)
            shape->root = child;
        else if (at.is_pass)
            shape->splits[at.parent].pass = child;
        else
            shape->splits[at.parent].fail = child;
        if (is_leaf)
            continue;
        struct inputs_test test = inputs_test_of(ranks->inputs, node);
        struct ranks_test ranked = ranks_test_of(ranks, test);
        shape->splits[child] = (struct shape_split){.column = ranked.column, .threshold = ranked.threshold};
        CHECK(n + 2 <= FOREST_DEPTH_MAX + 2);
        stack[n++] = (struct waiting){.node = test.pass_is_yes ? node->yes : node->no, .parent = child, .is_pass = true};
        stack[n++] = (struct waiting){.node = test.pass_is_yes ? node->no : node->yes, .parent = child};
    }
    for (uint32_t i = shape->split_count; i-- > 0;) { /* children come after their parents */
        struct shape_split *split = &shape->splits[i];
        uint32_t fail = shape_depth(shape, split->fail), pass = shape_depth(shape, split->pass);
        split->leaves = shape_leaves(shape, split->fail) + shape_leaves(shape, split->pass);
        split->depth = (uint16_t)(1 + (fail > pass ? fail : pass));
    }
}
