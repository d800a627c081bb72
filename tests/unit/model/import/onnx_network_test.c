/* ONNX graphs as networks: each operator on a few numbers that are worked out by hand, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/forest.h"
#include "model/import/import.h"
#include "model/import/onnx_graph.h"
#include "model/network.h"
#include "tests/support/imported.h"
#include "tests/support/onnx_writer.h"

/* --- graphs ----------------------------------------------------------------------------------------------------------- */

static void put(struct buf *graph, uint32_t field, struct buf message)
{
    onnx_put_message(graph, field, &message);
}

static void put_op(struct buf *graph, const char *op, const char *inputs, const char *outputs)
{
    put(graph, 1, onnx_node_of("", op, inputs, outputs));
}

static void put_floats(struct buf *graph, const char *name, uint32_t rank, const int64_t *dims, const float *values)
{
    size_t n = 1;
    for (uint32_t i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    put(graph, 5, onnx_tensor_shaped(name, ONNX_FLOAT, rank, dims, values, n * sizeof *values));
}

static void put_list(struct buf *graph, const char *name, size_t n, const float *values)
{
    put_floats(graph, name, 1, (const int64_t[]){(int64_t)n}, values);
}

static void put_wholes(struct buf *graph, const char *name, size_t n, const int64_t *values)
{
    put(graph, 5, onnx_tensor_shaped(name, ONNX_INT64, 1, (const int64_t[]){(int64_t)n}, values, n * sizeof *values));
}

static struct buf graph_of(int64_t features)
{
    struct buf graph = {0};
    put(&graph, 11, onnx_value_of("x", ONNX_FLOAT, features));
    return graph;
}

static enum status try_load(struct buf *graph, struct imported *out, struct error *err)
{
    put(graph, 12, onnx_value_of("y", ONNX_FLOAT, 0));
    struct buf model = onnx_model_of(graph);
    enum status status = imported_load(&importer_onnx, model.data, model.len, out, err);
    buf_free(&model);
    return status;
}

static struct imported load(struct buf graph)
{
    struct imported m;
    struct error err;
    if (try_load(&graph, &m, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    assert_non_null(m.network);
    return m;
}

static bool same(double got, double want)
{
    return isnan(want) ? isnan(got) : got == want;
}

/* The graph gives these scores for this row, and is gone. */
static void gives(struct buf graph, const double *row, uint32_t n, const double *want)
{
    double got[64];
    struct imported m = load(graph);
    assert_int_equal(m.network->outputs, n);
    imported_score(&m, row, NULL, got);
    for (uint32_t i = 0; i < n; i++) {
        if (!same(got[i], want[i]))
            fail_msg("score %u is %.9g, not %.9g", i, got[i], want[i]);
    }
    imported_free(&m);
}

static void must_refuse(struct buf graph, enum status status, const char *names)
{
    struct imported m;
    struct error err = {""};
    enum status got = try_load(&graph, &m, &err);
    if (got != status || !strstr(err.message, names))
        fail_msg("%s '%s', not %s naming '%s'", status_name(got), err.message, status_name(status), names);
}

#define ROW(...) (const double[]){__VA_ARGS__}
#define FLOATS(...) (const float[]){__VA_ARGS__}
#define DIMS(...) (const int64_t[]){__VA_ARGS__}

/* --- layers ----------------------------------------------------------------------------------------------------------- */

/* Sums start with the bias and go on with the inputs in order, each step rounded once. */
static float chain(float bias, const double *x, const float *w, uint32_t n, uint32_t step)
{
    for (uint32_t i = 0; i < n; i++)
        bias = fmaf((float)x[i], w[i * step], bias);
    return bias;
}

static void gemm(void **state)
{
    (void)state;
    const double row[] = {0.1, -3.3, 7.7};
    const float w[] = {0.3f, 1.1f, -0.7f, 1e-3f, 2.3f, -0.9f}; /* [2][3] */
    struct buf graph = graph_of(3), node = onnx_node_of("", "Gemm", "x W b", "s");
    onnx_put_whole(&node, "transB", 1);
    put(&graph, 1, node);
    put_op(&graph, "Relu", "s", "y");
    put_floats(&graph, "W", 2, DIMS(2, 3), w);
    put_list(&graph, "b", 2, FLOATS(0.25f, 0.5f));
    struct imported m = load(graph);
    double got[2], first = (double)chain(0.25f, row, w, 3, 1), second = (double)chain(0.5f, row, w + 3, 3, 1);
    assert_int_equal(m.network->op_count, 1); /* the function went into the layer */
    imported_score(&m, row, NULL, got);
    assert_true(first < 0 && second < 0 && got[0] == 0 && got[1] == 0);
    const double turned[] = {-0.1, 3.3, -7.7};
    imported_score(&m, turned, NULL, got);
    assert_true(got[0] == (double)chain(0.25f, turned, w, 3, 1) && got[1] == (double)chain(0.5f, turned, w + 3, 3, 1));
    imported_free(&m);
}

static void bias_of_a_later_add(void **state)
{
    (void)state;
    const double row[] = {0.1, -3.3};
    const float w[] = {0.3f, 1.1f, -0.7f, 1e-3f}; /* [2][2] */
    struct buf graph = graph_of(2);
    put_op(&graph, "MatMul", "x W", "s");
    put_op(&graph, "Add", "b s", "y");
    put_floats(&graph, "W", 2, DIMS(2, 2), w);
    put_floats(&graph, "b", 2, DIMS(1, 2), FLOATS(0.7f, -1.9f));
    gives(graph, row, 2, ROW((double)chain(0.7f, row, w, 2, 2), (double)chain(-1.9f, row, w + 1, 2, 2)));
}

/* BatchNormalization goes into the weights; they are rounded once. */
static void batch_normalization(void **state)
{
    (void)state;
    const double row[] = {0.75, -1.5};
    const float w[] = {0.5f, -0.25f};
    struct buf graph = graph_of(2), node = onnx_node_of("", "BatchNormalization", "s scale shift mean variance", "y");
    onnx_put_real(&node, "epsilon", 0);
    put_op(&graph, "MatMul", "x W", "s");
    put(&graph, 1, node);
    put_floats(&graph, "W", 2, DIMS(2, 1), w);
    put_list(&graph, "scale", 1, FLOATS(3));
    put_list(&graph, "shift", 1, FLOATS(1));
    put_list(&graph, "mean", 1, FLOATS(0.125f));
    put_list(&graph, "variance", 1, FLOATS(4));
    gives(graph, row, 1, ROW((0.375 + 0.375 - 0.125) * 3 / 2 + 1));
}

static void layer_normalization(void **state)
{
    (void)state;
    struct buf graph = graph_of(4), node = onnx_node_of("", "LayerNormalization", "g scale shift", "n");
    onnx_put_real(&node, "epsilon", 0);
    put_op(&graph, "Reshape", "x shape", "g"); /* two groups of two */
    put(&graph, 1, node);
    put_op(&graph, "Flatten", "n", "y");
    put_wholes(&graph, "shape", 3, DIMS(-1, 2, 2));
    put_list(&graph, "scale", 2, FLOATS(1, 10));
    put_list(&graph, "shift", 2, FLOATS(0.5f, 0));
    gives(graph, ROW(1, 3, -8, 8), 4, ROW(-0.5, 10, -0.5, 10));
}

static void embedding(void **state)
{
    (void)state;
    const double nan = (double)NAN;
    for (int i = 0; i < 5; i++) {
        static const double index[] = {1, 2.9, -1, 3, -4};
        const double want[5][2] = {{3, 4}, {5, 6}, {5, 6}, {nan, nan}, {nan, nan}};
        struct buf graph = graph_of(2), cast = onnx_node_of("", "Cast", "x", "i"), pick = onnx_node_of("", "Gather", "i one", "j");
        onnx_put_whole(&cast, "to", ONNX_INT64);
        onnx_put_whole(&pick, "axis", 1);
        put(&graph, 1, cast);
        put(&graph, 1, pick);
        put_op(&graph, "Gather", "E j", "y");
        put(&graph, 5, onnx_tensor_of("one", ONNX_INT64, -1, DIMS(1), 8));
        put_floats(&graph, "E", 2, DIMS(3, 2), FLOATS(1, 2, 3, 4, 5, 6));
        gives(graph, ROW(9, index[i]), 2, want[i]);
    }
}

static void softmax_of_two_classes(void **state)
{
    (void)state;
    struct buf graph = graph_of(2);
    put_op(&graph, "Softmax", "x", "y");
    struct imported m = load(graph);
    double got[2];
    imported_score(&m, ROW(2, 1), NULL, got);
    assert_int_equal(m.network->outputs, 1); /* that of the second class */
    assert_true(fabs(got[0] - 1 / (1 + exp(1))) < 1e-7);
    imported_free(&m);
}

/* Of numbers whose exponentials no float holds, and of infinite ones. */
static void logarithms_of_sums(void **state)
{
    (void)state;
    struct buf graph = graph_of(3), sum = onnx_node_of("", "ReduceLogSumExp", "x", "m");
    struct buf both_of = onnx_node_of("", "Concat", "s m", "y");
    onnx_put_wholes(&sum, "axes", 1, DIMS(1));
    onnx_put_whole(&both_of, "axis", 1);
    put_op(&graph, "LogSoftmax", "x", "s");
    put(&graph, 1, sum);
    put(&graph, 1, both_of);
    struct imported m = load(graph);
    double got[4], both = log(2);
    imported_score(&m, ROW(1000, -1000, 1000), NULL, got);
    assert_true(fabs(got[0] + both) < 1e-7 && fabs(got[1] + 2000 + both) < 1e-4 && got[2] == got[0]);
    assert_true(fabs(got[3] - 1000 - both) < 1e-4);
    imported_score(&m, ROW((double)-INFINITY, 3, (double)-INFINITY), NULL, got);
    assert_true(got[0] == (double)-INFINITY && got[1] == 0 && got[3] == 3);
    imported_score(&m, ROW((double)-INFINITY, (double)-INFINITY, (double)-INFINITY), NULL, got);
    assert_true(got[3] == (double)-INFINITY);
    imported_score(&m, ROW(1, (double)NAN, 2), NULL, got);
    assert_true(isnan(got[0]) && isnan(got[3]));
    imported_free(&m);
}

static void squares(void **state)
{
    (void)state;
    struct buf graph = graph_of(3), node = onnx_node_of("", "ReduceSumSquare", "x", "y");
    onnx_put_wholes(&node, "axes", 1, DIMS(1));
    put(&graph, 1, node);
    gives(graph, ROW(3, -4, 0.5), 1, ROW(25.25));
}

/* --- columns ---------------------------------------------------------------------------------------------------------- */

static void broadcasting(void **state)
{
    (void)state;
    struct buf graph = graph_of(3), sum = onnx_node_of("", "ReduceSum", "x axis", "s");
    put(&graph, 1, sum);               /* [batch, 1] */
    put_op(&graph, "Div", "x s", "p"); /* [batch, 3] by [batch, 1] */
    put_op(&graph, "Sub", "c p", "y"); /* [3] less [batch, 3] */
    put_wholes(&graph, "axis", 1, DIMS(1));
    put_list(&graph, "c", 3, FLOATS(1, 2, 3));
    gives(graph, ROW(1, 2, 5), 3, ROW(1 - 0.125, 2 - 0.25, 3 - 0.625));
}

static void moves_columns(void **state)
{
    (void)state;
    struct buf graph = graph_of(6), turn = onnx_node_of("", "Transpose", "m", "t"), slice = onnx_node_of("", "Slice", "x from to ax by", "odd");
    struct buf split = onnx_node_of("", "Split", "flat sizes", "a b"), concat = onnx_node_of("", "Concat", "b odd a", "y");
    onnx_put_wholes(&turn, "perm", 3, DIMS(0, 2, 1));
    onnx_put_whole(&split, "axis", 1);
    onnx_put_whole(&concat, "axis", 1);
    put_op(&graph, "Reshape", "x shape", "m"); /* 2 x 3 */
    put(&graph, 1, turn);                      /* 3 x 2: 1 4 2 5 3 6 */
    put_op(&graph, "Flatten", "t", "flat");
    put(&graph, 1, split);
    put(&graph, 1, slice); /* backwards from the last: 6 4 2 */
    put(&graph, 1, concat);
    put_wholes(&graph, "shape", 3, DIMS(0, 2, -1));
    put_wholes(&graph, "sizes", 2, DIMS(2, 4));
    put_wholes(&graph, "from", 1, DIMS(-1));
    put_wholes(&graph, "to", 1, DIMS(INT64_MIN));
    put_wholes(&graph, "ax", 1, DIMS(1));
    put_wholes(&graph, "by", 1, DIMS(-2));
    gives(graph, ROW(1, 2, 3, 4, 5, 6), 9, ROW(2, 5, 3, 6, 6, 4, 2, 1, 4));
}

/* x.view(x.size(0), -1) as older exporters write it. */
static void computed_shapes(void **state)
{
    (void)state;
    struct buf graph = graph_of(4), gather = onnx_node_of("", "Gather", "shape zero", "batch"), concat = onnx_node_of("", "Concat", "list rest", "target");
    onnx_put_whole(&concat, "axis", 0);
    put_op(&graph, "Shape", "x", "shape");
    put(&graph, 1, gather);
    put_op(&graph, "Unsqueeze", "batch zero", "list");
    put(&graph, 1, concat);
    put_op(&graph, "Reshape", "x target", "y");
    put(&graph, 5, onnx_tensor_of("zero", ONNX_INT64, -1, DIMS(0), 8));
    put_wholes(&graph, "rest", 2, DIMS(2, -1));
    gives(graph, ROW(1, 2, 3, 4), 4, ROW(1, 2, 3, 4));
}

static void choices(void **state)
{
    (void)state;
    struct buf graph = graph_of(2);
    put_op(&graph, "IsNaN", "x", "missing");
    put_op(&graph, "Where", "missing c x", "y");
    put_list(&graph, "c", 2, FLOATS(7, 8));
    gives(graph, ROW((double)NAN, 3), 2, ROW(7, 3));
}

/* --- pipelines -------------------------------------------------------------------------------------------------------- */

static void preprocessing(void **state)
{
    (void)state;
    struct buf graph = graph_of(2), fill = onnx_node_of("ai.onnx.ml", "Imputer", "x", "filled"), scale = onnx_node_of("ai.onnx.ml", "Scaler", "filled", "y");
    onnx_put_floats(&fill, "imputed_value_floats", 2, FLOATS(5, 6));
    onnx_put_real(&fill, "replaced_value_float", -999);
    onnx_put_floats(&scale, "offset", 2, FLOATS(1, 2));
    onnx_put_floats(&scale, "scale", 1, FLOATS(0.5f));
    put(&graph, 1, fill);
    put(&graph, 1, scale);
    gives(graph, ROW(-999, (double)NAN), 2, ROW(2, (double)NAN));
}

static void one_hot(void **state)
{
    (void)state;
    for (int zeros = 0; zeros < 2; zeros++) {
        const double unknown = zeros ? 0 : (double)NAN;
        struct buf graph = graph_of(2), node = onnx_node_of("ai.onnx.ml", "OneHotEncoder", "x", "h");
        onnx_put_wholes(&node, "cats_int64s", 3, DIMS(4, 1, 9));
        onnx_put_whole(&node, "zeros", zeros);
        put(&graph, 1, node);
        put_op(&graph, "Flatten", "h", "y");
        gives(graph, ROW(1.5, 3), 6, ROW(0, 1, 0, unknown, unknown, unknown));
    }
}

static void label_encoder(void **state)
{
    (void)state;
    struct buf graph = graph_of(4), node = onnx_node_of("ai.onnx.ml", "LabelEncoder", "x", "y");
    onnx_put_floats(&node, "keys_floats", 3, FLOATS(3, 1, (float)NAN));
    onnx_put_floats(&node, "values_floats", 3, FLOATS(30, 10, 99));
    onnx_put_real(&node, "default_float", -7);
    put(&graph, 1, node);
    gives(graph, ROW(1, 2, 3, (double)NAN), 4, ROW(10, -7, 30, 99));
}

/* One tree, x0 <= 0.5 ? 10 : 20, between a scaler and a sum. */
static void trees_as_a_stage(void **state)
{
    (void)state;
    struct buf graph = graph_of(1), scale = onnx_node_of("ai.onnx.ml", "Scaler", "x", "s");
    struct buf tree = onnx_node_of("ai.onnx.ml", "TreeEnsembleRegressor", "s", "t");
    onnx_put_floats(&scale, "offset", 1, FLOATS(100));
    onnx_put_wholes(&tree, "nodes_treeids", 3, DIMS(0, 0, 0));
    onnx_put_wholes(&tree, "nodes_nodeids", 3, DIMS(0, 1, 2));
    onnx_put_wholes(&tree, "nodes_featureids", 3, DIMS(0, 0, 0));
    onnx_put_wholes(&tree, "nodes_truenodeids", 3, DIMS(1, 0, 0));
    onnx_put_wholes(&tree, "nodes_falsenodeids", 3, DIMS(2, 0, 0));
    onnx_put_floats(&tree, "nodes_values", 3, FLOATS(0.5f, 0, 0));
    onnx_put_strings(&tree, "nodes_modes", "BRANCH_LEQ LEAF LEAF");
    onnx_put_wholes(&tree, "target_treeids", 2, DIMS(0, 0));
    onnx_put_wholes(&tree, "target_nodeids", 2, DIMS(1, 2));
    onnx_put_wholes(&tree, "target_ids", 2, DIMS(0, 0));
    onnx_put_floats(&tree, "target_weights", 2, FLOATS(10, 20));
    onnx_put_whole(&tree, "n_targets", 1);
    put(&graph, 1, scale);
    put(&graph, 1, tree);
    put_op(&graph, "Mul", "t x", "y");
    gives(graph, ROW(100.25), 1, ROW(1002.5));
}

/* --- what is refused -------------------------------------------------------------------------------------------------- */

static struct buf product(int64_t rows, const char *inputs)
{
    struct buf graph = graph_of(2);
    put_op(&graph, "MatMul", inputs, "y");
    put_floats(&graph, "W", 2, DIMS(rows, 1), FLOATS(1, 1, 1));
    return graph;
}

static void refuses(void **state)
{
    (void)state;
    struct buf graph = graph_of(2), node = onnx_node_of("", "Softmax", "x", "y");
    put_op(&graph, "Einsum", "x", "y");
    must_refuse(graph, STATUS_UNSUPPORTED, "Einsum");
    must_refuse(product(3, "x W"), STATUS_INVALID, "want 3 columns, there are 2");
    must_refuse(product(2, "x x"), STATUS_UNSUPPORTED, "attention");
    graph = graph_of(2);
    onnx_put_whole(&node, "axis", 0);
    put(&graph, 1, node);
    must_refuse(graph, STATUS_UNSUPPORTED, "one row would see another");
    graph = graph_of(2);
    put_op(&graph, "Add", "x c", "y");
    put_list(&graph, "c", 3, FLOATS(1, 2, 3));
    must_refuse(graph, STATUS_INVALID, "2 and 3 columns");
    graph = graph_of(2);
    put_op(&graph, "Reshape", "x shape", "y");
    put_wholes(&graph, "shape", 1, DIMS(-1));
    must_refuse(graph, STATUS_UNSUPPORTED, "a row of 2 columns");
    graph = graph_of(0);
    put_op(&graph, "Relu", "x", "y");
    must_refuse(graph, STATUS_UNSUPPORTED, "fixed number of features");
    graph = graph_of(2);
    put_op(&graph, "MatMul", "x W", "y");
    put_floats(&graph, "W", 2, DIMS(2, 1), FLOATS(1, (float)INFINITY));
    must_refuse(graph, STATUS_INVALID, "not a finite number");
}

/* Small files that ask for much. */
static void refuses_the_absurd(void **state)
{
    (void)state;
    struct buf graph = graph_of(1 << 10);
    for (int i = 0; i < 12; i++) { /* each doubles the width */
        char inputs[32], output[16];
        (void)snprintf(inputs, sizeof inputs, i ? "c%d c%d" : "x x", i, i);
        (void)snprintf(output, sizeof output, i == 11 ? "y" : "c%d", i + 1);
        put_op(&graph, "Concat", inputs, output);
    }
    must_refuse(graph, STATUS_LIMIT, "columns");
    graph = graph_of(2);
    put_op(&graph, "MatMul", "x W", "y");
    put(&graph, 5, onnx_tensor_shaped("W", ONNX_FLOAT, 2, DIMS(2, 1LL << 30), "", 0));
    must_refuse(graph, STATUS_INVALID, "'W'");
    graph = graph_of(2);
    put_op(&graph, "Expand", "x shape", "y");
    put_wholes(&graph, "shape", 2, DIMS(1, 1LL << 40));
    must_refuse(graph, STATUS_UNSUPPORTED, "Expand");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm),
        cmocka_unit_test(bias_of_a_later_add),
        cmocka_unit_test(batch_normalization),
        cmocka_unit_test(layer_normalization),
        cmocka_unit_test(embedding),
        cmocka_unit_test(softmax_of_two_classes),
        cmocka_unit_test(logarithms_of_sums),
        cmocka_unit_test(squares),
        cmocka_unit_test(broadcasting),
        cmocka_unit_test(moves_columns),
        cmocka_unit_test(computed_shapes),
        cmocka_unit_test(choices),
        cmocka_unit_test(preprocessing),
        cmocka_unit_test(one_hot),
        cmocka_unit_test(label_encoder),
        cmocka_unit_test(trees_as_a_stage),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_the_absurd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
