/* SHA-256 (FIPS 180-4), by libcrypto. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

enum { DIGEST_BYTES = 32, DIGEST_HEX = 2 * DIGEST_BYTES };

/* What hashing needs, made once and used again without allocating. One thread at a time. */
struct digest;

MUST_USE enum status digest_create(struct digest **out, struct error *err);
void digest_free(struct digest *digest);

void digest_sha256(struct digest *digest, const void *data, size_t len, uint8_t out[DIGEST_BYTES]);

/* Lower-case hex, not NUL-terminated. */
void digest_hex(const uint8_t digest[DIGEST_BYTES], char out[DIGEST_HEX]);
