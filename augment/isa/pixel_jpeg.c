/* Inner loops of baseline JPEG: inverse cosine transform, chroma upsampling, colour. They give libjpeg-turbo's bits, which are those of its
 * accurate integer transform ("islow": Loeffler, Ligtenberg, Moschytz, ICASSP 1989, 13-bit constants) and "fancy" triangle upsampling.
 *
 * Four blocks lie side by side, [8 rows][4 blocks][8 columns]: a row of one block is 128 bits, so every shuffle below stays inside
 * 128-bit lanes and one source serves vectors of any width. Sums that libjpeg-turbo makes in 16 bits, and where it saturates, are kept: the
 * bits agree even for coefficients that no encoder writes. */
#include <string.h>

#include "augment/isa/pixel_planes.h"

#define GROUP FOV_JPEG_GROUP
#define ROW (8 * GROUP) /* coefficients in one row of a group */

enum { C_0_298 = 2446, C_0_390 = 3196, C_0_541 = 4433, C_0_765 = 6270, C_0_899 = 7373, C_1_175 = 9633 };
enum { C_1_501 = 12299, C_1_847 = 15137, C_1_961 = 16069, C_2_053 = 16819, C_2_562 = 20995, C_3_072 = 25172 };

#if FOV_ISA_LEVEL > 0

#if FOV_ISA_LEVEL == 1
#define SHIFT(a, bits) _mm256_srai_epi32(a, bits)
#else
#define SHIFT(a, bits) _mm512_srai_epi32(a, (unsigned)(bits))
#endif
#define STEP (sizeof(fov_vec) / 2)    /* coefficients in a vector */
#define BLOCKS (sizeof(fov_vec) / 16) /* blocks in a vector */
#define PAIR(a, b) FOV_VEC(set1_epi32)((int)((uint32_t)(uint16_t)(int16_t)(a) | (uint32_t)(uint16_t)(int16_t)(b) << 16))

/* 32-bit values of all lanes, in the order that unpacking gives. */
typedef struct wide {
    fov_vec low, high;
} wide;

static inline wide both(fov_vec a, fov_vec b, fov_vec factors) { /* a f0 + b f1 */
    return (wide){FOV_VEC(madd_epi16)(FOV_VEC(unpacklo_epi16)(a, b), factors), FOV_VEC(madd_epi16)(FOV_VEC(unpackhi_epi16)(a, b), factors)};
}
static inline wide plus(wide a, wide b) { return (wide){FOV_VEC(add_epi32)(a.low, b.low), FOV_VEC(add_epi32)(a.high, b.high)}; }
static inline wide both_plus(fov_vec a, fov_vec b, fov_vec factors, fov_vec c) { /* a f0 + b f1 + c */
#if FOV_ISA_LEVEL == 3
    return (wide){_mm512_dpwssd_epi32(c, _mm512_unpacklo_epi16(a, b), factors), _mm512_dpwssd_epi32(c, _mm512_unpackhi_epi16(a, b), factors)};
#else
    return plus(both(a, b, factors), (wide){c, c});
#endif
}
static inline wide minus(wide a, wide b) { return (wide){FOV_VEC(sub_epi32)(a.low, b.low), FOV_VEC(sub_epi32)(a.high, b.high)}; }

FOV_INLINE void outputs(fov_vec *v, const wide *even, const wide *odd, const int bits) {
    for (int i = 0; i < 4; i++) {
        const wide sum = plus(even[i], odd[i]), difference = minus(even[i], odd[i]);
        v[i] = FOV_VEC(packs_epi32)(SHIFT(sum.low, bits), SHIFT(sum.high, bits));
        v[7 - i] = FOV_VEC(packs_epi32)(SHIFT(difference.low, bits), SHIFT(difference.high, bits));
    }
}

