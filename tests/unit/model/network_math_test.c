/* Functions of networks: their error against double, and what they give at the ends of the numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/network_math.h"
#include "tests/support/network_math_error.h"

/* A prime: every exponent and sign, and bits of the fraction that differ from one to the next. All 2^32 take minutes; the
 * tool network_math_error goes through them. */
enum { STEP = 4099 };

static void test_error(void **state)
{
    (void)state;
    for (unsigned f = 0; f < network_function_count; f++) {
        struct network_error worst = network_error_over(&network_functions[f], f, STEP);
        if (!(worst.ulp <= 2.0))
            fail_msg("%s(%a): %.3f ulp off", network_functions[f].name, (double)worst.at, worst.ulp);
    }
}

static void assert_same(float got, float expected)
{
    if (network_bits(got) != network_bits(expected))
        fail_msg("%a (%08x), not %a", (double)got, network_bits(got), (double)expected);
}

static void test_ends(void **state)
{
    (void)state;
    assert_same(network_exp(INFINITY), INFINITY);
    assert_same(network_exp(-INFINITY), 0.0f);
    assert_same(network_exp(-0.0f), 1.0f);
    assert_same(network_exp(89.0f), INFINITY);
    assert_same(network_exp(-103.0f), 0x1p-149f);
    assert_same(network_exp(-105.0f), 0.0f);
    assert_same(network_expm1(-INFINITY), -1.0f);
    assert_same(network_expm1(INFINITY), INFINITY);
    assert_same(network_expm1(-0.0f), -0.0f);
    assert_same(network_expm1(0x1p-149f), 0x1p-149f);
    assert_same(network_log(0.0f), -INFINITY);
    assert_same(network_log(-0.0f), -INFINITY);
    assert_same(network_log(1.0f), 0.0f);
    assert_same(network_log(INFINITY), INFINITY);
    assert_true(isnan(network_log(-1.0f)));
    assert_true(isnan(network_log(-INFINITY)));
    assert_same(network_softplus(-INFINITY), 0.0f);
    assert_same(network_softplus(INFINITY), INFINITY);
    assert_same(network_sigmoid(-INFINITY), 0.0f);
    assert_same(network_sigmoid(INFINITY), 1.0f);
    assert_same(network_sigmoid(0.0f), 0.5f);
    assert_same(network_tanh(-INFINITY), -1.0f);
    assert_same(network_tanh(INFINITY), 1.0f);
    assert_same(network_tanh(-0.0f), -0.0f);
    assert_same(network_erf(-INFINITY), -1.0f);
    assert_same(network_erf(INFINITY), 1.0f);
    assert_same(network_erf(-0.0f), -0.0f);
    assert_same(network_gelu(INFINITY), INFINITY);
    assert_same(network_gelu_tanh(INFINITY), INFINITY);
    assert_true(network_gelu(-INFINITY) == 0 && network_gelu_tanh(-INFINITY) == 0);
}

static void test_nan(void **state)
{
    (void)state;
    for (unsigned f = 0; f < network_function_count; f++)
        assert_true(isnan(network_functions[f].ours(NAN)) && isnan(network_functions[f].ours(-NAN)));
    assert_same(network_one_nan(-NAN), network_float(0x7fc00000));
    assert_same(network_one_nan(-INFINITY), -INFINITY);
    assert_true(isnan(network_at_least(NAN, 0)) && isnan(network_at_most(NAN, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
