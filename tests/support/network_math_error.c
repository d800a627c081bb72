#include "tests/support/network_math_error.h"

#include <math.h>

#include "model/network_math.h"

static double exact_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double exact_softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double exact_gelu(double x)
{
    return x == -INFINITY ? -0.0 : 0.5 * x * erfc(-x * 0.70710678118654752440);
}

static double exact_gelu_tanh(double x)
{
    const double c = 0.79788456080286535588; /* sqrt(2 / pi) */
    double u = c * x * (1 + 0.044715 * x * x);
    return x == -INFINITY ? -0.0 : x / (1.0 + exp(-2.0 * u));
}

const struct network_function network_functions[] = {
    {"exp", network_exp, exp},
    {"expm1", network_expm1, expm1},
    {"log", network_log, log},
    {"softplus", network_softplus, exact_softplus},
    {"sigmoid", network_sigmoid, exact_sigmoid},
    {"tanh", network_tanh, tanh},
    {"erf", network_erf, erf},
    {"gelu", network_gelu, exact_gelu},
    {"gelu_tanh", network_gelu_tanh, exact_gelu_tanh},
};
const unsigned network_function_count = sizeof network_functions / sizeof network_functions[0];

/* The distance of neighbouring floats at x, |x| at most the largest float. */
static double spacing(double x)
{
    int exponent = ilogb(x);
    return ldexp(1.0, (exponent < -126 || x == 0 ? -126 : exponent) - 23);
}

static double error_of(float ours, double exact)
{
    if (isnan(exact) || isnan(ours))
        return isnan(exact) && isnan(ours) ? 0 : INFINITY;
    if (fabs(exact) >= 0x1.ffffffp127) /* rounds to infinity */
        return (double)ours == copysign(INFINITY, exact) ? 0 : INFINITY;
    if (exact == 0 || ours == 0)
        return exact == 0 && ours == 0 && signbit(ours) == signbit(exact) ? 0 : fabs((double)ours - exact) / spacing(exact);
    return fabs((double)ours - exact) / spacing(exact);
}

struct network_error network_error_over(const struct network_function *function, uint64_t first, uint64_t step)
{
    struct network_error worst = {0};
    for (uint64_t bits = first; bits < (uint64_t)1 << 32; bits += step) {
        float x = network_float((uint32_t)bits);
        double ulp = error_of(function->ours(x), function->exact((double)x));
        if (ulp > worst.ulp)
            worst = (struct network_error){.ulp = ulp, .at = x};
    }
    return worst;
}
