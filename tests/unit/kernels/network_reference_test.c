/*
 * The reference network kernel: operations that no small graph reaches, and how far its sums may be from the exact ones, in
 * float64, on random numbers of many sizes. With u = 2^-24: a dense sum of n inputs within n u (|b| + sum |x w|), a lane sum
 * within (n / 16 + 4) u sum |x|; second-order terms have a factor of 1.01.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/ref/network_function.h"
#include "kernels/ref/network_reference.h"
#include "model/network.h"

static const double u = 0x1p-24;

static uint64_t random_state = 88172645463325252;

/* -1 .. 1, of any magnitude down to 2^-12, as rounding errors are largest where magnitudes differ. */
static float random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    double x = (double)(int64_t)random_state * 0x1p-63;
    return (float)ldexp(x, -(int)(random_state >> 8 & 15) * 3 / 4);
}

static void fill(float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        x[i] = random_number();
}

/* One operation on one row. */
static void compute(struct network_op op, const float *numbers, const float *row, uint32_t features, double *out)
{
    op.groups = op.groups ? op.groups : 1;
    struct network n = {.features = features,
                        .outputs = op.width,
                        .ops = &op,
                        .op_count = 1,
                        .numbers = (float *)(uintptr_t)numbers,
                        .number_count = op.count};
    struct error err;
    const struct rows rows = {.base = row, .columns = features, .type = NUMBER_F32};
    const uint32_t slot = 0;
    if (network_check(&n, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    assert_int_equal(network_reference_margins(&n, &rows, &slot, 1, out), STATUS_OK);
}

static void dense_error(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 7, 64, 250, 1024};
    static float numbers[1025 * 8], row[1024];
    double worst = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint32_t in = sizes[s];
        fill(numbers, (in + 1) * 8);
        fill(row, in);
        double got[8];
        compute((struct network_op){.kind = NETWORK_DENSE, .width = 8, .count = (in + 1) * 8}, numbers, row, in, got);
        for (uint32_t o = 0; o < 8; o++) {
            double exact = (double)numbers[in * 8 + o], size = fabs(exact);
            for (uint32_t i = 0; i < in; i++) {
                double product = (double)row[i] * (double)numbers[i * 8 + o];
                exact += product;
                size += fabs(product);
            }
            assert_true(fabs(got[o] - exact) <= 1.01 * in * u * size);
            worst = fmax(worst, fabs(got[o] - exact) / (u * size));
        }
    }
    (void)printf("dense sums: at most %.2f u (|b| + sum |x w|) beside the exact ones\n", worst);
}

static void lane_sum_error(void **state)
{
    (void)state;
    static float row[1000];
    for (uint32_t n = 1; n <= 1000; n += n < 40 ? 1 : 97) {
        fill(row, n);
        double exact = 0, size = 0, got;
        for (uint32_t i = 0; i < n; i++) {
            exact += (double)row[i];
            size += fabs((double)row[i]);
        }
        compute((struct network_op){.kind = NETWORK_REDUCE, .reduce = NETWORK_SUM, .width = 1}, NULL, row, n, &got);
        assert_true(fabs(got - exact) <= 1.01 * (ceil(n / 16.0) + 4) * u * size);
    }
}

/* y is within a few roundings of the exact one, where the deviation is not far below the numbers themselves. */
static void layer_norm_error(void **state)
{
    (void)state;
    static float row[512], numbers[1024];
    static double got[512];
    for (uint32_t n = 2; n <= 512; n *= 2) {
        double mean = 0, variance = 0, largest = 0;
        fill(row, n);
        fill(numbers, 2 * n);
        for (uint32_t i = 0; i < n; i++)
            mean += (double)row[i] / n;
        for (uint32_t i = 0; i < n; i++) {
            variance += pow((double)row[i] - mean, 2) / n;
            largest = fmax(largest, fabs((double)row[i]));
        }
        compute((struct network_op){.kind = NETWORK_LAYER_NORM, .a = 1e-5f, .width = n, .count = 2 * n}, numbers, row, n, got);
        double r = 1 / sqrt(variance + (double)1e-5f);
        for (uint32_t i = 0; i < n; i++) {
            double want = ((double)row[i] - mean) * r * (double)numbers[i] + (double)numbers[n + i];
            double scale = largest * r * fabs((double)numbers[i]) + fabs(want);
            assert_true(fabs(got[i] - want) <= (n / 16.0 + 12) * u * scale);
        }
    }
}

