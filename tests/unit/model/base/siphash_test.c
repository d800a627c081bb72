/* The authors' test vectors: key 00 01 … 0f, messages 00 01 02 …, 128-bit output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/base/siphash.h"

static void gives_the_published_values(void **state)
{
    (void)state;
    const struct hash_secret key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    unsigned char message[16];
    for (unsigned i = 0; i < sizeof message; i++)
        message[i] = (unsigned char)i;
    struct hash128 h = siphash128(&key, message, 0);
    assert_true(h.low == 0xe6a825ba047f81a3u && h.high == 0x930255c71472f66du);
    h = siphash128(&key, message, 1);
    assert_true(h.low == 0x44af996bd8c187dau && h.high == 0x45fc229b11597634u);
    h = siphash128(&key, message, 15);
    assert_true(h.low == 0x11a8b03399e99354u && h.high == 0xd9c3cf970fec087eu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gives_the_published_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
