/* Inner loops of the antialiased resize of bytes: pixels times weights of 22 fraction bits, summed in 32-bit integers as Pillow does.
 *
 * In vectors both passes see the four inputs of a sum as four neighbouring bytes. pixel_pack arranges four rows so for the horizontal pass,
 * whose results, four rows of one sample, come out side by side, which is the arrangement that the vertical pass takes. So no pass
 * shuffles. Weights of 0 stand where a group of four reaches past an output's inputs. */
#include <string.h>

#include "augment/isa/pixel_simd.h"

#if FOV_ISA_LEVEL == 0

/* Portable C has no sum of four products, so it keeps the inputs of a sum apart, each beside its neighbours of other sums. */

#define LANES 16
#define TILE 64

void FOV_PIXEL_FN(pixel_pack)(const uint8_t *const *rows, size_t width, size_t channels, uint8_t *packed) {
    const size_t lanes = fov_pack_lanes(channels);
    memset(packed, 0, (width + 3) / 4 * 4 * lanes);
    for (size_t r = 0; r < 4; r++) {
        for (size_t x = 0; x < width; x++) {
            fov_copy_pixel(packed + x * lanes + r * channels, rows[r] + x * channels, channels);
        }
    }
}

static inline void column_sums(const uint8_t *restrict from, size_t step, const int32_t *weights, size_t taps, uint8_t *restrict pixel) {
    int32_t sum[LANES];
    /* the simd marks keep these loops from being unrolled to scalars before they are vectorised */
#pragma omp simd
    for (size_t k = 0; k < LANES; k++) {
        sum[k] = 1 << (FOV_RESIZE_BITS - 1);
    }
    for (size_t t = 0; t < taps; t++) {
        const int32_t weight = weights[t];
#pragma omp simd
        for (size_t k = 0; k < LANES; k++) {
            sum[k] += weight * from[t * step + k];
        }
    }
#pragma omp simd
    for (size_t k = 0; k < LANES; k++) {
        pixel[k] = (uint8_t)fov_clip8(sum[k] >> FOV_RESIZE_BITS);
    }
}

