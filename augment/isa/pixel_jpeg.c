/* Inner loops of baseline JPEG: inverse cosine transform, chroma upsampling, colour. They give libjpeg-turbo's bits, which are those of its
 * accurate integer transform ("islow": Loeffler, Ligtenberg, Moschytz, ICASSP 1989, 13-bit constants) and "fancy" triangle upsampling.
 *
 * Four blocks lie side by side, [8 rows][4 blocks][8 columns]: a row of one block is 128 bits, so every shuffle below stays inside
 * 128-bit lanes and one source serves vectors of any width. Sums that libjpeg-turbo makes in 16 bits, and where it saturates, are kept: the
 * bits agree even for coefficients that no encoder writes. */
#include <string.h>

#include "augment/isa/pixel_loops.h"

#define GROUP FOV_JPEG_GROUP
#define ROW (8 * GROUP) /* coefficients in one row of a group */

enum { C_0_298 = 2446, C_0_390 = 3196, C_0_541 = 4433, C_0_765 = 6270, C_0_899 = 7373, C_1_175 = 9633 };
enum { C_1_501 = 12299, C_1_847 = 15137, C_1_961 = 16069, C_2_053 = 16819, C_2_562 = 20995, C_3_072 = 25172 };

#ifdef __AVX2__

#include <immintrin.h>

#ifdef __AVX512BW__
typedef __m512i vec;
#define V(operation) _mm512_##operation
#define LOAD(from) _mm512_loadu_si512(from)
#define ZERO() _mm512_setzero_si512()
#define OR(a, b) _mm512_or_si512(a, b)
#define REPEAT(lane) _mm512_broadcast_i32x4(lane)
#define SHIFT(a, bits) _mm512_srai_epi32(a, (unsigned)(bits))
#else
typedef __m256i vec;
#define V(operation) _mm256_##operation
#define LOAD(from) _mm256_loadu_si256((const __m256i *)(const void *)(from))
#define ZERO() _mm256_setzero_si256()
#define OR(a, b) _mm256_or_si256(a, b)
#define REPEAT(lane) _mm256_broadcastsi128_si256(lane)
#define SHIFT(a, bits) _mm256_srai_epi32(a, bits)
#endif
#define STEP (sizeof(vec) / 2)          /* coefficients in a vector */
#define BLOCKS (sizeof(vec) / 16)       /* blocks in a vector */
#define PAIR(a, b) V(set1_epi32)((int)((uint32_t)(uint16_t)(int16_t)(a) | (uint32_t)(uint16_t)(int16_t)(b) << 16))

/* 32-bit values of all lanes, in the order that unpacking gives. */
typedef struct wide {
    vec low, high;
} wide;

static inline wide both(vec a, vec b, vec factors) { /* a f0 + b f1 */
    return (wide){V(madd_epi16)(V(unpacklo_epi16)(a, b), factors), V(madd_epi16)(V(unpackhi_epi16)(a, b), factors)};
}
static inline wide raise(vec a) { /* a 2^13 */
    return (wide){SHIFT(V(unpacklo_epi16)(ZERO(), a), 3), SHIFT(V(unpackhi_epi16)(ZERO(), a), 3)};
}
static inline wide plus(wide a, wide b) { return (wide){V(add_epi32)(a.low, b.low), V(add_epi32)(a.high, b.high)}; }
static inline wide minus(wide a, wide b) { return (wide){V(sub_epi32)(a.low, b.low), V(sub_epi32)(a.high, b.high)}; }

