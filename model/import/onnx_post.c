/*
 * What the sums of an ONNX ensemble mean, as ONNX Runtime has it where the standard is silent:
 *
 *   - base values are added after all trees;
 *   - a classifier of two labels whose weights name one class only: they are those of class 1, the answer is
 *     [1 - p, p];
 *   - a regressor of one target knows no post_transform.
 *
 * Where ONNX Runtime's answer depends on which leaf a row reaches, or contradicts the standard, the model is refused:
 * there is no right score to give. For two classes the score is the probability of class 1, and what class 0 alone
 * needs is dropped.
 */
#include <stdlib.h>
#include <string.h>

#include "model/import/onnx_forest.h"

static bool read_post(struct onnx_forest *x, enum onnx_post *out)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const struct onnx_attribute *a = onnx_attribute(x->g, x->node, "post_transform");
    *out = ONNX_POST_NONE;
    if (!a)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (onnx_is(a->text, names[i])) {
            *out = (enum onnx_post)i;
            return true;
        }
    }
    return onnx_fail_node(x->g, x->node, STATUS_INVALID, "post_transform '%.*s' is not known", ONNX_TEXT(a->text));
}

static bool read_base(struct onnx_forest *x)
{
    int32_t type;
    if (!onnx_attribute_numbers(x->g, x->node, "base_values_as_tensor", &x->base, &type))
        return false;
    return x->base.size > 0 || onnx_reals(x->g, x->node, "base_values", &x->base);
}

bool onnx_allocate_base(struct onnx_forest *x, uint32_t outputs)
{
    struct forest *f = x->builder.forest;
    if (outputs == 0 || outputs > FOREST_OUTPUTS_MAX)
        return onnx_fail_node(x->g, x->node, STATUS_LIMIT, "%u outputs; 1 to %d are supported", outputs,
                              FOREST_OUTPUTS_MAX);
    f->outputs = outputs;
    f->base = calloc(outputs, sizeof *f->base);
    return f->base || onnx_out_of_memory(x->g);
}

/* The scores' type is the file's: ml 1 and 3 give float32 even where they sum in double. */
static bool set_link(struct onnx_forest *x, enum onnx_post post)
{
    struct forest *f = x->builder.forest;
    bool wide = x->out->output_type == NUMBER_F64;
    switch (post) {
    case ONNX_POST_NONE:
        f->link = f->sum_type == x->out->output_type ? LINK_IDENTITY : LINK_IDENTITY_F32;
        return true;
    case ONNX_POST_LOGISTIC:
        f->link = wide ? LINK_SIGMOID_F64 : LINK_SIGMOID_ONNX;
        return true;
    case ONNX_POST_SOFTMAX:
        f->link = wide ? LINK_SOFTMAX_F64 : LINK_SOFTMAX_ONNX;
        return true;
    case ONNX_POST_SOFTMAX_ZERO:
    case ONNX_POST_PROBIT:
        break;
    }
    return onnx_fail_node(x->g, x->node, STATUS_UNSUPPORTED,
                          "post_transform %s is not supported; NONE, LOGISTIC, SOFTMAX are",
                          post == ONNX_POST_PROBIT ? "PROBIT" : "SOFTMAX_ZERO");
}

/* One output an id: the plain case. */
static bool keep_all(struct onnx_forest *x, size_t ids)
{
    uint32_t *map = import_grow(x->g->memory, x->output_of, &x->output_of_capacity, ids, sizeof *map);
    if (!map)
        return onnx_out_of_memory(x->g);
    x->output_of = map;
    x->ids = ids;
    for (size_t i = 0; i < ids; i++)
        map[i] = (uint32_t)i;
    return true;
}

