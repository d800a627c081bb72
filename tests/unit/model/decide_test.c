#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/decide.h"

static void none_gives_the_models_score(void **state)
{
    (void)state;
    const struct calibration none = {.kind = CALIBRATION_NONE};
    assert_true(calibrate(&none, -3, 0.25) == 0.25);
    assert_int_equal(calibration_check(&none, NULL), STATUS_OK);
}

static void platt_works_on_the_margin(void **state)
{
    (void)state;
    const struct calibration platt = {.kind = CALIBRATION_PLATT, .a = -1.2, .b = 0.3};
    assert_int_equal(calibration_check(&platt, NULL), STATUS_OK);
    assert_true(fabs(calibrate(&platt, 2.0, 0.5) - 0.8909032) < 1e-6); /* 1 / (1 + e^-2.1) */
    assert_true(calibrate(&platt, INFINITY, 0.5) == 1);
    assert_true(calibrate(&platt, -INFINITY, 0.5) == 0);
    assert_true(isnan(calibrate(&platt, NAN, 0.5)));
}

static void platt_refuses_a_turned_sign(void **state)
{
    (void)state;
    struct error err = {{0}};
    const struct calibration turned = {.kind = CALIBRATION_PLATT, .a = 1.2, .b = 0.3};
    assert_int_equal(calibration_check(&turned, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "must be below 0"));
    const struct calibration infinite = {.kind = CALIBRATION_PLATT, .a = -INFINITY, .b = 0};
    assert_int_equal(calibration_check(&infinite, &err), STATUS_INVALID);
}

static void isotonic_interpolates(void **state)
{
    (void)state;
    double x[] = {0.1, 0.2, 0.6}, y[] = {0.0, 0.5, 0.5};
    const struct calibration table = {.kind = CALIBRATION_ISOTONIC, .x = x, .y = y, .points = 3};
    assert_int_equal(calibration_check(&table, NULL), STATUS_OK);
    assert_true(calibrate(&table, 0, 0.0) == 0.0);
    assert_true(calibrate(&table, 0, 0.1) == 0.0);
    assert_true(fabs(calibrate(&table, 0, 0.15) - 0.25) < 1e-12);
    assert_true(calibrate(&table, 0, 0.2) == 0.5);
    assert_true(calibrate(&table, 0, 0.4) == 0.5);
    assert_true(calibrate(&table, 0, 0.99) == 0.5);
    assert_true(isnan(calibrate(&table, 0, NAN)));
    const struct calibration one = {.kind = CALIBRATION_ISOTONIC, .x = x, .y = y, .points = 1};
    assert_true(calibrate(&one, 0, 7) == 0.0);
}

static void isotonic_never_falls(void **state)
{
    (void)state;
    double x[] = {0.1, 0.3, 0.7}, y[] = {0.1, 0.30000000000000004, 0.9};
    const struct calibration table = {.kind = CALIBRATION_ISOTONIC, .x = x, .y = y, .points = 3};
    double before = 0;
    for (int i = 0; i <= 100000; i++) {
        double now = calibrate(&table, 0, (double)i / 100000);
        assert_true(now >= before);
        before = now;
    }
}

static void isotonic_tables_are_checked(void **state)
{
    (void)state;
    struct error err = {{0}};
    double x[] = {0.1, 0.1}, y[] = {0.2, 0.3};
    struct calibration table = {.kind = CALIBRATION_ISOTONIC, .x = x, .y = y, .points = 2};
    assert_int_equal(calibration_check(&table, &err), STATUS_INVALID);
    assert_string_equal(err.message, "isotonic: point 2: x is 0.1, not above the 0.1 before it");
    x[1] = 0.2;
    y[1] = 0.1;
    assert_int_equal(calibration_check(&table, &err), STATUS_INVALID);
    assert_string_equal(err.message, "isotonic: point 2: y is 0.1, below the 0.2 before it");
    y[1] = 1.5;
    assert_int_equal(calibration_check(&table, &err), STATUS_INVALID);
    assert_string_equal(err.message, "isotonic: point 2: y is 1.5, outside 0 to 1");
    y[1] = NAN;
    assert_int_equal(calibration_check(&table, &err), STATUS_INVALID);
    x[0] = NAN;
    assert_int_equal(calibration_check(&table, &err), STATUS_INVALID);
    table.points = 0;
    assert_int_equal(calibration_check(&table, &err), STATUS_INVALID);
}

static void thresholds_are_inclusive(void **state)
{
    (void)state;
    const struct policy policy = {.review = 0.65, .decline = 0.9};
    assert_int_equal(decide(&policy, 0.0), DECISION_APPROVE);
    assert_int_equal(decide(&policy, nextafter(0.65, 0)), DECISION_APPROVE);
    assert_int_equal(decide(&policy, 0.65), DECISION_REVIEW);
    assert_int_equal(decide(&policy, nextafter(0.9, 0)), DECISION_REVIEW);
    assert_int_equal(decide(&policy, 0.9), DECISION_DECLINE);
    assert_int_equal(decide(&policy, INFINITY), DECISION_DECLINE);
    const struct policy same = {.review = 0.5, .decline = 0.5};
    assert_int_equal(decide(&same, 0.5), DECISION_DECLINE);
}

static void no_score_is_never_approved_unseen(void **state)
{
    (void)state;
    const struct policy policy = {.review = 0.65, .decline = 0.9}, never = {.review = INFINITY, .decline = INFINITY};
    assert_int_equal(decide(&policy, NAN), DECISION_REVIEW);
    assert_int_equal(decide(&never, NAN), DECISION_REVIEW);
    assert_int_equal(decide(&never, 1), DECISION_APPROVE);
}

static void policies_are_checked(void **state)
{
    (void)state;
    struct error err = {{0}};
    const struct policy crossed = {.review = 0.9, .decline = 0.65}, nan = {.review = NAN, .decline = 1};
    const struct policy never = {.review = 0.5, .decline = INFINITY};
    assert_int_equal(policy_check(&crossed, true, &err), STATUS_INVALID);
    assert_string_equal(err.message, "review (0.9) must not lie above decline (0.65)");
    assert_int_equal(policy_check(&nan, true, &err), STATUS_INVALID);
    assert_int_equal(policy_check(&never, true, &err), STATUS_OK);
    const struct policy percent = {.review = 0.5, .decline = 90};
    assert_int_equal(policy_check(&percent, true, &err), STATUS_INVALID);
    assert_string_equal(err.message, "decline: 90 is never reached: the score is a probability, 0 to 1. Leave decline out if it is meant never to be taken");
    assert_int_equal(policy_check(&percent, false, &err), STATUS_OK);
}

static void decisions_have_names(void **state)
{
    (void)state;
    assert_string_equal(decision_name(DECISION_APPROVE), "approve");
    assert_string_equal(decision_name(DECISION_REVIEW), "review");
    assert_string_equal(decision_name(DECISION_DECLINE), "decline");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_gives_the_models_score),      cmocka_unit_test(platt_works_on_the_margin),
        cmocka_unit_test(platt_refuses_a_turned_sign),      cmocka_unit_test(isotonic_interpolates),
        cmocka_unit_test(isotonic_never_falls),             cmocka_unit_test(isotonic_tables_are_checked),
        cmocka_unit_test(thresholds_are_inclusive),         cmocka_unit_test(no_score_is_never_approved_unseen),
        cmocka_unit_test(policies_are_checked),             cmocka_unit_test(decisions_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
