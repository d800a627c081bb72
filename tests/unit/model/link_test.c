#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "model/link.h"

static double one(enum link link, double margin)
{
    double score = margin;
    link_apply(link, 1, 1, &score, &score, 1);
    return score;
}

static void assert_same(double got, double want)
{
    if (!(got == want || (isnan(got) && isnan(want))))
        fail_msg("%a, not %a", got, want);
}

static void sigmoid_of_xgboost_is_float32_and_never_0(void **state)
{
    (void)state;
    assert_same(one(LINK_SIGMOID_F32, 0), 0.5);
    assert_same(one(LINK_SIGMOID_F32, 1e30), 1);
    assert_true(one(LINK_SIGMOID_F32, -1e30) > 0); /* cut at 88.7: a denormal, not 0 */
    assert_same(one(LINK_SIGMOID_F32, -1e30), one(LINK_SIGMOID_F32, -88.75));
    assert_same(one(LINK_SIGMOID_F32, -4.9297094345092773), (double)0.0071767257f);
    assert_same(one(LINK_SIGMOID_F32, (double)NAN), (double)NAN);
}

static void sigmoid_of_onnx_mirrors_the_negative_side(void **state)
{
    (void)state;
    for (float m = -30; m <= 30; m += 0.37f) {
        float up = 1.0f / (1.0f + expf(-fabsf(m)));
        assert_same(one(LINK_SIGMOID_ONNX, (double)m), (double)(m < 0 ? 1.0f - up : up));
    }
}

static void sigmoid_of_lightgbm_has_a_slope_and_an_average(void **state)
{
    (void)state;
    double margin = 3.0, score;
    link_apply(LINK_SIGMOID_F64, 2.0, 4.0, &margin, &score, 1);
    assert_same(score, 1.0 / (1.0 + exp(-2.0 * 0.75)));
}

static void classes_add_up_and_the_first_of_equals_wins(void **state)
{
    (void)state;
    static const enum link softmaxes[] = {LINK_SOFTMAX_XGBOOST, LINK_SOFTMAX_F64, LINK_SOFTMAX_ONNX};
    double scores[3];
    for (int i = 0; i < 3; i++) {
        const double margins[3] = {1, 1, -200};
        link_apply(softmaxes[i], 1, 1, margins, scores, 3);
        assert_same(scores[0], 0.5);
        assert_same(scores[1], 0.5);
        assert_true(scores[2] >= 0 && scores[2] < 1e-30);
    }
    const double margins[3] = {-1, 2, 2};
    link_apply(LINK_ARGMAX, 1, 1, margins, scores, 3);
    assert_same(scores[0], 1);
    assert_int_equal(link_scores(LINK_ARGMAX, 3), 1);
    double mixed[4] = {2, -1, 5, 0};
    link_apply(LINK_SORT, 1, 1, mixed, mixed, 4); /* in place */
    assert_true(mixed[0] == -1 && mixed[1] == 0 && mixed[2] == 2 && mixed[3] == 5);
    assert_int_equal(link_scores(LINK_SOFTMAX_F64, 3), 3);
}

static void the_rest(void **state)
{
    (void)state;
    assert_same(one(LINK_IDENTITY, -0.25), -0.25);
    assert_same(one(LINK_STEP, 0), 0);
    assert_same(one(LINK_STEP, 1e-30), 1);
    assert_same(one(LINK_EXP_F32, 1), (double)expf(1));
    assert_same(one(LINK_EXP_F64, 1), exp(1));
    assert_same(one(LINK_LOG1P_EXP, 0), log(2));
    assert_same(one(LINK_SIGNED_SQUARE, -3), -9);
    assert_same(one(LINK_SIGNED_SQUARE, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigmoid_of_xgboost_is_float32_and_never_0),
        cmocka_unit_test(sigmoid_of_onnx_mirrors_the_negative_side),
        cmocka_unit_test(sigmoid_of_lightgbm_has_a_slope_and_an_average),
        cmocka_unit_test(classes_add_up_and_the_first_of_equals_wins),
        cmocka_unit_test(the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