bool onnx_targets(struct onnx_forest *x, int64_t targets, enum onnx_post post, enum onnx_aggregate aggregate,
                  size_t trees)
{
    struct forest *f = x->builder.forest;
    if (targets < 1 || targets > FOREST_OUTPUTS_MAX)
        return onnx_fail_node(x->g, x->node, STATUS_LIMIT, "n_targets %lld; 1 to %d are supported", (long long)targets,
                              FOREST_OUTPUTS_MAX);
    if (targets == 1 && post != ONNX_POST_NONE)
        return onnx_fail_node(
            x->g, x->node, STATUS_UNSUPPORTED,
            "a post_transform with a single target: the standard applies it, ONNX Runtime does not; use "
            "post_transform NONE and an operator such as Sigmoid behind it");
    if (aggregate > ONNX_SUM && trees > 1)
        return onnx_fail_node(x->g, x->node, STATUS_UNSUPPORTED,
                              "aggregate_function %s is not supported; SUM and AVERAGE are",
                              aggregate == ONNX_MIN ? "MIN" : "MAX");
    if (x->base.size > 0 && x->base.size != (size_t)targets)
        return onnx_fail_node(x->g, x->node, STATUS_INVALID, "%zu base_values for %lld targets", x->base.size,
                              (long long)targets);
    if (!onnx_allocate_base(x, (uint32_t)targets) || !keep_all(x, (size_t)targets) || !set_link(x, post))
        return false;
    bool has_base = false;
    for (size_t i = 0; i < x->base.size; i++) {
        f->base[i] = x->base.items[i];
        has_base |= f->base[i] != 0;
    }
    x->columns = (uint32_t)targets;
    if (targets == 2 && f->link == LINK_SOFTMAX_ONNX)
        f->link = LINK_SOFTMAX_SECOND_ONNX;
    if (aggregate != ONNX_AVERAGE)
        return true;
    if (has_base)
        return onnx_fail_node(x->g, x->node, STATUS_UNSUPPORTED,
                              "aggregate_function AVERAGE with base_values is not supported");
    f->link_divisor = (double)trees;
    if (f->link == LINK_IDENTITY && f->sum_type == NUMBER_F32)
        f->link = LINK_IDENTITY_F32;
    return true;
}

static bool read_aggregate(struct onnx_forest *x, enum onnx_aggregate *out)
{
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    const struct onnx_attribute *a = onnx_attribute(x->g, x->node, "aggregate_function");
    *out = ONNX_SUM;
    if (!a)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (onnx_is(a->text, names[i])) {
            *out = (enum onnx_aggregate)i;
            return true;
        }
    }
    return onnx_fail_node(x->g, x->node, STATUS_INVALID, "aggregate_function '%.*s' is not known", ONNX_TEXT(a->text));
}

bool onnx_read_weights(struct onnx_forest *x)
{
    bool classes = onnx_is(x->node->op, "TreeEnsembleClassifier");
    struct onnx_graph *g = x->g;
    int32_t type;
    if (!onnx_wholes(g, x->node, classes ? "class_treeids" : "target_treeids", &x->weight_trees) ||
        !onnx_wholes(g, x->node, classes ? "class_nodeids" : "target_nodeids", &x->weight_nodes) ||
        !onnx_wholes(g, x->node, classes ? "class_ids" : "target_ids", &x->weight_ids) ||
        !onnx_attribute_numbers(g, x->node, classes ? "class_weights_as_tensor" : "target_weights_as_tensor",
                                &x->weights, &type))
        return false;
    if (x->weights.size == 0 && !onnx_reals(g, x->node, classes ? "class_weights" : "target_weights", &x->weights))
        return false;
    size_t n = x->weights.size;
    if (n == 0 || x->weight_trees.size != n || x->weight_nodes.size != n || x->weight_ids.size != n)
        return onnx_fail_node(g, x->node, STATUS_INVALID, "its lists of weights are empty or of different lengths");
    return true;
}

bool onnx_regressor(struct onnx_forest *x)
{
    enum onnx_post post;
    enum onnx_aggregate aggregate;
    if (!read_post(x, &post) || !read_aggregate(x, &aggregate) || !read_base(x))
        return false;
    int64_t targets = onnx_whole_or(x->g, x->node, "n_targets", 1);
    if (!onnx_targets(x, targets, post, aggregate, x->builder.forest->tree_count))
        return false;
    for (uint32_t o = 0; o < x->builder.forest->outputs; o++)
        x->needed[o] = targets > 1 && x->builder.forest->base[o] != 0;
    return true;
}

