/*
 * Reading numbers: the digits become w * 10^q. Small ones are exact in one multiplication (Clinger); else a 64 x 128-bit
 * product with the power of ten decides the rounding (Eisel-Lemire); the rare case that it can't decide, and digits
 * beyond the nineteenth, go to strtod in the C locale.
 */
#include "model/input/number.h"

#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/input/powers.h"

__extension__ typedef unsigned __int128 u128;

static locale_t c_locale;

__attribute__((constructor)) static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* A number as its text says it: (-1)^negative * digits * 10^exponent, `cut` where digits beyond 19 were left out. */
struct decimal {
    uint64_t digits;
    int64_t exponent;
    bool negative, cut;
};

/* The two binary formats. */
struct format {
    int mantissa_bits; /* stored ones */
    int exponent_min;  /* -1023 */
    int exponent_inf;  /* 2047 */
    int q_min, q_max;  /* beyond: zero, infinity */
    int tie_min, tie_max; /* only these q can end exactly halfway */
};

static const struct format binary64 = {52, -1023, 0x7ff, -342, 308, -4, 23};
static const struct format binary32 = {23, -127, 0xff, -64, 38, -17, 10};

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static const char *take_exponent(const char *p, const char *end, int64_t *out)
{
    p++;
    bool negative = false;
    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    if (p == end || !is_digit(*p))
        return NULL;
    int64_t e = 0;
    for (; p < end && is_digit(*p); p++)
        e = e < 100000000 ? e * 10 + (*p - '0') : e;
    *out = negative ? -e : e;
    return p;
}

/* More digits than fit: the first nineteen that count, and whether anything but zeros follows. */
static void take_first_digits(const char *text, const char *end, struct decimal *d)
{
    int significant = 0;
    bool fraction = false;
    d->digits = 0;
    d->exponent = 0;
    for (const char *p = text; p < end; p++) {
        if (*p == '.') {
            fraction = true;
        } else if (significant < 19) {
            d->digits = d->digits * 10 + (uint64_t)(*p - '0');
            significant += d->digits != 0;
            d->exponent -= fraction;
        } else {
            d->cut |= *p != '0';
            d->exponent += !fraction;
        }
    }
}

/* Digits from p on are added to *w, which wraps around where there are too many; returns their end. */
static inline const char *take_digits(const char *p, const char *end, uint64_t *w)
{
    uint64_t digits = *w;
    for (; p < end && is_digit(*p); p++)
        digits = digits * 10 + (uint64_t)(*p - '0');
    *w = digits;
    return p;
}

/* Parses by the JSON grammar; 0 where there is no number. */
static inline size_t parse(const char *text, size_t len, struct decimal *d)
{
    const char *end = text + len;
    *d = (struct decimal){.negative = len > 0 && *text == '-'};
    const char *start = text + d->negative;
    const char *p = take_digits(start, end, &d->digits);
    if (p == start || (*start == '0' && p > start + 1))
        return 0;
    if (p < end && *p == '.') {
        const char *point = p + 1;
        p = take_digits(point, end, &d->digits);
        if (p == point)
            return 0;
        d->exponent = point - p;
    }
    if (p - start > 19)
        take_first_digits(start, p, d);
    if (p < end && (*p | 0x20) == 'e') {
        int64_t e = 0;
        p = take_exponent(p, end, &e);
        if (!p)
            return 0;
        d->exponent += e;
    }
    return (size_t)(p - text);
}

/* Rounds w * 10^q to the format's bits without sign. False where the product can't decide. */
static bool eisel_lemire(const struct format *f, uint64_t w, int64_t q, uint64_t *bits)
{
    if (w == 0 || q < f->q_min) {
        *bits = 0;
        return true;
    }
    if (q > f->q_max) {
        *bits = (uint64_t)f->exponent_inf << f->mantissa_bits;
        return true;
    }
    int zeros = __builtin_clzll(w);
    w <<= zeros;
    struct power power = q < 0 ? power_ceil((int)q) : power_floor((int)q);
    u128 product = (u128)w * power.high;
    uint64_t mask = UINT64_MAX >> (f->mantissa_bits + 3);
    if (((uint64_t)(product >> 64) & mask) == mask)
        product += (uint64_t)((u128)w * power.low >> 64);
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if (low == UINT64_MAX && (q < -27 || q > 55))
        return false;
    int upper = (int)(high >> 63);
    int shift = upper + 64 - f->mantissa_bits - 3;
    uint64_t mantissa = high >> shift;
    int exponent = (int)(((152170 + 65536) * q) >> 16) + 63 + upper - zeros - f->exponent_min;
    if (exponent <= 0) { /* subnormal */
        if (1 - exponent >= 64) {
            *bits = 0;
            return true;
        }
        mantissa >>= 1 - exponent;
        *bits = (mantissa + (mantissa & 1)) >> 1; /* a carry into the exponent is the smallest normal number */
        return true;
    }
    /* Exactly halfway, and even below: round down instead of up. */
    if (low <= 1 && q >= f->tie_min && q <= f->tie_max && (mantissa & 3) == 1 && mantissa << shift == high)
        mantissa &= ~UINT64_C(1);
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >= UINT64_C(2) << f->mantissa_bits) {
        mantissa = UINT64_C(1) << f->mantissa_bits;
        exponent++;
    }
    if (exponent >= f->exponent_inf) {
        *bits = (uint64_t)f->exponent_inf << f->mantissa_bits;
        return true;
    }
    *bits = (mantissa & ~(UINT64_C(1) << f->mantissa_bits)) | (uint64_t)exponent << f->mantissa_bits;
    return true;
}

