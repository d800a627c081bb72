#include "kernels/cpu/isa.h"

enum isa isa_best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma") &&
                __builtin_cpu_supports("popcnt");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
    return avx2 && avx512 ? ISA_AVX512 : avx2 ? ISA_AVX2 : ISA_SCALAR;
#else
    return ISA_SCALAR;
#endif
}

const char *isa_name(enum isa isa)
{
    return isa == ISA_AVX512 ? "AVX-512" : isa == ISA_AVX2 ? "AVX2" : "scalar";
}
