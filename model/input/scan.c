#include "model/input/scan.h"

#include <string.h>

bool scan_fail(struct scan *s, enum decode_reason reason)
{
    if (s->reason == DECODE_NONE)
        s->reason = reason;
    return false;
}

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && is_digit(*p))
        p++;
    return p;
}

/* The end of the number at p by the grammar, or NULL with *stop where it breaks. */
static const char *number_end(const char *p, const char *end, bool *integer, const char **stop)
{
    *integer = true;
    if (p < end && *p == '-')
        p++;
    *stop = p;
    if (p == end || !is_digit(*p))
        return NULL;
    bool zero = *p == '0';
    p = skip_digits(p + 1, end);
    if (zero && p > *stop + 1)
        return NULL;
    if (p < end && *p == '.') {
        *integer = false;
        *stop = ++p;
        p = skip_digits(p, end);
        if (p == *stop)
            return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        *integer = false;
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        *stop = p;
        p = skip_digits(p, end);
        if (p == *stop)
            return NULL;
    }
    return p;
}

bool scan_number(struct scan *s, struct span *out, bool *integer)
{
    const char *stop;
    const char *p = number_end(s->at, s->end, integer, &stop);
    if (!p) {
        s->at = stop;
        return scan_fail(s, stop == s->end ? DECODE_TRUNCATED : DECODE_NUMBER);
    }
    *out = (struct span){s->at, (uint32_t)(p - s->at)};
    s->at = p;
    return true;
}

bool scan_literal(struct scan *s)
{
    const char *word = *s->at == 't' ? "true" : *s->at == 'f' ? "false" : "null";
    size_t len = strlen(word);
    size_t left = (size_t)(s->end - s->at);
    if (left >= len && memcmp(s->at, word, len) == 0) {
        s->at += len;
        return true;
    }
    bool cut = left < len && memcmp(s->at, word, left) == 0;
    if (cut)
        s->at = s->end;
    return scan_fail(s, cut ? DECODE_TRUNCATED : DECODE_SYNTAX);
}

/* A value that is no container. */
static bool skip_scalar(struct scan *s, char first)
{
    struct scan_text text;
    struct span number;
    bool integer;
    switch (first) {
    case '"':
        return scan_string(s, &text);
    case 't':
    case 'f':
    case 'n':
        return scan_literal(s);
    case '\0':
        return scan_fail(s, s->at == s->end ? DECODE_TRUNCATED : DECODE_SYNTAX);
    default:
        if (first == '-' || is_digit(first))
            return scan_number(s, &number, &integer);
        return scan_fail(s, DECODE_SYNTAX);
    }
}

static bool skip_key(struct scan *s)
{
    struct scan_text key;
    if (scan_peek(s) != '"')
        return scan_fail(s, s->at == s->end ? DECODE_TRUNCATED : DECODE_SYNTAX);
    return scan_string(s, &key) && scan_take(s, ':');
}

/* After a value: closes what ends here and moves to the next value. Done when no container is left. */
static bool next_value(struct scan *s, uint64_t objects, int *level)
{
    while (*level > 0) {
        bool object = objects >> (*level - 1) & 1;
        char c = scan_peek(s);
        if (c == ',') {
            s->at++;
            return !object || skip_key(s);
        }
        if (c != (object ? '}' : ']'))
            return scan_fail(s, s->at == s->end ? DECODE_TRUNCATED : DECODE_SYNTAX);
        s->at++;
        --*level;
    }
    return true;
}

bool scan_skip_value(struct scan *s, int depth)
{
    uint64_t objects = 0; /* bit i: container i + 1 is an object */
    int level = 0;
    do {
        char c = scan_peek(s);
        if (c == '{' || c == '[') {
            if (depth + level >= DECODE_DEPTH_MAX)
                return scan_fail(s, DECODE_DEPTH);
            s->at++;
            uint64_t bit = UINT64_C(1) << level++;
            objects = c == '{' ? objects | bit : objects & ~bit;
            char first = scan_peek(s);
            if (first != (c == '{' ? '}' : ']')) {
                if (c == '{' && !skip_key(s))
                    return false;
                continue;
            }
            s->at++;
            level--;
        } else if (!skip_scalar(s, c)) {
            return false;
        }
        if (!next_value(s, objects, &level))
            return false;
    } while (level > 0);
    return true;
}
