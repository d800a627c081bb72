/*
 * Strings: found by sixteen bytes at a time, since nearly all of a transaction is plain ASCII; escapes and bytes above
 * 127 take the careful way. UTF-8 as in RFC 3629: shortest forms only, no surrogates, nothing above U+10FFFF.
 */
#include <string.h>

#include "model/input/scan.h"

/* The first byte that is a quote, a backslash, a control or not ASCII. */
static const char *skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        unsigned special = scan_special_bytes(p);
        if (special)
            return p + __builtin_ctz(special);
    }
#endif
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The length of the UTF-8 sequence at p, 0 where it is not valid. */
static int utf8_length(const char *p, const char *end)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t left = (size_t)(end - p);
    int n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < (size_t)n)
        return 0;
    unsigned char low = 0x80, high = 0xbf; /* of the second byte */
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (int i = 2; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

/* Four hexadecimal digits, or -1. */
static int hex4(const char *p, const char *end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Reads the escape at p (a backslash): its code point into *code and its length, 0 where it is wrong. */
static int escape_length(const char *p, const char *end, uint32_t *code)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (end - p < 2)
        return 0;
    if (p[1] != 'u') {
        const char *name = p[1] ? strchr(names, p[1]) : NULL;
        if (!name)
            return 0;
        *code = (unsigned char)values[name - names];
        return 2;
    }
    int high = hex4(p + 2, end);
    if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
        return 0;
    *code = (uint32_t)high;
    if (high < 0xd800 || high > 0xdbff)
        return 6;
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return 0;
    int low = hex4(p + 8, end);
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *code = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return 12;
}

/* A string that ends too early is reported as such, wherever in an escape or a character it was cut. */
static bool fail_in_string(struct scan *s, const char *p, size_t may_need, enum decode_reason reason)
{
    bool cut = (size_t)(s->end - p) < may_need && !memchr(p, '"', (size_t)(s->end - p));
    s->at = cut ? s->end : p;
    return scan_fail(s, cut ? DECODE_TRUNCATED : reason);
}

bool scan_string_careful(struct scan *s, struct scan_text *out)
{
    const char *p = s->at + 1;
    out->data = p;
    out->escaped = false;
    for (;;) {
        p = skip_plain(p, s->end);
        if (p == s->end) {
            s->at = p;
            return scan_fail(s, DECODE_TRUNCATED);
        }
        if (*p == '"')
            break;
        int n;
        uint32_t code;
        if (*p == '\\') {
            out->escaped = true;
            n = escape_length(p, s->end, &code);
            if (n == 0)
                return fail_in_string(s, p, 12, DECODE_ESCAPE);
        } else {
            n = (unsigned char)*p < 0x20 ? 0 : utf8_length(p, s->end);
            if (n == 0)
                return fail_in_string(s, p, (unsigned char)*p < 0x20 ? 0 : 4, (unsigned char)*p < 0x20 ? DECODE_SYNTAX : DECODE_UTF8);
        }
        p += n;
    }
    out->len = (size_t)(p - out->data);
    s->at = p + 1;
    return true;
}

static size_t write_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t scan_unescape(const struct scan_text *text, char *out, size_t cap)
{
    const char *p = text->data, *end = p + text->len;
    size_t len = 0;
    while (p < end) {
        char bytes[4] = {*p};
        size_t n = 1;
        if (*p == '\\') {
            uint32_t code = 0;
            p += escape_length(p, end, &code);
            n = write_utf8(bytes, code);
        } else {
            p++;
        }
        if (n > cap - len)
            return SIZE_MAX;
        memcpy(out + len, bytes, n);
        len += n;
    }
    return len;
}
