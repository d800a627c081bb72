/* What a schedule must be: the same for the same seed, and of the statistics that its name promises. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/load/arrivals.h"

enum { MANY = 200000 };

/* The first n moments in seconds; the caller frees. */
static double *moments(const struct arrivals_options *options, size_t n)
{
    struct arrivals a;
    double *out = malloc(n * sizeof *out);
    assert_non_null(out);
    arrivals_begin(&a, options);
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || (double)a.next_ns / 1e9 >= out[i - 1]);
        out[i] = (double)a.next_ns / 1e9;
        arrivals_next(&a);
    }
    return out;
}

static size_t between(const double *at, size_t n, double from, double to)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += at[i] >= from && at[i] < to;
    return count;
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%g is not within %g of %g", value, tolerance, expected);
}

static void the_same_seed_gives_the_same_schedule_and_another_seed_another(void **state)
{
    (void)state;
    for (int kind = ARRIVALS_POISSON; kind <= ARRIVALS_DAY; kind++) {
        struct arrivals_options o = {.kind = (enum arrivals_kind)kind, .seed = 7, .rate = 100, .rate_to = 900, .ramp_s = 3, .burst = 5, .burst_s = 0.05, .day_s = 5};
        double *first = moments(&o, 1000), *again = moments(&o, 1000);
        o.seed = 8;
        double *other = moments(&o, 1000);
        assert_memory_equal(first, again, 1000 * sizeof *first);
        assert_memory_not_equal(first, other, 1000 * sizeof *first);
        free(first);
        free(again);
        free(other);
    }
}

