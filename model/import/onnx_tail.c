/*
 * The operators that converters and people put behind an ensemble. Each either leaves the scores of a row as they are,
 * or becomes part of the forest's base or link; what would need arithmetic of its own between the two is refused.
 */
#include <math.h>
#include <stdlib.h>

#include "model/import/onnx_forest.h"

static bool refuse(struct onnx_forest *x, const struct onnx_node *node, const char *why)
{
    return onnx_fail_node(x->g, node, STATUS_UNSUPPORTED, "behind a tree ensemble %s", why);
}

/* Sums as they are: nothing has been made of them yet. */
static bool is_plain(const struct onnx_forest *x)
{
    const struct forest *f = x->builder.forest;
    return (f->link == LINK_IDENTITY || f->link == LINK_IDENTITY_F32) && x->columns == f->outputs;
}

static bool keep(struct onnx_forest *x, const struct onnx_node *node)
{
    (void)x;
    (void)node;
    return true;
}

/* A row of one number stays one, whatever the shape around it. */
static bool reshape(struct onnx_forest *x, const struct onnx_node *node)
{
    return x->columns == 1 || refuse(x, node, "only a single column can change its shape");
}

static bool cast(struct onnx_forest *x, const struct onnx_node *node)
{
    int64_t to = onnx_whole_or(x->g, node, "to", ONNX_UNDEFINED);
    bool same = to == (x->out->output_type == NUMBER_F32 ? ONNX_FLOAT : ONNX_DOUBLE);
    bool wider = to == ONNX_DOUBLE; /* every float32 is a double */
    return same || wider || refuse(x, node, "a score can be cast to float or double only");
}

/* The constant input of a node of two inputs; the other one leads to the ensemble. */
static bool read_constant(struct onnx_forest *x, const struct onnx_node *node, struct f64s *out)
{
    struct onnx_tensor tensor;
    uint32_t other = onnx_tail_input(x->g, node) == 0 ? 1 : 0;
    if (!onnx_constant(x->g, onnx_input(x->g, node, other), &tensor))
        return refuse(x, node, "its other input must be a constant");
    return onnx_tensor_numbers(x->g, &tensor, out);
}

static bool add(struct onnx_forest *x, const struct onnx_node *node)
{
    struct forest *f = x->builder.forest;
    struct f64s numbers = {0};
    bool done = read_constant(x, node, &numbers);
    if (done && (!is_plain(x) || f->link_divisor != 1 || (numbers.size != 1 && numbers.size != f->outputs)))
        done = refuse(x, node, "a constant is added to plain sums only, one to all or one to each");
    for (uint32_t i = 0; done && i < f->outputs; i++) {
        if (f->base[i] != 0)
            done = refuse(x, node, "a constant is added only where there are no base_values");
        else
            f->base[i] = numbers.items[numbers.size == 1 ? 0 : i];
    }
    free(numbers.items);
    return done;
}

/* Mul by 1 is what onnxmltools writes behind LightGBM; Div by the number of trees stands for an average. */
static bool scale(struct onnx_forest *x, const struct onnx_node *node)
{
    struct forest *f = x->builder.forest;
    struct f64s numbers = {0};
    bool done = read_constant(x, node, &numbers), divides = onnx_is(node->op, "Div");
    double by = done && numbers.size == 1 ? numbers.items[0] : (double)NAN;
    free(numbers.items);
    if (!done || by == 1)
        return done;
    if (!divides || !(by > 0 && isfinite(by)) || !is_plain(x) || f->link_divisor != 1)
        return refuse(x, node, "only plain sums are divided, and nothing is multiplied, by other than 1");
    for (uint32_t i = 0; i < f->outputs; i++) {
        if (f->base[i] != 0 && f->sum_type == NUMBER_F64)
            return refuse(x, node, "sums with base_values in double are not divided");
    }
    f->link_divisor = by;
    if (f->sum_type == NUMBER_F32)
        f->link = LINK_IDENTITY_F32;
    return true;
}

static bool set_link(struct onnx_forest *x, const struct onnx_node *node, enum link narrow, enum link wide)
{
    struct forest *f = x->builder.forest;
    if (!is_plain(x) || f->link_divisor != 1)
        return refuse(x, node, "this operator is taken on plain sums only");
    f->link = x->out->output_type == NUMBER_F32 ? narrow : wide;
    return true;
}

