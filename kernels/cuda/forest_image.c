#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/inputs.h"
#include "kernels/cpu/leaves.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/preorder.h"
#include "kernels/cuda/model.h"
#include "model/base/check.h"

struct maker {
    const struct forest *forest;
    struct inputs *inputs;
    struct tree_order order;
    uint32_t *places; /* [inputs] where an input of inputs.h is among those of the image, which are sorted by feature */
    uint32_t *queue;  /* a tree's nodes, breadth first */
    struct forest_image head;
    bool is_wide;
    char *image;
    size_t bytes;
};

/* --- what there is ---------------------------------------------------------------------------------------------------- */

static uint64_t count_nodes(const struct forest *forest)
{
    uint64_t nodes = 0;
    for (uint32_t t = 0; t < forest->tree_count; t++)
        nodes += 2 * (uint64_t)forest->trees[t].leaves - 1;
    return nodes;
}

/* Several numbers a leaf: 8 bytes hold how many where that is below 2^16, which is as many as there may be outputs and more. */
static bool leaves_fit_8_bytes(const struct maker *m)
{
    const struct forest *f = m->forest;
    for (uint32_t i = 0; i < f->node_count && !m->order.single; i++) {
        if (f->nodes[i].op == FOREST_LEAF && f->nodes[i].no > UINT16_MAX)
            return false;
    }
    return f->linear_count == 0;
}

static bool needs_16_bytes(const struct maker *m)
{
    return m->forest->input_type == NUMBER_F64 || m->inputs->count > UINT16_MAX || forest_largest_tree(m->forest) > UINT16_MAX ||
           !leaves_fit_8_bytes(m);
}

static struct forest_variant variant_of(const struct maker *m)
{
    return (struct forest_variant){.is_wide = m->is_wide, .sums_f64 = m->forest->sum_type == NUMBER_F64, .is_vector = !m->order.single};
}

/* Where everything goes. */
static void plan_places(struct maker *m, uint64_t nodes)
{
    const struct forest *f = m->forest;
    struct forest_image *h = &m->head;
    size_t end = 0, sum_bytes = number_type_bytes(f->sum_type), values = m->order.single && m->is_wide ? 0 : f->entry_count;
    (void)cuda_image_place(&end, 1, sizeof *h);
    *h = (struct forest_image){.trees = f->tree_count, .outputs = f->outputs, .inputs = m->inputs->count, .features = f->features,
                               .rows_f64 = f->input_type == NUMBER_F64, .base_first = f->base_first, .tiny_is_zero = f->tiny_is_zero,
                               .category_rule = (uint8_t)f->category_rule};
    h->input_first = cuda_image_place(&end, f->features + 1u, sizeof(uint32_t));
    h->rules = cuda_image_place(&end, m->inputs->count, sizeof(struct forest_rule));
    h->set_words = cuda_image_place(&end, f->set_word_count, sizeof(uint32_t));
    h->roots = cuda_image_place(&end, f->tree_count + 1u, sizeof(uint32_t));
    h->output_end = cuda_image_place(&end, f->outputs, sizeof(uint32_t));
    h->base = cuda_image_place(&end, f->outputs, sum_bytes);
    h->linear = cuda_image_place(&end, f->linear_count, sizeof(struct forest_formula));
    h->terms = cuda_image_place(&end, f->linear_term_count, sizeof(struct forest_term));
    h->values = cuda_image_place(&end, values, sum_bytes);
    h->value_outputs = cuda_image_place(&end, m->order.single ? 0 : f->entry_count, sizeof(uint32_t));
    end = (end + 127) / 128 * 128; /* the top of a tree in as few cache lines as may be */
    h->nodes = cuda_image_place(&end, nodes, m->is_wide ? sizeof(struct forest_node16) : sizeof(struct forest_node8));
    m->bytes = (end + CUDA_IMAGE_ALIGN - 1) / CUDA_IMAGE_ALIGN * CUDA_IMAGE_ALIGN;
}

/* --- inputs ----------------------------------------------------------------------------------------------------------- */

