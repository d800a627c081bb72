/* Finding things in a graph: who makes a value, attributes by name; and its messages. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/import/document_format.h"
#include "model/import/onnx_graph.h"

int onnx_text_length(struct span text)
{
    return onnx_text_data(text) == text.data ? (int)text.len : 1;
}

const char *onnx_text_data(struct span text)
{
    return text.data && text.len <= 60 && utf8_valid(text.data, text.len) ? text.data : "?";
}

bool onnx_fail(struct onnx_graph *g, enum status status, const char *format, ...)
{
    if (g->status != STATUS_OK)
        return false;
    g->status = status;
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)error_set(g->err, status, "%s", text);
    return false;
}

bool onnx_fail_node(struct onnx_graph *g, const struct onnx_node *node, enum status status, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (node->name.len == 0)
        return onnx_fail(g, status, "node %zu (%.*s): %s", (size_t)(node - g->nodes), ONNX_TEXT(node->op), text);
    return onnx_fail(g, status, "node '%.*s' (%.*s): %s", ONNX_TEXT(node->name), ONNX_TEXT(node->op), text);
}

bool onnx_out_of_memory(struct onnx_graph *g)
{
    return onnx_fail(g, STATUS_LIMIT, "needs more memory than 4 x the file + 64 MB, or than there is");
}

static int compare_spans(struct span a, struct span b)
{
    uint32_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_sources(const void *a, const void *b)
{
    const struct onnx_source *left = a, *right = b;
    int order = compare_spans(left->name, right->name);
    return order ? order : (int)left->maker - (int)right->maker;
}

static bool append_source(struct onnx_graph *g, struct onnx_source source)
{
    void *array = g->sources;
    struct onnx_source *out = onnx_append(g, &array, &g->source_count, &g->source_capacity, sizeof *out);
    g->sources = array;
    if (out)
        *out = source;
    return out != NULL;
}

/* Before IR version 4 every initializer was listed as an input, too: such an input is none. */
static void drop_filled_inputs(struct onnx_graph *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->source_count; i++) {
        const struct onnx_source *s = &g->sources[i];
        bool pair = i + 1 < g->source_count && compare_spans(s->name, s[1].name) == 0;
        if (pair && s->maker == ONNX_BY_INPUT && s[1].maker == ONNX_BY_INITIALIZER)
            g->inputs[s->index].name = (struct span){0};
        else
            g->sources[kept++] = *s;
    }
    g->source_count = kept;
}

bool onnx_index(struct onnx_graph *g)
{
    for (uint32_t i = 0; i < g->input_count; i++) {
        if (!append_source(g, (struct onnx_source){g->inputs[i].name, ONNX_BY_INPUT, i, 0}))
            return false;
    }
    for (uint32_t i = 0; i < g->initializer_count; i++) {
        if (!append_source(g, (struct onnx_source){g->initializers[i].name, ONNX_BY_INITIALIZER, i, 0}))
            return false;
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        const struct onnx_node *node = &g->nodes[i];
        for (uint32_t o = 0; o < node->outputs; o++) {
            struct span name = g->names[node->first_output + o];
            if (name.len > 0 && !append_source(g, (struct onnx_source){name, ONNX_BY_NODE, i, o}))
                return false;
        }
    }
    if (g->source_count > 0)
        qsort(g->sources, g->source_count, sizeof *g->sources, compare_sources);
    drop_filled_inputs(g);
    for (size_t i = 1; i < g->source_count; i++) {
        if (compare_spans(g->sources[i - 1].name, g->sources[i].name) == 0)
            return onnx_fail(g, STATUS_INVALID, "the value '%.*s' is made twice", ONNX_TEXT(g->sources[i].name));
    }
    return true;
}

/* A node may use only what stands before it, so that nobody who follows values back can run in a circle. */
bool onnx_check_order(struct onnx_graph *g)
{
    for (uint32_t i = 0; i < g->node_count; i++) {
        const struct onnx_node *node = &g->nodes[i];
        for (uint32_t n = 0; n < node->inputs; n++) {
            struct span name = onnx_input(g, node, n);
            if (name.len == 0)
                continue; /* an optional input that is left out */
            const struct onnx_source *source = onnx_source(g, name);
            if (!source)
                return onnx_fail_node(g, node, STATUS_INVALID, "its input '%.*s' is made by nobody", ONNX_TEXT(name));
            if (source->maker == ONNX_BY_NODE && source->index >= i)
                return onnx_fail_node(g, node, STATUS_INVALID, "its input '%.*s' is made after it, or in a cycle",
                                      ONNX_TEXT(name));
        }
    }
    return true;
}

bool onnx_is(struct span text, const char *word)
{
    return span_equal(text, word, strlen(word)) || (text.len == 0 && word[0] == '\0');
}

bool onnx_node_is(const struct onnx_node *node, const char *domain, const char *op)
{
    bool same = onnx_is(node->domain, domain) || (domain[0] == '\0' && onnx_is(node->domain, "ai.onnx"));
    return same && onnx_is(node->op, op);
}

static int compare_name(const void *key, const void *item)
{
    return compare_spans(*(const struct span *)key, ((const struct onnx_source *)item)->name);
}

const struct onnx_source *onnx_source(const struct onnx_graph *g, struct span name)
{
    if (g->source_count == 0)
        return NULL;
    return bsearch(&name, g->sources, g->source_count, sizeof *g->sources, compare_name);
}

bool onnx_constant(struct onnx_graph *g, struct span name, struct onnx_tensor *out)
{
    const struct onnx_source *source = onnx_source(g, name);
    if (!source)
        return false;
    if (source->maker == ONNX_BY_INITIALIZER) {
        *out = g->initializers[source->index];
        return true;
    }
    if (source->maker != ONNX_BY_NODE || !onnx_node_is(&g->nodes[source->index], "", "Constant"))
        return false;
    const struct onnx_attribute *value = onnx_attribute(g, &g->nodes[source->index], "value");
    return value && value->tensor.data && onnx_tensor_read(g, value->tensor, out);
}

const struct onnx_attribute *onnx_attribute(const struct onnx_graph *g, const struct onnx_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->attributes; i++) {
        const struct onnx_attribute *a = &g->attributes[node->first_attribute + i];
        if (onnx_is(a->name, name))
            return a;
    }
    return NULL;
}

int64_t onnx_whole_or(const struct onnx_graph *g, const struct onnx_node *node, const char *name, int64_t absent)
{
    const struct onnx_attribute *a = onnx_attribute(g, node, name);
    return a ? a->whole : absent;
}

float onnx_real_or(const struct onnx_graph *g, const struct onnx_node *node, const char *name, float absent)
{
    const struct onnx_attribute *a = onnx_attribute(g, node, name);
    return a ? a->real : absent;
}
