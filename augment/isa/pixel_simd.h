/* Vectors for the loops that are written in intrinsics: one name for the widths of AVX2 and AVX-512, and the exact product of bytes by
 * weights of 24 bits.
 *
 * A vector holds FOV_LANES sums of 32 bits. Against them stand FOV_LANES times four bytes, the four inputs of each sum, and a group of
 * four weights, which the set has cut into digits (pixel_weights.c) small enough for its multiply-add: three of 8 bits for vpdpbusd,
 * two of 15 and 9 bits for vpmaddwd. Sums of the digits are put together modulo 2^32, so nothing is lost. */
#ifndef FOV_AUGMENT_ISA_PIXEL_SIMD_H
#define FOV_AUGMENT_ISA_PIXEL_SIMD_H

#include "augment/isa/pixel_loops.h"

#if FOV_ISA_LEVEL > 0
#include <immintrin.h>
#include <string.h>

/* Before a loop over the vectors of a small array, so that they are registers. */
#if defined(__clang__)
#define FOV_UNROLL _Pragma("unroll")
#else
#define FOV_UNROLL _Pragma("GCC unroll 8")
#endif

#if FOV_ISA_LEVEL == 1
#define FOV_LANES 8
typedef __m256i fov_vec;
typedef __m256 fov_floats;
#define FOV_VEC(name) _mm256_##name
static inline fov_vec fov_vec_load(const void *from) {
    return _mm256_loadu_si256((const __m256i *)from);
}
static inline void fov_vec_store(void *to, fov_vec v) {
    _mm256_storeu_si256((__m256i *)to, v);
}
#define FOV_VEC_REPEAT(lane) _mm256_broadcastsi128_si256(lane)
#define FOV_VEC_AND _mm256_and_si256
#define FOV_VEC_OR _mm256_or_si256
#define FOV_VEC_XOR _mm256_xor_si256
#else
#define FOV_LANES 16
typedef __m512i fov_vec;
typedef __m512 fov_floats;
#define FOV_VEC(name) _mm512_##name
static inline fov_vec fov_vec_load(const void *from) {
    return _mm512_loadu_si512(from);
}
static inline void fov_vec_store(void *to, fov_vec v) {
    _mm512_storeu_si512(to, v);
}
#define FOV_VEC_REPEAT(lane) _mm512_broadcast_i32x4(lane)
#define FOV_VEC_AND _mm512_and_si512
#define FOV_VEC_OR _mm512_or_si512
#define FOV_VEC_XOR _mm512_xor_si512
#endif

/* Choices, a lane at a time. */
#if FOV_ISA_LEVEL == 1
typedef __m256i fov_mask;
static inline fov_mask fov_equal(fov_vec a, fov_vec b) {
    return _mm256_cmpeq_epi32(a, b);
}
static inline fov_mask fov_negative(fov_floats a) {
    return _mm256_castps_si256(_mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_LT_OQ));
}
static inline fov_mask fov_any(fov_vec a, fov_vec bits) {
    return _mm256_cmpgt_epi32(_mm256_and_si256(a, bits), _mm256_setzero_si256());
}
static inline fov_vec fov_select(fov_mask m, fov_vec yes, fov_vec no) {
    return _mm256_blendv_epi8(no, yes, m);
}
static inline fov_floats fov_select_floats(fov_mask m, fov_floats yes, fov_floats no) {
    return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(m));
}
static inline fov_vec fov_vec_load_bytes(const uint8_t *from) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
}
#else
typedef __mmask16 fov_mask;
static inline fov_mask fov_equal(fov_vec a, fov_vec b) {
    return _mm512_cmpeq_epi32_mask(a, b);
}
static inline fov_mask fov_negative(fov_floats a) {
    return _mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_LT_OQ);
}
static inline fov_mask fov_any(fov_vec a, fov_vec bits) {
    return _mm512_test_epi32_mask(a, bits);
}
static inline fov_vec fov_select(fov_mask m, fov_vec yes, fov_vec no) {
    return _mm512_mask_blend_epi32(m, no, yes);
}
static inline fov_floats fov_select_floats(fov_mask m, fov_floats yes, fov_floats no) {
    return _mm512_mask_blend_ps(m, no, yes);
}
static inline fov_vec fov_vec_load_bytes(const uint8_t *from) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
}
#endif

/* 16 bytes at `at` of each fourth of FOV_LANES rows. */
FOV_INLINE fov_vec fov_fourths_load(const uint8_t *const *rows, size_t at) {
#define FOV_PIECE(r) _mm_loadu_si128((const __m128i *)(const void *)(rows[r] + at))
#if FOV_ISA_LEVEL == 1
    return _mm256_inserti128_si256(_mm256_castsi128_si256(FOV_PIECE(0)), FOV_PIECE(4), 1);
#else
    __m512i all = _mm512_castsi128_si512(FOV_PIECE(0));
    all = _mm512_mask_broadcast_i32x4(all, 0x00F0, FOV_PIECE(4)); /* takes no shuffle */
    all = _mm512_mask_broadcast_i32x4(all, 0x0F00, FOV_PIECE(8));
    return _mm512_mask_broadcast_i32x4(all, 0xF000, FOV_PIECE(12));
#endif
#undef FOV_PIECE
}

