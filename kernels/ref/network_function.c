#include "kernels/ref/network_function.h"

#include <math.h>

#include "model/base/check.h"
#include "model/network_math.h"

static float between(float x, float low, float high)
{
    return network_at_most(network_at_least(x, low), high);
}

static float truth(bool holds)
{
    return holds ? 1.0f : 0.0f;
}

static float sign(float x)
{
    if (x > 0)
        return 1.0f;
    return x < 0 ? -1.0f : x;
}

/* Functions that bend a sum: what stands between the layers of a network. */
static float activation(enum network_function function, float a, float b, float x)
{
    switch (function) {
    case NETWORK_FN_RELU:
        return network_at_least(x, 0.0f);
    case NETWORK_FN_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case NETWORK_FN_ELU:
        return x < 0 ? a * network_expm1(x) : x;
    case NETWORK_FN_SELU:
        return b * (x < 0 ? a * network_expm1(x) : x);
    case NETWORK_FN_GELU:
        return network_gelu(x);
    case NETWORK_FN_GELU_TANH:
        return network_gelu_tanh(x);
    case NETWORK_FN_SILU:
        return x * network_sigmoid(x);
    case NETWORK_FN_MISH:
        return x * network_tanh(network_softplus(x));
    case NETWORK_FN_TANH:
        return network_tanh(x);
    case NETWORK_FN_SIGMOID:
        return network_sigmoid(x);
    case NETWORK_FN_SOFTPLUS:
        return network_softplus(x);
    case NETWORK_FN_SOFTSIGN:
        return x / (1.0f + fabsf(x));
    case NETWORK_FN_HARD_SIGMOID:
        return between(fmaf(a, x, b), 0.0f, 1.0f);
    case NETWORK_FN_HARD_SWISH:
        return x * between(fmaf(1.0f / 6.0f, x, 0.5f), 0.0f, 1.0f);
    case NETWORK_FN_CLIP:
        return between(x, a, b);
    case NETWORK_FN_THRESHOLD:
        return x > a ? x : b;
    default:
        CHECK(0 && "a function of one number that is not known");
        return NAN;
    }
}

static float elementary(enum network_function function, float a, float b, float x)
{
    switch (function) {
    case NETWORK_FN_IDENTITY:
        return x;
    case NETWORK_FN_EXP:
        return network_exp(x);
    case NETWORK_FN_LOG:
        return network_log(x);
    case NETWORK_FN_ERF:
        return network_erf(x);
    case NETWORK_FN_SQRT:
        return sqrtf(x);
    case NETWORK_FN_SQUARE:
        return x * x;
    case NETWORK_FN_RECIPROCAL:
        return 1.0f / x;
    case NETWORK_FN_ABS:
        return fabsf(x);
    case NETWORK_FN_NEG:
        return -x;
    case NETWORK_FN_FLOOR:
        return floorf(x);
    case NETWORK_FN_CEIL:
        return ceilf(x);
    case NETWORK_FN_ROUND:
        return nearbyintf(x);
    case NETWORK_FN_TRUNC:
        return truncf(x);
    case NETWORK_FN_SIGN:
        return sign(x);
    case NETWORK_FN_IS_NAN:
        return truth(isnan(x));
    case NETWORK_FN_NOT:
        return truth(x == 0);
    default:
        return activation(function, a, b, x);
    }
}

float network_function_of(enum network_function function, float a, float b, float x, float z)
{
    switch (function) {
    case NETWORK_FN_ADD:
        return x + z;
    case NETWORK_FN_SUB:
        return x - z;
    case NETWORK_FN_SUB_FROM:
        return z - x;
    case NETWORK_FN_MUL:
        return x * z;
    case NETWORK_FN_DIV:
        return x / z;
    case NETWORK_FN_DIV_INTO:
        return z / x;
    case NETWORK_FN_MIN:
        return isnan(x) || x < z ? x : z;
    case NETWORK_FN_MAX:
        return isnan(x) || x > z ? x : z;
    case NETWORK_FN_EQUAL:
        return truth(x == z);
    case NETWORK_FN_LESS:
        return truth(x < z);
    case NETWORK_FN_LESS_EQUAL:
        return truth(x <= z);
    case NETWORK_FN_MORE:
        return truth(x > z);
    case NETWORK_FN_MORE_EQUAL:
        return truth(x >= z);
    case NETWORK_FN_PRELU:
        return x < 0 ? z * x : x;
    case NETWORK_FN_FILL:
        return (isnan(a) ? isnan(x) : x == a) ? z : x;
    default:
        return elementary(function, a, b, x);
    }
}