void FOV_PIXEL_FN(pixel_columns)(const uint8_t *packed, size_t batches, const fov_filter_axis *axis, size_t channels, bool mirror,
                                 uint8_t *const *out) {
    const size_t lanes = fov_pack_lanes(channels), bytes = (axis->in + 3) / 4 * 4 * lanes;
    for (size_t b = 0; b < batches; b++) {
        for (size_t i = 0; i < axis->count; i++) {
            const size_t at = (mirror ? axis->count - 1 - i : i) * channels;
            const int32_t *weights = axis->weights + i * 4 * axis->groups + (axis->start[i] - 4 * (size_t)axis->first[i]);
            uint8_t pixel[4 * 32];
            for (size_t lane = 0; lane < lanes; lane += LANES) {
                column_sums(packed + b * bytes + axis->start[i] * lanes + lane, lanes, weights, axis->taps[i], pixel + lane);
            }
            for (size_t r = 0; r < 4; r++) {
                fov_copy_pixel(out[b] + r * axis->count * channels + at, pixel + r * channels, channels);
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

/* One quad of pixels of four rows; pixels past the end are 0, as are the lanes of no channel. */
static inline void pack_quad(const uint8_t *const *rows, size_t width, size_t channels, size_t quad, uint8_t *to) {
    memset(to, 0, 4 * fov_pack_lanes(channels));
    for (size_t c = 0; c < channels; c++) {
        for (size_t r = 0; r < 4; r++) {
            for (size_t t = 0; t < 4; t++) {
                const size_t x = 4 * quad + t;
                if (x < width) {
                    to[(4 * c + r) * 4 + t] = rows[r][x * channels + c];
                }
            }
        }
    }
}

/* The first `whole` quads of 3 channels, whose loads of 16 bytes stay inside the rows. */
static inline void pack_rgb(const uint8_t *const *rows, size_t whole, uint8_t *packed) {
    for (size_t quad = 0; quad < whole; quad++) {
        __m128i row[4];
        for (size_t r = 0; r < 4; r++) {
            row[r] = _mm_loadu_si128((const __m128i *)(const void *)(rows[r] + 12 * quad));
        }
#if FOV_ISA_LEVEL >= 2
        const __m512i low = _mm512_inserti32x4(_mm512_castsi128_si512(row[0]), row[1], 1);
        const __m512i all = _mm512_inserti32x4(_mm512_inserti32x4(low, row[2], 2), row[3], 3);
        const __m512i planes =
            _mm512_shuffle_epi8(all, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1)));
        const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_storeu_si512(packed + 64 * quad, _mm512_permutexvar_epi32(order, planes));
#else
        const __m128i planes = _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1);
        for (size_t r = 0; r < 4; r++) {
            row[r] = _mm_shuffle_epi8(row[r], planes);
        }
        const __m128i first = _mm_unpacklo_epi32(row[0], row[1]), second = _mm_unpacklo_epi32(row[2], row[3]);
        const __m128i third = _mm_unpackhi_epi32(row[0], row[1]), fourth = _mm_unpackhi_epi32(row[2], row[3]);
        __m128i *to = (__m128i *)(void *)(packed + 64 * quad);
        _mm_storeu_si128(to, _mm_unpacklo_epi64(first, second));
        _mm_storeu_si128(to + 1, _mm_unpackhi_epi64(first, second));
        _mm_storeu_si128(to + 2, _mm_unpacklo_epi64(third, fourth));
        _mm_storeu_si128(to + 3, _mm_setzero_si128());
#endif
    }
}

void FOV_PIXEL_FN(pixel_pack)(const uint8_t *const *rows, size_t width, size_t channels, uint8_t *packed) {
    const size_t quads = (width + 3) / 4;
    size_t whole = 0;
    if (channels == 3 && width >= 6) {
        whole = (3 * width - 16) / 12 + 1;
        pack_rgb(rows, whole, packed);
    }
    for (size_t quad = whole; quad < quads; quad++) {
        pack_quad(rows, width, channels, quad, packed + quad * 4 * fov_pack_lanes(channels));
    }
}

/* Sums of `batches` groups of rows for one vector of lanes of an output, whose first input is `from`, `bytes` apart: the highest digit's
 * over all groups of inputs, and on to the lower ones in the same register. */
FOV_INLINE void column_sums_joined(const uint8_t *from, size_t quad, size_t bytes, size_t batches, const int32_t *weights, size_t groups,
                                   fov_vec *whole) {
    for (size_t b = 0; b < batches; b++) {
        whole[b] = fov_sum_start();
    }
    for (size_t d = FOV_DIGITS; d-- > 0;) {
        for (size_t g = 0; g < groups; g++) {
            const fov_digit digit = fov_digit_load(weights + 4 * g, d);
            for (size_t b = 0; b < batches; b++) {
                whole[b] = fov_digit_add(whole[b], fov_vec_load(from + b * bytes + g * quad), &digit);
            }
        }
        for (size_t b = 0; b < batches; b++) {
            whole[b] = d > 0 ? fov_sum_lower(whole[b]) : fov_sum_whole(whole[b]);
        }
    }
}

/* The same with the sums of each digit apart: where groups are many, what limits is how soon a sum can take its next product. */
FOV_INLINE void column_sums_apart(const uint8_t *from, size_t quad, size_t bytes, size_t batches, const int32_t *weights, size_t groups,
                                  fov_vec *whole) {
    fov_vec sum[FOV_DIGITS][2];
    FOV_UNROLL
    for (size_t d = 0; d < FOV_DIGITS; d++) {
        FOV_UNROLL
        for (size_t b = 0; b < batches; b++) {
            sum[d][b] = d + 1 < FOV_DIGITS ? FOV_VEC(set1_epi32)(0) : fov_sum_start();
        }
    }
    for (size_t g = 0; g < groups; g++) {
        fov_vec in[2];
        FOV_UNROLL
        for (size_t b = 0; b < batches; b++) {
            in[b] = fov_vec_load(from + b * bytes + g * quad);
        }
        FOV_UNROLL
        for (size_t d = 0; d < FOV_DIGITS; d++) {
            const fov_digit digit = fov_digit_load(weights + 4 * g, d);
            FOV_UNROLL
            for (size_t b = 0; b < batches; b++) {
                sum[d][b] = fov_digit_add(sum[d][b], in[b], &digit);
            }
        }
    }
    FOV_UNROLL
    for (size_t b = 0; b < batches; b++) {
        fov_vec all = sum[FOV_DIGITS - 1][b];
        FOV_UNROLL
        for (size_t d = FOV_DIGITS - 1; d-- > 0;) {
            all = FOV_VEC(add_epi32)(fov_sum_lower(all), sum[d][b]);
        }
        whole[b] = fov_sum_whole(all);
    }
}

FOV_INLINE void column_sums(const uint8_t *from, size_t quad, size_t bytes, size_t batches, const int32_t *weights, size_t groups, bool few,
                            fov_vec *whole) {
    if (few) {
        column_sums_joined(from, quad, bytes, batches, weights, groups, whole);
    } else {
        column_sums_apart(from, quad, bytes, batches, weights, groups, whole);
    }
}

/* Outputs from `at`. The last lanes may be none of ours: what they write is overwritten by the next output, or falls into the slack. */
FOV_INLINE void columns(const uint8_t *packed, size_t batches, const fov_filter_axis *axis, size_t groups, bool few, size_t channels,
                        bool mirror, size_t at, uint8_t *const *out) {
    const size_t lanes = 4 * channels, quad = 4 * fov_pack_lanes(channels), bytes = (axis->in + 3) / 4 * quad;
    for (; at < axis->count; at++) {
        const size_t i = mirror ? axis->count - 1 - at : at;
        for (size_t lane = 0; lane < lanes; lane += FOV_LANES) {
            fov_vec whole[2];
            column_sums(packed + axis->first[i] * quad + 4 * lane, quad, bytes, batches, axis->weights + i * 4 * groups, groups, few,
                        whole);
            for (size_t b = 0; b < batches; b++) {
                fov_vec_store_bytes(out[b] + at * lanes + lane, whole[b]);
            }
        }
    }
}

#if FOV_ISA_LEVEL >= 2
/* Four outputs of 3 channels at once, 48 bytes and 16 that the next four overwrite. */
FOV_INLINE void columns_rgb(const uint8_t *packed, size_t batches, const fov_filter_axis *axis, size_t groups, bool few, bool mirror,
                            uint8_t *const *out) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 12, 13, 14, 15);
    const size_t bytes = (axis->in + 3) / 4 * 64;
    const ptrdiff_t step = mirror ? -1 : 1, stride = step * 4 * (ptrdiff_t)groups;
    const uint32_t *first = axis->first + (mirror ? axis->count - 1 : 0);
    const int32_t *weights = axis->weights + (mirror ? axis->count - 1 : 0) * 4 * groups;
    size_t at = 0;
    for (; at + 4 <= axis->count; at += 4, first += 4 * step, weights += 4 * stride) {
        fov_vec w0[2], w1[2], w2[2], w3[2];
        column_sums(packed + first[0] * (size_t)64, 64, bytes, batches, weights, groups, few, w0);
        column_sums(packed + first[step] * (size_t)64, 64, bytes, batches, weights + stride, groups, few, w1);
        column_sums(packed + first[2 * step] * (size_t)64, 64, bytes, batches, weights + 2 * stride, groups, few, w2);
        column_sums(packed + first[3 * step] * (size_t)64, 64, bytes, batches, weights + 3 * stride, groups, few, w3);
        for (size_t b = 0; b < batches; b++) {
            const fov_vec low = _mm512_packs_epi32(w0[b], w1[b]), high = _mm512_packs_epi32(w2[b], w3[b]);
            fov_vec_store(out[b] + 12 * at, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high)));
        }
    }
    columns(packed, batches, axis, groups, few, 3, mirror, at, out);
}
#else
FOV_INLINE void columns_rgb(const uint8_t *packed, size_t batches, const fov_filter_axis *axis, size_t groups, bool few, bool mirror,
                            uint8_t *const *out) {
    columns(packed, batches, axis, groups, few, 3, mirror, 0, out);
}
#endif

