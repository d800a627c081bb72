/* Writes small ONNX files for tests: the wire format, and the messages of onnx.proto that our importers need. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/base/buf.h"

/* Fields of the wire format. */
void onnx_put_varint(struct buf *out, uint32_t field, uint64_t value);
void onnx_put_bytes(struct buf *out, uint32_t field, const void *data, size_t len);
void onnx_put_text(struct buf *out, uint32_t field, const char *text);
void onnx_put_float(struct buf *out, uint32_t field, float value);
/* inner as a message; frees inner. */
void onnx_put_message(struct buf *out, uint32_t field, struct buf *inner);

/* A NodeProto: start with onnx_node_of, add attributes. Names are separated by blanks; "" for none. */
struct buf onnx_node_of(const char *domain, const char *op, const char *inputs, const char *outputs);
void onnx_put_whole(struct buf *node, const char *name, int64_t value);
void onnx_put_real(struct buf *node, const char *name, float value);
void onnx_put_string(struct buf *node, const char *name, const char *value);
void onnx_put_wholes(struct buf *node, const char *name, size_t n, const int64_t *values);
void onnx_put_floats(struct buf *node, const char *name, size_t n, const float *values);
/* Texts separated by blanks. */
void onnx_put_strings(struct buf *node, const char *name, const char *values);
void onnx_put_tensor(struct buf *node, const char *name, int type, size_t n, const void *raw, size_t len);

/* A TensorProto of one dimension (n >= 0) or a scalar (n < 0), with raw data. */
struct buf onnx_tensor_of(const char *name, int type, int64_t n, const void *raw, size_t len);
/* A TensorProto of any shape. */
struct buf onnx_tensor_shaped(const char *name, int type, uint32_t rank, const int64_t *dims, const void *raw, size_t len);
/* A ValueInfoProto of shape [any, width]; width 0: open. */
struct buf onnx_value_of(const char *name, int type, int64_t width);

/* A whole model around a graph; frees the graph. */
struct buf onnx_model_of(struct buf *graph);
