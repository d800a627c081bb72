/*
 * The schema as the decoder sees it: one table per JSON object level, from a key's bytes to a field or a deeper object.
 *
 * A table is open-addressed over a multiplicative hash of the key's first eight bytes and its length, at most a quarter
 * full, so a lookup is a load, a multiplication and one comparison; unknown keys mostly meet an empty place at once.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "model/input/schema.h"

struct schema_entry {
    const char *key; /* NULL: an empty place */
    uint64_t prefix; /* the first eight bytes, zero-padded */
    uint32_t len;
    int16_t field;  /* schema position, or of the first field below an object */
    int16_t object; /* index of the deeper object, or -1: a value */
};

struct schema_object {
    struct schema_entry *places; /* [1 << bits] */
    uint32_t bits;
    uint32_t used;
};

struct schema {
    struct field *fields;
    size_t size, id, time, text_fields;
    struct schema_object *objects; /* [0] is the transaction itself */
    size_t object_count;
    char *strings; /* all names and paths */
};

static inline uint32_t schema_place(const struct schema_object *object, uint64_t prefix, size_t len)
{
    return (uint32_t)(((prefix ^ (len * UINT64_C(0x9e3779b97f4a7c15))) * UINT64_C(0xd6e8feb86659fd93)) >> (64 - object->bits));
}

/* The first eight bytes of a key, zero-padded; `readable` bytes may be read from key on. */
static inline uint64_t schema_prefix(const char *key, size_t len, size_t readable)
{
    uint64_t prefix = 0;
    if (readable >= 8) {
        memcpy(&prefix, key, 8);
        return len >= 8 ? prefix : prefix & ((UINT64_C(1) << (8 * len)) - 1);
    }
    memcpy(&prefix, key, len < 8 ? len : 8);
    return prefix;
}

/* The entry for a key, or NULL. */
static inline const struct schema_entry *schema_lookup(const struct schema_object *object, const char *key, size_t len, size_t readable)
{
    uint64_t prefix = schema_prefix(key, len, readable);
    uint32_t mask = (UINT32_C(1) << object->bits) - 1;
    for (uint32_t i = schema_place(object, prefix, len);; i = (i + 1) & mask) {
        const struct schema_entry *e = &object->places[i];
        if (!e->key)
            return NULL;
        if (e->prefix == prefix && e->len == len && (len <= 8 || memcmp(e->key + 8, key + 8, len - 8) == 0))
            return e;
    }
}
