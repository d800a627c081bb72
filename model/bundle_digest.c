/* SHA-256, by libcrypto. */
#include <openssl/evp.h>

#include "model/base/check.h"
#include "model/bundle_parts.h"

void bundle_sha256(const void *data, size_t len, char out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    CHECK(EVP_Digest(data, len, digest, &bytes, EVP_sha256(), NULL) == 1 && bytes == 32);
    for (unsigned i = 0; i < bytes; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[64] = '\0';
}