/* One dimension of the transform; results are shifted right by `bits`, rounded and saturated to 16 bits. */
static inline void transform(fov_vec *v, const int bits) {
    const fov_vec rounder = FOV_VEC(set1_epi16)((int16_t)(1 << (bits - 1 - 10))), unit = PAIR(1 << 13, 1 << 10); /* once, for all sums */
    const wide e2 = both(v[2], v[6], PAIR(C_0_541, C_0_541 - C_1_847)), e3 = both(v[2], v[6], PAIR(C_0_541 + C_0_765, C_0_541));
    const wide e0 = both(FOV_VEC(add_epi16)(v[0], v[4]), rounder, unit), e1 = both(FOV_VEC(sub_epi16)(v[0], v[4]), rounder, unit);
    const wide even[4] = {plus(e0, e3), plus(e1, e2), minus(e1, e2), minus(e0, e3)};
    const fov_vec z3 = FOV_VEC(add_epi16)(v[7], v[3]), z4 = FOV_VEC(add_epi16)(v[5], v[1]);
    const wide w3 = both(z3, z4, PAIR(C_1_175 - C_1_961, C_1_175)), w4 = both(z3, z4, PAIR(C_1_175, C_1_175 - C_0_390));
    const wide odd[4] = {plus(both(v[7], v[1], PAIR(-C_0_899, C_1_501 - C_0_899)), w4), plus(both(v[5], v[3], PAIR(-C_2_562, C_3_072 - C_2_562)), w3),
                         plus(both(v[5], v[3], PAIR(C_2_053 - C_2_562, -C_2_562)), w4), plus(both(v[7], v[1], PAIR(C_0_298 - C_0_899, -C_0_899)), w3)};
    outputs(v, even, odd, bits);
}

/* The same of v[0] to v[3], where the others are 0: the same sums with what is left of their factors. */
static inline void transform_few(fov_vec *v, const int bits) {
    const fov_vec half = FOV_VEC(set1_epi32)(1 << (bits - 1));
    const wide even[4] = {both_plus(v[0], v[2], PAIR(1 << 13, C_0_541 + C_0_765), half), both_plus(v[0], v[2], PAIR(1 << 13, C_0_541), half),
                          both_plus(v[0], v[2], PAIR(1 << 13, -C_0_541), half), both_plus(v[0], v[2], PAIR(1 << 13, -C_0_541 - C_0_765), half)};
    const wide odd[4] = {both(v[1], v[3], PAIR(C_1_501 - C_0_899 + C_1_175 - C_0_390, C_1_175)),
                         both(v[1], v[3], PAIR(C_1_175, C_3_072 - C_2_562 + C_1_175 - C_1_961)),
                         both(v[1], v[3], PAIR(C_1_175 - C_0_390, C_1_175 - C_2_562)), both(v[1], v[3], PAIR(C_1_175 - C_0_899, C_1_175 - C_1_961))};
    outputs(v, even, odd, bits);
}

/* Of each block: rows become columns. */
static inline void transpose(fov_vec *v) {
    fov_vec a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = FOV_VEC(unpacklo_epi16)(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = FOV_VEC(unpackhi_epi16)(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) {
            b[4 * i + 2 * k] = FOV_VEC(unpacklo_epi32)(a[4 * i + k], a[4 * i + 2 + k]);
            b[4 * i + 2 * k + 1] = FOV_VEC(unpackhi_epi32)(a[4 * i + k], a[4 * i + 2 + k]);
        }
    }
    for (int i = 0; i < 4; i++) {
        v[2 * i] = FOV_VEC(unpacklo_epi64)(b[i], b[4 + i]);
        v[2 * i + 1] = FOV_VEC(unpackhi_epi64)(b[i], b[4 + i]);
    }
}

