/*
 * The functions of networks, of our own: float32 with fused multiply-add, the same bits on every processor.
 *
 * Libraries' expf and tanhf differ in their last bits from version to version and from scalar to vector. These are plain
 * sequences of IEEE operations (+, *, /, fma, each rounded once) and of integer steps on the bits, with no table and no branch:
 * a compiler may put them into vectors of any width, and a GPU may run them, without changing a bit. Whoever compiles them must
 * neither contract a * b + c on its own nor flush denormals (-ffp-contract=off, no -ffast-math).
 *
 * Error: at most 2 units in the last place of float32 against the exact value, for every float32 there is, denormal results
 * included; docs/networks.md has the figures and the program that goes through all 2^32 of them. NaN gives NaN, infinities give
 * the limits. Polynomials are minimax fits with float32 coefficients (made with Sollya's fpminimax); the relative error of
 * each fit stands beside it.
 */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef NETWORK_INLINE /* a compiler for a GPU wants to be told that these are for its code */
#define NETWORK_INLINE static inline
#endif

NETWORK_INLINE uint32_t network_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

NETWORK_INLINE float network_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* |x|, and |x| with the sign of another number. */
NETWORK_INLINE float network_abs(float x)
{
    return network_float(network_bits(x) & 0x7fffffffu);
}

NETWORK_INLINE float network_with_sign(float x, float sign)
{
    return network_float((network_bits(x) & 0x7fffffffu) | (network_bits(sign) & 0x80000000u));
}

/* The larger and the smaller one. A NaN in x stays; limit is none. */
NETWORK_INLINE float network_at_least(float x, float limit)
{
    return x < limit ? limit : x;
}

NETWORK_INLINE float network_at_most(float x, float limit)
{
    return x > limit ? limit : x;
}

/* All NaNs as one: their payload would depend on the order of an instruction's operands. For what leaves a network. */
NETWORK_INLINE float network_one_nan(float x)
{
    return x != x ? network_float(0x7fc00000u) : x;
}

/* --- exponentials ----------------------------------------------------------------------------------------------------- */

/* x + tail = n * ln 2 + r with |r| <= ln 2 / 2; x within +-150 or NaN, and tail a small part of it. */
struct network_reduced {
    uint32_t n; /* two's complement */
    float r;
};

NETWORK_INLINE struct network_reduced network_reduce(float x, float tail)
{
    const float round = 0x1.8p23f; /* adding it pushes the fraction out */
    float shifted = fmaf(x, 0x1.715476p0f, round);
    float n = shifted - round;
    /* ln 2 in two parts; the product with the first one is exact, and so is its difference from x. */
    float r = fmaf(n, -0x1.62e4p-1f, x) + fmaf(n, -0x1.7f7d1cp-20f, tail);
    struct network_reduced reduced = {network_bits(shifted) - 0x4b400000u, r};
    return reduced;
}

/* For e^x below the smallest and above the largest float too. */
NETWORK_INLINE struct network_reduced network_reduce_any(float x, float tail)
{
    return network_reduce(network_at_most(network_at_least(x, -150.0f), 90.0f), tail);
}

/* 2^n for n of -126 .. 127. */
NETWORK_INLINE float network_power(uint32_t n)
{
    return network_float((n + 127u) << 23);
}

/* n / 2, rounded down, of a two's complement number above -2^16. */
NETWORK_INLINE uint32_t network_half(uint32_t n)
{
    return ((n + 0x10000u) >> 1) - 0x8000u;
}

/* (e^r - 1) / r for |r| <= ln 2 / 2. e^r from it: 2^-28. */
NETWORK_INLINE float network_exp_slope(float r)
{
    float p = 0x1.694cd4p-10f;
    p = fmaf(p, r, 0x1.123988p-7f);
    p = fmaf(p, r, 0x1.555a26p-5f);
    p = fmaf(p, r, 0x1.555492p-3f);
    p = fmaf(p, r, 0x1.fffffap-2f);
    return fmaf(p, r, 1.0f);
}

/* x * 2^n. In two steps, the first of them exact: a result among the denormals is rounded once. */
NETWORK_INLINE float network_scale(float x, uint32_t n)
{
    uint32_t half = network_half(n);
    return x * network_power(half) * network_power(n - half);
}

NETWORK_INLINE float network_exp(float x)
{
    struct network_reduced k = network_reduce_any(x, 0.0f);
    return network_scale(fmaf(network_exp_slope(k.r), k.r, 1.0f), k.n);
}