/* Two batches are the rule and unrolled; so are the usual numbers of groups. */
FOV_INLINE void columns_any(const uint8_t *packed, size_t batches, const fov_filter_axis *axis, size_t channels, bool mirror,
                            uint8_t *const *out) {
    if (channels != 3) {
        columns(packed, batches, axis, axis->groups, false, channels, mirror, 0, out);
    } else if (axis->groups == 1) {
        columns_rgb(packed, batches, axis, 1, true, mirror, out);
    } else if (axis->groups == 2) {
        columns_rgb(packed, batches, axis, 2, true, mirror, out);
    } else if (axis->groups == 3) {
        columns_rgb(packed, batches, axis, 3, true, mirror, out);
    } else if (axis->groups == 4) {
        columns_rgb(packed, batches, axis, 4, true, mirror, out);
    } else {
        columns_rgb(packed, batches, axis, axis->groups, false, mirror, out);
    }
}

void FOV_PIXEL_FN(pixel_columns)(const uint8_t *packed, size_t batches, const fov_filter_axis *axis, size_t channels, bool mirror,
                                 uint8_t *const *out) {
    if (batches == 2) {
        columns_any(packed, 2, axis, channels, mirror, out);
    } else {
        columns_any(packed, 1, axis, channels, mirror, out);
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
