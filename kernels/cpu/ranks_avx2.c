#if defined(__AVX2__)
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/avx2.h"

enum { KEYS_MAX = RANKS_MAX + 16 };

/* How many of 16 limits the key is above. */
static inline uint32_t above32(__m256i key, const int32_t *limits)
{
    __m256i low = _mm256_cmpgt_epi32(key, _mm256_load_si256((const void *)limits));
    __m256i high = _mm256_cmpgt_epi32(key, _mm256_load_si256((const void *)(limits + 8)));
    return (uint32_t)_mm_popcnt_u32((uint32_t)_mm256_movemask_epi8(_mm256_packs_epi32(low, high))) / 2;
}

static inline uint32_t above64(__m256i key, const int64_t *limits)
{
    __m256i a = _mm256_cmpgt_epi64(key, _mm256_load_si256((const void *)limits));
    __m256i b = _mm256_cmpgt_epi64(key, _mm256_load_si256((const void *)(limits + 4)));
    __m256i c = _mm256_cmpgt_epi64(key, _mm256_load_si256((const void *)(limits + 8)));
    __m256i d = _mm256_cmpgt_epi64(key, _mm256_load_si256((const void *)(limits + 12)));
    __m256i all = _mm256_packs_epi32(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d)); /* two bytes of each comparison stay */
    return (uint32_t)_mm_popcnt_u32((uint32_t)_mm256_movemask_epi8(all)) / 2;
}

static inline void rank32(const struct ranks *ranks, const void *row, uint8_t *out, size_t step)
{
    int32_t keys[KEYS_MAX];
    const int32_t *pivots = ranks->pivots, *limits = ranks->limits;
    inputs_keys32(ranks->inputs, row, keys);
    for (uint32_t c = 0; c < ranks->count; c++) {
        __m256i key = _mm256_set1_epi32(keys[ranks->input[c]]);
        uint32_t part = 16 * above32(key, pivots + (size_t)c * 16);
        out[c * step] = (uint8_t)(part + above32(key, limits + ranks->first[c] + part));
    }
}

static inline void rank64(const struct ranks *ranks, const void *row, uint8_t *out, size_t step)
{
    int64_t keys[KEYS_MAX];
    const int64_t *pivots = ranks->pivots, *limits = ranks->limits;
    inputs_keys64(ranks->inputs, row, keys);
    for (uint32_t c = 0; c < ranks->count; c++) {
        __m256i key = _mm256_set1_epi64x(keys[ranks->input[c]]);
        uint32_t part = 16 * above64(key, pivots + (size_t)c * 16);
        out[c * step] = (uint8_t)(part + above64(key, limits + ranks->first[c] + part));
    }
}

void rank_row_avx2(const struct ranks *ranks, const void *row, uint8_t *out)
{
    if (ranks->inputs->forest->input_type == NUMBER_F32)
        rank32(ranks, row, out, 1);
    else
        rank64(ranks, row, out, 1);
}

void rank_block_avx2(const struct ranks *ranks, const struct rows *rows, const uint32_t *slots, uint32_t n, uint8_t *out)
{
    bool is_f32 = ranks->inputs->forest->input_type == NUMBER_F32;
    if (n < 64)
        memset(out, 0, (size_t)ranks->count * 64);
    for (uint32_t i = 0; i < n; i++) {
        const void *row = (const char *)rows->base + (size_t)slots[i] * rows->stride;
        if (is_f32)
            rank32(ranks, row, out + i, 64);
        else
            rank64(ranks, row, out + i, 64);
    }
}
#endif
