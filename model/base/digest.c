#include "model/base/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "model/base/check.h"

struct digest {
    EVP_MD_CTX *context;
    EVP_MD *algorithm; /* fetched once: a look-up by name costs more than hashing a transaction */
};

enum status digest_create(struct digest **out, struct error *err)
{
    struct digest *d = calloc(1, sizeof *d);
    if (!d)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for SHA-256");
    d->context = EVP_MD_CTX_new();
    d->algorithm = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    if (!d->context || !d->algorithm) {
        digest_free(d);
        return error_set(err, STATUS_UNSUPPORTED, "libcrypto offers no SHA-256 here");
    }
    *out = d;
    return STATUS_OK;
}

void digest_free(struct digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->algorithm);
    free(digest);
}

void digest_sha256(struct digest *digest, const void *data, size_t len, uint8_t out[DIGEST_BYTES])
{
    unsigned size = 0;
    CHECK(EVP_DigestInit_ex2(digest->context, digest->algorithm, NULL) == 1);
    CHECK(EVP_DigestUpdate(digest->context, data, len) == 1);
    CHECK(EVP_DigestFinal_ex(digest->context, out, &size) == 1 && size == DIGEST_BYTES);
}

void digest_hex(const uint8_t digest[DIGEST_BYTES], char out[DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < DIGEST_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
}
