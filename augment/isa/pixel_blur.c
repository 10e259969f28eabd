/* Inner loops of the two blurs. Products and sums of the Gaussian round one by one, in the order of the taps.
 *
 * The Gaussian's passes take a vector of samples after the other, along a row or down the columns, and keep the sums that are begun in
 * registers, as many as there are taps less one: a sample is read once, and its product with a weight serves the two sums in which it
 * stands as far before the middle as behind. Where registers are fewer, a tile of sums stays in them while the taps go by.
 *
 * The horizontal pass has one sample of sixteen rows side by side: along a row, nearly every load of a vector would reach over the end of a
 * line of the cache. Its results are turned back. All other passes run over neighbouring samples. */
#include <string.h>

#include "augment/isa/pixel_simd.h"

/* Adding and taking away 1.5 * 2^23 rounds a float below 2^22 to the nearest integer, ties to even. */
#define ROUNDER 12582912.0F

/* ---- sampled Gaussian ---- */

#define TILE 64

#define ROWS FOV_PACK_ROWS

static inline void floats_rest(const uint8_t *const *rows, size_t at, size_t count, float *restrict out) {
    for (; at < count; at++) {
        for (size_t r = 0; r < ROWS; r++) {
            out[at * ROWS + r] = (float)rows[r][at];
        }
    }
}

static inline size_t tile_width(size_t at, size_t count) {
    return count - at < TILE ? count - at : TILE;
}

#if FOV_ISA_LEVEL == 0

void FOV_PIXEL_FN(pixel_floats)(const uint8_t *const *rows, size_t count, float *out) {
    floats_rest(rows, 0, count, out);
}

void FOV_PIXEL_FN(pixel_blur_rows)(float *padded, size_t step, const float *weights, size_t taps, size_t count, float *out, size_t stride,
                                   size_t strip) {
    for (size_t i = 0; i < count; i++, padded += ROWS) {
        float sum[ROWS] = {0};
        for (size_t t = 0; t < taps; t++) {
#pragma omp simd
            for (size_t r = 0; r < ROWS; r++) {
                const float term = weights[t] * padded[t * step * ROWS + r];
                sum[r] += term;
            }
        }
        for (size_t r = 0; r < ROWS; r++) {
            out[r * stride + i / ROWS * strip + i % ROWS] = sum[r];
        }
    }
}

void FOV_PIXEL_FN(pixel_blur_columns)(const float *const *rows, size_t strip, const float *weights, size_t taps, size_t height,
                                      size_t count, uint8_t *out) {
    for (size_t at = 0; at < count; at += ROWS) {
        const size_t width = count - at < ROWS ? count - at : ROWS;
        for (size_t y = 0; y < height; y++) {
            float sum[ROWS] = {0};
            for (size_t t = 0; t < taps; t++) {
                const float *restrict row = rows[y + t] + at / ROWS * strip;
                for (size_t x = 0; x < width; x++) {
                    const float term = weights[t] * row[x];
                    sum[x] += term;
                }
            }
            for (size_t x = 0; x < width; x++) {
                out[y * count + at + x] = (uint8_t)fov_clip8((int32_t)((sum[x] + ROUNDER) - ROUNDER));
            }
        }
    }
}

#else

/* Sums at once, enough to hide the delay of an addition: three times 14 vectors are a row of 224 pixels, which leaves none over. */
#define VECTORS (FOV_ISA_LEVEL > 1 ? 14 : 8)
#define FEW 4
#define STREAM_TAPS 23
#if defined(__clang__)
#define FOV_UNROLL_ALL _Pragma("unroll")
#else
#define FOV_UNROLL_ALL _Pragma("GCC unroll 32")
#endif

/* Sums of `vectors` vectors, of which `side` lie side by side, and then `apart` floats further; a tap's samples begin at from[t], or at
 * from[0] + step t where step > 0. */
FOV_INLINE void blur_sums(const float *const *from, size_t step, const float *weights, size_t taps, size_t at, size_t vectors, size_t side,
                          size_t apart, fov_floats *sum) {
    FOV_UNROLL_ALL
    for (size_t v = 0; v < vectors; v++) {
        sum[v] = FOV_VEC(setzero_ps)();
    }
    for (size_t t = 0; t < taps; t++) {
        const float *row = step > 0 ? from[0] + step * t + at : from[t] + at;
        __asm__("" : "+r"(row)); /* gcc would keep a register for each place in the row, and run out of them */
        const fov_floats weight = FOV_VEC(set1_ps)(weights[t]);
        FOV_UNROLL_ALL
        for (size_t v = 0; v < vectors; v++) {
            const float *place = row + v / side * apart + v % side * FOV_LANES;
            sum[v] = FOV_VEC(add_ps)(sum[v], FOV_VEC(mul_ps)(weight, FOV_VEC(loadu_ps)(place)));
        }
    }
}

