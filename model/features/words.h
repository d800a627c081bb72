/*
 * A fixed set of texts, each with its position and, for lookup, a number. Found by binary search over (length, bytes):
 * sets are small, mostly told apart by the first comparison, and need no hash.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/base/span.h"

struct word {
    struct span text;  /* in the set's own memory */
    uint32_t position; /* in the order given */
};

struct words {
    struct word *sorted; /* [count] */
    double *values;      /* [count + 1] by position, the one for all others last; NULL without numbers */
    char *bytes;         /* the texts, one after the other */
    uint32_t count;
};

/* Copies texts[n] and, unless NULL, values[n + 1]. NULL on no memory. Texts are distinct: words_repeated says. */
struct words *words_create(const struct span *texts, const double *values, uint32_t n);
void words_free(struct words *words);

/* The position in the order given of a text that occurs twice, the later one; -1: none does. */
int words_repeated(const struct words *words);
bool words_equal(const struct words *a, const struct words *b);

static inline int words_compare(struct span a, struct span b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.data, b.data, a.len) : 0;
}

/* The position of text, or -1. */
static inline int words_find(const struct words *words, struct span text)
{
    uint32_t low = 0, high = words->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = words_compare(text, words->sorted[middle].text);
        if (order == 0)
            return (int)words->sorted[middle].position;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

/* The number at a position that words_find gave. */
static inline double words_value(const struct words *words, int position)
{
    return words->values[position < 0 ? words->count : (uint32_t)position];
}
