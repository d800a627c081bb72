/*
 * Leaf values as planes of bytes: byte b of all values of a tree lies together, and a byte shuffle looks 64 leaf numbers up
 * in it at once. The planes are then interleaved into numbers.
 *
 * Interleaving works within 128-bit quarters, so sums lie in this order: quarter q of register r holds, for float32, rows
 * 16q + 4r .. + 3; for float64, rows 16q + 2r, + 1.
 */
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* Looks 64 leaf numbers up in one plane of bytes. Small planes lie side by side, and what is read past their end is not used. */
static inline __m512i look_up(const uint8_t *plane, uint32_t leaves, __m512i numbers)
{
    if (leaves <= 64)
        return _mm512_permutexvar_epi8(numbers, _mm512_loadu_si512(plane));
    __m512i low = _mm512_permutex2var_epi8(_mm512_loadu_si512(plane), numbers, _mm512_loadu_si512(plane + 64));
    if (leaves == 128)
        return low;
    __m512i high = _mm512_permutex2var_epi8(_mm512_loadu_si512(plane + 128), numbers, _mm512_loadu_si512(plane + 192));
    return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(numbers), high);
}

/* Four planes become the 64 words that they are bytes of. */
static inline void four_planes(const uint8_t *planes, uint32_t leaves, __m512i numbers, __m512i words[4])
{
    __m512i b0 = look_up(planes, leaves, numbers), b1 = look_up(planes + leaves, leaves, numbers);
    __m512i b2 = look_up(planes + 2 * (size_t)leaves, leaves, numbers), b3 = look_up(planes + 3 * (size_t)leaves, leaves, numbers);
    __m512i low01 = _mm512_unpacklo_epi8(b0, b1), high01 = _mm512_unpackhi_epi8(b0, b1);
    __m512i low23 = _mm512_unpacklo_epi8(b2, b3), high23 = _mm512_unpackhi_epi8(b2, b3);
    words[0] = _mm512_unpacklo_epi16(low01, low23);
    words[1] = _mm512_unpackhi_epi16(low01, low23);
    words[2] = _mm512_unpacklo_epi16(high01, high23);
    words[3] = _mm512_unpackhi_epi16(high01, high23);
}

static inline void add32(const uint8_t *planes, uint32_t leaves, __m512i numbers, __m512 sums[4])
{
    __m512i words[4];
    four_planes(planes, leaves, numbers, words);
    for (int i = 0; i < 4; i++)
        sums[i] = _mm512_add_ps(sums[i], _mm512_castsi512_ps(words[i]));
}

static inline void add64(const uint8_t *planes, uint32_t leaves, __m512i numbers, __m512d sums[8])
{
    __m512i low[4], high[4];
    four_planes(planes, leaves, numbers, low);
    four_planes(planes + 4 * (size_t)leaves, leaves, numbers, high);
    for (int i = 0; i < 4; i++) {
        sums[2 * i] = _mm512_add_pd(sums[2 * i], _mm512_castsi512_pd(_mm512_unpacklo_epi32(low[i], high[i])));
        sums[2 * i + 1] = _mm512_add_pd(sums[2 * i + 1], _mm512_castsi512_pd(_mm512_unpackhi_epi32(low[i], high[i])));
    }
}

