/* How many float32 operations a second this core can do at best: independent fused multiply-adds on its widest registers. */
#include <time.h>

#include "bench/models/contenders.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { CHAINS = 12 /* latency x units at least */, STEPS = 20000, TRIES = 60 };

static double thread_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One after the other in registers: the compiler sees each used after the loop, and none as a constant. */
#define CHAIN_ALL(step) step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7) step(8) step(9) step(10) step(11)

__attribute__((target("avx512f"))) static void chains_avx512(void)
{
    __m512 s[CHAINS], half = _mm512_set1_ps(0.5f);
#define START(i) s[i] = _mm512_set1_ps(i);
#define STEP(i) s[i] = _mm512_fmadd_ps(s[i], half, half);
#define KEEP(i) __asm__ volatile("" : "+v"(s[i]));
    CHAIN_ALL(START)
    for (int k = 0; k < STEPS; k++) {
        CHAIN_ALL(STEP)
        __asm__ volatile("" : "+v"(s[0]));
    }
    CHAIN_ALL(KEEP)
#undef START
#undef STEP
#undef KEEP
}

__attribute__((target("avx2,fma"))) static void chains_avx2(void)
{
    __m256 s[CHAINS], half = _mm256_set1_ps(0.5f);
#define START(i) s[i] = _mm256_set1_ps(i);
#define STEP(i) s[i] = _mm256_fmadd_ps(s[i], half, half);
#define KEEP(i) __asm__ volatile("" : "+x"(s[i]));
    CHAIN_ALL(START)
    for (int k = 0; k < STEPS; k++) {
        CHAIN_ALL(STEP)
        __asm__ volatile("" : "+x"(s[0]));
    }
    CHAIN_ALL(KEEP)
#undef START
#undef STEP
#undef KEEP
}

double contender_peak_gflops(void)
{
    __builtin_cpu_init();
    int is_wide = __builtin_cpu_supports("avx512f");
    double best = 0;
    if (!is_wide && !__builtin_cpu_supports("fma"))
        return 0;
    for (int i = 0; i < TRIES; i++) {
        double start = thread_ns();
        if (is_wide)
            chains_avx512();
        else
            chains_avx2();
        double gflops = 2.0 * CHAINS * STEPS * (is_wide ? 16 : 8) / (thread_ns() - start);
        best = gflops > best ? gflops : best;
    }
    return best;
}
#else
double contender_peak_gflops(void)
{
    return 0;
}
#endif