/* FOV_LANES vectors: lanes become vectors. */
FOV_INLINE void turn_floats(fov_floats *v) {
    fov_floats a[FOV_LANES], b[FOV_LANES];
    FOV_UNROLL_ALL
    for (size_t i = 0; i < FOV_LANES; i += 4) { /* four by four, in each 128 bits */
        const fov_floats low0 = FOV_VEC(unpacklo_ps)(v[i], v[i + 1]), low1 = FOV_VEC(unpacklo_ps)(v[i + 2], v[i + 3]);
        const fov_floats high0 = FOV_VEC(unpackhi_ps)(v[i], v[i + 1]), high1 = FOV_VEC(unpackhi_ps)(v[i + 2], v[i + 3]);
        a[i] = FOV_VEC(shuffle_ps)(low0, low1, 0x44);
        a[i + 1] = FOV_VEC(shuffle_ps)(low0, low1, 0xEE);
        a[i + 2] = FOV_VEC(shuffle_ps)(high0, high1, 0x44);
        a[i + 3] = FOV_VEC(shuffle_ps)(high0, high1, 0xEE);
    }
    FOV_UNROLL_ALL
    for (size_t i = 0; i < 4; i++) {
#if FOV_ISA_LEVEL == 1
        (void)b;
        v[i] = _mm256_permute2f128_ps(a[i], a[4 + i], 0x20);
        v[4 + i] = _mm256_permute2f128_ps(a[i], a[4 + i], 0x31);
#else
        b[i] = _mm512_shuffle_f32x4(a[i], a[4 + i], 0x44);
        b[4 + i] = _mm512_shuffle_f32x4(a[i], a[4 + i], 0xEE);
        b[8 + i] = _mm512_shuffle_f32x4(a[8 + i], a[12 + i], 0x44);
        b[12 + i] = _mm512_shuffle_f32x4(a[8 + i], a[12 + i], 0xEE);
        v[i] = _mm512_shuffle_f32x4(b[i], b[8 + i], 0x88);
        v[4 + i] = _mm512_shuffle_f32x4(b[i], b[8 + i], 0xDD);
        v[8 + i] = _mm512_shuffle_f32x4(b[4 + i], b[12 + i], 0x88);
        v[12 + i] = _mm512_shuffle_f32x4(b[4 + i], b[12 + i], 0xDD);
#endif
    }
}

/* Rounds to nearest, ties to even. Sums are not negative. */
FOV_INLINE void store_sums(uint8_t *to, fov_floats sum) {
#if FOV_ISA_LEVEL == 1
    fov_vec_store_bytes(to, FOV_VEC(cvtps_epi32)(sum));
#else
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(sum)));
#endif
}

#if FOV_ISA_LEVEL > 1

/* Takes the next sample: gives the sum that it ends. part[i] are the sums that end i + 1 samples from now. Weights are symmetric. Some sums
 * are taken as multiply-adds by 1, which round alike, since some processors have units for multiplications that would stand idle. */
FOV_INLINE fov_floats stream_sum(fov_floats *part, const float *weights, size_t taps, fov_floats one, fov_floats sample) {
    fov_floats product[STREAM_TAPS / 2 + 1];
    __asm__(""
            : "+r"(weights)); /* from memory within a product they are free; kept in registers, and loaded into them again, they are not */
    FOV_UNROLL_ALL
    for (size_t t = 0; t <= taps / 2; t++) {
        product[t] = FOV_VEC(mul_ps)(FOV_VEC(set1_ps)(weights[t]), sample);
    }
    const fov_floats sum = FOV_VEC(add_ps)(part[0], product[0]);
    FOV_UNROLL_ALL
    for (size_t t = 1; t + 1 < taps; t++) {
        const fov_floats term = product[t <= taps / 2 ? t : taps - 1 - t];
        part[t - 1] = t % 4 == 1 ? FOV_VEC(fmadd_ps)(term, one, part[t]) : FOV_VEC(add_ps)(part[t], term);
    }
    part[taps - 2] = product[0];
    return sum;
}

