/* Inner loops of the antialiased resize of bytes: pixels times weights of 22 fraction bits, summed in 32-bit integers as Pillow does.
 *
 * In vectors both passes see the four inputs of a sum as four neighbouring bytes. pixel_pack arranges sixteen rows so for the horizontal
 * pass, one channel after the other, so that no lane is empty. Four rows of one sample come out side by side, which is the arrangement
 * that the vertical pass takes; it shuffles nothing. Weights of 0 stand where a group of four reaches past an output's inputs. */
#include <string.h>

#include "augment/isa/pixel_simd.h"

#define ROWS FOV_PACK_ROWS

#if FOV_ISA_LEVEL == 0

/* Portable C has no sum of four products, so it keeps the inputs of a sum apart, each beside its neighbours of other sums. */

#define TILE 64

void FOV_PIXEL_FN(pixel_pack)(const uint8_t *const *rows, size_t plane, size_t width, size_t channels, uint8_t *packed) {
    const size_t pixel = plane == 1 ? channels : 1;
    for (size_t x = 0; x < width; x++) {
        for (size_t c = 0; c < channels; c++, packed += ROWS) {
            for (size_t r = 0; r < ROWS; r++) {
                packed[r] = rows[r][x * pixel + c * plane];
            }
        }
    }
}

/* Of one sample of all rows. */
static inline void column_sums(const uint8_t *restrict from, size_t step, const int32_t *weights, size_t taps, uint8_t *restrict out) {
    int32_t sum[ROWS];
    /* the simd marks keep these loops from being unrolled to scalars before they are vectorised */
#pragma omp simd
    for (size_t k = 0; k < ROWS; k++) {
        sum[k] = 1 << (FOV_RESIZE_BITS - 1);
    }
    for (size_t t = 0; t < taps; t++) {
        const int32_t weight = weights[t];
#pragma omp simd
        for (size_t k = 0; k < ROWS; k++) {
            sum[k] += weight * from[t * step + k];
        }
    }
#pragma omp simd
    for (size_t k = 0; k < ROWS; k++) {
        out[k] = (uint8_t)fov_clip8(sum[k] >> FOV_RESIZE_BITS);
    }
}

void FOV_PIXEL_FN(pixel_columns)(const uint8_t *packed, const fov_filter_axis *axis, size_t channels, bool mirror, uint8_t *const *out) {
    const size_t samples = axis->count * channels;
    for (size_t i = 0; i < axis->count; i++) {
        const size_t at = (mirror ? axis->count - 1 - i : i) * channels;
        const int32_t *weights = axis->weights + i * 4 * axis->groups + (axis->start[i] - 4 * (size_t)axis->first[i]);
        for (size_t c = 0; c < channels; c++) {
            uint8_t values[ROWS];
            column_sums(packed + (axis->start[i] * channels + c) * ROWS, channels * ROWS, weights, axis->taps[i], values);
            for (size_t k = 0; k < ROWS; k++) {
                out[k / 4][k % 4 * samples + at + c] = values[k];
            }
        }
    }
}

void FOV_PIXEL_FN(pixel_rows)(const uint8_t *const *groups, const fov_filter_axis *axis, size_t index, size_t count, uint8_t *out) {
    const int32_t *weights = axis->weights + index * 4 * axis->groups;
    const size_t begin = axis->start[index] - 4 * (size_t)axis->first[index], end = begin + axis->taps[index];
    for (size_t at = 0; at < count; at += TILE) {
        const size_t width = count - at < TILE ? count - at : TILE;
        int32_t sum[TILE];
        for (size_t x = 0; x < width; x++) {
            sum[x] = 1 << (FOV_RESIZE_BITS - 1);
        }
        for (size_t t = begin; t < end; t++) {
            const uint8_t *restrict row = groups[t / 4] + t % 4 * count + at;
            const int32_t weight = weights[t];
            for (size_t x = 0; x < width; x++) {
                sum[x] += weight * row[x];
            }
        }
        for (size_t x = 0; x < width; x++) {
            out[at + x] = (uint8_t)fov_clip8(sum[x] >> FOV_RESIZE_BITS);
        }
    }
}

