/*
 * The scanner below the decoder: a cursor over JSON text that moves over one token or one value at a time, strictly by
 * RFC 8259. The first fault stops it; every call then returns false.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "model/base/span.h"
#include "model/input/decode.h"

struct json {
    const char *at, *start, *end;
    enum decode_reason reason; /* DECODE_NONE while all is well */
};

/* A string without its quotes, as it stands in the document: checked, not unescaped. */
struct json_text {
    const char *data;
    size_t len;
    bool escaped;
};

/* Notes the fault at the cursor; always false. */
bool json_fail(struct json *j, enum decode_reason reason);

static inline void json_space(struct json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t'))
        j->at++;
}

/* The next byte that is not whitespace, without moving over it; 0 at the end. */
static inline char json_peek(struct json *j)
{
    if (j->at < j->end && (unsigned char)*j->at > ' ')
        return *j->at;
    json_space(j);
    return j->at < j->end ? *j->at : '\0';
}

/* Moves over `c` after whitespace. */
static inline bool json_take(struct json *j, char c)
{
    if (json_peek(j) != c)
        return json_fail(j, j->at == j->end ? DECODE_TRUNCATED : DECODE_SYNTAX);
    j->at++;
    return true;
}

/* json_string for what is long, escaped, not ASCII or near the end. */
bool json_string_careful(struct json *j, struct json_text *out);

#ifdef __SSE2__
/* A bit for each of 16 bytes that can't be passed over in a string: quote, backslash, control, not ASCII. */
static inline unsigned json_special_bytes(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"')), backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i other = _mm_cmplt_epi8(v, _mm_set1_epi8(' ')); /* signed: bytes above 127 are negative */
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), other));
}
#endif

/* The cursor is at the opening quote. Nearly all strings end within 16 plain bytes. */
static inline bool json_string(struct json *j, struct json_text *out)
{
#ifdef __SSE2__
    const char *p = j->at + 1;
    if (j->end - p >= 16) {
        unsigned special = json_special_bytes(p);
        size_t len = (size_t)__builtin_ctz(special | 0x10000);
        if (len < 16 && p[len] == '"') {
            *out = (struct json_text){p, len, false};
            j->at = p + len + 1;
            return true;
        }
    }
#endif
    return json_string_careful(j, out);
}

/* The cursor is at '-' or a digit; *integer: no fraction, no exponent. */
bool json_number(struct json *j, struct span *out, bool *integer);
/* true, false or null, by their first byte. */
bool json_literal(struct json *j);
/* Any value, skipped; `depth` containers are open already. */
bool json_skip_value(struct json *j, int depth);

/* Unescapes a checked string into out and returns the length, or SIZE_MAX where more than cap bytes would be needed. */
size_t json_unescape(const struct json_text *text, char *out, size_t cap);