static bool count_labels(struct onnx_forest *x, size_t *out)
{
    struct i32s numbers = {0};
    bool read = onnx_wholes(x->g, x->node, "classlabels_int64s", &numbers);
    *out = numbers.size;
    free(numbers.items);
    struct protobuf texts = onnx_texts(onnx_attribute(x->g, x->node, "classlabels_strings"));
    struct span text;
    while (onnx_next_text(&texts, &text))
        ++*out;
    return read;
}

/* Two labels, and weights that name one of them. */
static bool one_class_of_two(struct onnx_forest *x, bool is_second, enum onnx_post post)
{
    struct forest *f = x->builder.forest;
    bool negative = false;
    for (size_t i = 0; i < x->weights.size; i++)
        negative |= x->weights.items[i] < 0;
    if (x->base.size > 1)
        return onnx_fail_node(x->g, x->node, STATUS_UNSUPPORTED,
                              "two base_values where the weights name one class of two");
    if (post == ONNX_POST_SOFTMAX || (post == ONNX_POST_NONE && negative && !is_second))
        return onnx_fail_node(x->g, x->node, STATUS_UNSUPPORTED,
                              "weights that name one class of two, some negative, want post_transform LOGISTIC");
    if (!onnx_allocate_base(x, 1) || !set_link(x, post))
        return false;
    x->output_of[0] = x->output_of[1] = 0;
    x->needed[0] = is_second;
    if (x->base.size == 1 && !is_second)
        f->base[0] = x->base.items[0];
    return true;
}

/* Both classes have weights. Each is transformed by itself, or both share a softmax, of which class 1 is wanted. */
static bool both_classes(struct onnx_forest *x, enum onnx_post post)
{
    struct forest *f = x->builder.forest;
    bool together = post == ONNX_POST_SOFTMAX;
    if (x->base.size > 1)
        return onnx_fail_node(
            x->g, x->node, STATUS_UNSUPPORTED,
            "two base_values where the weights name two classes: ONNX Runtime does not follow the standard there");
    bool two = together || x->both_classes;
    if (!onnx_allocate_base(x, two ? 2 : 1) || !set_link(x, post))
        return false;
    x->needed[two ? 1 : 0] = true;
    if (x->both_classes) {
        x->needed[0] = true;
        f->base[0] = x->base.size == 1 ? x->base.items[0] : 0;
        return true;
    }
    if (together) {
        f->link = LINK_SOFTMAX_SECOND_ONNX;
        if (x->base.size == 1) {
            f->base[0] = x->base.items[0];
            x->needed[0] = true;
        }
        return true;
    }
    x->output_of[0] = ONNX_DROPPED;
    x->output_of[1] = 0;
    return true;
}

bool onnx_classifier(struct onnx_forest *x)
{
    enum onnx_post post;
    size_t labels;
    if (!read_post(x, &post) || !read_base(x) || !count_labels(x, &labels))
        return false;
    if (labels < 2 || labels > FOREST_OUTPUTS_MAX)
        return onnx_fail_node(x->g, x->node, STATUS_UNSUPPORTED, "%zu class labels; 2 to %d are supported", labels,
                              FOREST_OUTPUTS_MAX);
    if (labels > 2)
        return onnx_targets(x, (int64_t)labels, post, ONNX_SUM, 1);
    if (!keep_all(x, labels))
        return false;
    bool first = false, second = false;
    for (size_t i = 0; i < x->weight_ids.size; i++) {
        first |= x->weight_ids.items[i] == 0;
        second |= x->weight_ids.items[i] == 1;
    }
    x->columns = 2;
    return first && second ? both_classes(x, post) : one_class_of_two(x, second, post);
}
