/* The functions of model/network_math.h against what they should be, in double. */
#pragma once

#include <stdint.h>

struct network_function {
    const char *name;
    float (*ours)(float x);
    double (*exact)(double x); /* within 2^-45 of the exact value, relatively */
};

extern const struct network_function network_functions[];
extern const unsigned network_function_count;

struct network_error {
    double ulp; /* units in the last place of float32: |ours - exact| over the distance of floats there */
    float at;
};

/* The largest error over the floats of bit patterns first, first + step, ... below 2^32. NaN where it should be one, or an
 * infinity instead of a number that rounds to it, is no error; the reverse is an infinite one. */
struct network_error network_error_over(const struct network_function *function, uint64_t first, uint64_t step);
