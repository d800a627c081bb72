#include "model/import/builder.h"

#include <string.h>

/* Room for `more` items behind the `count` that are there; what grew is zeroed. The new address, or NULL. */
static void *grow(struct forest_builder *b, void *array, uint32_t count, size_t *capacity, size_t more,
                  size_t item_bytes)
{
    if (more > UINT32_MAX - (size_t)count)
        return NULL;
    char *grown = import_grow(b->memory, array, capacity, count + more, item_bytes);
    if (grown)
        memset(grown + count * item_bytes, 0, more * item_bytes);
    return grown;
}

void builder_reserve(struct forest_builder *b, size_t nodes, size_t values)
{
    struct forest *f = b->forest;
    struct forest_node *grown = import_grow(b->memory, f->nodes, &b->nodes, nodes, sizeof *grown);
    if (grown)
        f->nodes = grown;
    double *grown_values = import_grow(b->memory, f->leaf_values, &b->values, values, sizeof *grown_values);
    if (grown_values)
        f->leaf_values = grown_values;
}

struct forest_node *builder_nodes(struct forest_builder *b, size_t count)
{
    struct forest *f = b->forest;
    struct forest_node *grown = grow(b, f->nodes, f->node_count, &b->nodes, count, sizeof *grown);
    if (!grown)
        return NULL;
    f->nodes = grown;
    grown += f->node_count;
    f->node_count += (uint32_t)count;
    return grown;
}

struct forest_tree *builder_tree(struct forest_builder *b)
{
    struct forest *f = b->forest;
    struct forest_tree *grown = grow(b, f->trees, f->tree_count, &b->trees, 1, sizeof *grown);
    if (!grown)
        return NULL;
    f->trees = grown;
    return &grown[f->tree_count++];
}

struct forest_set *builder_set(struct forest_builder *b)
{
    struct forest *f = b->forest;
    struct forest_set *grown = grow(b, f->sets, f->set_count, &b->sets, 1, sizeof *grown);
    if (!grown)
        return NULL;
    f->sets = grown;
    return &grown[f->set_count++];
}

uint32_t *builder_set_words(struct forest_builder *b, size_t count)
{
    struct forest *f = b->forest;
    uint32_t *grown = grow(b, f->set_words, f->set_word_count, &b->words, count, sizeof *grown);
    if (!grown)
        return NULL;
    f->set_words = grown;
    grown += f->set_word_count;
    f->set_word_count += (uint32_t)count;
    return grown;
}

struct forest_linear *builder_linear(struct forest_builder *b)
{
    struct forest *f = b->forest;
    struct forest_linear *grown = grow(b, f->linear, f->linear_count, &b->linear, 1, sizeof *grown);
    if (!grown)
        return NULL;
    f->linear = grown;
    return &grown[f->linear_count++];
}

static bool append_value(struct forest_builder *b, double value)
{
    struct forest *f = b->forest;
    double *grown = grow(b, f->leaf_values, f->entry_count, &b->values, 1, sizeof *grown);
    if (!grown)
        return false;
    f->leaf_values = grown;
    grown[f->entry_count] = value;
    return true;
}

bool builder_value(struct forest_builder *b, double value)
{
    bool done = append_value(b, value);
    b->forest->entry_count += done;
    return done;
}

bool builder_value_to(struct forest_builder *b, double value, uint32_t output)
{
    struct forest *f = b->forest;
    uint32_t *grown = grow(b, f->leaf_outputs, f->entry_count, &b->outputs, 1, sizeof *grown);
    if (!grown)
        return false;
    f->leaf_outputs = grown;
    grown[f->entry_count] = output;
    return builder_value(b, value);
}

bool builder_linear_term(struct forest_builder *b, uint32_t feature, double coefficient)
{
    struct forest *f = b->forest;
    uint32_t *features = grow(b, f->linear_features, f->linear_term_count, &b->linear_features, 1, sizeof *features);
    if (!features)
        return false;
    f->linear_features = features;
    double *coefficients =
        grow(b, f->linear_coefficients, f->linear_term_count, &b->linear_coefficients, 1, sizeof *coefficients);
    if (!coefficients)
        return false;
    f->linear_coefficients = coefficients;
    features[f->linear_term_count] = feature;
    coefficients[f->linear_term_count++] = coefficient;
    return true;
}

void builder_finish(struct forest_builder *b)
{
    struct forest *f = b->forest;
    struct import_memory *m = b->memory;
    f->nodes = import_shrink(m, f->nodes, &b->nodes, f->node_count, sizeof *f->nodes);
    f->trees = import_shrink(m, f->trees, &b->trees, f->tree_count, sizeof *f->trees);
    f->leaf_values = import_shrink(m, f->leaf_values, &b->values, f->entry_count, sizeof *f->leaf_values);
    f->leaf_outputs = import_shrink(m, f->leaf_outputs, &b->outputs, f->entry_count, sizeof *f->leaf_outputs);
    f->sets = import_shrink(m, f->sets, &b->sets, f->set_count, sizeof *f->sets);
    f->set_words = import_shrink(m, f->set_words, &b->words, f->set_word_count, sizeof *f->set_words);
    f->linear = import_shrink(m, f->linear, &b->linear, f->linear_count, sizeof *f->linear);
    f->linear_features =
        import_shrink(m, f->linear_features, &b->linear_features, f->linear_term_count, sizeof *f->linear_features);
    f->linear_coefficients = import_shrink(m, f->linear_coefficients, &b->linear_coefficients, f->linear_term_count,
                                           sizeof *f->linear_coefficients);
}
