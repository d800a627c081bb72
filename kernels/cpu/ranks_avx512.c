#if defined(__AVX512VBMI__)
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/avx512.h"

enum { KEYS_MAX = RANKS_MAX + 16 };

/* Keys of the ordered inputs, 16 at a time; see inputs_keys32, which says the same in plain C. The arrays are padded, so
 * the last step may make some keys too many. */
static inline void keys32(const struct inputs *inputs, const void *row, int32_t *keys)
{
    const __m512i magnitude_bits = _mm512_set1_epi32(INT32_MAX), infinity = _mm512_set1_epi32(0x7F800000);
    const int32_t *nan_key = inputs->nan_key, *tiny_limit = inputs->tiny_limit, *tiny_key = inputs->tiny_key;
    for (uint32_t i = 0; i < inputs->ordered; i += 16) {
        __m512i bits = _mm512_i32gather_epi32(_mm512_load_si512(inputs->feature + i), row, 4);
        __m512i magnitude = _mm512_and_si512(bits, magnitude_bits);
        __m512i key = _mm512_mask_sub_epi32(magnitude, _mm512_movepi32_mask(bits), _mm512_setzero_si512(), magnitude);
        __mmask16 is_tiny = _mm512_cmple_epi32_mask(magnitude, _mm512_load_si512(tiny_limit + i));
        key = _mm512_mask_mov_epi32(key, is_tiny, _mm512_load_si512(tiny_key + i));
        __mmask16 is_nan = _mm512_cmpgt_epi32_mask(magnitude, infinity);
        key = _mm512_mask_mov_epi32(key, is_nan, _mm512_load_si512(nan_key + i));
        _mm512_storeu_si512(keys + i, key);
    }
    if (inputs->ordered < inputs->count)
        inputs_answers32(inputs, row, keys);
}

static inline void keys64(const struct inputs *inputs, const void *row, int64_t *keys)
{
    const __m512i magnitude_bits = _mm512_set1_epi64(INT64_MAX), infinity = _mm512_set1_epi64(0x7FF0000000000000);
    const int64_t *nan_key = inputs->nan_key, *tiny_limit = inputs->tiny_limit, *tiny_key = inputs->tiny_key;
    for (uint32_t i = 0; i < inputs->ordered; i += 8) {
        __m512i bits = _mm512_i32gather_epi64(_mm256_load_si256((const void *)(inputs->feature + i)), row, 8);
        __m512i magnitude = _mm512_and_si512(bits, magnitude_bits);
        __m512i key = _mm512_mask_sub_epi64(magnitude, _mm512_movepi64_mask(bits), _mm512_setzero_si512(), magnitude);
        __mmask8 is_tiny = _mm512_cmple_epi64_mask(magnitude, _mm512_load_si512(tiny_limit + i));
        key = _mm512_mask_mov_epi64(key, is_tiny, _mm512_load_si512(tiny_key + i));
        __mmask8 is_nan = _mm512_cmpgt_epi64_mask(magnitude, infinity);
        key = _mm512_mask_mov_epi64(key, is_nan, _mm512_load_si512(nan_key + i));
        _mm512_storeu_si512(keys + i, key);
    }
    if (inputs->ordered < inputs->count)
        inputs_answers64(inputs, row, keys);
}

/* How many of 16 limits the key is above. */
static inline uint32_t above32(__m512i key, const int32_t *limits)
{
    return (uint32_t)_mm_popcnt_u32(_mm512_cmpgt_epi32_mask(key, _mm512_load_si512(limits)));
}

static inline uint32_t above64(__m512i key, const int64_t *limits)
{
    uint32_t low = _mm512_cmpgt_epi64_mask(key, _mm512_load_si512(limits));
    uint32_t high = _mm512_cmpgt_epi64_mask(key, _mm512_load_si512(limits + 8));
    return (uint32_t)_mm_popcnt_u32(low | high << 8);
}

static inline void rank32(const struct ranks *ranks, const void *row, uint8_t *out, size_t step)
{
    int32_t keys[KEYS_MAX];
    const int32_t *pivots = ranks->pivots, *limits = ranks->limits;
    keys32(ranks->inputs, row, keys);
    for (uint32_t c = 0; c < ranks->count; c++) {
        __m512i key = _mm512_set1_epi32(keys[ranks->input[c]]);
        uint32_t part = 16 * above32(key, pivots + (size_t)c * 16);
        out[c * step] = (uint8_t)(part + above32(key, limits + ranks->first[c] + part));
    }
}

static inline void rank64(const struct ranks *ranks, const void *row, uint8_t *out, size_t step)
{
    int64_t keys[KEYS_MAX];
    const int64_t *pivots = ranks->pivots, *limits = ranks->limits;
    keys64(ranks->inputs, row, keys);
    for (uint32_t c = 0; c < ranks->count; c++) {
        __m512i key = _mm512_set1_epi64(keys[ranks->input[c]]);
        uint32_t part = 16 * above64(key, pivots + (size_t)c * 16);
        out[c * step] = (uint8_t)(part + above64(key, limits + ranks->first[c] + part));
    }
}

void rank_row_avx512(const struct ranks *ranks, const void *row, uint8_t *out)
{
    if (ranks->inputs->forest->input_type == NUMBER_F32)
        rank32(ranks, row, out, 1);
    else
        rank64(ranks, row, out, 1);
}

void rank_block_avx512(const struct ranks *ranks, const struct rows *rows, const uint32_t *slots, uint32_t n, uint8_t *out)
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
