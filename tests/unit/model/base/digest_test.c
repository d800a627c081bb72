#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/digest.h"

static void expect(struct digest *digest, const char *text, const char *hex)
{
    uint8_t bytes[DIGEST_BYTES];
    char got[DIGEST_HEX];
    digest_sha256(digest, text, strlen(text), bytes);
    digest_hex(bytes, got);
    assert_memory_equal(got, hex, DIGEST_HEX);
}

/* The examples of FIPS 180-4, by one object again and again. */
static void it_is_sha_256(void **state)
{
    (void)state;
    struct digest *digest = NULL;
    struct error err;
    assert_int_equal(digest_create(&digest, &err), STATUS_OK);
    expect(digest, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(digest, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(digest, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    digest_free(digest);
    digest_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_sha_256)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
