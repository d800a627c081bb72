#include <openssl/evp.h>

#include "model/base/check.h"
#include "model/bundle_parts.h"

void bundle_sha256(const void *head, size_t head_len, const void *tail, size_t tail_len, char out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CHECK(context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    CHECK(EVP_DigestUpdate(context, head, head_len) == 1 && EVP_DigestUpdate(context, tail, tail_len) == 1);
    CHECK(EVP_DigestFinal_ex(context, digest, &len) == 1 && len == 32);
    EVP_MD_CTX_free(context);
    for (unsigned i = 0; i < len; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[64] = '\0';
}