/* e^x - 1, exact to the last place around 0 too. */
NETWORK_INLINE float network_expm1(float x)
{
    float bounded = network_at_most(network_at_least(x, -30.0f), 89.0f);
    struct network_reduced k = network_reduce(bounded, 0.0f);
    float r = k.r, p = 0x1.9e0c28p-13f; /* 2^-31 */
    p = fmaf(p, r, 0x1.6d4372p-10f);
    p = fmaf(p, r, 0x1.111306p-7f);
    p = fmaf(p, r, 0x1.5554fp-5f);
    p = fmaf(p, r, 0x1.555554p-3f);
    p = fmaf(p, r, 0.5f);
    p = p * r;
    p = fmaf(p, r, r);
    /* 2^n (p + 1) - 1 by half of the power, as 2^128 is none. -0 stays -0: the sum would lose the sign. */
    float power = network_power(k.n - 1u);
    float scaled = fmaf(p, power, power - 0.5f) * 2.0f;
    return k.n == 0 ? network_with_sign(p, x) : scaled;
}

/* --- logarithms ------------------------------------------------------------------------------------------------------- */

/* ln(2^e (1 + f)) for f of sqrt(1/2) - 1 .. sqrt(2) - 1: 2^-27. */
NETWORK_INLINE float network_log_core(float e, float f)
{
    float p = -0x1.43097p-4f;
    p = fmaf(p, f, 0x1.08451ep-3f);
    p = fmaf(p, f, -0x1.0cc01ap-3f);
    p = fmaf(p, f, 0x1.224c78p-3f);
    p = fmaf(p, f, -0x1.547a52p-3f);
    p = fmaf(p, f, 0x1.99a892p-3f);
    p = fmaf(p, f, -0x1.00021ep-2f);
    p = fmaf(p, f, 0x1.55554p-2f);
    p = fmaf(p, f, -0.5f);
    float square = f * f;
    float low = fmaf(e, 0x1.7f7d1cp-20f, p * square);
    return fmaf(e, 0x1.62e4p-1f, f + low);
}

/* x = 2^e m with m of sqrt(1/2) .. sqrt(2), for a normal positive x. */
NETWORK_INLINE float network_mantissa(float x, float *e)
{
    uint32_t up = network_bits(x) + (0x3f800000u - 0x3f3504f3u);
    *e = (float)((int32_t)(up >> 23) - 127);
    return network_float((up & 0x007fffffu) + 0x3f3504f3u);
}

NETWORK_INLINE float network_log(float x)
{
    float is_small = x < 0x1p-126f ? 1.0f : 0.0f;
    float scaled = x < 0x1p-126f ? x * 0x1p25f : x, e;
    float m = network_mantissa(scaled, &e);
    float y = network_log_core(e - 25.0f * is_small, m - 1.0f);
    y = x == INFINITY ? INFINITY : y;
    y = x == 0.0f ? -INFINITY : y;
    return x >= 0.0f ? y : NAN;
}

/* ln(1 + x) for x of 0 .. 1: what 1 + x lost in rounding is put back. */
NETWORK_INLINE float network_log1p_core(float x)
{
    float sum = 1.0f + x, lost = x - (sum - 1.0f), e;
    float m = network_mantissa(sum, &e);
    /* f is exact, and so is its scaling of the lost part by a power of two. */
    float f = (m - 1.0f) + lost * (m / sum);
    return network_log_core(e, f);
}

/* ln(1 + e^x) */
NETWORK_INLINE float network_softplus(float x)
{
    float y = network_log1p_core(network_exp(-network_abs(x)));
    return x > 0.0f ? x + y : y;
}

/* --- sigmoid and tanh ------------------------------------------------------------------------------------------------- */

/* (over + over_lost) / (1 + e) for e of 0 .. 1; what the sum and the quotient lost in rounding is put back. */
NETWORK_INLINE float network_share(float over, float over_lost, float e)
{
    float sum = 1.0f + e, lost = e - (sum - 1.0f);
    float inverse = 1.0f / sum;
    float share = over * inverse;
    float left = fmaf(-share, lost, fmaf(-share, sum, over)) + over_lost;
    return fmaf(left, inverse, share);
}

/* 1 / (1 + e^-x), mirrored for negative x, where e^-x may be infinite and the result is not. */
NETWORK_INLINE float network_sigmoid(float x)
{
    float e = network_exp(-network_abs(x));
    return network_share(x < 0.0f ? e : 1.0f, 0.0f, e);
}

NETWORK_INLINE float network_tanh(float x)
{
    float square = x * x, p = -0x1.828776p-8f; /* 2^-28 up to 0.6 */
    p = fmaf(p, square, 0x1.54c3c2p-6f);
    p = fmaf(p, square, -0x1.b89abap-5f);
    p = fmaf(p, square, 0x1.1109bep-3f);
    p = fmaf(p, square, -0x1.55553ep-2f);
    float small = fmaf(p * square, x, x);
    float magnitude = network_abs(x);
    float e = network_exp(2.0f * magnitude);
    float large = 1.0f - 2.0f / (e + 1.0f);
    return network_with_sign(magnitude < 0.6f ? small : large, x);
}

/* --- the normal distribution ------------------------------------------------------------------------------------------ */

/* a P(X > a) e^(a^2 / 2) of a standard normal X: a polynomial in (a - 1.96875) / (a + 1.96875), 2^-25 for a of 0.94 to 15,
 * and what it lost in its last rounding. */
