/*
 * Powers of ten as 128-bit significands, shared by reading and writing numbers. Computed exactly at start: about a
 * millisecond, against 10 KB of constants that nobody could check by eye.
 */
#pragma once

#include <stdint.h>

enum { POWER_MIN = -342, POWER_MAX = 324 };

/* floor(10^q / 2^e) for the e that makes it 128 bits long: high * 2^64 + low. Exact for 0 <= q <= 55. */
struct power {
    uint64_t high, low;
};

extern struct power power_table[POWER_MAX - POWER_MIN + 1];

static inline struct power power_floor(int q)
{
    return power_table[q - POWER_MIN];
}

/* The same, rounded up where it is not exact. */
static inline struct power power_ceil(int q)
{
    struct power p = power_table[q - POWER_MIN];
    if (q < 0 || q > 55) {
        p.low++;
        p.high += p.low == 0;
    }
    return p;
}