/* Its first four columns alone, which become v[0] to v[3]. */
static inline void transpose_few(fov_vec *v) {
    fov_vec a[4], b[4];
    for (int i = 0; i < 4; i++) {
        a[i] = FOV_VEC(unpacklo_epi16)(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        b[2 * i] = FOV_VEC(unpacklo_epi32)(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = FOV_VEC(unpackhi_epi32)(a[2 * i], a[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        v[2 * i] = FOV_VEC(unpacklo_epi64)(b[i], b[2 + i]);
        v[2 * i + 1] = FOV_VEC(unpackhi_epi64)(b[i], b[2 + i]);
    }
}

/* Whether all blocks are 0 outside of their first four rows and columns. */
static inline bool all_few(const int16_t *coefficients) {
    fov_vec first = fov_vec_load(coefficients), last = fov_vec_load(coefficients + 4 * ROW);
    for (int r = 1; r < 4; r++) {
        first = FOV_VEC_OR(first, fov_vec_load(coefficients + r * ROW));
        last = FOV_VEC_OR(last, fov_vec_load(coefficients + (4 + r) * ROW));
    }
#if FOV_ISA_LEVEL > 1
    return (_mm512_test_epi64_mask(last, last) | (_mm512_test_epi64_mask(first, first) & 0xAAU)) == 0;
#else
    const fov_vec any = FOV_VEC_OR(last, _mm256_and_si256(first, _mm256_set_epi64x(-1, 0, -1, 0)));
    return _mm256_testz_si256(any, any);
#endif
}

/* Where all coefficients below the first row are zero, libjpeg-turbo shifts that row up and lets it wrap where the transform would saturate. */
static inline fov_vec first_pass_rest(const int16_t *coefficients) {
    fov_vec any = fov_vec_load(coefficients + ROW);
    for (int r = 2; r < 8; r++) {
        any = FOV_VEC_OR(any, fov_vec_load(coefficients + r * ROW));
    }
    return any;
}

/* Whether no block has more than its DC. */
static inline bool all_flat(fov_vec rest, fov_vec row) {
#if FOV_ISA_LEVEL > 1
    return (_mm512_test_epi16_mask(rest, rest) | (_mm512_test_epi16_mask(row, row) & 0xFEFEFEFEU)) == 0;
#else
    const fov_vec any = FOV_VEC_OR(rest, _mm256_and_si256(row, _mm256_set_epi64x(-1, -65536, -1, -65536)));
    return _mm256_testz_si256(any, any);
#endif
}

#if FOV_ISA_LEVEL > 1
static inline void patch_flat(fov_vec *v, fov_vec rest, fov_vec row) {
    const unsigned half = _mm512_test_epi64_mask(rest, rest), used = half | (half >> 1 & 0x55U) | (half << 1 & 0xAAU);
    const unsigned flat = ~used & 0xFFU; /* two bits a block */
    if (flat != 0) {
        const fov_vec up = _mm512_slli_epi16(row, 2);
        for (int i = 0; i < 8; i++) {
            v[i] = _mm512_mask_mov_epi64(v[i], (__mmask8)flat, up);
        }
    }
}
/* Two rows of each block, one after the other. */
static inline void store_rows(uint8_t *out, size_t stride, fov_vec v) {
    const fov_vec rows = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
    _mm256_storeu_si256((__m256i *)(void *)out, _mm512_castsi512_si256(rows));
    _mm256_storeu_si256((__m256i *)(void *)(out + stride), _mm512_extracti64x4_epi64(rows, 1));
}
#else
static inline void patch_flat(fov_vec *v, fov_vec rest, fov_vec row) {
    const __m128i low = _mm256_castsi256_si128(rest), high = _mm256_extracti128_si256(rest, 1);
    const int flat_low = _mm_test_all_zeros(low, low), flat_high = _mm_test_all_zeros(high, high);
    if (flat_low || flat_high) {
        const fov_vec mask = _mm256_set_epi64x(-flat_high, -flat_high, -flat_low, -flat_low), up = _mm256_slli_epi16(row, 2);
        for (int i = 0; i < 8; i++) {
            v[i] = _mm256_blendv_epi8(v[i], up, mask);
        }
    }
}
static inline void store_rows(uint8_t *out, size_t stride, fov_vec v) {
    const fov_vec rows = _mm256_permute4x64_epi64(v, 0xD8);
    _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(rows));
    _mm_storeu_si128((__m128i *)(void *)(out + stride), _mm256_extracti128_si256(rows, 1));
}
#endif

/* Columns of each block to rows of bytes: packed first, so that there is half as much to transpose. */
static inline void store_columns(const fov_vec *v, uint8_t *out, size_t stride) {
    const fov_vec pairs = FOV_VEC_REPEAT(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15)), middle = FOV_VEC(set1_epi8)((char)0x80);
    fov_vec two[4], four[4];
    for (int i = 0; i < 4; i++) {
        two[i] = FOV_VEC(shuffle_epi8)(FOV_VEC_XOR(FOV_VEC(packs_epi16)(v[2 * i], v[2 * i + 1]), middle), pairs);
    }
    for (int i = 0; i < 2; i++) {
        four[i] = FOV_VEC(unpacklo_epi16)(two[2 * i], two[2 * i + 1]);
        four[2 + i] = FOV_VEC(unpackhi_epi16)(two[2 * i], two[2 * i + 1]);
    }
    for (size_t i = 0; i < 2; i++) {
        store_rows(out + 4 * i * stride, stride, FOV_VEC(unpacklo_epi32)(four[2 * i], four[2 * i + 1]));
        store_rows(out + (4 * i + 2) * stride, stride, FOV_VEC(unpackhi_epi32)(four[2 * i], four[2 * i + 1]));
    }
}

/* Blocks of which each is one level: what both passes make of it, 16 bits included. */
static inline void store_flat(fov_vec row, uint8_t *out, size_t stride) {
    const fov_vec raised = FOV_VEC(srai_epi16)(FOV_VEC(slli_epi16)(row, 2), 4), one = FOV_VEC(set1_epi16)(1);
    const fov_vec level = FOV_VEC(srai_epi16)(FOV_VEC(add_epi16)(raised, one), 1);
    const fov_vec bytes = FOV_VEC_XOR(FOV_VEC(packs_epi16)(level, level), FOV_VEC(set1_epi8)((char)0x80));
    const fov_vec spread = FOV_VEC(shuffle_epi8)(bytes, FOV_VEC(set1_epi8)(0));
    for (size_t i = 0; i < 4; i++) {
        store_rows(out + 2 * i * stride, stride, spread);
    }
}

static inline void transform_blocks(int16_t *coefficients, const uint16_t *quant, uint8_t *out, size_t stride) {
    const bool few = all_few(coefficients);
    fov_vec v[8];
    for (int r = 0; r < 8; r++) {
        v[r] = FOV_VEC(mullo_epi16)(fov_vec_load(coefficients + r * ROW), FOV_VEC_REPEAT(_mm_loadu_si128((const __m128i *)(const void *)(quant + 8 * r))));
    }
    const fov_vec row = v[0], first = fov_vec_load(coefficients), rest = first_pass_rest(coefficients);
    for (int r = 0; r < 8; r++) {
        fov_vec_store(coefficients + r * ROW, FOV_VEC(set1_epi16)(0));
    }
    if (all_flat(rest, first)) {
        store_flat(row, out, stride);
    } else if (few) {
        transform_few(v, 11);
        patch_flat(v, rest, row);
        transpose_few(v);
        transform_few(v, 18);
        store_columns(v, out, stride);
    } else {
        transform(v, 11);
        patch_flat(v, rest, row);
        transpose(v);
        transform(v, 18);
        store_columns(v, out, stride);
    }
}

void FOV_PIXEL_FN(pixel_idct)(int16_t *coefficients, const uint16_t *quant, uint8_t *out, size_t stride) {
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

void FOV_PIXEL_FN(pixel_idct)(int16_t *coefficients, const uint16_t *quant, uint8_t *out, size_t stride) {
    for (size_t b = 0; b < GROUP; b++) {
        transform_block(coefficients + 8 * b, quant, out + 8 * b, stride);
    }
    memset(coefficients, 0, 8 * ROW * sizeof *coefficients);
}

#endif

/* ---- chroma ---- */

void FOV_PIXEL_FN(pixel_chroma_h2v1)(const uint8_t *row, size_t count, uint8_t *restrict out) {
    for (size_t i = 0; i < count; i++) {
        const int32_t centre = 3 * row[i + 1];
        out[2 * i] = (uint8_t)((centre + row[i] + 1) >> 2);
        out[2 * i + 1] = (uint8_t)((centre + row[i + 2] + 2) >> 2);
    }
}

/* ---- colour: R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb, in 16 fraction bits, each rounded ---- */

static inline void ycc_pixel(int32_t luma, int32_t b, int32_t r, uint8_t *const *rgb, size_t at) {
    rgb[0][at] = (uint8_t)fov_clip8(luma + ((91881 * r + 32768) >> 16));
    rgb[1][at] = (uint8_t)fov_clip8(luma + ((-22554 * b - 46802 * r + 32768) >> 16));
    rgb[2][at] = (uint8_t)fov_clip8(luma + ((116130 * b + 32768) >> 16));
}

#if FOV_ISA_LEVEL > 0

/* round(2 x f / 2^15) of 16 bits. */
static inline fov_vec scaled(fov_vec x, int16_t f) { return FOV_VEC(mulhrs_epi16)(FOV_VEC(add_epi16)(x, x), FOV_VEC(set1_epi16)(f)); }

/* Red, green and blue of FOV_WORDS pixels, not yet clamped; chroma around 0. Factors that fit 16 bits give the same: those of green are even,
 * and 4 * 22971 and 4 * 29033, for 91881 and 116130, round to the same numbers for all of [-128, 127]. */
FOV_INLINE void ycc_words(fov_vec luma, fov_vec b, fov_vec r, fov_vec *red, fov_vec *green, fov_vec *blue) {
    const wide sums = both_plus(b, r, PAIR(-22554 / 2, -46802 / 2), FOV_VEC(set1_epi32)(1 << 14));
    *red = FOV_VEC(add_epi16)(luma, scaled(r, 22971));
    *green = FOV_VEC(add_epi16)(luma, FOV_VEC(packs_epi32)(SHIFT(sums.low, 15), SHIFT(sums.high, 15)));
    *blue = FOV_VEC(add_epi16)(luma, scaled(b, 29033));
}

static inline fov_vec around_zero(const uint8_t *chroma) { return FOV_VEC(sub_epi16)(fov_words_load(chroma), FOV_VEC(set1_epi16)(128)); }

/* FOV_PLANE pixels from `at` on. */
static inline void ycc_plane(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *const *rgb, size_t at) {
    for (const size_t end = at + FOV_PLANE; at < end; at += 2 * FOV_WORDS) {
        const size_t next = at + FOV_WORDS;
        fov_vec first[3], second[3];
        ycc_words(fov_words_load(y + at), around_zero(cb + at), around_zero(cr + at), &first[0], &first[1], &first[2]);
        ycc_words(fov_words_load(y + next), around_zero(cb + next), around_zero(cr + next), &second[0], &second[1], &second[2]);
        for (size_t k = 0; k < 3; k++) {
            fov_words_store2(rgb[k] + at, first[k], second[k]);
        }
    }
}

void FOV_PIXEL_FN(pixel_ycc)(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t count, uint8_t *const *rgb) {
    size_t i = 0;
    for (; i + FOV_PLANE <= count; i += FOV_PLANE) {
        ycc_plane(y, cb, cr, rgb, i);
    }
    if (i < count && count >= FOV_PLANE) { /* the rest, with pixels before it once more */
        ycc_plane(y, cb, cr, rgb, count - FOV_PLANE);
        i = count;
    }
    for (; i < count; i++) {
        ycc_pixel(y[i], cb[i] - 128, cr[i] - 128, rgb, i);
    }
}

#else

void FOV_PIXEL_FN(pixel_ycc)(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, size_t count, uint8_t *const *rgb) {
    for (size_t i = 0; i < count; i++) {
        ycc_pixel(y[i], cb[i] - 128, cr[i] - 128, rgb, i);
    }
}

#endif

/* ---- colour with chroma at half the size: of two rows of it 3 near + far, then of neighbours of those 3 centre + before or after ---- */

/* Sums of the samples [0, count), and beyond up to FOV_JPEG_AHEAD. */
static inline void chroma_sums(const uint8_t *near, const uint8_t *far, size_t count, int16_t *restrict sums) {
    size_t i = 0;
#if FOV_ISA_LEVEL > 0
    for (; i < count; i += FOV_WORDS) {
        const fov_vec n = fov_words_load(near + i);
        fov_vec_store(sums + i, FOV_VEC(add_epi16)(FOV_VEC(add_epi16)(n, fov_words_load(far + i)), FOV_VEC(add_epi16)(n, n)));
    }
#endif
    for (; i < count; i++) {
        sums[i] = (int16_t)(3 * near[i] + far[i]);
    }
}

/* Chroma of pixel x around 0, counted from the first one of a pair. */
static inline int32_t chroma_at(const int16_t *sums, size_t x) {
    sums += x / 2;
    return ((3 * sums[1] + (x % 2 == 0 ? sums[0] + 8 : sums[2] + 7)) >> 4) - 128;
}

#if FOV_ISA_LEVEL > 0

FOV_INLINE void chroma_words(const int16_t *sums, fov_vec *first, fov_vec *second) {
    const fov_vec centre = fov_vec_load(sums + 1), twice = FOV_VEC(add_epi16)(centre, FOV_VEC(set1_epi16)(7 - 128 * 16));
    const fov_vec thrice = FOV_VEC(add_epi16)(twice, FOV_VEC(add_epi16)(centre, centre));
    const fov_vec before = FOV_VEC(add_epi16)(fov_vec_load(sums), FOV_VEC(set1_epi16)(1));
    *first = FOV_VEC(srai_epi16)(FOV_VEC(add_epi16)(thrice, before), 4);
    *second = FOV_VEC(srai_epi16)(FOV_VEC(add_epi16)(thrice, fov_vec_load(sums + 2)), 4);
}

/* FOV_PLANE pixels from x, the first of a pair, on; sums of Cb and Cr from the sample before theirs. First and second pixels of pairs are
 * coloured apart. */
FOV_INLINE void ycc_pairs(const uint8_t *y, const int16_t *const *sums, uint8_t *const *rgb, size_t second, size_t x) {
    const fov_vec byte = FOV_VEC(set1_epi16)(255), pairs = FOV_VEC_REPEAT(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    for (const size_t end = x + FOV_PLANE; x < end; x += 2 * FOV_WORDS) {
        const fov_vec luma = fov_vec_load(y + second + x);
        fov_vec b[2], r[2], left[3], right[3];
        chroma_words(sums[0] + second + x / 2, &b[0], &b[1]);
        chroma_words(sums[1] + second + x / 2, &r[0], &r[1]);
        ycc_words(FOV_VEC_AND(luma, byte), b[0], r[0], &left[0], &left[1], &left[2]);
        ycc_words(FOV_VEC(srli_epi16)(luma, 8), b[1], r[1], &right[0], &right[1], &right[2]);
        for (size_t k = 0; k < 3; k++) {
            fov_vec_store(rgb[k] + second + x, FOV_VEC(shuffle_epi8)(FOV_VEC(packus_epi16)(left[k], right[k]), pairs));
        }
    }
}

/* Pixels [0, end) after the `second` first ones, at least as many as a vector takes; all but one, perhaps. Gives where it ended. */
FOV_INLINE size_t ycc_wide(const uint8_t *y, const int16_t *const *sums, uint8_t *const *rgb, size_t second, size_t end) {
    size_t x = 0;
    for (; x + FOV_PLANE <= end; x += FOV_PLANE) {
        ycc_pairs(y, sums, rgb, second, x);
    }
    if (x < end) { /* the rest, with pixels before it once more */
        x = (end - FOV_PLANE) / 2 * 2;
        ycc_pairs(y, sums, rgb, second, x);
        x += FOV_PLANE;
    }
    return x;
}

#endif

void FOV_PIXEL_FN(pixel_ycc_h2v2)(const uint8_t *y, const uint8_t *const *chroma, size_t second, size_t count, int16_t *const *sums,
                                  uint8_t *const *rgb) {
    const size_t samples = (second + count + 1) / 2 + 2;
    size_t i = 0;
    chroma_sums(chroma[0], chroma[1], samples, sums[0]);
    chroma_sums(chroma[2], chroma[3], samples, sums[1]);
#if FOV_ISA_LEVEL > 0
    if (count >= FOV_PLANE + 2) {
        for (i = 0; i < second; i++) {
            ycc_pixel(y[i], chroma_at(sums[0], i + second), chroma_at(sums[1], i + second), rgb, i);
        }
        i += ycc_wide(y, (const int16_t *const *)sums, rgb, second, count - second);
    }
#endif
    for (; i < count; i++) {
        ycc_pixel(y[i], chroma_at(sums[0], i + second), chroma_at(sums[1], i + second), rgb, i);
    }
}

/* ---- planes to pixels ---- */

static inline void join_some(const uint8_t *const *rgb, size_t at, size_t count, uint8_t *out) {
    fov_planes p = {{{0}}};
    for (size_t k = 0; k < 3; k++) {
        memcpy(p.plane[k], rgb[k] + at, count);
    }
    fov_planes_join_some(&p, count, out + 3 * at);
}

void FOV_PIXEL_FN(pixel_join)(const uint8_t *const *rgb, size_t count, uint8_t *out) {
    size_t i = 0;
    for (; i + FOV_PLANE <= count; i += FOV_PLANE) {
        join_some(rgb, i, FOV_PLANE, out);
    }
    if (i < count && count >= FOV_PLANE) { /* the rest, with pixels before it once more */
        join_some(rgb, count - FOV_PLANE, FOV_PLANE, out);
    } else if (i < count) {
        join_some(rgb, i, count - i, out);
    }
}
