/*
 * SipHash-2-4 with 128-bit output: a hash keyed with a secret, so that nobody outside can make keys collide.
 * Source: J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (2012), and their 128-bit variant.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t low, high;
};

struct hash_secret {
    uint64_t low, high;
};

struct hash128 siphash128(const struct hash_secret *secret, const void *data, size_t len);

/* A secret from the kernel's random source. */
struct hash_secret hash_secret_random(void);
