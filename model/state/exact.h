/*
 * Sums that depend on their members alone. A value is rounded once, to the nearest multiple of 2^-32 (half to even), and
 * is an integer from there on: sums in 128 bits, sums of squares in 256. So adding and taking away in any order gives the
 * same bits. Values lie within ±2^62 and there are fewer than 2^32 of them: nothing can overflow.
 */
#pragma once

#include <math.h>
#include <stdint.h>

__extension__ typedef __int128 exact_sum; /* in units of 2^-32 */
__extension__ typedef unsigned __int128 exact_unsigned;

#define EXACT_LIMIT 0x1p62

/* A sum of squares, in units of 2^-64; least significant word first. */
struct exact_squares {
    uint64_t word[4];
};

/* x: |x| <= EXACT_LIMIT, not NaN. */
static inline exact_sum exact_from(double x)
{
    double scaled = x * 0x1p32;
    /* From 2^20 on a double has no bits below 2^-32, so the conversion is exact as well. */
    return fabs(scaled) < 0x1p62 ? (exact_sum)llrint(scaled) : (exact_sum)scaled;
}

/* The nearest double. */
static inline double exact_value(exact_sum sum)
{
    int64_t low = (int64_t)sum;
    return (low == sum ? (double)low : (double)sum) * 0x1p-32;
}

void exact_square_add(struct exact_squares *squares, exact_sum value);
void exact_square_subtract(struct exact_squares *squares, exact_sum value);
void exact_squares_merge(struct exact_squares *squares, const struct exact_squares *other);

/* sqrt((n Q - S^2) / (n (n - 1))): the numerator is exact, rounded once. NaN where n < 2. */
double exact_std(exact_sum sum, const struct exact_squares *squares, uint32_t n);
