#include "kernels/ref/network_function.h"

#include <math.h>

#include "model/base/check.h"
#include "model/network_math.h"

float network_function_of(enum network_function function, float a, float b, float x, float z)
{
    switch (function) {
#define NETWORK_UNARY(name, shown, value)                                                                                        \
    case NETWORK_FN_##name:                                                                                                      \
        return value;
#define NETWORK_BINARY(name, shown, value) NETWORK_UNARY(name, shown, value)
#include "model/network_functions.def"
#undef NETWORK_UNARY
#undef NETWORK_BINARY
    case NETWORK_FUNCTION_COUNT:
        break;
    }
    CHECK(0 && "a function that is not known");
    return NAN;
}