static void softmax_error(void **state)
{
    (void)state;
    static float row[256];
    static double got[256];
    for (uint32_t n = 1; n <= 256; n *= 2) {
        double sum = 0, largest = -INFINITY, total = 0;
        fill(row, n);
        for (uint32_t i = 0; i < n; i++) {
            row[i] *= 20;
            largest = fmax(largest, (double)row[i]);
        }
        for (uint32_t i = 0; i < n; i++)
            sum += exp((double)row[i] - largest);
        compute((struct network_op){.kind = NETWORK_SOFTMAX, .width = n}, NULL, row, n, got);
        for (uint32_t i = 0; i < n; i++) {
            double want = exp((double)row[i] - largest) / sum;
            /* x - largest is rounded, which exp makes a relative error of */
            assert_true(fabs(got[i] - want) <= (n / 16.0 + 10 + 2 * fabs((double)row[i] - largest)) * u * want);
            total += got[i];
        }
        assert_true(fabs(total - 1) < 1e-5);
    }
}

static void groups_and_zeros(void **state)
{
    (void)state;
    double got[6];
    const float row[] = {3, -4, 0, -0.0f, -2, -7};
    compute((struct network_op){.kind = NETWORK_NORMALIZE, .reduce = NETWORK_L2, .width = 6, .groups = 3}, NULL, row, 6, got);
    assert_true(got[0] == (double)(3.0f / 5) && got[1] == (double)(-4.0f / 5) && got[2] == 0 && got[3] == 0 && signbit(got[3]));
    compute((struct network_op){.kind = NETWORK_REDUCE, .reduce = NETWORK_MAX, .width = 3, .groups = 3}, NULL, row, 6, got);
    assert_true(got[0] == 3 && got[1] == 0 && !signbit(got[1]) && got[2] == -2);
    compute((struct network_op){.kind = NETWORK_REDUCE, .reduce = NETWORK_MIN, .width = 2, .groups = 2}, NULL, (float[]){1, NAN, 2, -1, 5, 6}, 6, got);
    assert_true(isnan(got[0]) && got[1] == -1);
}

/* NaN and the borders of each function of one number. */
static void functions(void **state)
{
    (void)state;
    for (int f = 0; f < NETWORK_FUNCTION_COUNT; f++) {
        if (network_function_is_binary((enum network_function)f) || f == NETWORK_FN_IS_NAN || f == NETWORK_FN_NOT || f == NETWORK_FN_THRESHOLD)
            continue;
        float got = network_function_of((enum network_function)f, 0.5f, 1.5f, NAN, 0);
        if (!isnan(got))
            fail_msg("%s of NaN is %g", network_function_name((enum network_function)f), (double)got);
    }
#define IS(function, a, b, x, z, want) assert_true(network_function_of(NETWORK_FN_##function, a, b, x, z) == (want))
    IS(RELU, 0, 0, -3, 0, 0);
    IS(LEAKY_RELU, 0.5f, 0, -3, 0, -1.5f);
    IS(CLIP, 0, 1, 7, 0, 1);
    IS(CLIP, 3, 1, 2, 0, 1); /* bounds the wrong way round: the upper one */
    IS(HARD_SIGMOID, 0.2f, 0.5f, 100, 0, 1);
    IS(THRESHOLD, 1, 0, 1, 0, 0);
    IS(ROUND, 0, 0, 2.5f, 0, 2);
    IS(SOFTSIGN, 0, 0, 3, 0, 0.75f);
    IS(SUB_FROM, 0, 0, 3, 1, -2);
    IS(DIV_INTO, 0, 0, 4, 1, 0.25f);
    IS(PRELU, 0, 0, -2, 3, -6);
    IS(FILL, NAN, 0, NAN, 5, 5);
    IS(FILL, -1, 0, -1, 5, 5);
    assert_true(isnan(network_function_of(NETWORK_FN_FILL, -1, 0, NAN, 5)));
    assert_true(isnan(network_function_of(NETWORK_FN_MAX, 0, 0, NAN, 5)) && isnan(network_function_of(NETWORK_FN_MIN, 0, 0, 5, NAN)));
#undef IS
}

