#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/gen/random.h"
#include "server/load/histogram.h"

enum { MANY = 100000 };

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void quantiles_are_those_of_the_sorted_values_to_one_percent(void **state)
{
    (void)state;
    struct histogram *h = calloc(1, sizeof *h);
    int64_t *values = malloc(MANY * sizeof *values);
    struct random random;
    random_seed(&random, 1);
    double sum = 0;
    for (int i = 0; i < MANY; i++) { /* from 100 ns to minutes */
        values[i] = (int64_t)random_exp(5 + 20 * random_unit(&random));
        sum += (double)values[i];
        histogram_record(h, values[i]);
    }
    qsort(values, MANY, sizeof *values, compare);
    const double quantiles[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double exact = (double)values[(size_t)ceil(quantiles[i] * MANY) - 1], given = (double)histogram_quantile(h, quantiles[i]);
        assert_true(given >= exact && given <= exact * 1.008 + 1);
    }
    assert_int_equal(histogram_quantile(h, 1), values[MANY - 1]);
    assert_true(fabs(histogram_mean(h) - sum / MANY) < 1e-6 * sum / MANY);
    uint64_t below = histogram_at_most(h, values[MANY / 2]);
    assert_true(below >= MANY / 2 && below < MANY / 2 + MANY / 50);
    free(values);
    free(h);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    struct histogram *h = calloc(1, sizeof *h);
    for (int64_t v = 0; v < 256; v++)
        histogram_record(h, v);
    for (int i = 1; i <= 256; i++)
        assert_int_equal(histogram_quantile(h, i / 256.0), i - 1);
    free(h);
}

static void what_is_out_of_range_keeps_its_maximum(void **state)
{
    (void)state;
    struct histogram *h = calloc(1, sizeof *h);
    assert_int_equal(histogram_quantile(h, 0.5), 0);
    histogram_record(h, -5);
    histogram_record(h, INT64_MAX);
    histogram_record(h, (INT64_C(1) << HISTOGRAM_TOP) - 1);
    assert_int_equal(histogram_quantile(h, 0.3), 0);
    assert_true(histogram_quantile(h, 1) == INT64_MAX);
    assert_int_equal(h->count, 3);
    free(h);
}

static void merging_is_recording_into_one(void **state)
{
    (void)state;
    struct histogram *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b), *both = calloc(1, sizeof *both);
    for (int64_t i = 1; i < 5000; i++) {
        histogram_record(i % 3 ? a : b, i * i);
        histogram_record(both, i * i);
    }
    histogram_merge(a, b);
    assert_memory_equal(a->cells, both->cells, sizeof a->cells);
    assert_true(a->count == both->count && a->max_ns == both->max_ns);
    free(a);
    free(b);
    free(both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_those_of_the_sorted_values_to_one_percent),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(what_is_out_of_range_keeps_its_maximum),
        cmocka_unit_test(merging_is_recording_into_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
