#include "model/base/siphash.h"

#include <string.h>
#include <sys/random.h>

#include "model/base/check.h"

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void one_round(struct state *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static inline void two_rounds(struct state *s)
{
    one_round(s);
    one_round(s);
}

/* The last 0 to 7 bytes as a number; loads overlap rather than loop. */
static inline uint64_t rest_of(const unsigned char *p, size_t len)
{
    if (len >= 4) {
        uint32_t first, last; /* little-endian hosts only, as the rest of this program */
        memcpy(&first, p, 4);
        memcpy(&last, p + len - 4, 4);
        return first | (uint64_t)last << 8 * (len - 4);
    }
    return len ? p[0] | (uint64_t)p[len / 2] << 8 * (len / 2) | (uint64_t)p[len - 1] << 8 * (len - 1) : 0;
}

struct hash128 siphash128(const struct hash_secret *secret, const void *data, size_t len)
{
    struct state s = {secret->low ^ 0x736f6d6570736575u, secret->high ^ 0x646f72616e646f6du ^ 0xee,
                      secret->low ^ 0x6c7967656e657261u, secret->high ^ 0x7465646279746573u};
    const unsigned char *p = data;
    uint64_t last = (uint64_t)len << 56;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        s.v3 ^= word;
        two_rounds(&s);
        s.v0 ^= word;
    }
    last |= rest_of(p, len);
    s.v3 ^= last;
    two_rounds(&s);
    s.v0 ^= last;
    s.v2 ^= 0xee;
    two_rounds(&s);
    two_rounds(&s);
    struct hash128 hash = {.low = s.v0 ^ s.v1 ^ s.v2 ^ s.v3};
    s.v1 ^= 0xdd;
    two_rounds(&s);
    two_rounds(&s);
    hash.high = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    return hash;
}

struct hash_secret hash_secret_random(void)
{
    struct hash_secret secret;
    CHECK(getrandom(&secret, sizeof secret, 0) == sizeof secret);
    return secret;
}
