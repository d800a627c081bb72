#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/limits.h"

enum { COUNT = 20000 };

static int by_input_and_value(const void *a, const void *b)
{
    const struct limit *x = a, *y = b;
    if (x->input != y->input)
        return x->input < y->input ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 16;
}

/* Limits as float32, float64 and questions give them, numbered. */
static struct limit *make(size_t n, uint32_t inputs, uint64_t magnitudes, uint64_t seed)
{
    static const int64_t edges[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 0, -1, 1};
    struct limit *limits = calloc(n + 1, sizeof *limits);
    assert_non_null(limits);
    for (size_t i = 0; i < n; i++) {
        int64_t value = (int64_t)(next_random(&seed) % magnitudes) * (next_random(&seed) % 2 ? 1 : -1);
        limits[i].value = i < sizeof edges / sizeof edges[0] ? edges[i] : value;
        limits[i].input = (uint32_t)(next_random(&seed) % inputs);
        limits[i].entry = (uint32_t)i;
    }
    return limits;
}

static void check_sorts(size_t n, uint32_t inputs, uint64_t magnitudes)
{
    struct limit *limits = make(n, inputs, magnitudes, n);
    unsigned char *seen = calloc(n + 1, 1);
    assert_non_null(seen);
    assert_int_equal(limits_sort(limits, n), STATUS_OK);
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || by_input_and_value(&limits[i - 1], &limits[i]) <= 0);
        assert_in_range(limits[i].entry, 0, n - 1);
        assert_int_equal(seen[limits[i].entry]++, 0);
    }
    free(seen);
    free(limits);
}

static void sorts_by_input_then_by_value(void **state)
{
    (void)state;
    check_sorts(COUNT, 30, (uint64_t)1 << 31);
    check_sorts(COUNT, 1, (uint64_t)1 << 48);
    check_sorts(COUNT, 100000, 5);
}

static void sorts_few_and_none(void **state)
{
    (void)state;
    for (size_t n = 0; n < 20; n++)
        check_sorts(n, 3, 1000);
    check_sorts(100, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sorts_by_input_then_by_value), cmocka_unit_test(sorts_few_and_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