/* One dimension of the transform; results are shifted right by `bits`, rounded and saturated to 16 bits. */
static inline void transform(vec *v, const int bits) {
    const vec half = V(set1_epi32)(1 << (bits - 1));
    const wide e2 = both(v[2], v[6], PAIR(C_0_541, C_0_541 - C_1_847)), e3 = both(v[2], v[6], PAIR(C_0_541 + C_0_765, C_0_541));
    const wide e0 = raise(V(add_epi16)(v[0], v[4])), e1 = raise(V(sub_epi16)(v[0], v[4]));
    const wide even[4] = {plus(e0, e3), plus(e1, e2), minus(e1, e2), minus(e0, e3)};
    const vec z3 = V(add_epi16)(v[7], v[3]), z4 = V(add_epi16)(v[5], v[1]);
    const wide w3 = both(z3, z4, PAIR(C_1_175 - C_1_961, C_1_175)), w4 = both(z3, z4, PAIR(C_1_175, C_1_175 - C_0_390));
    const wide odd[4] = {plus(both(v[7], v[1], PAIR(-C_0_899, C_1_501 - C_0_899)), w4), plus(both(v[5], v[3], PAIR(-C_2_562, C_3_072 - C_2_562)), w3),
                         plus(both(v[5], v[3], PAIR(C_2_053 - C_2_562, -C_2_562)), w4), plus(both(v[7], v[1], PAIR(C_0_298 - C_0_899, -C_0_899)), w3)};
    for (int i = 0; i < 4; i++) {
        const wide sum = plus(even[i], odd[i]), difference = minus(even[i], odd[i]);
        v[i] = V(packs_epi32)(SHIFT(V(add_epi32)(sum.low, half), bits), SHIFT(V(add_epi32)(sum.high, half), bits));
        v[7 - i] = V(packs_epi32)(SHIFT(V(add_epi32)(difference.low, half), bits), SHIFT(V(add_epi32)(difference.high, half), bits));
    }
}

/* Of each block: rows become columns. */
static inline void transpose(vec *v) {
    vec a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = V(unpacklo_epi16)(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = V(unpackhi_epi16)(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) {
            b[4 * i + 2 * k] = V(unpacklo_epi32)(a[4 * i + k], a[4 * i + 2 + k]);
            b[4 * i + 2 * k + 1] = V(unpackhi_epi32)(a[4 * i + k], a[4 * i + 2 + k]);
        }
    }
    for (int i = 0; i < 4; i++) {
        v[2 * i] = V(unpacklo_epi64)(b[i], b[4 + i]);
        v[2 * i + 1] = V(unpackhi_epi64)(b[i], b[4 + i]);
    }
}

/* Where all coefficients below the first row are zero, libjpeg-turbo shifts that row up and lets it wrap where the transform would saturate. */
static inline vec first_pass_rest(const int16_t *coefficients) {
    vec any = LOAD(coefficients + ROW);
    for (int r = 2; r < 8; r++) {
        any = OR(any, LOAD(coefficients + r * ROW));
    }
    return any;
}

#ifdef __AVX512BW__
static inline void patch_flat(vec *v, vec rest, vec row) {
    const unsigned half = _mm512_test_epi64_mask(rest, rest), used = half | (half >> 1 & 0x55U) | (half << 1 & 0xAAU);
    const unsigned flat = ~used & 0xFFU; /* two bits a block */
    if (flat != 0) {
        const vec up = _mm512_slli_epi16(row, 2);
        for (int i = 0; i < 8; i++) {
            v[i] = _mm512_mask_mov_epi64(v[i], (__mmask8)flat, up);
        }
    }
}
static inline void store_row(uint8_t *out, vec v) {
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_xor_si256(_mm512_cvtsepi16_epi8(v), _mm256_set1_epi8((char)0x80)));
}
#else
static inline void patch_flat(vec *v, vec rest, vec row) {
    const __m128i low = _mm256_castsi256_si128(rest), high = _mm256_extracti128_si256(rest, 1);
    const int flat_low = _mm_test_all_zeros(low, low), flat_high = _mm_test_all_zeros(high, high);
    if (flat_low || flat_high) {
        const vec mask = _mm256_set_epi64x(-flat_high, -flat_high, -flat_low, -flat_low), up = _mm256_slli_epi16(row, 2);
        for (int i = 0; i < 8; i++) {
            v[i] = _mm256_blendv_epi8(v[i], up, mask);
        }
    }
}
static inline void store_row(uint8_t *out, vec v) {
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storeu_si128((__m128i *)(void *)out, _mm_xor_si128(bytes, _mm_set1_epi8((char)0x80)));
}
#endif

static inline void transform_blocks(const int16_t *coefficients, const uint16_t *quant, uint8_t *out, size_t stride) {
    vec v[8];
    for (int r = 0; r < 8; r++) {
        v[r] = V(mullo_epi16)(LOAD(coefficients + r * ROW), REPEAT(_mm_loadu_si128((const __m128i *)(const void *)(quant + 8 * r))));
    }
    const vec row = v[0];
    transform(v, 11);
    patch_flat(v, first_pass_rest(coefficients), row);
    transpose(v);
    transform(v, 18);
    transpose(v);
    for (size_t r = 0; r < 8; r++) {
        store_row(out + r * stride, v[r]);
    }
}