#else

#define QUAD (4 * ROWS)               /* bytes of four pixels of one channel of all rows */
#define PARTS (ROWS / FOV_LANES)      /* vectors of them */
#define PIECES (sizeof(fov_vec) / 16) /* of 128 bits, each of four rows */
#define FEW_GROUPS 4                  /* whose weights stay in registers */

/* One quad of pixels of all rows; pixels past the end are 0. */
static inline void pack_quad(const uint8_t *const *rows, size_t plane, size_t width, size_t channels, size_t quad, uint8_t *to) {
    const size_t pixel = plane == 1 ? channels : 1;
    for (size_t c = 0; c < channels; c++) {
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t t = 0; t < 4; t++) {
                const size_t x = 4 * quad + t;
                to[c * QUAD + 4 * r + t] = x < width ? rows[r][x * pixel + c * plane] : 0;
            }
        }
    }
}

/* Of 16 bytes at `at` of the rows `order` takes the four pixels of a quad, its channels apart. */
FOV_INLINE void pack_rgb_quad(const uint8_t *const *rows, size_t at, __m128i order, uint8_t *to) {
    for (size_t part = 0; part < PARTS; part++, rows += FOV_LANES, to += sizeof(fov_vec)) {
        fov_vec fourth[4], channel[4];
        for (size_t k = 0; k < 4; k++) {
            fourth[k] = FOV_VEC(shuffle_epi8)(fov_fourths_load(rows + k, at), FOV_VEC_REPEAT(order));
        }
        fov_fourths_turn(fourth, channel);
        for (size_t c = 0; c < 3; c++) {
            fov_vec_store(to + c * QUAD, channel[c]);
        }
    }
}

/* Rows of at least 16 bytes. Past the end are zeros: the last quads take what is left from the last 16 bytes. */
static inline void pack_rgb(const uint8_t *const *rows, size_t width, uint8_t *packed) {
    const __m128i planes = _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1);
    const size_t last = 3 * width - 16;
    size_t at = 0;
    for (; at <= last; at += 12, packed += 3 * QUAD) {
        pack_rgb_quad(rows, at, planes, packed);
    }
    for (; at < 3 * width; at += 12, packed += 3 * QUAD) {
        const __m128i moved = _mm_add_epi8(planes, _mm_set1_epi8((char)(at - last))), over = _mm_cmpgt_epi8(moved, _mm_set1_epi8(15));
        pack_rgb_quad(rows, last, _mm_or_si128(moved, _mm_or_si128(over, _mm_srai_epi16(planes, 15))), packed);
    }
}

/* Quads of one channel, up to four of them, `step` bytes apart: those of the 16 bytes at `at`, but for the first `skipped`. */
FOV_INLINE void pack_plane(const uint8_t *const *rows, size_t at, size_t skipped, size_t quads, size_t step, uint8_t *to) {
    const __m128i moved = _mm_add_epi8(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), _mm_set1_epi8((char)skipped));
    const __m128i order = _mm_or_si128(moved, _mm_cmpgt_epi8(moved, _mm_set1_epi8(15))); /* zeros past the end */
    for (size_t part = 0; part < PARTS; part++, rows += FOV_LANES, to += sizeof(fov_vec)) {
        fov_vec fourth[4], quad[4];
        for (size_t k = 0; k < 4; k++) {
            fourth[k] = fov_fourths_load(rows + k, at);
            fourth[k] = skipped > 0 ? FOV_VEC(shuffle_epi8)(fourth[k], FOV_VEC_REPEAT(order)) : fourth[k];
        }
        fov_fourths_turn(fourth, quad);
        for (size_t k = 0; k < quads; k++) {
            fov_vec_store(to + k * step, quad[k]);
        }
    }
}

