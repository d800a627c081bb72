#include "kernels/cpu/preorder.h"

#include "model/base/check.h"
#include "model/import/import.h"

uint32_t forest_largest_tree(const struct forest *forest)
{
    uint32_t leaves = 1;
    for (uint32_t t = 0; t < forest->tree_count; t++)
        leaves = forest->trees[t].leaves > leaves ? forest->trees[t].leaves : leaves;
    return 2 * leaves - 1;
}

bool forest_all_reached(const struct forest *forest)
{
    uint64_t reached = 0; /* each node is reached once at most: trees share none */
    for (uint32_t t = 0; t < forest->tree_count; t++)
        reached += 2 * (uint64_t)forest->trees[t].leaves - 1;
    return reached == forest->node_count;
}

uint32_t forest_preorder(const struct forest *forest, uint32_t root, uint32_t *out)
{
    uint32_t stack[FOREST_DEPTH_MAX + 2]; /* at most one sibling a level waits */
    uint32_t waiting = 0, n = 0;
    stack[waiting++] = root;
    while (waiting > 0) {
        uint32_t number = stack[--waiting];
        const struct forest_node *node = &forest->nodes[number];
        out[n++] = number;
        if (node->op == FOREST_LEAF)
            continue;
        CHECK(waiting + 2 <= FOREST_DEPTH_MAX + 2);
        stack[waiting++] = node->yes;
        stack[waiting++] = node->no;
    }
    return n;
}
