/*
 * What every importer promises of a forest, checked once for all of them, so that kernels can follow indices blindly.
 */
#include <math.h>
#include <stdlib.h>

#include "model/forest.h"
#include "model/import/import.h"

struct checker {
    const struct forest *forest;
    uint8_t *seen; /* a bit a node: no node may be reached twice, by one tree or by two */
    uint32_t tree;
    struct error *err;
};

struct pending {
    uint32_t node, depth;
};

static enum status refuse(const struct checker *c, uint32_t node, const char *what)
{
    return error_set(c->err, STATUS_INVALID, "tree %u, node %u: %s", c->tree, node - c->forest->trees[c->tree].root, what);
}

static enum status check_linear(const struct checker *c, uint32_t number, const struct forest_node *leaf)
{
    const struct forest *f = c->forest;
    if (leaf->set > f->linear_count)
        return refuse(c, number, "its linear function does not exist");
    const struct forest_linear *linear = &f->linear[leaf->set - 1];
    if (linear->first > f->linear_term_count || linear->count > f->linear_term_count - linear->first)
        return refuse(c, number, "the terms of its linear function do not exist");
    if (!isfinite(linear->constant))
        return refuse(c, number, "the constant of its linear function is not a finite number");
    for (uint32_t i = linear->first; i < linear->first + linear->count; i++) {
        if (f->linear_features[i] >= f->features)
            return refuse(c, number, "a feature of its linear function does not exist");
        if (!isfinite(f->linear_coefficients[i]))
            return refuse(c, number, "a coefficient of its linear function is not a finite number");
    }
    return STATUS_OK;
}

static enum status check_leaf(const struct checker *c, uint32_t number, const struct forest_node *leaf)
{
    const struct forest *f = c->forest;
    if (leaf->yes > f->entry_count || leaf->no > f->entry_count - leaf->yes)
        return refuse(c, number, "its leaf values do not exist");
    for (uint32_t e = leaf->yes; e < leaf->yes + leaf->no; e++) {
        if (!isfinite(f->leaf_values[e]))
            return refuse(c, number, "the leaf's value is not a finite number");
        if (f->leaf_outputs && f->leaf_outputs[e] >= f->outputs)
            return refuse(c, number, "the leaf's output does not exist");
    }
    if (leaf->set == 0)
        return STATUS_OK;
    return leaf->no == 1 ? check_linear(c, number, leaf) : refuse(c, number, "a linear leaf needs one plain value");
}

static enum status check_split(const struct checker *c, uint32_t number, const struct forest_node *node)
{
    const struct forest *f = c->forest;
    if (node->op > FOREST_MEMBER || node->missing > FOREST_MISSING_COMPARE)
        return refuse(c, number, "the way it compares is not known");
    if (node->feature >= f->features)
        return error_set(c->err, STATUS_INVALID, "tree %u, node %u: feature %u does not exist, the model has %u", c->tree,
                         number - f->trees[c->tree].root, node->feature, f->features);
    if (node->yes >= f->node_count || node->no >= f->node_count)
        return refuse(c, number, "a child does not exist");
    if (node->op != FOREST_MEMBER)
        return isnan(node->threshold) ? refuse(c, number, "its threshold is not a number") : STATUS_OK;
    if (node->set >= f->set_count)
        return refuse(c, number, "its categories do not exist");
    const struct forest_set *set = &f->sets[node->set];
    if (set->first > f->set_word_count || set->words > f->set_word_count - set->first)
        return refuse(c, number, "its categories do not exist");
    return STATUS_OK;
}

static enum status check_tree(const struct checker *c, struct forest_tree *tree)
{
    const struct forest *f = c->forest;
    struct pending stack[FOREST_DEPTH_MAX + 2];
    size_t n = 0;
    tree->depth = tree->leaves = 0;
    if (tree->root >= f->node_count || tree->output >= f->outputs)
        return error_set(c->err, STATUS_INVALID, "tree %u: its root or its output does not exist", c->tree);
    stack[n++] = (struct pending){.node = tree->root};
    while (n > 0) {
        struct pending at = stack[--n];
        const struct forest_node *node = &f->nodes[at.node];
        if (c->seen[at.node / 8] >> (at.node % 8) & 1)
            return refuse(c, at.node, "is reached twice: a cycle, not a tree");
        c->seen[at.node / 8] |= (uint8_t)(1 << (at.node % 8));
        if (at.depth > FOREST_DEPTH_MAX)
            return error_set(c->err, STATUS_UNSUPPORTED, "tree %u is deeper than %d", c->tree, FOREST_DEPTH_MAX);
        tree->depth = at.depth > tree->depth ? at.depth : tree->depth;
        tree->leaves += node->op == FOREST_LEAF;
        enum status status = node->op == FOREST_LEAF ? check_leaf(c, at.node, node) : check_split(c, at.node, node);
        if (status != STATUS_OK)
            return status;
        if (node->op != FOREST_LEAF) { /* at most one sibling a level waits, so the stack holds */
            stack[n++] = (struct pending){.node = node->no, .depth = at.depth + 1};
            stack[n++] = (struct pending){.node = node->yes, .depth = at.depth + 1};
        }
    }
    return STATUS_OK;
}

static enum status check_sizes(const struct forest *f, struct error *err)
{
    if (f->tree_count == 0)
        return error_set(err, STATUS_INVALID, "the model has no trees");
    if (f->outputs == 0 || f->outputs > FOREST_OUTPUTS_MAX)
        return error_set(err, STATUS_LIMIT, "%u outputs; 1 to %d are supported", f->outputs, FOREST_OUTPUTS_MAX);
    if (f->features > FOREST_FEATURES_MAX)
        return error_set(err, STATUS_LIMIT, "%u features; at most %d are supported", f->features, FOREST_FEATURES_MAX);
    for (uint32_t o = 0; o < f->outputs; o++) {
        if (!isfinite(f->base[o]))
            return error_set(err, STATUS_INVALID, "the base value of output %u is not a finite number", o);
    }
    return STATUS_OK;
}

enum status forest_check(struct forest *forest, struct error *err)
{
    struct checker c = {.forest = forest, .err = err};
    enum status status = check_sizes(forest, err);
    if (status != STATUS_OK)
        return status;
    c.seen = calloc((size_t)forest->node_count / 8 + 1, 1);
    if (!c.seen)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (; status == STATUS_OK && c.tree < forest->tree_count; c.tree++)
        status = check_tree(&c, &forest->trees[c.tree]);
    free(c.seen);
    return status;
}