/* Rows of at least 16 pixels, each channel by itself. */
static inline void pack_planes(const uint8_t *const *rows, size_t plane, size_t width, size_t channels, uint8_t *packed) {
    const size_t step = channels * QUAD;
    size_t x = 0;
    for (; x + 16 <= width; x += 16, packed += 4 * step) {
        for (size_t c = 0; c < channels; c++) {
            pack_plane(rows, c * plane + x, 0, 4, step, packed + c * QUAD);
        }
    }
    for (size_t c = 0; c < channels && x < width; c++) {
        pack_plane(rows, c * plane + width - 16, 16 - (width - x), (width - x + 3) / 4, step, packed + c * QUAD);
    }
}

void FOV_PIXEL_FN(pixel_pack)(const uint8_t *const *rows, size_t plane, size_t width, size_t channels, uint8_t *packed) {
    if (plane != 1 && width >= 16) {
        pack_planes(rows, plane, width, channels, packed);
        return;
    }
    if (channels == 3 && plane == 1 && width >= 6) {
        pack_rgb(rows, width, packed);
        return;
    }
    for (size_t quad = 0; 4 * quad < width; quad++) {
        pack_quad(rows, plane, width, channels, quad, packed + quad * channels * QUAD);
    }
}

/* Sums of an output for one vector of each channel, whose first input is `from`; channels and groups are constants. The highest digit's
 * over all groups of inputs, and on to the lower ones in the same register. */
FOV_INLINE void column_sums_joined(const uint8_t *from, size_t channels, const int32_t *weights, size_t groups, fov_vec *whole) {
    fov_digit digit[FOV_DIGITS][FEW_GROUPS];
    FOV_UNROLL
    for (size_t d = 0; d < FOV_DIGITS; d++) {
        FOV_UNROLL
        for (size_t g = 0; g < groups; g++) {
            digit[d][g] = fov_digit_load(weights + 4 * g, d);
        }
    }
    FOV_UNROLL
    for (size_t c = 0; c < channels; c++) {
        fov_vec in[FEW_GROUPS], sum = fov_sum_start();
        FOV_UNROLL
        for (size_t g = 0; g < groups; g++) {
            in[g] = fov_vec_load(from + (g * channels + c) * QUAD);
        }
        FOV_UNROLL
        for (size_t d = FOV_DIGITS; d-- > 0;) {
            FOV_UNROLL
            for (size_t g = 0; g < groups; g++) {
                sum = fov_digit_add(sum, in[g], &digit[d][g]);
            }
            sum = d > 0 ? fov_sum_lower(sum) : fov_sum_whole(sum);
        }
        whole[c] = sum;
    }
}

/* The same with the sums of each digit apart: where groups are many, what limits is how soon a sum can take its next product. */
FOV_INLINE void column_sums_apart(const uint8_t *from, size_t step, size_t channels, const int32_t *weights, size_t groups,
                                  fov_vec *whole) {
    fov_vec sum[FOV_DIGITS][3];
    FOV_UNROLL
    for (size_t d = 0; d < FOV_DIGITS; d++) {
        FOV_UNROLL
        for (size_t c = 0; c < channels; c++) {
            sum[d][c] = d + 1 < FOV_DIGITS ? FOV_VEC(set1_epi32)(0) : fov_sum_start();
        }
    }
    for (size_t g = 0; g < groups; g++) {
        fov_vec in[3];
        FOV_UNROLL
        for (size_t c = 0; c < channels; c++) {
            in[c] = fov_vec_load(from + g * step + c * QUAD);
        }
        FOV_UNROLL
        for (size_t d = 0; d < FOV_DIGITS; d++) {
            const fov_digit digit = fov_digit_load(weights + 4 * g, d);
            FOV_UNROLL
            for (size_t c = 0; c < channels; c++) {
                sum[d][c] = fov_digit_add(sum[d][c], in[c], &digit);
            }
        }
    }
    FOV_UNROLL
    for (size_t c = 0; c < channels; c++) {
        fov_vec all = sum[FOV_DIGITS - 1][c];
        FOV_UNROLL
        for (size_t d = FOV_DIGITS - 1; d-- > 0;) {
            all = FOV_VEC(add_epi32)(fov_sum_lower(all), sum[d][c]);
        }
        whole[c] = fov_sum_whole(all);
    }
}

