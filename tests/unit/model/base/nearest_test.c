#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/base/nearest.h"

static const char *const words[] = {"bundle", "http.listen", "http.threads", "log.level"};

static void finds_a_slip(void **state)
{
    (void)state;
    assert_string_equal(nearest_word("bundel", words, 4), "bundle");
    assert_string_equal(nearest_word("http.listne", words, 4), "http.listen");
    assert_string_equal(nearest_word("loglevel", words, 4), "log.level");
}

static void leaves_strangers_alone(void **state)
{
    (void)state;
    assert_null(nearest_word("kafka", words, 4));
    assert_null(nearest_word("", words, 4));
    assert_null(nearest_word("x", words, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_slip),
        cmocka_unit_test(leaves_strangers_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