NETWORK_INLINE float network_tail(float a, float *lost)
{
    float t = (a - 1.96875f) / (a + 1.96875f), p = 0x1.632f36p-10f;
    p = fmaf(p, t, -0x1.d8d808p-11f);
    p = fmaf(p, t, -0x1.2b3032p-8f);
    p = fmaf(p, t, -0x1.6aed4cp-9f);
    p = fmaf(p, t, 0x1.37468cp-6f);
    p = fmaf(p, t, 0x1.e81d36p-6f);
    p = fmaf(p, t, -0x1.349d48p-3f);
    p = fmaf(p, t, 0x1.620edcp-3f);
    float tail = fmaf(p, t, 0x1.56e376p-2f);
    *lost = fmaf(p, t, 0x1.56e376p-2f - tail);
    return tail;
}

NETWORK_INLINE float network_erf(float x)
{
    float square = x * x, p = 0x1.586cfp-14f; /* 2^-30 up to 0.95 */
    p = fmaf(p, square, -0x1.a8f0c8p-11f);
    p = fmaf(p, square, 0x1.54a34p-8f);
    p = fmaf(p, square, -0x1.b80ae4p-6f);
    p = fmaf(p, square, 0x1.ce2ddep-4f);
    p = fmaf(p, square, -0x1.812742p-2f);
    p = fmaf(p, square, 0x1.06eba8p-3f);
    float small = fmaf(p, x, x);
    float magnitude = network_at_most(network_abs(x), 5.0f), a = magnitude * 0x1.6a09e6p0f, lost; /* sqrt 2 */
    float beyond = network_exp(-(magnitude * magnitude)) * network_tail(a, &lost) / a;
    float large = fmaf(-2.0f, beyond, 1.0f);
    return network_abs(x) < 0.9f ? small : network_with_sign(large, x);
}

/* x P(X <= x) of a standard normal X, that is x / 2 * (1 + erf(x / sqrt 2)). The tail is computed as such: 1 + erf would
 * cancel for negative x. What its square lost in rounding matters as much as the exponent is large. */
NETWORK_INLINE float network_gelu(float x)
{
    float square = x * x, p = -0x1.23c10ap-17f; /* 2^-25 up to 1 */
    p = fmaf(p, square, 0x1.e8123cp-14f);
    p = fmaf(p, square, -0x1.37bfd2p-10f);
    p = fmaf(p, square, 0x1.46d908p-7f);
    p = fmaf(p, square, -0x1.10587p-4f);
    p = fmaf(p, square, 0x1.988454p-2f);
    float middle = x * fmaf(p, x, 0.5f);
    float a = network_at_most(network_abs(x), 15.0f), square_lost = fmaf(a, a, -(a * a));
    struct network_reduced k = network_reduce(-0.5f * (a * a), -0.5f * square_lost);
    float tail_lost, tail = network_tail(a, &tail_lost);
    float grown = network_exp_slope(k.r) * k.r; /* e^r - 1 */
    float scaled = tail + fmaf(tail, grown, fmaf(tail_lost, grown, tail_lost)); /* tail e^r */
    float outer = network_at_least(x, 0.0f) - network_scale(scaled, k.n);
    return a < 0.95f ? middle : outer;
}

/* x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) = x sigmoid(2 u), with u to twice the precision: e^u would make its
 * rounding error as many times larger as u is large. */
NETWORK_INLINE float network_gelu_tanh(float x)
{
    const float c1 = 0x1.988454p0f, c1_low = -0x1.857936p-25f; /* 2 sqrt(2 / pi) */
    const float c3 = 0x1.2444f2p-4f, c3_low = 0x1.49b16ap-29f; /* 0.044715 of it */
    float a = network_at_most(network_abs(x), 15.0f), bounded = network_at_least(x, -15.0f);
    float square = a * a, square_low = fmaf(a, a, -square);
    float term = c3 * square;
    float term_low = fmaf(c3, square, -term) + fmaf(c3, square_low, c3_low * square);
    float factor = c1 + term, back = factor - c1; /* and what the sum lost, whichever of the two is larger */
    float factor_low = ((c1 - (factor - back)) + (term - back)) + (term_low + c1_low);
    float u = a * factor, u_low = fmaf(a, factor, -u) + a * factor_low;
    struct network_reduced k = network_reduce_any(-u, -u_low);
    float grown = network_exp_slope(k.r) * k.r, below = fmaf(bounded, grown, bounded); /* bounded e^r, and what it lost */
    float below_lost = fmaf(bounded, grown, bounded - below);
    float e = network_scale(1.0f + grown, k.n);
    float over = x > 0.0f ? bounded : network_scale(below, k.n), over_lost = x > 0.0f ? 0.0f : network_scale(below_lost, k.n);
    float y = network_share(over, over_lost, e);
    return x > 15.0f ? x : y;
}