/* One output after the other, from `at`. */
static void columns(const uint8_t *packed, const fov_filter_axis *axis, size_t channels, bool mirror, size_t at, uint8_t *const *out) {
    for (; at < axis->count; at++) {
        const size_t i = mirror ? axis->count - 1 - at : at, step = channels * QUAD;
        for (size_t c = 0; c < channels; c++) {
            uint8_t values[ROWS];
            for (size_t part = 0; part < PARTS; part++) {
                fov_vec whole;
                column_sums_apart(packed + axis->first[i] * step + c * QUAD + part * sizeof whole, step, 1,
                                  axis->weights + i * 4 * axis->groups, axis->groups, &whole);
                fov_vec_store_bytes(values + part * FOV_LANES, whole);
            }
            for (size_t g = 0; g < FOV_PACK_GROUPS; g++) {
                memcpy(out[g] + (at * channels + c) * 4, values + 4 * g, 4);
            }
        }
    }
}

/* Its four rows of 128 bits to each group. */
FOV_INLINE void store_pieces(fov_vec bytes, uint8_t *const *out, size_t at) {
#if FOV_ISA_LEVEL >= 2
    _mm_storeu_si128((__m128i *)(void *)(out[0] + at), _mm512_castsi512_si128(bytes));
    _mm_storeu_si128((__m128i *)(void *)(out[1] + at), _mm512_extracti32x4_epi32(bytes, 1));
    _mm_storeu_si128((__m128i *)(void *)(out[2] + at), _mm512_extracti32x4_epi32(bytes, 2));
    _mm_storeu_si128((__m128i *)(void *)(out[3] + at), _mm512_extracti32x4_epi32(bytes, 3));
#else
    _mm_storeu_si128((__m128i *)(void *)(out[0] + at), _mm256_castsi256_si128(bytes));
    _mm_storeu_si128((__m128i *)(void *)(out[1] + at), _mm256_extracti128_si256(bytes, 1));
#endif
}

/* Four outputs of 3 channels at once: 48 bytes to each group. An output that needs fewer groups than others takes no more. */
FOV_INLINE void columns_rgb(const uint8_t *packed, const fov_filter_axis *axis, size_t groups, bool few, bool mirror, uint8_t *const *out) {
    const ptrdiff_t step = mirror ? -1 : 1, stride = step * 4 * (ptrdiff_t)groups;
    const uint32_t *first = axis->first + (mirror ? axis->count - 1 : 0);
    const int32_t *weights = axis->weights + (mirror ? axis->count - 1 : 0) * 4 * groups;
    const uint32_t *span = axis->span + (mirror ? axis->count - 1 : 0);
    size_t at = 0;
    for (; at + 4 <= axis->count; at += 4) {
        fov_vec whole[PARTS][12];
        FOV_UNROLL
        for (size_t k = 0; k < 4; k++, first += step, span += step, weights += stride) {
            const uint8_t *from = packed + *first * (size_t)(3 * QUAD);
            FOV_UNROLL
            for (size_t part = 0; part < PARTS; part++) {
                if (few && groups > 1 && *span < groups) {
                    column_sums_joined(from + part * sizeof(fov_vec), 3, weights, groups - 1, whole[part] + 3 * k);
                } else if (few) {
                    column_sums_joined(from + part * sizeof(fov_vec), 3, weights, groups, whole[part] + 3 * k);
                } else {
                    column_sums_apart(from + part * sizeof(fov_vec), 3 * QUAD, 3, weights, *span, whole[part] + 3 * k);
                }
            }
        }
        FOV_UNROLL
        for (size_t part = 0; part < PARTS; part++) {
            FOV_UNROLL
            for (size_t k = 0; k < 3; k++) {
                const fov_vec *w = whole[part] + 4 * k;
                store_pieces(FOV_VEC(packus_epi16)(FOV_VEC(packs_epi32)(w[0], w[1]), FOV_VEC(packs_epi32)(w[2], w[3])), out + part * PIECES,
                             12 * at + 16 * k);
            }
        }
    }
    columns(packed, axis, 3, mirror, at, out);
}

