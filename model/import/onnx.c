/*
 * ONNX files: the graph is read (onnx_graph.h), then taken by the importer for what it holds. The scores of the graph
 * are all that the outside knows of such a model; sums before them are not shown.
 */
#include <stdlib.h>
#include <string.h>

#include "model/import/document_format.h"
#include "model/import/onnx_forest.h"
#include "model/import/onnx_network.h"

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

/* Trees alone become a forest, for which the kernels are faster; all else, also trees between other steps, a network. */
static void import(struct onnx_graph *g, struct imported *out)
{
    if (g->node_count == 0) {
        (void)onnx_fail(g, STATUS_INVALID, "the graph has no operators");
        return;
    }
    if (onnx_forest_found(g)) {
        size_t used = g->memory->used;
        if (onnx_forest_import(g, out) || g->status != STATUS_UNSUPPORTED)
            return;
        g->status = STATUS_OK; /* the network's refusal, if there is one, says more */
        char *writer = out->writer;
        out->writer = NULL;
        imported_free(out);
        out->writer = writer;
        g->memory->used = used;
    }
    (void)onnx_network_import(g, out);
}

static enum status load(const struct import_file *file, const struct model_options *options, struct imported *out,
                        struct error *err)
{
    struct import_memory memory = import_memory_of(file->len);
    struct onnx_graph g;
    enum status status = onnx_graph_read(&g, file, options, &memory, err);
    if (status == STATUS_OK) {
        if (take_writer(&g, out))
            import(&g, out);
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