/* Gives the 1, which the compiler must not know. */
FOV_INLINE fov_floats stream_start(fov_floats *part, size_t taps) {
    fov_floats one = FOV_VEC(set1_ps)(1.0F);
    __asm__("" : "+v"(one));
    FOV_UNROLL_ALL
    for (size_t i = 0; i + 1 < taps; i++) {
        part[i] = FOV_VEC(setzero_ps)();
    }
    return one;
}

/* Sums of one lane's row or part of it, `apart` floats apart, which take the places of their first samples. */
FOV_INLINE void stream_rows(float *samples, size_t apart, const float *weights, size_t taps, size_t count) {
    fov_floats part[STREAM_TAPS - 1];
    const fov_floats one = stream_start(part, taps);
    const float *from = samples;
    for (size_t t = 0; t + 1 < taps; t++, from += apart) {
        (void)stream_sum(part, weights, taps, one, FOV_VEC(loadu_ps)(from));
    }
    for (size_t i = 0; i < count; i++, from += apart, samples += apart) {
        FOV_VEC(storeu_ps)(samples, stream_sum(part, weights, taps, one, FOV_VEC(loadu_ps)(from)));
    }
}

/* Down the columns of a vector, `at` floats from the first. */
FOV_INLINE void stream_columns(const float *const *rows, size_t at, const float *weights, size_t taps, size_t height, size_t stride,
                               uint8_t *out) {
    fov_floats part[STREAM_TAPS - 1];
    const fov_floats one = stream_start(part, taps);
    for (size_t t = 0; t + 1 < taps; t++) {
        (void)stream_sum(part, weights, taps, one, FOV_VEC(loadu_ps)(rows[t] + at));
    }
    for (size_t y = 0; y < height; y++) {
        const fov_floats sum = stream_sum(part, weights, taps, one, FOV_VEC(loadu_ps)(rows[taps - 1 + y] + at));
        store_sums(out + y * stride, sum);
    }
}

/* Numbers of taps, which must be constants. */
#define STREAMS(one) one(3) one(5) one(7) one(9) one(11) one(13) one(15) one(17) one(19) one(21) one(23)

/* Sums of all rows in `samples` places; false if there are too many taps. */
static bool rows_streamed(float *padded, size_t step, const float *weights, size_t taps, size_t count) {
    for (size_t i = 0; i < step; i++) {
        switch (taps) {
#define ROWS_OF(taps)                                                                                                                      \
    case taps:                                                                                                                             \
        stream_rows(padded + i * ROWS, step * ROWS, weights, taps, count / step);                                                          \
        break;
            STREAMS(ROWS_OF)
        default:
            return false;
        }
    }
    return true;
}

/* Gives how many columns are done: whole strips. */
static size_t columns_streamed(const float *const *rows, size_t strip, const float *weights, size_t taps, size_t height, size_t count,
                               uint8_t *out) {
    size_t at = 0;
    for (; at + ROWS <= count; at += ROWS) {
        switch (taps) {
#define COLUMNS_OF(taps)                                                                                                                   \
    case taps:                                                                                                                             \
        stream_columns(rows, at / ROWS * strip, weights, taps, height, count, out + at);                                                   \
        break;
            STREAMS(COLUMNS_OF)
        default:
            return 0;
        }
    }
    return at;
}

#else

static bool rows_streamed(float *padded, size_t step, const float *weights, size_t taps, size_t count) {
    (void)padded, (void)step, (void)weights, (void)taps, (void)count;
    return false;
}

static size_t columns_streamed(const float *const *rows, size_t strip, const float *weights, size_t taps, size_t height, size_t count,
                               uint8_t *out) {
    (void)rows, (void)strip, (void)weights, (void)taps, (void)height, (void)count, (void)out;
    return 0;
}

#endif

void FOV_PIXEL_FN(pixel_blur_rows)(float *padded, size_t step, const float *weights, size_t taps, size_t count, float *out, size_t stride,
                                   size_t strip) {
    const float *const from = padded;
    const bool stream = rows_streamed(padded, step, weights, taps, count);
    for (size_t at = 0; at < count; at += FOV_LANES) {
        for (size_t row = 0; row < ROWS; row += FOV_LANES) {
            fov_floats sum[FOV_LANES];
            if (stream) {
                FOV_UNROLL_ALL
                for (size_t i = 0; i < FOV_LANES; i++) {
                    sum[i] = FOV_VEC(loadu_ps)(from + (at + i) * ROWS + row);
                }
            } else {
                blur_sums(&from, step * ROWS, weights, taps, at * ROWS + row, FOV_LANES, 1, ROWS, sum);
            }
            turn_floats(sum);
            FOV_UNROLL_ALL
            for (size_t r = 0; r < FOV_LANES; r++) {
                FOV_VEC(storeu_ps)(out + (row + r) * stride + at / ROWS * strip + at % ROWS, sum[r]);
            }
        }
    }
}

