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

static void rounds(struct state *s, int n)
{
    for (; n > 0; n--) {
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
}

struct hash128 siphash128(const struct hash_secret *secret, const void *data, size_t len)
{
    struct state s = {secret->low ^ 0x736f6d6570736575u, secret->high ^ 0x646f72616e646f6du ^ 0xee,
                      secret->low ^ 0x6c7967656e657261u, secret->high ^ 0x7465646279746573u};
    const unsigned char *p = data;
    uint64_t last = (uint64_t)len << 56;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word; /* little-endian hosts only, as the rest of this program */
        memcpy(&word, p, 8);
        s.v3 ^= word;
        rounds(&s, 2);
        s.v0 ^= word;
    }
    uint64_t rest = 0;
    memcpy(&rest, p, len);
    last |= rest;
    s.v3 ^= last;
    rounds(&s, 2);
    s.v0 ^= last;
    s.v2 ^= 0xee;
    rounds(&s, 4);
    struct hash128 hash = {.low = s.v0 ^ s.v1 ^ s.v2 ^ s.v3};
    s.v1 ^= 0xdd;
    rounds(&s, 4);
    hash.high = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    return hash;
}

struct hash_secret hash_secret_random(void)
{
    struct hash_secret secret;
    CHECK(getrandom(&secret, sizeof secret, 0) == sizeof secret);
    return secret;
}
