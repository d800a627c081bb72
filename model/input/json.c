#include "model/input/json.h"

#include <string.h>

bool json_fail(struct json *j, enum decode_reason reason)
{
    if (j->reason == DECODE_NONE)
        j->reason = reason;
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

bool json_number(struct json *j, struct span *out, bool *integer)
{
    const char *stop;
    const char *p = number_end(j->at, j->end, integer, &stop);
    if (!p) {
        j->at = stop;
        return json_fail(j, stop == j->end ? DECODE_TRUNCATED : DECODE_NUMBER);
    }
    *out = (struct span){j->at, (uint32_t)(p - j->at)};
    j->at = p;
    return true;
}

bool json_literal(struct json *j)
{
    const char *word = *j->at == 't' ? "true" : *j->at == 'f' ? "false" : "null";
    size_t len = strlen(word);
    size_t left = (size_t)(j->end - j->at);
    if (left >= len && memcmp(j->at, word, len) == 0) {
        j->at += len;
        return true;
    }
    bool cut = left < len && memcmp(j->at, word, left) == 0;
    if (cut)
        j->at = j->end;
    return json_fail(j, cut ? DECODE_TRUNCATED : DECODE_SYNTAX);
}

/* A value that is no container. */
static bool skip_scalar(struct json *j, char first)
{
    struct json_text text;
    struct span number;
    bool integer;
    switch (first) {
    case '"':
        return json_string(j, &text);
    case 't':
    case 'f':
    case 'n':
        return json_literal(j);
    case '\0':
        return json_fail(j, j->at == j->end ? DECODE_TRUNCATED : DECODE_SYNTAX);
    default:
        if (first == '-' || is_digit(first))
            return json_number(j, &number, &integer);
        return json_fail(j, DECODE_SYNTAX);
    }
}

static bool skip_key(struct json *j)
{
    struct json_text key;
    if (json_peek(j) != '"')
        return json_fail(j, j->at == j->end ? DECODE_TRUNCATED : DECODE_SYNTAX);
    return json_string(j, &key) && json_take(j, ':');
}

/* After a value: closes what ends here and moves to the next value. Done when no container is left. */
static bool next_value(struct json *j, uint64_t objects, int *level)
{
    while (*level > 0) {
        bool object = objects >> (*level - 1) & 1;
        char c = json_peek(j);
        if (c == ',') {
            j->at++;
            return !object || skip_key(j);
        }
        if (c != (object ? '}' : ']'))
            return json_fail(j, j->at == j->end ? DECODE_TRUNCATED : DECODE_SYNTAX);
        j->at++;
        --*level;
    }
    return true;
}

bool json_skip_value(struct json *j, int depth)
{
    uint64_t objects = 0; /* bit i: container i + 1 is an object */
    int level = 0;
    do {
        char c = json_peek(j);
        if (c == '{' || c == '[') {
            if (depth + level >= DECODE_DEPTH_MAX)
                return json_fail(j, DECODE_DEPTH);
            j->at++;
            uint64_t bit = UINT64_C(1) << level++;
            objects = c == '{' ? objects | bit : objects & ~bit;
            char first = json_peek(j);
            if (first != (c == '{' ? '}' : ']')) {
                if (c == '{' && !skip_key(j))
                    return false;
                continue;
            }
            j->at++;
            level--;
        } else if (!skip_scalar(j, c)) {
            return false;
        }
        if (!next_value(j, objects, &level))
            return false;
    } while (level > 0);
    return true;
}
