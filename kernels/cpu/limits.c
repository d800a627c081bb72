#include "kernels/cpu/limits.h"

#include <stdlib.h>
#include <string.h>

/*
 * By bytes, the lowest first, each pass keeping the order of the one before (radix sort): so many comparisons, each a branch
 * that is guessed wrong half the time, took half of the time in which a model is made ready. Bytes that all limits share, as
 * most of the input's and the upper ones of keys of 32 bits, cost nothing.
 */
enum { VALUE_BYTES = 8, BYTES = VALUE_BYTES + 4 };

/* Byte number `byte` of what is sorted by; the value's sign turned, so that negative ones come first. */
static inline unsigned byte_of(const struct limit *limit, int byte)
{
    uint64_t value = (uint64_t)limit->value ^ (uint64_t)1 << 63;
    return (unsigned)(byte < VALUE_BYTES ? value >> 8 * byte : limit->input >> 8 * (byte - VALUE_BYTES)) & 0xff;
}

static void pass(const struct limit *from, struct limit *to, size_t n, int byte, const size_t counts[256])
{
    size_t at[256], sum = 0;
    for (int b = 0; b < 256; b++) {
        at[b] = sum;
        sum += counts[b];
    }
    for (size_t i = 0; i < n; i++)
        to[at[byte_of(&from[i], byte)]++] = from[i];
}

enum status limits_sort(struct limit *limits, size_t n)
{
    size_t counts[BYTES][256] = {{0}};
    struct limit *from = limits, *to = malloc((n + 1) * sizeof *to), *spare = to;
    if (!spare)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        for (int byte = 0; byte < BYTES; byte++)
            counts[byte][byte_of(&limits[i], byte)]++;
    }
    for (int byte = 0; byte < BYTES && n > 0; byte++) {
        if (counts[byte][byte_of(limits, byte)] == n)
            continue;
        pass(from, to, n, byte, counts[byte]);
        struct limit *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != limits)
        memcpy(limits, from, n * sizeof *limits);
    free(spare);
    return STATUS_OK;
}
