#include "model/state/exact.h"

typedef struct exact_squares wide; /* 256 bits */

static void wide_add(wide *a, const wide *b)
{
    exact_unsigned carry = 0;
    for (int i = 0; i < 4; i++) {
        carry += (exact_unsigned)a->word[i] + b->word[i];
        a->word[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static void wide_subtract(wide *a, const wide *b)
{
    uint64_t borrow = 0;
    for (int i = 0; i < 4; i++) {
        exact_unsigned difference = (exact_unsigned)a->word[i] - b->word[i] - borrow;
        a->word[i] = (uint64_t)difference;
        borrow = (uint64_t)(difference >> 64) & 1;
    }
}

/* (high 2^64 + low)^2 */
static wide wide_square(exact_sum value)
{
    exact_unsigned magnitude = value < 0 ? -(exact_unsigned)value : (exact_unsigned)value;
    uint64_t low = (uint64_t)magnitude, high = (uint64_t)(magnitude >> 64);
    exact_unsigned square = (exact_unsigned)low * low;
    wide out = {{(uint64_t)square, (uint64_t)(square >> 64), 0, 0}};
    if (high == 0)
        return out;
    exact_unsigned cross = (exact_unsigned)low * high, top = (exact_unsigned)high * high;
    wide twice = {{0, (uint64_t)(cross << 1), (uint64_t)(cross >> 63), (uint64_t)(cross >> 127)}};
    wide upper = {{0, 0, (uint64_t)top, (uint64_t)(top >> 64)}};
    wide_add(&out, &twice);
    wide_add(&out, &upper);
    return out;
}

void exact_square_add(struct exact_squares *squares, exact_sum value)
{
    wide square = wide_square(value);
    wide_add(squares, &square);
}

void exact_square_subtract(struct exact_squares *squares, exact_sum value)
{
    wide square = wide_square(value);
    wide_subtract(squares, &square);
}

void exact_squares_merge(struct exact_squares *squares, const struct exact_squares *other)
{
    wide_add(squares, other);
}

static wide wide_times(const wide *a, uint32_t n)
{
    wide out;
    exact_unsigned carry = 0;
    for (int i = 0; i < 4; i++) {
        carry += (exact_unsigned)a->word[i] * n;
        out.word[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return out;
}

/* The nearest double: the 64 bits from the highest set one on, with what is cut off kept as a sticky last bit. */
static double wide_double(const wide *a)
{
    int top = 3;
    while (top > 0 && a->word[top] == 0)
        top--;
    uint64_t lead = a->word[top], rest = 0;
    if (lead == 0)
        return 0;
    int shift = __builtin_clzll(lead);
    if (top > 0) {
        uint64_t next = a->word[top - 1];
        if (shift > 0) {
            lead = lead << shift | next >> (64 - shift);
            next <<= shift;
        }
        rest = next;
        for (int i = 0; i < top - 1; i++)
            rest |= a->word[i];
        return ldexp((double)(lead | (rest != 0)), 64 * top - shift);
    }
    return (double)lead;
}

double exact_std(exact_sum sum, const struct exact_squares *squares, uint32_t n)
{
    if (n < 2)
        return NAN;
    wide numerator = wide_times(squares, n), square = wide_square(sum);
    wide_subtract(&numerator, &square);
    return sqrt(wide_double(&numerator) / ((double)n * ((double)n - 1))) * 0x1p-32;
}
