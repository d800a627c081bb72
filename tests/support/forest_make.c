#include "tests/support/forest_make.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/check.h"
#include "model/import/import.h"

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

uint32_t random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)((random_next(state) >> 32) * bound >> 32);
}

static double random_unit(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

struct maker {
    const struct forest_recipe *recipe;
    struct forest *forest;
    uint64_t random;
    uint32_t *growing; /* numbers of the leaves of the tree at hand */
    uint32_t *depths;
    size_t node_capacity, entry_capacity, linear_capacity, term_capacity, set_capacity, word_capacity;
};

static void *grow(void *array, size_t *capacity, size_t need, size_t element_bytes)
{
    if (need <= *capacity)
        return array;
    *capacity = need * 2 + 16;
    void *grown = realloc(array, *capacity * element_bytes);
    CHECK(grown);
    return grown;
}

/* A value as the forest's numbers can hold it. */
static double rounded(const struct forest *forest, enum number_type type, double x)
{
    (void)forest;
    return type == NUMBER_F32 ? (double)(float)x : x;
}

static double threshold_of(struct maker *m, uint32_t feature)
{
    static const double special[] = {0.0, -0.0, 1e-35, -1e-35, 1.0000000180025095e-35, 1e-45, FLT_MAX, INFINITY, -INFINITY};
    const struct forest_recipe *r = m->recipe;
    if (r->cuts == 0)
        return random_unit(&m->random) * 2 - 1;
    uint32_t cut = random_below(&m->random, r->cuts);
    if (cut < 9 && feature % 4 == 1)
        return special[cut];
    return ((double)cut + 0.37 * feature) / r->cuts * 2 - 1;
}

static uint32_t pick_bit(struct maker *m, uint32_t bits, uint32_t fallback)
{
    if (bits == 0)
        return fallback;
    for (;;) {
        uint32_t bit = random_below(&m->random, 32);
        if (bits >> bit & 1)
            return bit;
    }
}

static uint32_t make_set(struct maker *m)
{
    struct forest *f = m->forest;
    uint32_t words = random_below(&m->random, 4);
    if (f->set_count > 0 && random_below(&m->random, 2) == 0)
        return random_below(&m->random, f->set_count); /* sets repeat in real models: one category against the rest */
    f->sets = grow(f->sets, &m->set_capacity, f->set_count + 1, sizeof *f->sets);
    f->set_words = grow(f->set_words, &m->word_capacity, f->set_word_count + words, sizeof *f->set_words);
    f->sets[f->set_count] = (struct forest_set){.first = f->set_word_count, .words = words};
    for (uint32_t i = 0; i < words; i++)
        f->set_words[f->set_word_count++] = (uint32_t)random_next(&m->random);
    return f->set_count++;
}

static void make_linear(struct maker *m, struct forest_node *leaf)
{
    struct forest *f = m->forest;
    uint32_t terms = random_below(&m->random, 4);
    f->linear = grow(f->linear, &m->linear_capacity, f->linear_count + 1, sizeof *f->linear);
    size_t capacity = m->term_capacity;
    f->linear_features = grow(f->linear_features, &capacity, f->linear_term_count + terms, sizeof *f->linear_features);
    f->linear_coefficients =
        grow(f->linear_coefficients, &m->term_capacity, f->linear_term_count + terms, sizeof *f->linear_coefficients);
    f->linear[f->linear_count] = (struct forest_linear){
        .constant = random_unit(&m->random) - 0.5, .first = f->linear_term_count, .count = terms};
    for (uint32_t i = 0; i < terms; i++) {
        f->linear_features[f->linear_term_count] = random_below(&m->random, f->features);
        f->linear_coefficients[f->linear_term_count++] = random_unit(&m->random) - 0.5;
    }
    leaf->set = ++f->linear_count;
}

static uint32_t new_node(struct maker *m)
{
    m->forest->nodes = grow(m->forest->nodes, &m->node_capacity, m->forest->node_count + 1, sizeof *m->forest->nodes);
    memset(&m->forest->nodes[m->forest->node_count], 0, sizeof *m->forest->nodes);
    return m->forest->node_count++;
}

static void make_leaf(struct maker *m, uint32_t number, uint32_t output)
{
    struct forest *f = m->forest;
    const struct forest_recipe *r = m->recipe;
    uint32_t entries = r->vector_leaves ? random_below(&m->random, f->outputs + 2) : 1;
    size_t capacity = m->entry_capacity;
    f->leaf_values = grow(f->leaf_values, &capacity, f->entry_count + entries, sizeof *f->leaf_values);
    f->leaf_outputs = grow(f->leaf_outputs, &m->entry_capacity, f->entry_count + entries, sizeof *f->leaf_outputs);
    struct forest_node *leaf = &f->nodes[number];
    *leaf = (struct forest_node){.op = FOREST_LEAF, .yes = f->entry_count, .no = entries};
    for (uint32_t i = 0; i < entries; i++) {
        double scale = random_below(&m->random, 16) == 0 ? 1e6 : 0.1;
        f->leaf_values[f->entry_count] = rounded(f, f->sum_type, (random_unit(&m->random) - 0.5) * scale);
        f->leaf_outputs[f->entry_count++] = r->vector_leaves ? random_below(&m->random, f->outputs) : output;
    }
    if (r->linear_leaves && random_below(&m->random, 2) == 0 && entries == 1)
        make_linear(m, leaf);
}

static void make_split(struct maker *m, uint32_t number)
{
    struct forest *f = m->forest;
    const struct forest_recipe *r = m->recipe;
    uint32_t yes = new_node(m), no = new_node(m);
    struct forest_node node = {.yes = yes, .no = no, .feature = random_below(&m->random, f->features)};
    if (random_below(&m->random, 2) == 0) { /* children are not always yes first */
        node.yes = no;
        node.no = yes;
    }
    node.op = (uint8_t)pick_bit(m, r->ops, FOREST_LT);
    node.missing = (uint8_t)pick_bit(m, r->missing, FOREST_MISSING_NAN);
    node.missing_yes = r->missing_mixed ? random_below(&m->random, 2) : false;
    if (node.op == FOREST_MEMBER)
        node.set = make_set(m);
    else if (node.op == FOREST_EQ || node.op == FOREST_NE)
        node.threshold = (double)random_below(&m->random, 5);
    else
        node.threshold = rounded(f, f->input_type, threshold_of(m, node.feature));
    f->nodes[number] = node;
}

static void make_tree(struct maker *m, uint32_t tree)
{
    struct forest *f = m->forest;
    const struct forest_recipe *r = m->recipe;
    uint32_t target = r->leaves ? 1 + random_below(&m->random, r->leaves) : 1u << r->depth;
    if (r->leaves && random_below(&m->random, 4) != 0)
        target = r->leaves; /* most trees reach the limit, as in trained models */
    uint32_t count = 1, next = 0;
    m->growing[0] = f->trees[tree].root = new_node(m);
    m->depths[0] = 0;
    uint32_t tries = 0;
    while (count < target && tries++ < target * 64) {
        uint32_t at = r->leaves ? random_below(&m->random, count) : next++;
        if (!r->leaves && next == count)
            next = 0;
        if (m->depths[at] >= r->depth)
            continue;
        make_split(m, m->growing[at]);
        uint32_t depth = m->depths[at] + 1, first = f->node_count - 2;
        m->growing[at] = first;
        m->growing[count] = first + 1;
        m->depths[at] = m->depths[count] = depth;
        count++;
    }
    f->trees[tree].output = random_below(&m->random, f->outputs);
    for (uint32_t i = 0; i < count; i++)
        make_leaf(m, m->growing[i], f->trees[tree].output);
}

struct forest *forest_make(const struct forest_recipe *recipe, uint64_t seed)
{
    struct forest *f = calloc(1, sizeof *f);
    uint32_t leaves = recipe->leaves ? recipe->leaves : 1u << recipe->depth;
    struct maker m = {.recipe = recipe, .forest = f, .random = seed};
    m.growing = malloc((leaves + 1) * sizeof *m.growing);
    m.depths = malloc((leaves + 1) * sizeof *m.depths);
    CHECK(f && m.growing && m.depths);
    f->features = recipe->features;
    f->outputs = recipe->outputs;
    f->input_type = recipe->input_type;
    f->sum_type = recipe->sum_type;
    f->base_first = recipe->base_first;
    f->tiny_is_zero = recipe->tiny_is_zero;
    f->category_rule = recipe->category_rule;
    f->tree_count = recipe->trees;
    f->link = LINK_IDENTITY;
    f->link_parameter = f->link_divisor = 1;
    f->trees = calloc(f->tree_count, sizeof *f->trees);
    f->base = calloc(f->outputs, sizeof *f->base);
    CHECK(f->trees && f->base);
    for (uint32_t o = 0; o < f->outputs; o++)
        f->base[o] = rounded(f, f->sum_type, random_unit(&m.random) - 0.5);
    for (uint32_t t = 0; t < f->tree_count; t++)
        make_tree(&m, t);
    if (!recipe->vector_leaves && !recipe->leaf_outputs) {
        free(f->leaf_outputs);
        f->leaf_outputs = NULL;
    }
    free(m.growing);
    free(m.depths);
    struct error err;
    CHECK(forest_check(f, &err) == STATUS_OK);
    return f;
}

/* --- rows ------------------------------------------------------------------------------------------------------------- */

static void put(const struct rows *rows, uint32_t row, uint32_t column, double x)
{
    char *at = (char *)(uintptr_t)rows->base + (size_t)row * rows->stride;
    if (rows->type == NUMBER_F32)
        ((float *)(void *)at)[column] = (float)x;
    else
        ((double *)(void *)at)[column] = x;
}

static double beside(enum number_type type, double x, int direction)
{
    if (direction == 0)
        return x;
    double to = direction < 0 ? -INFINITY : INFINITY;
    return type == NUMBER_F32 ? (double)nextafterf((float)x, (float)to) : nextafter(x, to);
}

static double hostile_value(const struct forest *forest, uint64_t *random)
{
    static const double special[] = {NAN, 0.0, -0.0, 1e-35, -1e-35, 1.0000000180025095e-35, 1.0000001e-35, 1e-45, -1e-45, INFINITY,
                                     -INFINITY, FLT_MAX, -FLT_MAX, -0.5, -1, 0.99, 16777215, 16777216, 2147483647, 2147483648.0, 4e9};
    uint32_t kind = random_below(random, 8);
    if (kind == 0)
        return special[random_below(random, sizeof special / sizeof special[0])];
    if (kind == 1)
        return NAN;
    if (kind == 2)
        return (double)random_below(random, 140); /* categories, some beyond every set */
    if (kind <= 5) {
        const struct forest_node *node = &forest->nodes[random_below(random, forest->node_count)];
        return beside(forest->input_type, node->threshold, (int)random_below(random, 3) - 1);
    }
    return random_unit(random) * 2.2 - 1.1;
}

static void make_rows(const struct forest *forest, uint32_t count, uint64_t seed, bool hostile, struct rows *out)
{
    uint64_t random = seed;
    size_t bytes = forest->features * number_type_bytes(forest->input_type);
    *out = (struct rows){.stride = (bytes + 63) / 64 * 64, .columns = forest->features, .type = forest->input_type};
    void *base = aligned_alloc(64, out->stride * count);
    CHECK(base);
    memset(base, 0xff, out->stride * count); /* NaN in the padding: nobody may look there */
    out->base = base;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t c = 0; c < forest->features; c++)
            put(out, i, c, hostile ? hostile_value(forest, &random) : random_unit(&random) * 2.2 - 1.1);
    }
}

void forest_make_rows(const struct forest *forest, uint32_t count, uint64_t seed, struct rows *out)
{
    make_rows(forest, count, seed, true, out);
}

void forest_make_plain_rows(const struct forest *forest, uint32_t count, uint64_t seed, struct rows *out)
{
    make_rows(forest, count, seed, false, out);
}
