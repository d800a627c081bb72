/*
 * make_network FILE.onnx WIDTH...: writes a network of dense layers, ReLU between them and a sigmoid at the end, with random
 * weights, as PyTorch would export it. The same arguments give the same bytes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/onnx_writer.h"

enum { FLOAT = 1, LAYERS_MAX = 32 };

static uint64_t state = 88172645463325252;

/* About normal, of deviation 1: the sum of twelve uniform numbers, less six. */
static double normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sum += (double)(state >> 11) * 0x1p-53;
    }
    return sum;
}

/* Such that activations keep their size from layer to layer. */
static float *random_floats(size_t n, double scale)
{
    float *values = calloc(n, sizeof *values);
    if (!values)
        abort();
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(normal() * scale);
    return values;
}

static void put_tensor(struct buf *graph, const char *name, uint32_t rank, const int64_t *dims, double scale)
{
    size_t n = (size_t)dims[0] * (size_t)(rank > 1 ? dims[1] : 1);
    float *values = random_floats(n, scale);
    struct buf tensor = onnx_tensor_shaped(name, FLOAT, rank, dims, values, n * sizeof *values);
    onnx_put_message(graph, 5, &tensor);
    free(values);
}

static void put_layer(struct buf *graph, int i, int64_t inputs, int64_t outputs, bool last)
{
    char names[128], made[16];
    struct buf node;
    (void)snprintf(names, sizeof names, "%s%d w%d b%d", i ? "y" : "input", i, i, i);
    (void)snprintf(made, sizeof made, "s%d", i + 1);
    node = onnx_node_of("", "Gemm", i ? names : "input w0 b0", made);
    onnx_put_message(graph, 1, &node);
    (void)snprintf(names, sizeof names, "y%d", i + 1);
    node = onnx_node_of("", last ? "Sigmoid" : "Relu", made, last ? "score" : names);
    onnx_put_message(graph, 1, &node);
    const int64_t shape[] = {inputs, outputs};
    (void)snprintf(names, sizeof names, "w%d", i);
    put_tensor(graph, names, 2, shape, sqrt(2.0 / (double)inputs));
    (void)snprintf(names, sizeof names, "b%d", i);
    put_tensor(graph, names, 1, &outputs, 0.1);
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > LAYERS_MAX) {
        (void)fprintf(stderr, "usage: make_network FILE.onnx WIDTH WIDTH...\n");
        return 2;
    }
    struct buf graph = {0};
    for (int i = 2; i + 1 < argc; i++)
        put_layer(&graph, i - 2, strtoll(argv[i], NULL, 10), strtoll(argv[i + 1], NULL, 10), i + 2 == argc);
    struct buf input = onnx_value_of("input", FLOAT, strtoll(argv[2], NULL, 10)), output = onnx_value_of("score", FLOAT, strtoll(argv[argc - 1], NULL, 10));
    onnx_put_message(&graph, 11, &input);
    onnx_put_message(&graph, 12, &output);
    struct buf model = onnx_model_of(&graph);
    FILE *out = fopen(argv[1], "wb");
    bool ok = out && fwrite(model.data, 1, model.len, out) == model.len;
    ok = out && fclose(out) == 0 && ok;
    buf_free(&model);
    if (!ok)
        perror(argv[1]);
    return ok ? 0 : 1;
}