/* The usual numbers of groups are unrolled. */
void FOV_PIXEL_FN(pixel_columns)(const uint8_t *packed, const fov_filter_axis *axis, size_t channels, bool mirror, uint8_t *const *out) {
    if (channels != 3) {
        columns(packed, axis, channels, mirror, 0, out);
    } else if (axis->groups == 1) {
        columns_rgb(packed, axis, 1, true, mirror, out);
    } else if (axis->groups == 2) {
        columns_rgb(packed, axis, 2, true, mirror, out);
    } else if (axis->groups == 3) {
        columns_rgb(packed, axis, 3, true, mirror, out);
    } else if (axis->groups == 4) {
        columns_rgb(packed, axis, 4, true, mirror, out);
    } else {
        columns_rgb(packed, axis, axis->groups, false, mirror, out);
    }
}

/* `vectors` vectors of sums from sample `at`; those of each digit apart, so that every row is read once. */
FOV_INLINE void rows_sums(const uint8_t *const *groups, const int32_t *weights, size_t span, size_t at, size_t vectors, fov_vec *whole) {
    fov_vec sum[FOV_DIGITS][4];
    for (size_t v = 0; v < vectors; v++) {
        for (size_t d = 0; d < FOV_DIGITS; d++) {
            sum[d][v] = d + 1 < FOV_DIGITS ? FOV_VEC(set1_epi32)(0) : fov_sum_start();
        }
    }
    for (size_t g = 0; g < span; g++) {
        for (size_t d = 0; d < FOV_DIGITS; d++) {
            const fov_digit digit = fov_digit_load(weights + 4 * g, d);
            for (size_t v = 0; v < vectors; v++) {
                sum[d][v] = fov_digit_add(sum[d][v], fov_vec_load(groups[g] + 4 * (at + v * FOV_LANES)), &digit);
            }
        }
    }
    for (size_t v = 0; v < vectors; v++) {
        fov_vec all = sum[FOV_DIGITS - 1][v];
        for (size_t d = FOV_DIGITS - 1; d-- > 0;) {
            all = FOV_VEC(add_epi32)(fov_sum_lower(all), sum[d][v]);
        }
        whole[v] = fov_sum_whole(all);
    }
}

void FOV_PIXEL_FN(pixel_rows)(const uint8_t *const *groups, const fov_filter_axis *axis, size_t index, size_t count, uint8_t *out) {
    const int32_t *weights = axis->weights + index * 4 * axis->groups;
    const size_t span = axis->span[index];
    fov_vec whole[4];
    size_t at = 0;
    for (; at + 4 * FOV_LANES <= count; at += 4 * FOV_LANES) {
        rows_sums(groups, weights, span, at, 4, whole);
        fov_vec_store_bytes4(out + at, whole);
    }
    for (; at < count; at += FOV_LANES) {
        rows_sums(groups, weights, span, at, 1, whole);
        if (count - at >= FOV_LANES) {
            fov_vec_store_bytes(out + at, whole[0]);
        } else {
            uint8_t last[FOV_LANES];
            fov_vec_store_bytes(last, whole[0]);
            memcpy(out + at, last, count - at);
        }
    }
}

#endif

/* ---- row by row ---- */

void FOV_PIXEL_FN(pixel_sum_row)(const uint8_t *restrict row, int32_t weight, size_t count, bool begin, int32_t *restrict sums) {
    if (begin) {
        for (size_t x = 0; x < count; x++) {
            sums[x] = weight * row[x];
        }
        return;
    }
    for (size_t x = 0; x < count; x++) {
        sums[x] += weight * row[x];
    }
}

void FOV_PIXEL_FN(pixel_sum_bytes)(const int32_t *restrict sums, size_t count, uint8_t *restrict out) {
    for (size_t x = 0; x < count; x++) {
        out[x] = (uint8_t)fov_clip8((sums[x] + (1 << (FOV_RESIZE_BITS - 1))) >> FOV_RESIZE_BITS);
    }
}