/* Four neighbours of all rows lie in one vector, or in two, as pixel_resize.c has them; each byte of its lanes is one of them. */
void FOV_PIXEL_FN(pixel_floats)(const uint8_t *const *rows, size_t count, float *out) {
    const fov_vec low_byte = FOV_VEC(set1_epi32)(0xFF);
    size_t at = 0;
    for (; at + 16 <= count; at += 16) {
        for (size_t row = 0; row < ROWS; row += FOV_LANES) {
            fov_vec fourth[4], quads[4];
            for (size_t k = 0; k < 4; k++) {
                fourth[k] = fov_fourths_load(rows + row + k, at);
            }
            fov_fourths_turn(fourth, quads);
            FOV_UNROLL_ALL
            for (size_t k = 0; k < 16; k++) {
                const fov_vec sample = FOV_VEC_AND(FOV_VEC(srli_epi32)(quads[k / 4], 8 * (k % 4)), low_byte);
                FOV_VEC(storeu_ps)(out + (at + k) * ROWS + row, FOV_VEC(cvtepi32_ps)(sample));
            }
        }
    }
    floats_rest(rows, at, count, out);
}

#define SIDE (ROWS / FOV_LANES) /* vectors of a strip */

/* Rows of `vectors` vectors, a multiple of SIDE, from sample `at`. */
FOV_INLINE size_t blur_columns_tiles(const float *const *rows, size_t strip, const float *weights, size_t taps, size_t height, size_t at,
                                     size_t count, size_t vectors, uint8_t *out) {
    for (; at + vectors * FOV_LANES <= count; at += vectors * FOV_LANES) {
        for (size_t y = 0; y < height; y++) {
            fov_floats sum[VECTORS];
            blur_sums(rows + y, 0, weights, taps, at / ROWS * strip, vectors, SIDE, strip, sum);
            FOV_UNROLL_ALL
            for (size_t v = 0; v < vectors; v++) {
                store_sums(out + y * count + at + v * FOV_LANES, sum[v]);
            }
        }
    }
    return at;
}

/* The last samples, fewer than a strip. */
static void blur_columns_rest(const float *const *rows, size_t strip, const float *weights, size_t taps, size_t height, size_t at,
                              size_t count, uint8_t *out) {
    for (size_t y = 0; y < height && at < count; y++) {
        fov_floats sum[SIDE];
        uint8_t bytes[ROWS];
        blur_sums(rows + y, 0, weights, taps, at / ROWS * strip, SIDE, SIDE, strip, sum);
        for (size_t v = 0; v < SIDE; v++) {
            store_sums(bytes + v * FOV_LANES, sum[v]);
        }
        memcpy(out + y * count + at, bytes, count - at);
    }
}

void FOV_PIXEL_FN(pixel_blur_columns)(const float *const *rows, size_t strip, const float *weights, size_t taps, size_t height,
                                      size_t count, uint8_t *out) {
    size_t at = columns_streamed(rows, strip, weights, taps, height, count, out);
    at = blur_columns_tiles(rows, strip, weights, taps, height, at, count, VECTORS, out);
    at = blur_columns_tiles(rows, strip, weights, taps, height, at, count, FEW, out);
    at = blur_columns_tiles(rows, strip, weights, taps, height, at, count, SIDE, out);
    blur_columns_rest(rows, strip, weights, taps, height, at, count, out);
}

#endif

/* ---- extended box ---- */

static inline uint8_t box_value(const fov_box *box, uint32_t inner_sum, uint32_t ends) {
    return (uint8_t)((inner_sum * box->inner + ends * box->outer + (1U << 23)) >> 24);
}

/* A tap's samples begin at from[t], or at from[0] + step t where step > 0. */
static inline const uint8_t *box_tap(const uint8_t *const *from, size_t step, size_t t) {
    return step > 0 ? from[0] + step * t : from[t];
}

