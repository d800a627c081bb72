#include "model/input/powers.h"

#include <string.h>

__extension__ typedef unsigned __int128 u128;

struct power power_table[POWER_MAX - POWER_MIN + 1];

/* A natural number of up to 64 * LIMBS bits, least limb first. 5^342 has 795 bits. */
enum { LIMBS = 14 };
struct natural {
    uint64_t limb[LIMBS];
};

static void multiply_by_5(struct natural *n)
{
    u128 carry = 0;
    for (int i = 0; i < LIMBS; i++) {
        carry += (u128)n->limb[i] * 5;
        n->limb[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static int bit_length(const struct natural *n)
{
    for (int i = LIMBS - 1; i >= 0; i--) {
        if (n->limb[i])
            return i * 64 + 64 - __builtin_clzll(n->limb[i]);
    }
    return 0;
}

/* The 64 bits from bit `from` up; bits below bit 0 (from may be negative) are zeros. */
static uint64_t bits_at(const struct natural *n, int from)
{
    if (from <= -64)
        return 0;
    if (from < 0)
        return n->limb[0] << -from;
    u128 both = n->limb[from / 64];
    if (from / 64 + 1 < LIMBS)
        both |= (u128)n->limb[from / 64 + 1] << 64;
    return (uint64_t)(both >> (from % 64));
}

static int compare(const struct natural *a, const struct natural *b)
{
    for (int i = LIMBS - 1; i >= 0; i--) {
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    }
    return 0;
}

static void subtract(struct natural *a, const struct natural *b)
{
    uint64_t borrow = 0;
    for (int i = 0; i < LIMBS; i++) {
        u128 d = (u128)a->limb[i] - b->limb[i] - borrow;
        a->limb[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
}

static void double_it(struct natural *n)
{
    for (int i = LIMBS - 1; i > 0; i--)
        n->limb[i] = n->limb[i] << 1 | n->limb[i - 1] >> 63;
    n->limb[0] <<= 1;
}

/* The first 128 bits of 1 / d, by long division one bit at a time. */
static struct power reciprocal(const struct natural *d)
{
    struct natural rest = {{0}};
    int top = bit_length(d) - 1;
    rest.limb[top / 64] = UINT64_C(1) << (top % 64);
    u128 quotient = 0;
    for (int i = 0; i < 128; i++) {
        double_it(&rest);
        quotient <<= 1;
        if (compare(&rest, d) >= 0) {
            subtract(&rest, d);
            quotient |= 1;
        }
    }
    return (struct power){(uint64_t)(quotient >> 64), (uint64_t)quotient};
}

__attribute__((constructor)) static void fill_table(void)
{
    /* 10^q and 5^q have the same significant bits. */
    struct natural five = {{1}};
    power_table[-POWER_MIN] = (struct power){UINT64_C(1) << 63, 0};
    for (int q = 1; q <= -POWER_MIN; q++) {
        multiply_by_5(&five);
        int length = bit_length(&five);
        if (q <= POWER_MAX)
            power_table[q - POWER_MIN] = (struct power){bits_at(&five, length - 64), bits_at(&five, length - 128)};
        power_table[-q - POWER_MIN] = reciprocal(&five);
    }
}