/* A margin that is NaN is one NaN, whatever made it. */
static void one_nan(void **state)
{
    (void)state;
    double got[2];
    float narrow, row[2] = {INFINITY, 0};
    uint32_t bits = 0xffc12345u;
    memcpy(&row[1], &bits, sizeof bits);
    compute((struct network_op){.kind = NETWORK_WITH, .function = NETWORK_FN_SUB, .width = 2, .count = 2}, (float[]){INFINITY, 1}, row, 2, got);
    for (int i = 0; i < 2; i++) {
        narrow = (float)got[i];
        memcpy(&bits, &narrow, sizeof bits);
        assert_int_equal(bits, 0x7fc00000u);
    }
}

static void refuse(struct network n, const char *what)
{
    struct error err = {""};
    assert_int_not_equal(network_check(&n, &err), STATUS_OK);
    if (!strstr(err.message, what))
        fail_msg("'%s' does not say '%s'", err.message, what);
}

/* What kernels trust is checked. */
static void checks(void **state)
{
    (void)state;
    struct network_op op = {.kind = NETWORK_DENSE, .width = 2, .groups = 1, .count = 6};
    struct network_piece piece = {.wire = 0, .column = 1, .count = 2, .step = 1};
    float numbers[6] = {1, 2, 3, 4, 5, 6};
    const struct network good = {.features = 2, .outputs = 2, .ops = &op, .op_count = 1, .numbers = numbers, .number_count = 6,
                                 .pieces = &piece, .piece_count = 1};
    assert_int_equal(network_check(&good, NULL), STATUS_OK);
    op.inputs[0] = 1;
    refuse(good, "not made before");
    op.inputs[0] = 0;
    op.count = 5;
    refuse(good, "numbers do not exist");
    op = (struct network_op){.kind = NETWORK_DENSE, .width = 2, .groups = 1, .count = 6, .first = 1};
    refuse(good, "numbers do not exist");
    op = (struct network_op){.kind = NETWORK_MAP, .width = 1, .groups = 1};
    refuse(good, "not that of its input");
    op = (struct network_op){.kind = NETWORK_MAP, .width = 2, .groups = 1, .function = NETWORK_FN_ADD};
    refuse(good, "operands");
    op = (struct network_op){.kind = NETWORK_COPY, .width = 2, .groups = 1, .count = 1};
    refuse(good, "columns that its wire has not");
    op = (struct network_op){.kind = NETWORK_SOFTMAX, .width = 2, .groups = 3};
    refuse(good, "groups do not divide");
    op = (struct network_op){.kind = NETWORK_FOREST, .width = 2, .groups = 1};
    refuse(good, "forest does not exist");
    op = (struct network_op){.kind = NETWORK_EMBED, .width = 3, .groups = 1, .rows = 1, .count = 1};
    refuse(good, "of one length");
    op = (struct network_op){.kind = NETWORK_KIND_COUNT, .width = 2, .groups = 1};
    refuse(good, "no known kind");
    op = (struct network_op){.kind = NETWORK_MAP, .width = 2, .groups = 1};
    struct network other = good;
    other.outputs = 1;
    refuse(other, "outputs");
    other.features = 0;
    refuse(other, "0 features");
    numbers[3] = NAN;
    op = (struct network_op){.kind = NETWORK_DENSE, .width = 2, .groups = 1, .count = 6};
    refuse(good, "not a finite number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_error), cmocka_unit_test(lane_sum_error),   cmocka_unit_test(layer_norm_error),
        cmocka_unit_test(softmax_error), cmocka_unit_test(groups_and_zeros), cmocka_unit_test(functions),
        cmocka_unit_test(one_nan),     cmocka_unit_test(checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
