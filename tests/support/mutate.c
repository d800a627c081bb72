#include "tests/support/mutate.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/example.h"

struct draft {
    char *text;
    size_t len;
    uint64_t random;
};

static uint64_t next_random(struct draft *d) /* splitmix64 */
{
    uint64_t z = d->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(struct draft *d, size_t n)
{
    return n ? (size_t)(next_random(d) % n) : 0;
}

/* Puts text in the place of the `old` bytes at `at`; nothing happens where it would not fit. */
static void splice(struct draft *d, size_t at, size_t old, const char *text, size_t len)
{
    if (at > d->len || old > d->len - at || d->len - old + len > MUTATE_MAX)
        return;
    memmove(d->text + at + len, d->text + at + old, d->len - at - old);
    memcpy(d->text + at, text, len);
    d->len = d->len - old + len;
}

/* Where the value of a random field starts, and how long it is; values of the example are flat. */
static size_t pick_value(struct draft *d, size_t *len)
{
    size_t fields = 0, at[32];
    for (size_t i = 0; i + 1 < d->len && fields < 32; i++) {
        if (d->text[i] == ':')
            at[fields++] = i + 1;
    }
    *len = 0;
    if (fields == 0)
        return 0;
    size_t start = at[below(d, fields)];
    while (start + *len < d->len && d->text[start + *len] != ',' && d->text[start + *len] != '}')
        (*len)++;
    return start;
}

static void replace_value(struct draft *d)
{
    static const char *const values[] = {"null", "true", "\"\"", "\"x\"", "-0", "1e999", "-1e400", "1E+2", "01", "1.", ".5", "+1", "NaN", "Infinity",
                                         "-", "\"\\ud800\"", "\"\\x41\"", "\"\\u12\"", "\"\x80\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "\"\t\"",
                                         "{}", "[]", "[[]]", "{\"a\":1}", "'x'", "\"\\u0000\"", "99999999999999999999", "1e-400", "253402300800"};
    size_t len, at = pick_value(d, &len), choice = below(d, sizeof values / sizeof values[0] + 2);
    char long_text[400];
    if (choice < sizeof values / sizeof values[0]) {
        splice(d, at, len, values[choice], strlen(values[choice]));
        return;
    }
    memset(long_text, choice % 2 ? 'x' : '[', sizeof long_text); /* too long a text, or too deep */
    long_text[0] = choice % 2 ? '"' : '[';
    if (choice % 2)
        long_text[sizeof long_text - 1] = '"';
    splice(d, at, len, long_text, sizeof long_text);
}

static void damage(struct draft *d)
{
    static const char *const inserts[] = {"\"", "{", "}", "[", "]", ",", ":", "\\", "\xff", "\xc0\x80", " ", "\n", "0", "\\u", "\"tx_id\":\"twice\",", "//"};
    size_t at = below(d, d->len + 1);
    const char *insert = inserts[below(d, sizeof inserts / sizeof inserts[0])];
    switch (below(d, 10)) {
    case 0: /* a bit, anywhere */
        if (at < d->len)
            d->text[at] = (char)(d->text[at] ^ (1 << below(d, 8)));
        break;
    case 1:
        splice(d, at, below(d, d->len - at + 1), "", 0);
        break;
    case 2:
        d->len = at;
        break;
    case 3: { /* the start once more */
        char start[300];
        size_t len = below(d, d->len / 2 + 1) % sizeof start;
        memcpy(start, d->text, len);
        splice(d, at, 0, start, len);
        break;
    }
    case 4:
        splice(d, at, 0, insert, strlen(insert));
        break;
    case 5: /* a field is called otherwise */
        if (at < d->len && d->text[at] >= 'a' && d->text[at] <= 'z')
            d->text[at] = (char)(d->text[at] - 'a' + 'A');
        break;
    case 6: /* random bytes */
        for (size_t i = at; i < d->len && i < at + 8; i++)
            d->text[i] = (char)next_random(d);
        break;
    default:
        replace_value(d);
        break;
    }
}

size_t mutate_document(char out[MUTATE_MAX], uint64_t seed, unsigned n, bool *whole)
{
    struct draft d = {.text = out, .random = seed * 0x100000001b3u + n};
    d.len = example_document(out, n);
    *whole = n % 10 == 0;
    if (*whole)
        return d.len;
    for (size_t times = 1 + below(&d, 3); times > 0; times--)
        damage(&d);
    return d.len;
}
