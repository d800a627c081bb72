/*
 * The wire format of Protocol Buffers, read field by field in place: nothing is copied or allocated, no length is
 * believed before it is compared with what is left.
 *
 *     struct protobuf p = protobuf_of(bytes, len);
 *     struct protobuf_field f;
 *     while (protobuf_next(&p, &f))
 *         if (f.number == 7 && f.wire == PROTOBUF_BYTES) ...
 *     if (p.damaged) ...
 *
 * Source: protobuf.dev/programming-guides/encoding.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/span.h"

enum protobuf_wire { PROTOBUF_VARINT = 0, PROTOBUF_FIXED64 = 1, PROTOBUF_BYTES = 2, PROTOBUF_FIXED32 = 5 };

struct protobuf {
    const char *at, *end; /* borrowed */
    bool damaged;         /* then `at` is where, and nothing more is read */
};

struct protobuf_field {
    uint32_t number;
    enum protobuf_wire wire;
    uint64_t value;    /* VARINT, FIXED64, FIXED32 */
    struct span bytes; /* BYTES: a message, a text, or packed numbers; borrowed */
};

static inline struct protobuf protobuf_of(const char *data, size_t len)
{
    return (struct protobuf){.at = data, .end = data + len};
}

static inline struct protobuf protobuf_of_span(struct span message)
{
    return protobuf_of(message.data, message.len);
}

/* The next field; false at the end, or where the bytes are no field. Groups, which proto3 lacks, count as damage. */
bool protobuf_next(struct protobuf *p, struct protobuf_field *field);

/* Numbers of a packed field, one by one; false at the end or on damage. */
bool protobuf_varint(struct protobuf *p, uint64_t *out);
bool protobuf_fixed32(struct protobuf *p, uint32_t *out);
bool protobuf_fixed64(struct protobuf *p, uint64_t *out);
