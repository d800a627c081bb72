/*
 * ONNX files: the graph is read (onnx_graph.h), then taken by the importer for what it holds. The scores of the graph
 * are all that the outside knows of such a model; sums before them are not shown.
 */
#include <stdlib.h>
#include <string.h>

#include "model/import/document_format.h"
#include "model/import/onnx_forest.h"

static bool take_writer(struct onnx_graph *g, struct imported *out)
{
    struct buf text = {0};
    if (g->producer.data && utf8_valid(g->producer.data, g->producer.len))
        buf_append(&text, g->producer.data, g->producer.len);
    if (g->producer_version.len > 0 && utf8_valid(g->producer_version.data, g->producer_version.len))
        buf_format(&text, " %.*s", (int)g->producer_version.len, g->producer_version.data);
    out->writer = strdup(buf_text(&text));
    buf_free(&text);
    return out->writer || onnx_out_of_memory(g);
}

/* A graph without trees: which operators it has, each once, in the order in which they work. */
static bool refuse_graph(struct onnx_graph *g)
{
    enum { LISTED_MAX = 12 };
    struct span listed[LISTED_MAX];
    struct buf ops = {0};
    size_t count = 0, i = 0;
    for (; i < g->node_count && count < LISTED_MAX; i++) {
        struct span op = g->nodes[i].op;
        bool before = false;
        for (size_t k = 0; k < count; k++)
            before |= span_equal(listed[k], op.data, op.len);
        if (before)
            continue;
        buf_format(&ops, "%s%.*s", count ? ", " : "", ONNX_TEXT(op));
        listed[count++] = op;
    }
    (void)onnx_fail(g, g->node_count ? STATUS_UNSUPPORTED : STATUS_INVALID,
                    "no tree ensemble in the graph; its operators are %s%s. Graphs whose score comes from a "
                    "TreeEnsembleClassifier, TreeEnsembleRegressor or TreeEnsemble are supported",
                    buf_text(&ops), i < g->node_count ? ", ..." : "");
    buf_free(&ops);
    return false;
}

static enum status load(const struct import_file *file, const struct model_options *options, struct imported *out,
                        struct error *err)
{
    (void)options;
    struct import_memory memory = import_memory_of(file->len);
    struct onnx_graph g;
    enum status status = onnx_graph_read(&g, file, &memory, err);
    if (status == STATUS_OK) {
        if (take_writer(&g, out))
            (void)(onnx_forest_found(&g) ? onnx_forest_import(&g, out) : refuse_graph(&g));
        status = g.status;
    }
    onnx_graph_free(&g);
    return status;
}

/* ModelProto begins with its IR version (field 1, a small number), or, from other writers, has a graph (field 7). */
static bool recognises(const struct import_file *file)
{
    if (file->len >= 2 && file->data[0] == 0x08 && file->data[1] > 0 && file->data[1] < 64)
        return true;
    struct protobuf p = protobuf_of(file->data, file->len);
    struct protobuf_field f;
    bool has_graph = false;
    while (protobuf_next(&p, &f))
        has_graph |= f.number == 7 && f.wire == PROTOBUF_BYTES;
    return has_graph && !p.damaged;
}

const struct importer importer_onnx = {.name = "ONNX", .recognises = recognises, .load = load};