void FOV_PIXEL_FN(pixel_idct)(const int16_t *coefficients, const uint16_t *quant, uint8_t *out, size_t stride) {
    for (size_t at = 0; at < GROUP / BLOCKS; at++) {
        transform_blocks(coefficients + at * STEP, quant, out + at * BLOCKS * 8, stride);
    }
}

#else

static inline int32_t wrap16(int32_t x) { return (int16_t)(uint16_t)(uint32_t)x; }
static inline int32_t saturate16(int32_t x) { return x < -32768 ? -32768 : x > 32767 ? 32767 : x; }
static inline int32_t round_shift(uint32_t x, int bits) { return (int32_t)(x + (1U << (bits - 1))) >> bits; }

/* One dimension over v[0], v[step], ... The sums wrap at 32 bits, hence unsigned. */
static inline void transform(int32_t *v, size_t step, int bits) {
    const int32_t *const p = v;
#define IN(i) p[(i) * step]
#define MADD(a, f, b, g) ((uint32_t)((a) * (f)) + (uint32_t)((b) * (g)))
    const uint32_t e2 = MADD(IN(2), C_0_541, IN(6), C_0_541 - C_1_847), e3 = MADD(IN(2), C_0_541 + C_0_765, IN(6), C_0_541);
    const uint32_t e0 = (uint32_t)wrap16(IN(0) + IN(4)) << 13, e1 = (uint32_t)wrap16(IN(0) - IN(4)) << 13;
    const uint32_t even[4] = {e0 + e3, e1 + e2, e1 - e2, e0 - e3};
    const int32_t z3 = wrap16(IN(7) + IN(3)), z4 = wrap16(IN(5) + IN(1));
    const uint32_t w3 = MADD(z3, C_1_175 - C_1_961, z4, C_1_175), w4 = MADD(z3, C_1_175, z4, C_1_175 - C_0_390);
    const uint32_t odd[4] = {MADD(IN(7), -C_0_899, IN(1), C_1_501 - C_0_899) + w4, MADD(IN(5), -C_2_562, IN(3), C_3_072 - C_2_562) + w3,
                             MADD(IN(5), C_2_053 - C_2_562, IN(3), -C_2_562) + w4, MADD(IN(7), C_0_298 - C_0_899, IN(1), -C_0_899) + w3};
#undef IN
#undef MADD
    for (size_t i = 0; i < 4; i++) {
        v[i * step] = saturate16(round_shift(even[i] + odd[i], bits));
        v[(7 - i) * step] = saturate16(round_shift(even[i] - odd[i], bits));
    }
}

static bool is_flat(const int16_t *block) {
    for (size_t r = 1; r < 8; r++) {
        for (size_t c = 0; c < 8; c++) {
            if (block[r * ROW + c] != 0) {
                return false;
            }
        }
    }
    return true;
}

static void transform_block(const int16_t *block, const uint16_t *quant, uint8_t *out, size_t stride) {
    int32_t v[64];
    for (size_t i = 0; i < 64; i++) {
        v[i] = wrap16(block[i / 8 * ROW + i % 8] * (int32_t)quant[i]);
    }
    const bool flat = is_flat(block);
    for (size_t c = 0; c < 8; c++) {
        if (flat) {
            for (size_t r = 8; r-- > 0;) {
                v[8 * r + c] = wrap16(v[c] * 4);
            }
        } else {
            transform(v + c, 8, 11);
        }
    }
    for (size_t r = 0; r < 8; r++) {
        transform(v + 8 * r, 1, 18);
        for (size_t c = 0; c < 8; c++) {
            const int32_t value = v[8 * r + c];
            out[r * stride + c] = (uint8_t)((value < -128 ? -128 : value > 127 ? 127 : value) + 128);
        }
    }
}

void FOV_PIXEL_FN(pixel_idct)(const int16_t *coefficients, const uint16_t *quant, uint8_t *out, size_t stride) {
    for (size_t b = 0; b < GROUP; b++) {
        transform_block(coefficients + 8 * b, quant, out + 8 * b, stride);
    }
}

#endif

/* ---- chroma ---- */