static bool sigmoid(struct onnx_forest *x, const struct onnx_node *node)
{
    return set_link(x, node, LINK_SIGMOID_ONNX, LINK_SIGMOID_F64);
}

static bool exponential(struct onnx_forest *x, const struct onnx_node *node)
{
    return set_link(x, node, LINK_EXP_F32, LINK_EXP_F64);
}

static bool softmax(struct onnx_forest *x, const struct onnx_node *node)
{
    int64_t axis = onnx_whole_or(x->g, node, "axis", x->g->opset < 13 ? 1 : -1);
    if (axis != 1 && axis != -1)
        return refuse(x, node, "a softmax goes over the row");
    return set_link(x, node, x->columns == 2 ? LINK_SOFTMAX_SECOND_ONNX : LINK_SOFTMAX_ONNX, LINK_SOFTMAX_F64);
}

/* Takes columns out of a row: only class 1 out of two, whose probability is the score already. */
static bool pick(struct onnx_forest *x, const struct onnx_node *node)
{
    struct f64s numbers = {0};
    bool done = read_constant(x, node, &numbers);
    bool second =
        done && numbers.size == 1 && numbers.items[0] == 1 && x->columns == 2 && x->builder.forest->outputs == 1;
    bool by_column = onnx_is(node->op, "ArrayFeatureExtractor") || onnx_whole_or(x->g, node, "axis", 0) == 1;
    free(numbers.items);
    if (!done || (second && by_column)) {
        x->columns = 1;
        return done;
    }
    return refuse(x, node, "only the column of class 1 out of two can be taken");
}

/* [1 - p, p] out of p, as skl2onnx makes the probabilities of two classes. */
static bool concat(struct onnx_forest *x, const struct onnx_node *node)
{
    struct onnx_graph *g = x->g;
    int64_t axis = onnx_whole_or(g, node, "axis", 0);
    const struct onnx_source *first = onnx_source(g, onnx_input(g, node, 0));
    const struct onnx_node *complement = first && first->maker == ONNX_BY_NODE ? &g->nodes[first->index] : NULL;
    struct span p = onnx_input(g, node, 1);
    struct onnx_tensor one;
    struct f64s number = {0};
    bool taken = node->inputs == 2 && (axis == 1 || axis == -1) && x->columns == 1 && complement &&
                 onnx_node_is(complement, "", "Sub") && complement->inputs == 2 &&
                 span_equal(onnx_input(g, complement, 1), p.data, p.len) &&
                 onnx_constant(g, onnx_input(g, complement, 0), &one) && onnx_tensor_numbers(g, &one, &number) &&
                 number.size == 1 && number.items[0] == 1;
    free(number.items);
    x->columns = 2;
    return taken || refuse(x, node, "only 1 - p and p can be put side by side");
}

static const struct tail {
    const char *domain, *op;
    int input; /* what leads to the ensemble; -1: the one that is no constant */
    bool (*apply)(struct onnx_forest *x, const struct onnx_node *node);
} tails[] = {
    {"", "Identity", 0, keep},     {"", "Dropout", 0, keep}, /* does nothing when a model is used */
    {"", "Flatten", 0, keep},      {"ai.onnx.ml", "ZipMap", 0, keep},
    {"", "Reshape", 0, reshape},   {"", "Squeeze", 0, reshape},
    {"", "Unsqueeze", 0, reshape}, {"", "Cast", 0, cast},
    {"", "Add", -1, add},          {"", "Mul", -1, scale},
    {"", "Div", 0, scale},         {"", "Sigmoid", 0, sigmoid},
    {"", "Exp", 0, exponential},   {"", "Softmax", 0, softmax},
    {"", "Gather", 0, pick},       {"ai.onnx.ml", "ArrayFeatureExtractor", 0, pick},
    {"", "Concat", 1, concat},
};

static const struct tail *find_tail(const struct onnx_node *node)
{
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        if (onnx_node_is(node, tails[i].domain, tails[i].op))
            return &tails[i];
    }
    return NULL;
}

int onnx_tail_input(struct onnx_graph *g, const struct onnx_node *node)
{
    const struct tail *tail = find_tail(node);
    struct onnx_tensor tensor;
    if (!tail)
        return -1;
    if (tail->input >= 0)
        return tail->input;
    return onnx_constant(g, onnx_input(g, node, 0), &tensor) ? 1 : 0;
}

bool onnx_tail_apply(struct onnx_forest *x, const struct onnx_node *node)
{
    return find_tail(node)->apply(x, node);
}
