#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/forest.h"
#include "model/import/import.h"
#include "model/import/onnx_graph.h"
#include "tests/support/imported.h"
#include "tests/support/onnx_writer.h"

/* Two trees: tree 7 splits feature 0 at 0.5, node 4 into leaves 1 (true) and 2 (false); tree 3 is the leaf 0. */
struct ensemble {
    const char *op, *post, *aggregate, *modes;
    int64_t labels; /* classifier: class labels; regressor: targets */
    int tracks;
    float value;
    size_t bases, weights;
    float base[4];
    int64_t tree[6], leaf[6], id[6];
    float weight[6];
};

/* LEQ; leaves 10 and 20; the second tree adds 1. */
static const struct ensemble regressor = {
    .op = "TreeEnsembleRegressor",
    .modes = "BRANCH_LEQ LEAF LEAF LEAF",
    .labels = 1,
    .value = 0.5F,
    .weights = 3,
    .tree = {7, 7, 3},
    .leaf = {1, 2, 0},
    .id = {0, 0, 0},
    .weight = {10, 20, 1},
};

static struct buf node_of(const struct ensemble *e, const char *inputs, const char *outputs)
{
    bool classes = strstr(e->op, "Classifier") != NULL;
    struct buf node = onnx_node_of("ai.onnx.ml", e->op, inputs, outputs);
    onnx_put_wholes(&node, "nodes_treeids", 4, (const int64_t[]){7, 7, 7, 3});
    onnx_put_wholes(&node, "nodes_nodeids", 4, (const int64_t[]){4, 1, 2, 0});
    onnx_put_wholes(&node, "nodes_featureids", 4, (const int64_t[]){0, 0, 0, 0});
    onnx_put_wholes(&node, "nodes_truenodeids", 4, (const int64_t[]){1, 0, 0, 0});
    onnx_put_wholes(&node, "nodes_falsenodeids", 4, (const int64_t[]){2, 0, 0, 0});
    onnx_put_floats(&node, "nodes_values", 4, (const float[]){e->value, 0, 0, 0});
    onnx_put_strings(&node, "nodes_modes", e->modes);
    if (e->tracks)
        onnx_put_wholes(&node, "nodes_missing_value_tracks_true", 4, (const int64_t[]){1, 0, 0, 0});
    onnx_put_wholes(&node, classes ? "class_treeids" : "target_treeids", e->weights, e->tree);
    onnx_put_wholes(&node, classes ? "class_nodeids" : "target_nodeids", e->weights, e->leaf);
    onnx_put_wholes(&node, classes ? "class_ids" : "target_ids", e->weights, e->id);
    onnx_put_floats(&node, classes ? "class_weights" : "target_weights", e->weights, e->weight);
    if (e->bases > 0)
        onnx_put_floats(&node, "base_values", e->bases, e->base);
    if (e->post)
        onnx_put_string(&node, "post_transform", e->post);
    if (e->aggregate)
        onnx_put_string(&node, "aggregate_function", e->aggregate);
    if (classes)
        onnx_put_wholes(&node, "classlabels_int64s", (size_t)e->labels, (const int64_t[]){0, 1, 2, 3});
    else
        onnx_put_whole(&node, "n_targets", e->labels);
    return node;
}

static void put(struct buf *graph, uint32_t field, struct buf part)
{
    onnx_put_message(graph, field, &part);
}

static void put_value(struct buf *graph, bool is_input, const char *name, int type, int64_t width)
{
    put(graph, is_input ? 11 : 12, onnx_value_of(name, type, width));
}

/* X -> ensemble -> y, one input of two float columns. */
static struct buf graph_of(const struct ensemble *e)
{
    struct buf graph = {0};
    put(&graph, 1, node_of(e, "X", strstr(e->op, "Classifier") ? "label y" : "y"));
    put_value(&graph, true, "X", ONNX_FLOAT, 2);
    return graph;
}

static enum status try_load(struct buf *graph, struct imported *out, struct error *err)
{
    struct buf model = onnx_model_of(graph);
    enum status status = imported_load(&importer_onnx, model.data, model.len, out, err);
    buf_free(&model);
    return status;
}

