/*
 * Tensors whose numbers lie in a file beside the model, as PyTorch writes them. Such a file is taken only where its
 * name is a plain one, so that a model can't make us read anything outside of its own directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/import/onnx_graph.h"

/* One entry of external_data: a key and a text. */
bool onnx_external_entry(struct onnx_graph *g, struct span message, struct onnx_tensor *out)
{
    struct protobuf p = protobuf_of_span(message);
    struct protobuf_field f;
    struct span key = {0}, value = {0};
    while (protobuf_next(&p, &f)) {
        if (f.number == 1 && f.wire == PROTOBUF_BYTES)
            key = f.bytes;
        else if (f.number == 2 && f.wire == PROTOBUF_BYTES)
            value = f.bytes;
    }
    if (onnx_is(key, "location")) {
        out->location = value;
    } else if (onnx_is(key, "offset") || onnx_is(key, "length")) {
        uint64_t number = 0;
        for (uint32_t i = 0; i < value.len; i++) {
            if (value.data[i] < '0' || value.data[i] > '9' || i > 17)
                return onnx_fail(g, STATUS_INVALID, "external data: its %.*s is no number", ONNX_TEXT(key));
            number = number * 10 + (uint64_t)(value.data[i] - '0');
        }
        *(onnx_is(key, "offset") ? &out->offset : &out->length) = number;
    }
    return !p.damaged ||
           onnx_fail(g, STATUS_INVALID, "byte %zu: external data is damaged", (size_t)(p.at - g->file->data));
}

/* Only a plain file name: no directory, no "..", nothing hidden, no NUL. */
static bool is_plain_name(struct span name)
{
    return name.data && name.len > 0 && name.len <= 255 && name.data[0] != '.' && !memchr(name.data, '/', name.len) &&
           !memchr(name.data, '\\', name.len) && !memchr(name.data, '\0', name.len);
}

bool onnx_external_check(struct onnx_graph *g, const struct onnx_tensor *tensor)
{
    return is_plain_name(tensor->location) || onnx_fail(g, STATUS_UNSUPPORTED,
                                                        "tensor '%.*s' has external data in '%.*s'; only a file in the "
                                                        "model's own directory, named without a path, "
                                                        "is read",
                                                        ONNX_TEXT(tensor->name), ONNX_TEXT(tensor->location));
}

/* The file's path, in the model's directory; owned; NULL: no memory. */
static char *beside_model(const struct onnx_graph *g, struct span name)
{
    const char *slash = strrchr(g->file->path, '/');
    int directory = slash ? (int)(slash - g->file->path) + 1 : 0;
    struct buf path = {0};
    buf_format(&path, "%.*s%.*s", directory, g->file->path, (int)name.len, name.data);
    (void)buf_text(&path);
    if (path.failed)
        buf_free(&path);
    return path.data;
}

static enum status read_open(struct onnx_graph *g, int file, struct onnx_beside *out)
{
    struct stat st;
    if (fstat(file, &st) != 0 || !S_ISREG(st.st_mode))
        return STATUS_INVALID;
    size_t limit = g->options && g->options->max_bytes ? g->options->max_bytes : SIZE_MAX / 8;
    if ((uint64_t)st.st_size > limit)
        return STATUS_LIMIT;
    size_t size = (size_t)st.st_size;
    g->memory->limit += 4 * size; /* the data file is part of the model file */
    if (!import_charge(g->memory, size))
        return STATUS_LIMIT;
    out->data = malloc(size ? size : 1);
    if (!out->data)
        return STATUS_NO_MEMORY;
    while (out->len < size) {
        ssize_t n = pread(file, out->data + out->len, size - out->len, (off_t)out->len);
        if (n <= 0)
            return STATUS_IO;
        out->len += (size_t)n;
    }
    return STATUS_OK;
}

/* Reads a file beside the model, and shows it to whoever makes a digest of what was loaded. */
static bool read_beside(struct onnx_graph *g, struct onnx_beside *out)
{
    char *path = beside_model(g, out->name);
    if (!path)
        return onnx_out_of_memory(g);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    enum status status = file >= 0 ? read_open(g, file, out) : STATUS_NOT_FOUND;
    if (status != STATUS_OK)
        (void)onnx_fail(g, status, "external data '%s' beside the model: %s", path,
                        file < 0 ? strerror(errno) : status == STATUS_INVALID ? "it is no regular file" : status_text(status));
    if (file >= 0)
        (void)close(file);
    free(path);
    if (status == STATUS_OK && g->options && g->options->seen)
        g->options->seen(g->options->seen_context, out->data, out->len);
    return status == STATUS_OK;
}

static const struct onnx_beside *find_beside(struct onnx_graph *g, struct span name)
{
    for (size_t i = 0; i < g->beside_count; i++) {
        if (span_equal(name, g->besides[i].name.data, g->besides[i].name.len))
            return &g->besides[i];
    }
    void *array = g->besides;
    struct onnx_beside *out = onnx_append(g, &array, &g->beside_count, &g->beside_capacity, sizeof *out);
    g->besides = array;
    if (!out)
        return NULL;
    out->name = name;
    return read_beside(g, out) ? out : NULL;
}

bool onnx_external_read(struct onnx_graph *g, const struct onnx_tensor *tensor, uint64_t bytes, struct span *out)
{
    const struct onnx_beside *file = find_beside(g, tensor->location);
    if (!file)
        return false;
    if (tensor->offset > file->len || bytes > file->len - tensor->offset || bytes > UINT32_MAX ||
        (tensor->length > 0 && tensor->length != bytes))
        return onnx_fail(g, STATUS_INVALID, "tensor '%.*s': its external data in '%.*s' is not as long as its shape wants",
                         ONNX_TEXT(tensor->name), ONNX_TEXT(tensor->location));
    *out = (struct span){.data = file->data + tensor->offset, .len = (uint32_t)bytes};
    return true;
}

void onnx_external_free(struct onnx_graph *g)
{
    for (size_t i = 0; i < g->beside_count; i++)
        free(g->besides[i].data);
    free(g->besides);
}