static void constant_is_regular(void **state)
{
    (void)state;
    const struct arrivals_options o = {.kind = ARRIVALS_CONSTANT, .rate = 250};
    double *at = moments(&o, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_near(at[i], ((double)i + 0.5) / 250, 1e-6);
    free(at);
}

static void poisson_gaps_are_exponential_and_do_not_depend_on_each_other(void **state)
{
    (void)state;
    const struct arrivals_options o = {.kind = ARRIVALS_POISSON, .seed = 3, .rate = 1000};
    double *at = moments(&o, MANY), sum = 0, squares = 0, products = 0, before = 0;
    size_t long_ones = 0;
    for (size_t i = 1; i < MANY; i++) {
        double gap = (at[i] - at[i - 1]) * 1000;
        sum += gap;
        squares += gap * gap;
        products += (gap - 1) * (before - 1);
        long_ones += gap > 3;
        before = gap;
    }
    double mean = sum / (MANY - 1), variance = squares / (MANY - 1) - mean * mean;
    assert_near(mean, 1, 0.01);
    assert_near(variance, 1, 0.03);                                   /* of an exponential: mean squared */
    assert_near((double)long_ones / (MANY - 1), exp(-3), 0.002);      /* and its tail */
    assert_near(products / (MANY - 1), 0, 0.01);                      /* no correlation of neighbours */
    free(at);
}

static void bursty_keeps_the_mean_rate_and_is_on_at_its_multiple(void **state)
{
    (void)state;
    const struct arrivals_options o = {.kind = ARRIVALS_BURSTY, .seed = 5, .rate = 1000, .burst = 8, .burst_s = 0.02};
    double *at = moments(&o, MANY);
    assert_near((double)MANY / at[MANY - 1], 1000, 60);
    /* Within bursts neighbours are 1/8000 s apart; nearly all of the time passes in the gaps between bursts. */
    double in_gaps = 0, gaps[MANY / 8];
    size_t n = 0;
    for (size_t i = 1; i < MANY; i++) {
        double gap = at[i] - at[i - 1];
        if (gap > 0.004)
            in_gaps += gap;
        else if (n < MANY / 8)
            gaps[n++] = gap;
    }
    assert_near(in_gaps / at[MANY - 1], 7.0 / 8, 0.03);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += gaps[i];
    assert_near(sum / (double)n * 8000, 1, 0.05);
    free(at);
}

static void ramp_rises_evenly_and_then_stays(void **state)
{
    (void)state;
    const struct arrivals_options o = {.kind = ARRIVALS_RAMP, .seed = 2, .rate = 1000, .rate_to = 9000, .ramp_s = 20};
    double *at = moments(&o, MANY);
    const struct {
        double from, to, expected;
    } parts[] = {{0, 1, 1200}, {9, 11, 10000}, {19, 20, 8800}, {21, 22, 9000}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_near((double)between(at, MANY, parts[i].from, parts[i].to), parts[i].expected, 5 * sqrt(parts[i].expected));
    free(at);
}

static void a_ramp_may_fall(void **state)
{
    (void)state;
    const struct arrivals_options o = {.kind = ARRIVALS_RAMP, .seed = 2, .rate = 5000, .rate_to = 1, .ramp_s = 10};
    double *at = moments(&o, 25000);
    assert_near((double)between(at, 25000, 0, 5), 18750, 700);
    assert_near((double)between(at, 25000, 5, 10), 6250, 400);
    free(at);
}

static void a_day_has_a_quiet_night_two_peaks_and_its_mean(void **state)
{
    (void)state;
    const struct arrivals_options o = {.kind = ARRIVALS_DAY, .seed = 4, .rate = 4000, .day_s = 24};
    double *at = moments(&o, MANY);
    assert_near((double)between(at, MANY, 0, 24), 96000, 1500);
    double night = (double)between(at, MANY, 3, 4), noon = (double)between(at, MANY, 12, 13), evening = (double)between(at, MANY, 18, 19),
           afternoon = (double)between(at, MANY, 14.5, 15.5);
    assert_true(night < 0.2 * 4000 && noon > 1.5 * 4000 && evening > 1.6 * 4000 && afternoon < noon && afternoon < evening);
    assert_near((double)between(at, MANY, 24, 48), 96000, 1500); /* the next day is like it */
    for (double hour = 0; hour < 24; hour += 1) /* and the curve that plots show is the one that is played */
        assert_near((double)between(at, MANY, hour, hour + 1), arrivals_day_rate(4000, hour + 0.5), 6 * sqrt(arrivals_day_rate(4000, hour + 0.5)) + 80);
    free(at);
}

static void a_copy_goes_on_from_there(void **state)
{
    (void)state;
    const struct arrivals_options o = {.kind = ARRIVALS_BURSTY, .seed = 9, .rate = 1000, .burst = 3, .burst_s = 0.01};
    struct arrivals a, b;
    arrivals_begin(&a, &o);
    for (int i = 0; i < 500; i++)
        arrivals_next(&a);
    b = a;
    for (int i = 0; i < 500; i++, arrivals_next(&a), arrivals_next(&b))
        assert_int_equal(a.next_ns, b.next_ns);
}

/* Reads text as a file of recorded times. */
static enum status read_times(const char *text, double **times, size_t *count, struct error *err)
{
    char path[] = "/tmp/arrivals-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    enum status status = arrivals_read(path, times, count, err);
    (void)unlink(path);
    return status;
}

static void recorded_times_are_replayed_from_their_first(void **state)
{
    (void)state;
    double *times;
    size_t count;
    struct error err;
    assert_int_equal(read_times("time,what\n1700000000.25,a\n\n1700000001.25 b\n1700000001.25\n1700000004.25\r\n", &times, &count, &err), STATUS_OK);
    assert_int_equal(count, 4);
    const struct arrivals_options o = {.kind = ARRIVALS_REPLAY, .times = times, .count = count, .speed = 2};
    struct arrivals a;
    arrivals_begin(&a, &o);
    const int64_t expected[] = {0, 500000000, 500000000, 2000000000, INT64_MAX};
    for (size_t i = 0; i < 5; i++, arrivals_next(&a))
        assert_true(a.next_ns == expected[i]);
    free(times);
}

static void recorded_times_that_are_wrong_are_refused_with_their_line(void **state)
{
    (void)state;
    const struct {
        const char *text, *part;
    } wrong[] = {{"1\n2\nthree\n", "line 3"}, {"1\n3\n2\n", "line 3"}, {"\n\n", "holds no times"}, {"time\n", "holds no times"}, {"1\nnan\n", "line 2"}, {"1\n2x\n", "line 2"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        double *times;
        size_t count;
        struct error err;
        assert_int_equal(read_times(wrong[i].text, &times, &count, &err), STATUS_INVALID);
        assert_non_null(strstr(err.message, wrong[i].part));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_schedule_and_another_seed_another),
        cmocka_unit_test(constant_is_regular),
        cmocka_unit_test(poisson_gaps_are_exponential_and_do_not_depend_on_each_other),
        cmocka_unit_test(bursty_keeps_the_mean_rate_and_is_on_at_its_multiple),
        cmocka_unit_test(ramp_rises_evenly_and_then_stays),
        cmocka_unit_test(a_ramp_may_fall),
        cmocka_unit_test(a_day_has_a_quiet_night_two_peaks_and_its_mean),
        cmocka_unit_test(a_copy_goes_on_from_there),
        cmocka_unit_test(recorded_times_are_replayed_from_their_first),
        cmocka_unit_test(recorded_times_that_are_wrong_are_refused_with_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