static inline void box_rest(const uint8_t *const *from, size_t step, const fov_box *box, size_t at, size_t count, uint8_t *out) {
    const size_t last = 2 * box->radius + 2;
    for (; at < count; at += TILE) {
        const size_t width = tile_width(at, count);
        uint32_t sum[TILE] = {0};
        for (size_t t = 1; t < last; t++) {
            const uint8_t *restrict row = box_tap(from, step, t) + at;
            for (size_t x = 0; x < width; x++) {
                sum[x] += row[x];
            }
        }
        const uint8_t *restrict near = box_tap(from, step, 0) + at, *restrict far = box_tap(from, step, last) + at;
        for (size_t x = 0; x < width; x++) {
            out[at + x] = box_value(box, sum[x], (uint32_t)near[x] + far[x]);
        }
    }
}

#if FOV_ISA_LEVEL > 0

#define MAX_RADIUS 127           /* of boxes whose sums fit 16 bits */
#define BOX_TILE (2 * FOV_WORDS) /* samples at once */

/* Words to bytes, in 32-bit sums of 2^24ths: the low half of the lanes of each 128-bit piece, then the high half. */
static inline fov_vec box_words(const fov_box *box, fov_vec sum, fov_vec ends) {
    const fov_vec zero = FOV_VEC(set1_epi32)(0), half = FOV_VEC(set1_epi32)(1 << 23);
    const fov_vec inner = FOV_VEC(set1_epi32)((int32_t)box->inner), outer = FOV_VEC(set1_epi32)((int32_t)box->outer);
    const fov_vec low = FOV_VEC(add_epi32)(FOV_VEC(mullo_epi32)(FOV_VEC(unpacklo_epi16)(sum, zero), inner),
                                           FOV_VEC(mullo_epi32)(FOV_VEC(unpacklo_epi16)(ends, zero), outer));
    const fov_vec high = FOV_VEC(add_epi32)(FOV_VEC(mullo_epi32)(FOV_VEC(unpackhi_epi16)(sum, zero), inner),
                                            FOV_VEC(mullo_epi32)(FOV_VEC(unpackhi_epi16)(ends, zero), outer));
    return FOV_VEC(packs_epi32)(FOV_VEC(srli_epi32)(FOV_VEC(add_epi32)(low, half), 24),
                                FOV_VEC(srli_epi32)(FOV_VEC(add_epi32)(high, half), 24));
}

/* Whole tiles; gives how many samples they hold. */
FOV_INLINE size_t box_tiles(const uint8_t *const *from, size_t step, const fov_box *box, size_t count, uint8_t *out) {
    const size_t last = 2 * box->radius + 2;
    size_t at = 0;
    for (; box->radius <= MAX_RADIUS && at + BOX_TILE <= count; at += BOX_TILE) {
        fov_vec sum[2], ends[2];
        for (size_t v = 0; v < 2; v++) {
            sum[v] = FOV_VEC(set1_epi16)(0);
            ends[v] = FOV_VEC(add_epi16)(fov_words_load(box_tap(from, step, 0) + at + v * FOV_WORDS),
                                         fov_words_load(box_tap(from, step, last) + at + v * FOV_WORDS));
        }
        for (size_t t = 1; t < last; t++) {
            const uint8_t *row = box_tap(from, step, t) + at;
            sum[0] = FOV_VEC(add_epi16)(sum[0], fov_words_load(row));
            sum[1] = FOV_VEC(add_epi16)(sum[1], fov_words_load(row + FOV_WORDS));
        }
        fov_words_store2(out + at, box_words(box, sum[0], ends[0]), box_words(box, sum[1], ends[1]));
    }
    return at;
}

#else

FOV_INLINE size_t box_tiles(const uint8_t *const *from, size_t step, const fov_box *box, size_t count, uint8_t *out) {
    (void)from, (void)step, (void)box, (void)count, (void)out;
    return 0;
}

#endif

void FOV_PIXEL_FN(pixel_box_row)(const uint8_t *padded, size_t step, const fov_box *box, size_t count, uint8_t *out) {
    const size_t done = box_tiles(&padded, step, box, count, out);
    box_rest(&padded, step, box, done, count, out);
}

void FOV_PIXEL_FN(pixel_box_column)(const uint8_t *const *rows, const fov_box *box, size_t count, uint8_t *out) {
    const size_t done = box_tiles(rows, 0, box, count, out);
    box_rest(rows, 0, box, done, count, out);
}