void FOV_PIXEL_FN(pixel_chroma_h2v2)(const uint8_t *near, const uint8_t *far, size_t count, int16_t *restrict sums, uint8_t *restrict out) {
    for (size_t i = 0; i < count + 2; i++) {
        sums[i] = (int16_t)(3 * near[i] + far[i]);
    }
    for (size_t i = 0; i < count; i++) {
        const int32_t centre = 3 * sums[i + 1];
        out[2 * i] = (uint8_t)((centre + sums[i] + 8) >> 4);
        out[2 * i + 1] = (uint8_t)((centre + sums[i + 2] + 7) >> 4);
    }
}

void FOV_PIXEL_FN(pixel_chroma_h2v1)(const uint8_t *row, size_t count, uint8_t *restrict out) {
    for (size_t i = 0; i < count; i++) {
        const int32_t centre = 3 * row[i + 1];
        out[2 * i] = (uint8_t)((centre + row[i] + 1) >> 2);
        out[2 * i + 1] = (uint8_t)((centre + row[i + 2] + 2) >> 2);
    }
}

/* ---- colour: R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb, in 16 fraction bits, each rounded ---- */

static inline void ycc_pixels(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t count, uint8_t *rgb) {
    for (size_t i = 0; i < count; i++) {
        const int32_t luma = y[i], b = cb[i] - 128, r = cr[i] - 128;
        rgb[3 * i] = (uint8_t)fov_clip8(luma + ((91881 * r + 32768) >> 16));
        rgb[3 * i + 1] = (uint8_t)fov_clip8(luma + ((-22554 * b - 46802 * r + 32768) >> 16));
        rgb[3 * i + 2] = (uint8_t)fov_clip8(luma + ((116130 * b + 32768) >> 16));
    }
}

#ifdef __AVX2__

/* Sixteen bytes of each plane to 48 bytes of pixels. */
static inline void interleave(__m128i r, __m128i g, __m128i b, uint8_t *rgb) {
    const __m128i r0 = _mm_setr_epi8(0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5);
    const __m128i r1 = _mm_setr_epi8(-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1);
    const __m128i r2 = _mm_setr_epi8(-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1);
    const __m128i g0 = _mm_setr_epi8(-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1);
    const __m128i g1 = _mm_setr_epi8(5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10);
    const __m128i g2 = _mm_setr_epi8(-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1);
    const __m128i b0 = _mm_setr_epi8(-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1);
    const __m128i b1 = _mm_setr_epi8(-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1);
    const __m128i b2 = _mm_setr_epi8(10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15);
    __m128i *to = (__m128i *)(void *)rgb;
    _mm_storeu_si128(to, _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(r, r0), _mm_shuffle_epi8(g, g0)), _mm_shuffle_epi8(b, b0)));
    _mm_storeu_si128(to + 1, _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(r, r1), _mm_shuffle_epi8(g, g1)), _mm_shuffle_epi8(b, b1)));
    _mm_storeu_si128(to + 2, _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(r, r2), _mm_shuffle_epi8(g, g2)), _mm_shuffle_epi8(b, b2)));
}

static inline __m128i narrow(__m256i v) { return _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)); }
static inline __m256i widen(const uint8_t *from) { return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from)); }

/* round(x f / 2^16) of 16 bits: halving the floor of twice the product rounds. */
static inline __m256i scaled(__m256i x, int16_t f) {
    const __m256i twice = _mm256_mulhi_epi16(_mm256_add_epi16(x, x), _mm256_set1_epi16(f));
    return _mm256_srai_epi16(_mm256_add_epi16(twice, _mm256_set1_epi16(1)), 1);
}

/* 1.402 = 1 + 26345 / 2^16, 1.772 = 2 - 14942 / 2^16, 0.71414 = 1 - 18734 / 2^16: the factors then fit 16 bits. */
static inline void ycc_sixteen(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *rgb) {
    const __m256i middle = _mm256_set1_epi16(128), half = _mm256_set1_epi32(32768);
    const __m256i luma = widen(y), b = _mm256_sub_epi16(widen(cb), middle), r = _mm256_sub_epi16(widen(cr), middle);
    const __m256i factors = _mm256_set1_epi32((int)((uint32_t)(uint16_t)-22554 | 18734U << 16));
    const __m256i low = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpacklo_epi16(b, r), factors), half);
    const __m256i high = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpackhi_epi16(b, r), factors), half);
    const __m256i green = _mm256_sub_epi16(_mm256_packs_epi32(_mm256_srai_epi32(low, 16), _mm256_srai_epi32(high, 16)), r);
    const __m256i red = _mm256_add_epi16(r, scaled(r, 26345)), blue = _mm256_add_epi16(_mm256_add_epi16(b, b), scaled(b, -14942));
    interleave(narrow(_mm256_add_epi16(luma, red)), narrow(_mm256_add_epi16(luma, green)), narrow(_mm256_add_epi16(luma, blue)), rgb);
}

