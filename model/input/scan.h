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

struct scan {
    const char *at, *start, *end;
    enum decode_reason reason; /* DECODE_NONE while all is well */
};

/* A string without its quotes, as it stands in the document: checked, not unescaped. */
struct scan_text {
    const char *data;
    size_t len;
    bool escaped;
};

/* Notes the fault at the cursor; always false. */
bool scan_fail(struct scan *s, enum decode_reason reason);

static inline void scan_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* The next byte that is not whitespace, without moving over it; 0 at the end. */
static inline char scan_peek(struct scan *s)
{
    if (s->at < s->end && (unsigned char)*s->at > ' ')
        return *s->at;
    scan_space(s);
    return s->at < s->end ? *s->at : '\0';
}

/* Moves over `c` after whitespace. */
static inline bool scan_take(struct scan *s, char c)
{
    if (scan_peek(s) != c)
        return scan_fail(s, s->at == s->end ? DECODE_TRUNCATED : DECODE_SYNTAX);
    s->at++;
    return true;
}

/* scan_string for what is long, escaped, not ASCII or near the end. */
bool scan_string_careful(struct scan *s, struct scan_text *out);

#ifdef __SSE2__
/* A bit for each of 16 bytes that can't be passed over in a string: quote, backslash, control, not ASCII. */
static inline unsigned scan_special_bytes(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"')), backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i other = _mm_cmplt_epi8(v, _mm_set1_epi8(' ')); /* signed: bytes above 127 are negative */
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), other));
}
#endif

/* The cursor is at the opening quote. Nearly all strings end within 16 plain bytes. */
static inline bool scan_string(struct scan *s, struct scan_text *out)
{
#ifdef __SSE2__
    const char *p = s->at + 1;
    if (s->end - p >= 16) {
        unsigned special = scan_special_bytes(p);
        size_t len = (size_t)__builtin_ctz(special | 0x10000);
        if (len < 16 && p[len] == '"') {
            *out = (struct scan_text){p, len, false};
            s->at = p + len + 1;
            return true;
        }
    }
#endif
    return scan_string_careful(s, out);
}

/* The cursor is at '-' or a digit; *integer: no fraction, no exponent. */
bool scan_number(struct scan *s, struct span *out, bool *integer);
/* true, false or null, by their first byte. */
bool scan_literal(struct scan *s);
/* Any value, skipped; `depth` containers are open already. */
bool scan_skip_value(struct scan *s, int depth);

/* Unescapes a checked string into out and returns the length, or SIZE_MAX where more than cap bytes would be needed. */
size_t scan_unescape(const struct scan_text *text, char *out, size_t cap);
