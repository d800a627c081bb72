#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/kafka/mask.h"

static void card_numbers_keep_six_and_four_digits(void **state)
{
    (void)state;
    static const struct {
        const char *text, *masked;
    } cases[] = {
        {"4111111111111111", "411111******1111"},
        {"{\"pan\":\"4111 1111 1111 1111\",\"n\":1}", "{\"pan\":\"4111 11** **** 1111\",\"n\":1}"},
        {"5500-0055-5555-5559", "5500-00**-****-5559"},
        {"378282246310005", "378282*****0005"},
        {"4222222222222", "422222***2222"},
        {"12 4111111111111111 07", "12 411111******1111 07"}, /* neighbours that may belong to it */
        {"6304000000000000000", "630400*********0000"},
        {"4111  1111 1111 1111", "4111  1111 1111 1111"}, /* two spaces part what follows */
        {"4111111111111112", "4111111111111112"},          /* not Luhn */
        {"1735704000000", "1735704000000"},                /* a time in ms begins with 1 */
        {"411111111111", "411111111111"},
        {"41111111111111110000", "41111111111111110000"},
        {"", ""},
        {"x", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100];
        size_t len = strlen(cases[i].text);
        memcpy(text, cases[i].text, len + 1);
        size_t count = mask_cards(text, len);
        assert_string_equal(text, cases[i].masked);
        assert_int_equal(count, strchr(cases[i].masked, '*') ? 1 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(card_numbers_keep_six_and_four_digits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
