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

static bool read_range(struct onnx_graph *g, const struct onnx_tensor *t, int file, uint64_t bytes, struct span *out)
{
    struct stat st;
    if (fstat(file, &st) != 0 || !S_ISREG(st.st_mode) || t->offset > (uint64_t)st.st_size ||
        bytes > (uint64_t)st.st_size - t->offset || bytes > UINT32_MAX || (t->length > 0 && t->length != bytes))
        return onnx_fail(g, STATUS_INVALID,
                         "tensor '%.*s': its external data in '%.*s' is not as long as its shape wants",
                         ONNX_TEXT(t->name), ONNX_TEXT(t->location));
    g->memory->limit += 4 * (size_t)bytes; /* the data file is part of the model file */
    char *data = malloc(bytes ? (size_t)bytes : 1);
    if (!data)
        return onnx_out_of_memory(g);
    *out = (struct span){.data = data, .len = (uint32_t)bytes};
    uint64_t done = 0;
    while (done < bytes) {
        ssize_t n = pread(file, data + done, (size_t)(bytes - done), (off_t)(t->offset + done));
        if (n <= 0)
            return onnx_fail(g, STATUS_IO, "external data '%.*s': %s", ONNX_TEXT(t->location),
                             n < 0 ? strerror(errno) : "it became shorter");
        done += (uint64_t)n;
    }
    return true;
}

bool onnx_external_read(struct onnx_graph *g, const struct onnx_tensor *tensor, uint64_t bytes, struct span *out)
{
    *out = (struct span){0};
    char *path = beside_model(g, tensor->location);
    if (!path)
        return onnx_out_of_memory(g);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool read = file >= 0
                    ? read_range(g, tensor, file, bytes, out)
                    : onnx_fail(g, STATUS_NOT_FOUND, "external data '%s' beside the model: %s", path, strerror(errno));
    if (file >= 0)
        (void)close(file);
    free(path);
    return read;
}
