/*
 * Writing numbers: Schubfach finds the shortest decimal inside the interval of reals that round to the value, the one
 * nearest to it where there are several. The names follow R. Giulietti's paper: v = c * 2^q, cb its fourfold, cbl and cbr
 * the ends of the interval, all scaled by a power of ten taken as a 126-bit (double) or 64-bit (float) ceiling.
 */
#include <stdint.h>
#include <string.h>

#include "model/input/number.h"
#include "model/input/powers.h"

__extension__ typedef unsigned __int128 u128;

struct shortest {
    uint64_t digits;
    int exponent;
};

static int floor_log2_pow10(int e)
{
    return (e * 1741647) >> 19;
}

/* floor(log10(2^q)), or floor(log10(3/4 * 2^q)) where the interval's lower half is the shorter. */
static int floor_log10_pow2(int q, bool closer)
{
    return (q * 1262611 - (closer ? 524031 : 0)) >> 22;
}

/* The scaled product's integer part; its lowest bit also says whether anything was cut off ("round to odd"). */
static uint64_t scale_double(struct power g, uint64_t cp)
{
    u128 x = (u128)g.low * cp;
    u128 y = (u128)g.high * cp + (uint64_t)(x >> 64);
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

static uint64_t scale_float(uint64_t g, uint64_t cp)
{
    u128 y = (u128)g * cp;
    uint32_t high = (uint32_t)(y >> 64);
    uint32_t middle = (uint32_t)(y >> 32);
    return high | (middle > 1);
}

/* Chooses among the candidates around vb / 4, given the scaled interval. */
static struct shortest choose(uint64_t lower, uint64_t vb, uint64_t upper, int k)
{
    uint64_t s = vb / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down = lower <= 40 * tens, up = 40 * tens + 40 <= upper;
        if (down != up)
            return (struct shortest){tens + up, k + 1};
    }
    bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
    if (down != up)
        return (struct shortest){s + up, k};
    uint64_t middle = 4 * s + 2;
    return (struct shortest){s + (vb > middle || (vb == middle && (s & 1))), k};
}

static struct shortest shortest_double(uint64_t fraction, int exponent)
{
    uint64_t c = exponent ? fraction | UINT64_C(1) << 52 : fraction;
    int q = (exponent ? exponent : 1) - 1075;
    if (exponent && -q >= 0 && -q < 53 && (c & ((UINT64_C(1) << -q) - 1)) == 0)
        return (struct shortest){c >> -q, 0}; /* a small integer */
    bool odd = c & 1, closer = fraction == 0 && exponent > 1;
    int k = floor_log10_pow2(q, closer);
    int h = q + floor_log2_pow10(-k) + 1;
    struct power g = power_ceil(-k);
    uint64_t vbl = scale_double(g, (4 * c - 2 + closer) << h);
    uint64_t vb = scale_double(g, (4 * c) << h);
    uint64_t vbr = scale_double(g, (4 * c + 2) << h);
    return choose(vbl + odd, vb, vbr - odd, k);
}

static struct shortest shortest_float(uint32_t fraction, int exponent)
{
    uint64_t c = exponent ? fraction | UINT32_C(1) << 23 : fraction;
    int q = (exponent ? exponent : 1) - 150;
    if (exponent && -q >= 0 && -q < 24 && (c & ((UINT64_C(1) << -q) - 1)) == 0)
        return (struct shortest){c >> -q, 0};
    bool odd = c & 1, closer = fraction == 0 && exponent > 1;
    int k = floor_log10_pow2(q, closer);
    int h = q + floor_log2_pow10(-k) + 1;
    uint64_t g = power_floor(-k).high + (-k < 0 || -k > 27);
    uint64_t vbl = scale_float(g, (4 * c - 2 + closer) << h);
    uint64_t vb = scale_float(g, (4 * c) << h);
    uint64_t vbr = scale_float(g, (4 * c + 2) << h);
    return choose(vbl + odd, vb, vbr - odd, k);
}

static size_t write_zeros(char *out, int n)
{
    memset(out, '0', (size_t)n);
    return (size_t)n;
}

/* ECMAScript's Number::toString: plain up to 21 digits before the point and 6 zeros after it, else with an exponent. */
static size_t write_decimal(char *out, struct shortest d)
{
    char digits[24];
    int n = 0;
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    char *start = digits + sizeof digits;
    for (uint64_t rest = d.digits; rest; rest /= 10, n++)
        *--start = (char)('0' + rest % 10);
    int point = n + d.exponent; /* digits before the decimal point */
    char *o = out;
    if (n <= point && point <= 21) {
        memcpy(o, start, (size_t)n);
        o += n;
        o += write_zeros(o, point - n);
    } else if (0 < point && point <= 21) {
        memcpy(o, start, (size_t)point);
        o[point] = '.';
        memcpy(o + point + 1, start + point, (size_t)(n - point));
        o += n + 1;
    } else if (-6 < point && point <= 0) {
        *o++ = '0';
        *o++ = '.';
        o += write_zeros(o, -point);
        memcpy(o, start, (size_t)n);
        o += n;
    } else {
        *o++ = *start;
        if (n > 1) {
            *o++ = '.';
            memcpy(o, start + 1, (size_t)(n - 1));
            o += n - 1;
        }
        *o++ = 'e';
        int e = point - 1;
        *o++ = e < 0 ? '-' : '+';
        e = e < 0 ? -e : e;
        if (e >= 100)
            *o++ = (char)('0' + e / 100);
        if (e >= 10)
            *o++ = (char)('0' + e / 10 % 10);
        *o++ = (char)('0' + e % 10);
    }
    return (size_t)(o - out);
}

size_t number_write_double(char out[NUMBER_TEXT_MAX], double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    char *o = out;
    if (bits >> 63)
        *o++ = '-';
    bits &= UINT64_MAX >> 1;
    if (bits == 0) {
        *o++ = '0';
        return (size_t)(o - out);
    }
    return (size_t)(o - out) + write_decimal(o, shortest_double(bits & (UINT64_MAX >> 12), (int)(bits >> 52)));
}

size_t number_write_float(char out[NUMBER_TEXT_MAX], float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    char *o = out;
    if (bits >> 31)
        *o++ = '-';
    bits &= UINT32_MAX >> 1;
    if (bits == 0) {
        *o++ = '0';
        return (size_t)(o - out);
    }
    return (size_t)(o - out) + write_decimal(o, shortest_float(bits & (UINT32_MAX >> 9), (int)(bits >> 23)));
}
