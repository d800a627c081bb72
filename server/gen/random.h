/*
 * Random numbers that are the same on every machine: integer generators, and the few functions of them that are needed,
 * built from additions, multiplications and bit moves alone (a libm may round exp and log differently from the next one).
 *
 * Sources: D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom Number Generators" (2018), xoshiro256++; seeding and hashes
 * by splitmix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
 */
#pragma once

#include <stdint.h>
#include <string.h>

struct random {
    uint64_t s[4];
};

/* The finaliser of splitmix64: a hash whose every input bit reaches every output bit. */
static inline uint64_t random_mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static inline void random_seed(struct random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = random_mix(seed + (uint64_t)i * UINT64_C(0x9E3779B97F4A7C15));
}

static inline uint64_t random_bits(struct random *r)
{
    uint64_t *s = r->s, sum = s[0] + s[3], result = ((sum << 23) | (sum >> 41)) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* [0, 1) from the upper bits of x. */
static inline double random_unit_of(uint64_t x)
{
    return (double)(x >> 11) * 0x1p-53;
}

static inline double random_unit(struct random *r)
{
    return random_unit_of(random_bits(r));
}

/* [0, n), n below 2^32: the multiplication instead of a division leaves a bias of n / 2^32. */
static inline uint32_t random_below(struct random *r, uint32_t n)
{
    return (uint32_t)(((random_bits(r) >> 32) * n) >> 32);
}

/* Close to the normal distribution: the number of ones among 64 fair bits, smoothed by a uniform part. Never beyond 8 sigma. */
static inline double random_normal_of(uint64_t bits, double unit)
{
    return ((double)__builtin_popcountll(bits) - 32.5 + unit) * 0.24935;
}

static inline double random_normal(struct random *r)
{
    uint64_t bits = random_bits(r);
    return random_normal_of(bits, random_unit(r));
}

/* exp(x) for |x| < 700, to about 1e-12: 2^k times a Taylor polynomial on [-ln2/2, ln2/2]. */
static inline double random_exp(double x)
{
    double steps = x * 1.4426950408889634;
    int64_t k = (int64_t)(steps + (steps < 0 ? -0.5 : 0.5));
    double r = x - (double)k * 0.6931471805599453;
    double p = 1 + r * (1 + r / 2 * (1 + r / 3 * (1 + r / 4 * (1 + r / 5 * (1 + r / 6 * (1 + r / 7 * (1 + r / 8 * (1 + r / 9))))))));
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* log(x) for normal x > 0, to about 1e-12: the exponent, and the series of atanh for a mantissa in [sqrt(1/2), sqrt(2)). */
static inline double random_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    bits = (bits & UINT64_C(0x000FFFFFFFFFFFFF)) | UINT64_C(0x3FF0000000000000);
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    double s = (m - 1) / (m + 1), q = s * s;
    double series = 1 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * (1.0 / 9 + q * (1.0 / 11 + q * (1.0 / 13))))));
    return 2 * s * series + (double)exponent * 0.6931471805599453;
}

/* The exponential distribution with mean 1. */
static inline double random_exponential(struct random *r)
{
    return -random_log(1 - random_unit(r));
}