static bool decide(const struct format *f, const struct decimal *d, uint64_t *bits)
{
    if (!eisel_lemire(f, d->digits, d->exponent, bits))
        return false;
    if (!d->cut)
        return true;
    uint64_t above;
    return eisel_lemire(f, d->digits + 1, d->exponent, &above) && above == *bits;
}

/*
 * The slow way: strtod on a copy. The longest halfway point of two doubles has 767 digits, so digits beyond 800 only
 * matter as "something follows", for which one 1 stands.
 */
enum { SLOW_DIGITS = 800 };

static void slow_text(const char *text, size_t used, char out[SLOW_DIGITS + 40])
{
    char *o = out;
    const char *end = text + used;
    int kept = 0;
    int64_t point = 0; /* how far the decimal point is right of the kept digits */
    bool fraction = false, more = false;
    for (const char *p = text; p < end && (*p | 0x20) != 'e'; p++) {
        if (*p == '.')
            fraction = true;
        if (!is_digit(*p))
            continue;
        if (kept == SLOW_DIGITS) {
            more |= *p != '0';
            point += !fraction;
            continue;
        }
        if (kept > 0 || *p != '0') {
            *o++ = *p;
            kept++;
        }
        point -= fraction;
    }
    if (more) {
        *o++ = '1';
        point--;
    }
    int64_t e = 0;
    for (const char *p = text; p < end; p++) {
        if ((*p | 0x20) == 'e')
            (void)take_exponent(p, end, &e);
    }
    e += point;
    *o++ = 'e';
    if (e < 0)
        *o++ = '-';
    uint64_t rest = (uint64_t)(e < 0 ? -e : e);
    char reversed[24];
    int n = 0;
    do {
        reversed[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    while (n > 0)
        *o++ = reversed[--n];
    *o = '\0';
}

size_t number_read_double(const char *text, size_t len, double *out)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal d;
    size_t used = parse(text, len, &d);
    if (used == 0)
        return 0;
    double value;
    uint64_t bits;
    if (!d.cut && d.digits <= UINT64_C(1) << 53 && d.exponent >= -22 && d.exponent <= 22) {
        value = (double)d.digits;
        value = d.exponent < 0 ? value / tens[-d.exponent] : value * tens[d.exponent];
    } else if (decide(&binary64, &d, &bits)) {
        memcpy(&value, &bits, sizeof value);
    } else {
        char copy[SLOW_DIGITS + 40];
        slow_text(text, used, copy);
        value = strtod_l(copy, NULL, c_locale);
    }
    if (isinf(value))
        return 0;
    *out = d.negative ? -value : value;
    return used;
}

size_t number_read_float(const char *text, size_t len, float *out)
{
    static const float tens[] = {1e0F, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F, 1e6F, 1e7F, 1e8F, 1e9F, 1e10F};
    struct decimal d;
    size_t used = parse(text, len, &d);
    if (used == 0)
        return 0;
    float value;
    uint64_t bits;
    if (!d.cut && d.digits <= UINT64_C(1) << 24 && d.exponent >= -10 && d.exponent <= 10) {
        value = (float)d.digits;
        value = d.exponent < 0 ? value / tens[-d.exponent] : value * tens[d.exponent];
    } else if (decide(&binary32, &d, &bits)) {
        uint32_t narrow = (uint32_t)bits;
        memcpy(&value, &narrow, sizeof value);
    } else {
        char copy[SLOW_DIGITS + 40];
        slow_text(text, used, copy);
        value = strtof_l(copy, NULL, c_locale);
    }
    if (isinf(value))
        return 0;
    *out = d.negative ? -value : value;
    return used;
}