static struct forest_rule rule_of(const struct maker *m, uint32_t input)
{
    const struct inputs *in = m->inputs;
    const struct forest *f = m->forest;
    if (input < in->ordered && f->input_type == NUMBER_F32)
        return (struct forest_rule){.nan_key = ((const int32_t *)in->nan_key)[input], .tiny_limit = ((const int32_t *)in->tiny_limit)[input],
                                    .tiny_key = ((const int32_t *)in->tiny_key)[input]};
    if (input < in->ordered)
        return (struct forest_rule){.nan_key = ((const int64_t *)in->nan_key)[input], .tiny_limit = ((const int64_t *)in->tiny_limit)[input],
                                    .tiny_key = ((const int64_t *)in->tiny_key)[input]};
    const struct forest_node *node = &f->nodes[in->question[input - in->ordered]];
    struct forest_rule rule = {.operand = node->threshold, .missing = node->missing, .missing_yes = node->missing_yes};
    rule.kind = node->op == FOREST_MEMBER ? FOREST_RULE_MEMBER : node->op == FOREST_EQ ? FOREST_RULE_EQUAL : FOREST_RULE_NOT_EQUAL;
    if (rule.kind == FOREST_RULE_MEMBER) {
        rule.set_first = f->sets[node->set].first;
        rule.set_words = f->sets[node->set].words;
    }
    return rule;
}

static void put_inputs(struct maker *m)
{
    uint32_t *first = (uint32_t *)(void *)(m->image + m->head.input_first);
    struct forest_rule *rules = (struct forest_rule *)(void *)(m->image + m->head.rules);
    for (uint32_t i = 0; i < m->inputs->count; i++)
        first[m->inputs->feature[i] + 1]++;
    for (uint32_t k = 0; k < m->forest->features; k++)
        first[k + 1] += first[k];
    for (uint32_t i = m->inputs->count; i-- > 0;) { /* first[k + 1] moves down to where feature k begins */
        m->places[i] = --first[m->inputs->feature[i] + 1];
        rules[m->places[i]] = rule_of(m, i);
    }
    for (uint32_t k = 0; k < m->forest->features; k++)
        first[k] = first[k + 1];
    first[m->forest->features] = m->inputs->count;
}

/* --- trees ------------------------------------------------------------------------------------------------------------ */

static int64_t leaf_limit(const struct maker *m, const struct forest_node *leaf)
{
    const double *value = &m->forest->leaf_values[leaf->yes];
    int64_t wide;
    int32_t narrow;
    if (m->order.single && m->forest->sum_type == NUMBER_F32) {
        float rounded = (float)*value;
        memcpy(&narrow, &rounded, sizeof narrow);
        return narrow;
    }
    if (!m->order.single || !m->is_wide)
        return leaf->yes;
    memcpy(&wide, value, sizeof wide);
    return wide;
}

static void put_node(const struct maker *m, size_t at, int64_t limit, uint32_t input, uint32_t child)
{
    char *nodes = m->image + m->head.nodes;
    if (m->is_wide)
        ((struct forest_node16 *)(void *)nodes)[at] = (struct forest_node16){.limit = limit, .input = input, .child = child};
    else
        ((struct forest_node8 *)(void *)nodes)[at] =
            (struct forest_node8){.limit = (int32_t)limit, .input = (uint16_t)input, .child = (uint16_t)child};
}

/* Returns how many nodes the tree has. */
static uint32_t put_tree(const struct maker *m, uint32_t tree, size_t root)
{
    const struct forest *f = m->forest;
    uint32_t n = 0;
    m->queue[n++] = f->trees[tree].root;
    for (uint32_t i = 0; i < n; i++) {
        const struct forest_node *node = &f->nodes[m->queue[i]];
        if (node->op == FOREST_LEAF) {
            put_node(m, root + i, leaf_limit(m, node), m->order.single ? node->set : node->no, 0);
            continue;
        }
        struct inputs_test test = inputs_test_of(m->inputs, node);
        put_node(m, root + i, test.limit, m->places[test.input], n);
        m->queue[n++] = test.pass_is_yes ? node->no : node->yes;
        m->queue[n++] = test.pass_is_yes ? node->yes : node->no;
    }
    return n;
}

static void put_trees(const struct maker *m)
{
    uint32_t *roots = (uint32_t *)(void *)(m->image + m->head.roots);
    for (uint32_t t = 0; t < m->order.count; t++)
        roots[t + 1] = roots[t] + put_tree(m, m->order.tree[t], roots[t]);
}