/* Of the graph's one output; frees the graph. */
static struct imported load(struct buf graph, const char *output)
{
    struct imported imported;
    struct error err = {""};
    put_value(&graph, false, output, ONNX_FLOAT, 0);
    if (try_load(&graph, &imported, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    return imported;
}

static double score(const struct imported *imported, double x0)
{
    const double row[] = {x0, 0, 0};
    double scores[8];
    imported_score(imported, row, NULL, scores);
    return scores[0];
}

static double score_of(const struct ensemble *e, double x0)
{
    struct imported m = load(graph_of(e), "y");
    double value = score(&m, x0);
    imported_free(&m);
    return value;
}

static void regressor_adds_base_last(void **state)
{
    (void)state;
    struct ensemble e = regressor;
    e.bases = 1;
    e.base[0] = 0.25F;
    struct imported m = load(graph_of(&e), "y");
    assert_int_equal(m.features, 2);
    assert_false(m.has_margin);
    assert_false(m.forest->base_first);
    assert_string_equal(m.writer, "writer 1.2");
    assert_string_equal(m.objective, "TreeEnsembleRegressor");
    assert_true(score(&m, 0.5) == 11.25);
    assert_true(score(&m, 0.75) == 21.25);
    imported_free(&m);
}

static void modes_and_missing(void **state)
{
    (void)state;
    static const struct {
        const char *modes;
        bool below, equal, above, nan;
    } cases[] = {
        {"BRANCH_LEQ LEAF LEAF LEAF", true, true, false, false},
        {"BRANCH_LT LEAF LEAF LEAF", true, false, false, false},
        {"BRANCH_GTE LEAF LEAF LEAF", false, true, true, false},
        {"BRANCH_GT LEAF LEAF LEAF", false, false, true, false},
        {"BRANCH_EQ LEAF LEAF LEAF", false, true, false, false},
        {"BRANCH_NEQ LEAF LEAF LEAF", true, false, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ensemble e = regressor;
        e.modes = cases[i].modes;
        assert_true(score_of(&e, 0.25) == (cases[i].below ? 11 : 21));
        assert_true(score_of(&e, 0.5) == (cases[i].equal ? 11 : 21));
        assert_true(score_of(&e, 0.75) == (cases[i].above ? 11 : 21));
        assert_true(score_of(&e, (double)NAN) == (cases[i].nan ? 11 : 21));
        e.tracks = 1;
        assert_true(score_of(&e, (double)NAN) == 11);
    }
}

static void infinite_thresholds(void **state)
{
    (void)state;
    struct ensemble e = regressor;
    e.value = (float)INFINITY;
    assert_true(score_of(&e, 1e30) == 11);
    assert_true(score_of(&e, (double)INFINITY) == 11);
    assert_true(score_of(&e, (double)NAN) == 21);
}

static void averages(void **state)
{
    (void)state;
    struct ensemble e = regressor;
    e.aggregate = "AVERAGE";
    assert_true(score_of(&e, 0) == 5.5);
}

static void several_targets_a_leaf(void **state)
{
    (void)state;
    struct ensemble e = regressor;
    e.labels = 3;
    e.weights = 5;
    memcpy(e.tree, (const int64_t[]){7, 3, 7, 7, 3}, 5 * sizeof *e.tree);
    memcpy(e.leaf, (const int64_t[]){1, 0, 2, 1, 0}, 5 * sizeof *e.leaf);
    memcpy(e.id, (const int64_t[]){2, 1, 0, 0, 2}, 5 * sizeof *e.id);
    memcpy(e.weight, (const float[]){1, 2, 3, 4, 5}, 5 * sizeof *e.weight);
    struct imported m = load(graph_of(&e), "y");
    const double row[] = {0, 0};
    double scores[3];
    imported_score(&m, row, NULL, scores);
    assert_true(scores[0] == 4 && scores[1] == 2 && scores[2] == 6);
    imported_free(&m);
}

static struct ensemble classifier(const char *post, float a, float b, float c)
{
    struct ensemble e = regressor;
    e.op = "TreeEnsembleClassifier";
    e.post = post;
    e.labels = 2;
    memcpy(e.weight, (const float[]){a, b, c}, 3 * sizeof *e.weight);
    return e;
}

static void one_class_of_two(void **state)
{
    (void)state;
    struct ensemble e = classifier("LOGISTIC", -1, 2, 0.5F);
    assert_true(score_of(&e, 0) == (double)(1.0F - 1.0F / (1.0F + expf(-0.5F)))); /* mirrored for negative sums */
    e = classifier("NONE", 0.25F, 0.5F, 0.125F);
    assert_true(score_of(&e, 1) == 0.625);
    e.bases = 1;
    e.base[0] = 0.125F;
    assert_true(score_of(&e, 1) == 0.75);
    e = classifier("LOGISTIC", 0.25F, 0.5F, 0.125F); /* no negative weight: a sum all the same */
    assert_true(score_of(&e, 1) == (double)(1.0F / (1.0F + expf(-0.625F))));
}

/* Weights of both classes in each leaf of tree 7. */
static struct ensemble both(const char *post)
{
    struct ensemble e = classifier(post, 0, 0, 0);
    e.weights = 5;
    memcpy(e.tree, (const int64_t[]){7, 7, 7, 7, 3}, 5 * sizeof *e.tree);
    memcpy(e.leaf, (const int64_t[]){1, 1, 2, 2, 0}, 5 * sizeof *e.leaf);
    memcpy(e.id, (const int64_t[]){0, 1, 1, 0, 0}, 5 * sizeof *e.id);
    memcpy(e.weight, (const float[]){0.75F, 0.25F, 0.5F, 0.5F, 1}, 5 * sizeof *e.weight);
    return e;
}

static void both_classes(void **state)
{
    (void)state;
    struct ensemble e = both("NONE");
    struct imported m = load(graph_of(&e), "y");
    assert_int_equal(m.forest->outputs, 1);
    assert_true(score(&m, 0) == 0.25);
    imported_free(&m);
    e = both("SOFTMAX");
    m = load(graph_of(&e), "y");
    assert_int_equal(link_scores(m.forest->link, m.forest->outputs), 1);
    float first = expf(0), second = expf(0.5F - 1.5F);
    assert_true(score(&m, 1) == (double)(second / (first + second)));
    imported_free(&m);
}

static void more_classes(void **state)
{
    (void)state;
    struct ensemble e = classifier("SOFTMAX", 1, 2, 3);
    e.labels = 3;
    memcpy(e.id, (const int64_t[]){0, 2, 1}, 3 * sizeof *e.id);
    struct imported m = load(graph_of(&e), "y");
    const double row[] = {0, 0};
    double scores[3];
    imported_score(&m, row, NULL, scores);
    assert_true(scores[1] > scores[0] && scores[0] > scores[2]);
    assert_true(fabs(scores[0] + scores[1] + scores[2] - 1) < 1e-6);
    imported_free(&m);
}

static void what_converters_write_behind(void **state)
{
    (void)state;
    const float one = 1, offset = -21, count = 2;
    struct ensemble e = regressor;
    struct buf graph = graph_of(&e);
    put(&graph, 5, onnx_tensor_of("one", ONNX_FLOAT, -1, &one, sizeof one));
    put(&graph, 5, onnx_tensor_of("offset", ONNX_FLOAT, 1, &offset, sizeof offset));
    put(&graph, 1, onnx_node_of("", "Identity", "y", "a"));
    put(&graph, 1, onnx_node_of("", "Mul", "one a", "b"));
    put(&graph, 1, onnx_node_of("", "Add", "b offset", "c"));
    put(&graph, 1, onnx_node_of("", "Sigmoid", "c", "d"));
    put(&graph, 1, onnx_node_of("ai.onnx.ml", "ZipMap", "d", "z"));
    struct imported m = load(graph, "z");
    assert_true(score(&m, 1) == 0.5);
    imported_free(&m);

    graph = graph_of(&e);
    put(&graph, 5, onnx_tensor_of("count", ONNX_FLOAT, 1, &count, sizeof count));
    put(&graph, 1, onnx_node_of("", "Div", "y count", "mean"));
    m = load(graph, "mean");
    assert_true(score(&m, 1) == 10.5);
    imported_free(&m);
}

static void one_minus_p_and_p(void **state)
{
    (void)state;
    const float one = 1;
    const int64_t second = 1;
    struct ensemble e = regressor;
    struct buf graph = graph_of(&e);
    put(&graph, 5, onnx_tensor_of("one", ONNX_FLOAT, -1, &one, sizeof one));
    put(&graph, 5, onnx_tensor_of("k", ONNX_INT64, 1, &second, sizeof second));
    put(&graph, 1, onnx_node_of("", "Sigmoid", "y", "p"));
    put(&graph, 1, onnx_node_of("", "Sub", "one p", "q"));
    struct buf concat = onnx_node_of("", "Concat", "q p", "both");
    onnx_put_whole(&concat, "axis", 1);
    put(&graph, 1, concat);
    put(&graph, 1, onnx_node_of("ai.onnx.ml", "ArrayFeatureExtractor", "both k", "out"));
    struct imported m = load(graph, "out");
    assert_true(score(&m, 0) == (double)(1.0F / (1.0F + expf(-11))));
    imported_free(&m);
}

static void named_columns(void **state)
{
    (void)state;
    struct ensemble e = regressor;
    struct buf graph = {0};
    struct buf concat = onnx_node_of("", "Concat", "amount age", "X");
    onnx_put_whole(&concat, "axis", 1);
    put(&graph, 1, concat);
    put(&graph, 1, node_of(&e, "X", "y"));
    put_value(&graph, true, "amount", ONNX_FLOAT, 1);
    put_value(&graph, true, "age", ONNX_FLOAT, 1);
    struct imported m = load(graph, "y");
    assert_int_equal(m.features, 2);
    assert_string_equal(m.feature_names[0], "amount");
    assert_string_equal(m.feature_names[1], "age");
    imported_free(&m);
}

static void doubles(void **state)
{
    (void)state;
    struct ensemble e = regressor;
    struct buf graph = {0};
    put(&graph, 1, node_of(&e, "X", "y"));
    put_value(&graph, true, "X", ONNX_DOUBLE, 0); /* open width: one feature is asked for */
    struct imported m = load(graph, "y");
    assert_int_equal(m.features, 1);
    assert_int_equal(m.input_type, NUMBER_F64);
    assert_int_equal(m.output_type, NUMBER_F32);
    assert_true(score(&m, nextafter(0.5, 1)) == 21);
    imported_free(&m);
}

/* feature 0 in {1, 33}? leaf 0 : (feature 1 > 1.5 ? leaf 1 : leaf 0), the leaf shared. */
static struct buf ensemble5(const float members[4])
{
    struct buf graph = {0}, node = onnx_node_of("ai.onnx.ml", "TreeEnsemble", "X", "y");
    onnx_put_wholes(&node, "tree_roots", 1, (const int64_t[]){0});
    onnx_put_wholes(&node, "nodes_featureids", 2, (const int64_t[]){0, 1});
    onnx_put_tensor(&node, "nodes_modes", ONNX_UINT8, 2, "\x06\x03", 2);
    onnx_put_tensor(&node, "nodes_splits", ONNX_FLOAT, 2, (const float[]){0, 1.5F}, 8);
    onnx_put_wholes(&node, "nodes_truenodeids", 2, (const int64_t[]){0, 1});
    onnx_put_wholes(&node, "nodes_falsenodeids", 2, (const int64_t[]){1, 0});
    onnx_put_wholes(&node, "nodes_trueleafs", 2, (const int64_t[]){1, 1});
    onnx_put_wholes(&node, "nodes_falseleafs", 2, (const int64_t[]){0, 1});
    onnx_put_wholes(&node, "leaf_targetids", 2, (const int64_t[]){0, 0});
    onnx_put_tensor(&node, "leaf_weights", ONNX_FLOAT, 2, (const float[]){1, 2}, 8);
    onnx_put_tensor(&node, "membership_values", ONNX_FLOAT, 4, members, 16);
    put(&graph, 1, node);
    put_value(&graph, true, "X", ONNX_FLOAT, 2);
    return graph;
}

static void version_5(void **state)
{
    (void)state;
    struct imported m = load(ensemble5((const float[]){1, 33, 0, (float)NAN}), "y");
    static const struct {
        double x0, x1, want;
    } rows[] = {
        {1, 9, 1},  {33, 9, 1}, {0, 9, 1},    {2, 9, 2},           {2, 1, 1},    {1.5, 9, 2},
        {-1, 9, 2}, {65, 9, 2}, {1e30, 9, 2}, {(double)NAN, 9, 2}, {-0.0, 9, 1}, {-0.5, 9, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double got;
        imported_score(&m, &rows[i].x0, NULL, &got);
        assert_true(got == rows[i].want);
    }
    imported_free(&m);
}

static void tensor_types(void **state)
{
    (void)state;
    static const struct {
        int type;
        size_t len;
        const char *raw;
        double want[2];
    } cases[] = {
        {ONNX_FLOAT16, 4, "\x00\x3c\x01\x80", {1, -0x1p-24}},
        {ONNX_BFLOAT16, 4, "\xc0\x3f\x80\xff", {1.5, -HUGE_VAL}},
        {ONNX_INT8, 2, "\xff\x7f", {-1, 127}},
        {ONNX_UINT8, 2, "\xff\x7f", {255, 127}},
        {ONNX_INT16, 4, "\xff\xff\x01\x00", {-1, 1}},
        {ONNX_UINT16, 4, "\xff\xff\x01\x00", {65535, 1}},
        {ONNX_INT32, 8, "\xff\xff\xff\xff\x02\x00\x00\x00", {-1, 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf message = onnx_tensor_of("t", cases[i].type, 2, cases[i].raw, cases[i].len);
        const struct import_file file = {.path = "model", .data = message.data, .len = message.len};
        struct import_memory memory = import_memory_of(message.len);
        struct error err;
        struct onnx_graph g = {.file = &file, .memory = &memory, .err = &err};
        struct onnx_tensor tensor;
        struct f64s numbers = {0};
        assert_true(onnx_tensor_read(&g, (struct span){message.data, (uint32_t)message.len}, &tensor));
        assert_true(onnx_tensor_numbers(&g, &tensor, &numbers));
        assert_true(numbers.size == 2 && numbers.items[0] == cases[i].want[0] && numbers.items[1] == cases[i].want[1]);
        free(numbers.items);
        buf_free(&message);
    }
}

static void must_refuse(struct buf graph, const char *output, const char *names)
{
    struct imported m;
    struct error err = {""};
    put_value(&graph, false, output, ONNX_FLOAT, 0);
    assert_int_not_equal(try_load(&graph, &m, &err), STATUS_OK);
    if (!strstr(err.message, names))
        fail_msg("'%s' does not name '%s'", err.message, names);
}

static void refuses_ensembles(void **state)
{
    (void)state;
    struct ensemble e = regressor;
    e.aggregate = "MIN";
    must_refuse(graph_of(&e), "y", "MIN");
    e = regressor;
    e.post = "LOGISTIC";
    must_refuse(graph_of(&e), "y", "single target");
    e = regressor;
    e.labels = 2;
    e.post = "PROBIT";
    must_refuse(graph_of(&e), "y", "PROBIT");
    e = regressor;
    e.modes = "BRANCH_LEQ LEAF LEAF";
    must_refuse(graph_of(&e), "y", "nodes_modes");
    e.modes = "BRANCH_SIDEWAYS LEAF LEAF LEAF";
    must_refuse(graph_of(&e), "y", "tree 7, node 4");
    e = regressor;
    e.value = (float)NAN;
    must_refuse(graph_of(&e), "y", "not a number");
    e = regressor;
    e.weight[1] = (float)NAN;
    must_refuse(graph_of(&e), "y", "not a finite number");
    e = regressor;
    e.leaf[2] = 5;
    must_refuse(graph_of(&e), "y", "node 5");
    e = regressor;
    e.id[0] = 1;
    must_refuse(graph_of(&e), "y", "target 1");
    e = regressor;
    e.labels = 1 << 20;
    must_refuse(graph_of(&e), "y", "n_targets");
    e = classifier("NONE", -1, 2, 0);
    must_refuse(graph_of(&e), "y", "LOGISTIC");
    e = classifier("NONE", 1, 2, 0);
    e.labels = 1;
    must_refuse(graph_of(&e), "y", "1 class labels");
    e = both("NONE");
    e.id[1] = 0; /* leaf 1 knows nothing of class 1 */
    must_refuse(graph_of(&e), "y", "each class");
    must_refuse(ensemble5((const float[]){1, 1.5F, 0, (float)NAN}), "y", "1.5");
}

static void refuses_graphs(void **state)
{
    (void)state;
    struct ensemble e = regressor;
    struct buf graph = graph_of(&e);
    put(&graph, 1, onnx_node_of("", "Einsum", "y", "z"));
    must_refuse(graph, "z", "Einsum");

    graph = (struct buf){0};
    put(&graph, 1, node_of(&e, "X", "y"));
    put_value(&graph, true, "X", ONNX_STRING, 2);
    must_refuse(graph, "y", "encode texts");

    graph = graph_of(&e);
    put(&graph, 1, onnx_node_of("", "Identity", "b", "a"));
    put(&graph, 1, onnx_node_of("", "Identity", "a", "b"));
    must_refuse(graph, "b", "cycle");

    graph = graph_of(&e);
    put(&graph, 1, onnx_node_of("", "Identity", "nothing", "b"));
    must_refuse(graph, "b", "'nothing'");

    graph = graph_of(&e);
    put(&graph, 1, onnx_node_of("", "Identity", "X", "y"));
    must_refuse(graph, "y", "made twice");

    graph = graph_of(&e);
    must_refuse(graph, "elsewhere", "'elsewhere'");

    graph = (struct buf){0};
    put(&graph, 1, onnx_node_of("", "Gemm", "X", "z"));
    put(&graph, 1, onnx_node_of("", "Relu", "z", "y"));
    put_value(&graph, true, "X", ONNX_FLOAT, 2);
    must_refuse(graph, "y", "Gemm");
}

static void refuses_external_data_elsewhere(void **state)
{
    (void)state;
    static const char *const places[] = {"/etc/passwd", "../weights", "a/b", ".hidden", "", "a\\b"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct ensemble e = regressor;
        struct buf graph = graph_of(&e), tensor = onnx_tensor_of("W", ONNX_FLOAT, 1, "", 0), entry = {0};
        onnx_put_text(&entry, 1, "location");
        onnx_put_text(&entry, 2, places[i]);
        onnx_put_message(&tensor, 13, &entry);
        onnx_put_varint(&tensor, 14, 1);
        put(&graph, 5, tensor);
        must_refuse(graph, "y", "external");
    }
}

/* A file cut anywhere is refused, or means less; it is never read past its end. */
static void survives_every_cut(void **state)
{
    (void)state;
    struct ensemble e = both("SOFTMAX");
    struct buf graph = graph_of(&e);
    put_value(&graph, false, "y", ONNX_FLOAT, 0);
    struct buf model = onnx_model_of(&graph);
    for (size_t len = 0; len < model.len; len++) {
        char *part = malloc(len + 1);
        assert_non_null(part);
        memcpy(part, model.data, len);
        struct imported m;
        struct error err;
        if (imported_load(&importer_onnx, part, len, &m, &err) == STATUS_OK)
            imported_free(&m);
        free(part);
    }
    buf_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regressor_adds_base_last),
        cmocka_unit_test(modes_and_missing),
        cmocka_unit_test(infinite_thresholds),
        cmocka_unit_test(averages),
        cmocka_unit_test(several_targets_a_leaf),
        cmocka_unit_test(one_class_of_two),
        cmocka_unit_test(both_classes),
        cmocka_unit_test(more_classes),
        cmocka_unit_test(what_converters_write_behind),
        cmocka_unit_test(one_minus_p_and_p),
        cmocka_unit_test(named_columns),
        cmocka_unit_test(doubles),
        cmocka_unit_test(version_5),
        cmocka_unit_test(tensor_types),
        cmocka_unit_test(refuses_ensembles),
        cmocka_unit_test(refuses_graphs),
        cmocka_unit_test(refuses_external_data_elsewhere),
        cmocka_unit_test(survives_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