/* From four such vectors, of rows 0, 1, 2 and 3 and so on, to those of each four bytes: a lane for each row. */
FOV_INLINE void fov_fourths_turn(const fov_vec fourth[4], fov_vec quads[4]) {
    const fov_vec low0 = FOV_VEC(unpacklo_epi32)(fourth[0], fourth[1]), low1 = FOV_VEC(unpacklo_epi32)(fourth[2], fourth[3]);
    const fov_vec high0 = FOV_VEC(unpackhi_epi32)(fourth[0], fourth[1]), high1 = FOV_VEC(unpackhi_epi32)(fourth[2], fourth[3]);
    quads[0] = FOV_VEC(unpacklo_epi64)(low0, low1);
    quads[1] = FOV_VEC(unpackhi_epi64)(low0, low1);
    quads[2] = FOV_VEC(unpacklo_epi64)(high0, high1);
    quads[3] = FOV_VEC(unpackhi_epi64)(high0, high1);
}

#if FOV_ISA_LEVEL == 3
#define FOV_DIGITS 3
#define FOV_DIGIT_BITS 8
#else
#define FOV_DIGITS 2
#define FOV_DIGIT_BITS 15
#endif

/* Digit d of a group's weights, in every lane. */
typedef struct fov_digit {
    fov_vec word[FOV_ISA_LEVEL == 3 ? 1 : 2];
} fov_digit;

static inline fov_digit fov_digit_load(const int32_t *group, size_t d) {
    fov_digit digit;
#if FOV_ISA_LEVEL == 3
    digit.word[0] = _mm512_set1_epi32(group[d]);
#else
    digit.word[0] = FOV_VEC(set1_epi32)(group[2 * d]);
    digit.word[1] = FOV_VEC(set1_epi32)(group[2 * d + 1]);
#endif
    return digit;
}

/* sum + bytes times digits */
static inline fov_vec fov_digit_add(fov_vec sum, fov_vec bytes, const fov_digit *digit) {
#if FOV_ISA_LEVEL == 3
    return _mm512_dpbusd_epi32(sum, bytes, digit->word[0]);
#else
    const fov_vec even = FOV_VEC_AND(bytes, FOV_VEC(set1_epi32)(0x00FF00FF)), odd = FOV_VEC(srli_epi16)(bytes, 8);
    return FOV_VEC(add_epi32)(sum, FOV_VEC(add_epi32)(FOV_VEC(madd_epi16)(even, digit->word[0]), FOV_VEC(madd_epi16)(odd, digit->word[1])));
#endif
}

/* What a sum of the highest digit starts with, so that the whole sum has one half on top, for rounding. */
static inline fov_vec fov_sum_start(void) {
    return FOV_VEC(set1_epi32)(1 << (FOV_RESIZE_BITS - 1 - (FOV_DIGITS - 1) * FOV_DIGIT_BITS));
}

/* From the sum of one digit to that of the next lower. */
static inline fov_vec fov_sum_lower(fov_vec sum) {
    return FOV_VEC(slli_epi32)(sum, FOV_DIGIT_BITS);
}

/* The sum without its fraction. */
static inline fov_vec fov_sum_whole(fov_vec sum) {
    return FOV_VEC(srai_epi32)(sum, FOV_RESIZE_BITS);
}

/* Writes FOV_LANES numbers as bytes, clamped. */
static inline void fov_vec_store_bytes(uint8_t *to, fov_vec v) {
#if FOV_ISA_LEVEL == 1
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packus_epi16(words, words));
#else
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtusepi32_epi8(_mm512_max_epi32(v, _mm512_setzero_si512())));
#endif
}

/* Four vectors at once, in order: 4 FOV_LANES bytes. */
static inline void fov_vec_store_bytes4(uint8_t *to, const fov_vec v[4]) {
    const fov_vec words0 = FOV_VEC(packs_epi32)(v[0], v[1]), words1 = FOV_VEC(packs_epi32)(v[2], v[3]);
    const fov_vec bytes = FOV_VEC(packus_epi16)(words0, words1); /* in 128-bit pieces, each with four lanes of every vector */
#if FOV_ISA_LEVEL == 1
    fov_vec_store(to, _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
#else
    fov_vec_store(to, _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes));
#endif
}

/* Samples as words of 16 bits: FOV_WORDS of them in a vector, and two vectors of them back to bytes in order, clamped. */
#define FOV_WORDS (2 * FOV_LANES)

static inline fov_vec fov_words_load(const uint8_t *from) {
#if FOV_ISA_LEVEL == 1
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
#else
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from));
#endif
}

static inline void fov_words_store2(uint8_t *to, fov_vec first, fov_vec second) {
    const fov_vec bytes = FOV_VEC(packus_epi16)(first, second); /* in 128-bit pieces, eight of each */
#if FOV_ISA_LEVEL == 1
    fov_vec_store(to, _mm256_permute4x64_epi64(bytes, 0xD8));
#else
    fov_vec_store(to, _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), bytes));
#endif
}

#endif
#endif