/* --- the rest --------------------------------------------------------------------------------------------------------- */

static void put_numbers(const struct forest *f, char *to, const double *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float narrow = (float)numbers[i];
        if (f->sum_type == NUMBER_F32)
            memcpy(to + i * sizeof narrow, &narrow, sizeof narrow);
        else
            memcpy(to + i * sizeof *numbers, &numbers[i], sizeof *numbers);
    }
}

/* Which output each of several numbers of a leaf goes to. */
static void put_value_outputs(const struct maker *m)
{
    const struct forest *f = m->forest;
    uint32_t *outputs = (uint32_t *)(void *)(m->image + m->head.value_outputs);
    if (f->leaf_outputs) {
        memcpy(outputs, f->leaf_outputs, f->entry_count * sizeof *outputs);
        return;
    }
    for (uint32_t t = 0; t < f->tree_count; t++) {
        uint32_t n = forest_preorder(f, f->trees[t].root, m->queue);
        for (uint32_t i = 0; i < n; i++) {
            const struct forest_node *node = &f->nodes[m->queue[i]];
            for (uint32_t e = 0; node->op == FOREST_LEAF && e < node->no; e++)
                outputs[node->yes + e] = f->trees[t].output;
        }
    }
}

static void put_leaves(const struct maker *m)
{
    const struct forest *f = m->forest;
    put_numbers(f, m->image + m->head.base, f->base, f->outputs);
    if (m->order.single)
        memcpy(m->image + m->head.output_end, m->order.output_end, f->outputs * sizeof(uint32_t));
    else
        put_value_outputs(m);
    if (!m->order.single || !m->is_wide)
        put_numbers(f, m->image + m->head.values, f->leaf_values, f->entry_count);
    if (f->set_word_count)
        memcpy(m->image + m->head.set_words, f->set_words, f->set_word_count * sizeof *f->set_words);
    struct forest_formula *formulas = (struct forest_formula *)(void *)(m->image + m->head.linear);
    struct forest_term *terms = (struct forest_term *)(void *)(m->image + m->head.terms);
    for (uint32_t i = 0; i < f->linear_count; i++)
        formulas[i] = (struct forest_formula){f->linear[i].constant, f->linear[i].first, f->linear[i].count};
    for (uint32_t i = 0; i < f->linear_term_count; i++)
        terms[i] = (struct forest_term){.coefficient = f->linear_coefficients[i], .feature = f->linear_features[i]};
}

static enum status make(struct maker *m, struct error *err)
{
    enum status status = inputs_make(m->forest, &m->inputs, err);
    if (status == STATUS_OK)
        status = tree_order_make(m->forest, &m->order, err);
    if (status != STATUS_OK)
        return status;
    uint64_t nodes = count_nodes(m->forest);
    if (nodes >= UINT32_MAX)
        return error_set(err, STATUS_UNSUPPORTED, "a forest of %llu nodes: the CUDA engine takes up to 2^32", (unsigned long long)nodes);
    if (!m->order.single && m->forest->linear_count)
        return error_set(err, STATUS_UNSUPPORTED, "leaves of several numbers beside linear ones: only the CPU engine takes these");
    m->is_wide = needs_16_bytes(m);
    plan_places(m, nodes);
    m->places = calloc(m->inputs->count + 1u, sizeof *m->places);
    m->queue = calloc(forest_largest_tree(m->forest), sizeof *m->queue);
    m->image = aligned_alloc(CUDA_IMAGE_ALIGN, m->bytes);
    if (!m->places || !m->queue || !m->image)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    memset(m->image, 0, m->bytes);
    memcpy(m->image, &m->head, sizeof m->head);
    put_inputs(m);
    put_trees(m);
    put_leaves(m);
    return STATUS_OK;
}

enum status forest_image_make(struct cuda_model *model, struct error *err)
{
    struct maker m = {.forest = model->forest};
    enum status status = make(&m, err);
    if (status == STATUS_OK) {
        model->image = m.image;
        model->image_bytes = m.bytes;
        model->variant = variant_of(&m);
        model->forest_head = m.head;
    } else {
        free(m.image);
    }
    inputs_free(m.inputs);
    tree_order_free(&m.order);
    free(m.places);
    free(m.queue);
    return status;
}
