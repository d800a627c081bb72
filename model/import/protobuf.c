#include "model/import/protobuf.h"

#include <string.h>

static bool damage(struct protobuf *p)
{
    p->damaged = true;
    return false;
}

bool protobuf_varint(struct protobuf *p, uint64_t *out)
{
    if (p->damaged || p->at == p->end)
        return false;
    uint64_t value = 0;
    const char *at = p->at;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (at == p->end)
            return damage(p);
        unsigned char byte = (unsigned char)*at++;
        if (shift == 63 && byte > 1)
            return damage(p); /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            p->at = at;
            *out = value;
            return true;
        }
    }
    return damage(p);
}

static bool fixed(struct protobuf *p, size_t bytes, uint64_t *out)
{
    if (p->damaged || p->at == p->end)
        return false;
    if ((size_t)(p->end - p->at) < bytes)
        return damage(p);
    *out = 0;
    for (size_t i = 0; i < bytes; i++)
        *out |= (uint64_t)(unsigned char)p->at[i] << (8 * i);
    p->at += bytes;
    return true;
}

bool protobuf_fixed32(struct protobuf *p, uint32_t *out)
{
    uint64_t value;
    bool read = fixed(p, 4, &value);
    if (read)
        *out = (uint32_t)value;
    return read;
}

bool protobuf_fixed64(struct protobuf *p, uint64_t *out)
{
    return fixed(p, 8, out);
}

static bool take_bytes(struct protobuf *p, struct span *out)
{
    uint64_t len;
    if (!protobuf_varint(p, &len))
        return damage(p);
    if (len > (uint64_t)(p->end - p->at) || len > UINT32_MAX)
        return damage(p);
    *out = (struct span){.data = p->at, .len = (uint32_t)len};
    p->at += len;
    return true;
}

bool protobuf_next(struct protobuf *p, struct protobuf_field *field)
{
    uint64_t key;
    const char *start = p->at;
    if (!protobuf_varint(p, &key))
        return false;
    *field = (struct protobuf_field){.number = (uint32_t)(key >> 3), .wire = (enum protobuf_wire)(key & 7)};
    bool read = false;
    if (key >> 3 == 0 || key >> 3 > (1 << 29) - 1)
        read = false;
    else if (field->wire == PROTOBUF_VARINT)
        read = protobuf_varint(p, &field->value);
    else if (field->wire == PROTOBUF_FIXED64)
        read = fixed(p, 8, &field->value);
    else if (field->wire == PROTOBUF_FIXED32)
        read = fixed(p, 4, &field->value);
    else if (field->wire == PROTOBUF_BYTES)
        read = take_bytes(p, &field->bytes);
    if (read)
        return true;
    p->at = start;
    return damage(p);
}