#if FOV_ISA_LEVEL == 3

static inline __m512i widen_more(const uint8_t *from) { return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from)); }
static inline __m256i narrow_more(__m512i v) { return _mm512_cvtusepi16_epi8(_mm512_max_epi16(v, _mm512_setzero_si512())); }
static inline __m512i scaled_more(__m512i x, int16_t f) {
    const __m512i twice = _mm512_mulhi_epi16(_mm512_add_epi16(x, x), _mm512_set1_epi16(f));
    return _mm512_srai_epi16(_mm512_add_epi16(twice, _mm512_set1_epi16(1)), 1);
}

/* Where byte i of the pixels comes from: red 0 to 31, green 32 to 63, blue 64 to 95. */
#define FROM(i) ((i) % 3 * 32 + (i) / 3)
#define FROM4(i) FROM(i), FROM((i) + 1), FROM((i) + 2), FROM((i) + 3)
#define FROM16(i) FROM4(i), FROM4((i) + 4), FROM4((i) + 8), FROM4((i) + 12)
static const uint8_t places_of_bytes[96] = {FROM16(0), FROM16(16), FROM16(32), FROM16(48), FROM16(64), FROM16(80)};

/* As ycc_sixteen. */
static inline void ycc_more(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *rgb) {
    const __m512i middle = _mm512_set1_epi16(128), half = _mm512_set1_epi32(32768);
    const __m512i luma = widen_more(y), b = _mm512_sub_epi16(widen_more(cb), middle), r = _mm512_sub_epi16(widen_more(cr), middle);
    const __m512i factors = _mm512_set1_epi32((int)((uint32_t)(uint16_t)-22554 | 18734U << 16));
    const __m512i low = _mm512_add_epi32(_mm512_madd_epi16(_mm512_unpacklo_epi16(b, r), factors), half);
    const __m512i high = _mm512_add_epi32(_mm512_madd_epi16(_mm512_unpackhi_epi16(b, r), factors), half);
    const __m512i green = _mm512_sub_epi16(_mm512_packs_epi32(_mm512_srai_epi32(low, 16), _mm512_srai_epi32(high, 16)), r);
    const __m512i red = _mm512_add_epi16(r, scaled_more(r, 26345)), blue = _mm512_add_epi16(_mm512_add_epi16(b, b), scaled_more(b, -14942));
    const __m256i reds = narrow_more(_mm512_add_epi16(luma, red)), greens = narrow_more(_mm512_add_epi16(luma, green));
    const __m512i first = _mm512_inserti64x4(_mm512_castsi256_si512(reds), greens, 1);
    const __m512i second = _mm512_castsi256_si512(narrow_more(_mm512_add_epi16(luma, blue)));
    const __m512i from = _mm512_loadu_si512(places_of_bytes);
    const __m512i rest = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)(places_of_bytes + 64)));
    _mm512_storeu_si512(rgb, _mm512_permutex2var_epi8(first, from, second));
    _mm256_storeu_si256((__m256i *)(void *)(rgb + 64), _mm512_castsi512_si256(_mm512_permutex2var_epi8(first, rest, second)));
}

#endif

void FOV_PIXEL_FN(pixel_ycc_rgb)(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t count, uint8_t *rgb) {
    size_t i = 0;
#if FOV_ISA_LEVEL == 3
    for (; i + 32 <= count; i += 32) {
        ycc_more(y + i, cb + i, cr + i, rgb + 3 * i);
    }
#endif
    for (; i + 16 <= count; i += 16) {
        ycc_sixteen(y + i, cb + i, cr + i, rgb + 3 * i);
    }
    ycc_pixels(y + i, cb + i, cr + i, count - i, rgb + 3 * i);
}

#else

void FOV_PIXEL_FN(pixel_ycc_rgb)(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t count, uint8_t *rgb) {
    ycc_pixels(y, cb, cr, count, rgb);
}

#endif
