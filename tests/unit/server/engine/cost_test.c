/* The cost of a batch: what was measured, and how it follows an engine that changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/engine/cost.h"

enum { MS = 1000000 };

/* l(b) = 1 ms + b * 10 us, up to 100 rows. */
static struct cost linear(void)
{
    struct cost cost;
    cost_init(&cost, 100, 1);
    for (uint32_t i = 0; i < cost.count; i++)
        cost_set(&cost, i, 1e6 + 1e4 * cost.sizes[i]);
    return cost;
}

static void it_is_linear_between_what_was_measured(void **state)
{
    (void)state;
    struct cost cost = linear();
    assert_int_equal(cost.sizes[0], 1);
    assert_int_equal(cost.sizes[cost.count - 1], 100);
    for (uint32_t n = 1; n <= 100; n++)
        assert_true(cost_mean_ns(&cost, n) > 1e6 + 1e4 * n - 1 && cost_mean_ns(&cost, n) < 1e6 + 1e4 * n + 1);
    assert_true(cost_tail_ns(&cost, 50) > cost_mean_ns(&cost, 50));
}

static void it_never_falls_with_size(void **state)
{
    (void)state;
    struct cost cost;
    cost_init(&cost, 8, 1);
    const double ns[] = {100, 90, 200, 150};
    for (uint32_t i = 0; i < cost.count; i++)
        cost_set(&cost, i, ns[i]);
    for (uint32_t n = 2; n <= 8; n++)
        assert_true(cost_mean_ns(&cost, n) >= cost_mean_ns(&cost, n - 1));
}

static void the_largest_batch_that_fits(void **state)
{
    (void)state;
    struct cost cost = linear();
    uint32_t fit = cost_fit(&cost, 1.5e6, 100);
    assert_true(fit > 30 && fit <= 50);
    assert_true(cost_tail_ns(&cost, fit) <= 1.5e6 && cost_tail_ns(&cost, fit + 1) > 1.5e6);
    assert_int_equal(cost_fit(&cost, 1e5, 100), 0);
    assert_int_equal(cost_fit(&cost, 1e9, 70), 70);
}

/* Three times slower at one size: known within a fifth of a second, for all sizes. */
static void it_follows_a_device_that_slows_down(void **state)
{
    (void)state;
    struct cost cost = linear();
    int64_t now = MS;
    cost_observe(&cost, 1, 1010000, now);
    for (; now < 200 * MS; now += 4 * MS)
        cost_observe(&cost, 10, 3 * 1100000, now);
    assert_true(cost_mean_ns(&cost, 10) > 2.8 * 1.1e6 && cost_mean_ns(&cost, 10) < 3.2 * 1.1e6);
    assert_true(cost_mean_ns(&cost, 100) > 2.5 * 2e6);
}

static void a_stall_or_two_are_no_slow_device(void **state)
{
    (void)state;
    struct cost cost = linear();
    int64_t now = MS;
    for (int i = 0; i < 100; i++, now += 2 * MS)
        cost_observe(&cost, 10, 1100000, now);
    cost_observe(&cost, 10, INT64_C(2000) * MS, now);
    assert_true(cost_mean_ns(&cost, 10) < 1.1 * 1.1e6);
    for (int i = 0; i < 2; i++)
        cost_observe(&cost, 10, 1100000, now += 2 * MS);
    cost_observe(&cost, 10, INT64_C(50) * MS, now += 2 * MS);
    assert_true(cost_mean_ns(&cost, 10) < 1.1 * 1.1e6 && cost_tail_ns(&cost, 10) < 1.2 * 1.1e6);
    for (int i = 0; i < 50; i++, now += 2 * MS)
        cost_observe(&cost, 10, 1100000, now);
    assert_true(cost_mean_ns(&cost, 10) < 1.1 * 1.1e6);
}

static void what_was_slow_must_be_tried_to_be_known(void **state)
{
    (void)state;
    struct cost cost = linear();
    int64_t now = MS;
    for (int i = 0; i < 200; i++, now += 4 * MS)
        cost_observe(&cost, 10, 5 * 1100000, now);
    cost_relax(&cost, now);
    assert_false(cost.doubt);
    for (int i = 0; i < 20; i++, now += 300 * MS)
        cost_relax(&cost, now);
    assert_true(cost.doubt);
    assert_true(cost_mean_ns(&cost, 10) < 1.2 * 1.1e6);
    cost_observe(&cost, 1, 1010000, now);
    assert_false(cost.doubt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_linear_between_what_was_measured), cmocka_unit_test(it_never_falls_with_size),
        cmocka_unit_test(the_largest_batch_that_fits),            cmocka_unit_test(it_follows_a_device_that_slows_down),
        cmocka_unit_test(a_stall_or_two_are_no_slow_device),            cmocka_unit_test(what_was_slow_must_be_tried_to_be_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
