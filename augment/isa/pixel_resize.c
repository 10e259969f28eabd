/* Inner loops of the antialiased resize of bytes: pixels times weights of 22 fraction bits, summed in 32-bit integers as Pillow does.
 *
 * Both passes see the four inputs of a sum as four neighbouring bytes. pixel_pack arranges four rows so for the horizontal pass, whose
 * results, four rows of one sample, come out side by side, which is the arrangement that the vertical pass takes. So no pass shuffles.
 * Weights of 0 stand where a group of four reaches past an output's inputs. */
#include <string.h>

#include "augment/isa/pixel_simd.h"

/* One quad of pixels of four rows; pixels past the end are 0. */
static inline void pack_quad(const uint8_t *const *rows, size_t width, size_t channels, size_t quad, uint8_t *to) {
    for (size_t c = 0; c < channels; c++) {
        for (size_t r = 0; r < 4; r++) {
            for (size_t t = 0; t < 4; t++) {
                const size_t x = 4 * quad + t;
                to[(4 * c + r) * 4 + t] = x < width ? rows[r][x * channels + c] : 0;
            }
        }
    }
}

#if FOV_ISA_LEVEL == 0

void FOV_PIXEL_FN(pixel_pack)(const uint8_t *const *rows, size_t width, size_t channels, uint8_t *packed) {
    for (size_t quad = 0; 4 * quad < width; quad++) {
        pack_quad(rows, width, channels, quad, packed + quad * 16 * channels);
    }
}

static inline uint8_t weighted(const uint8_t *from, size_t step, const int32_t *weights, size_t groups) {
    int32_t sum = 1 << (FOV_RESIZE_BITS - 1);
    for (size_t g = 0; g < groups; g++) {
        for (size_t t = 0; t < 4; t++) {
            sum += weights[4 * g + t] * from[g * step + t];
        }
    }
    return (uint8_t)fov_clip8(sum >> FOV_RESIZE_BITS);
}

void FOV_PIXEL_FN(pixel_columns)(const uint8_t *packed, const fov_filter_axis *axis, size_t channels, bool mirror, uint8_t *out) {
    for (size_t at = 0; at < axis->count; at++) {
        const size_t i = mirror ? axis->count - 1 - at : at;
        const uint8_t *from = packed + axis->first[i] * 16 * channels;
        for (size_t lane = 0; lane < 4 * channels; lane++) {
            out[at * 4 * channels + lane] = weighted(from + 4 * lane, 16 * channels, axis->weights + i * 4 * axis->groups, axis->groups);
        }
    }
}

void FOV_PIXEL_FN(pixel_rows)(const uint8_t *const *groups, const fov_filter_axis *axis, size_t index, size_t count, uint8_t *out) {
    const int32_t *weights = axis->weights + index * 4 * axis->groups;
    for (size_t x = 0; x < count; x++) {
        int32_t sum = 1 << (FOV_RESIZE_BITS - 1);
        for (size_t g = 0; g < axis->span[index]; g++) {
            for (size_t t = 0; t < 4; t++) {
                sum += weights[4 * g + t] * groups[g][4 * x + t];
            }
        }
        out[x] = (uint8_t)fov_clip8(sum >> FOV_RESIZE_BITS);
    }
}

#else

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
        const __m512i planes = _mm512_shuffle_epi8(all, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1)));
        const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_storeu_si512(packed + 48 * quad, _mm512_permutexvar_epi32(order, planes)); /* 16 bytes too many, which the next quad overwrites */
#else
        const __m128i planes = _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1);
        for (size_t r = 0; r < 4; r++) {
            row[r] = _mm_shuffle_epi8(row[r], planes);
        }
        const __m128i first = _mm_unpacklo_epi32(row[0], row[1]), second = _mm_unpacklo_epi32(row[2], row[3]);
        const __m128i third = _mm_unpackhi_epi32(row[0], row[1]), fourth = _mm_unpackhi_epi32(row[2], row[3]);
        __m128i *to = (__m128i *)(void *)(packed + 48 * quad);
        _mm_storeu_si128(to, _mm_unpacklo_epi64(first, second));
        _mm_storeu_si128(to + 1, _mm_unpackhi_epi64(first, second));
        _mm_storeu_si128(to + 2, _mm_unpacklo_epi64(third, fourth));
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
        pack_quad(rows, width, channels, quad, packed + quad * 16 * channels);
    }
}

static inline void columns(const uint8_t *packed, const fov_filter_axis *axis, size_t groups, size_t channels, bool mirror, uint8_t *out) {
    const size_t lanes = 4 * channels;
    for (size_t at = 0; at < axis->count; at++) {
        const size_t i = mirror ? axis->count - 1 - at : at;
        const uint8_t *from = packed + axis->first[i] * 4 * lanes;
        const int32_t *weights = axis->weights + i * 4 * groups;
        /* the last lanes may be none of ours: what they write is overwritten by the next output, or falls into the slack */
        for (size_t lane = 0; lane < lanes; lane += FOV_LANES) {
            fov_sums sums = fov_sums_start();
            for (size_t g = 0; g < groups; g++) {
                const fov_digits digits = fov_digits_load(weights + 4 * g);
                fov_sums_add(&sums, fov_vec_load(from + (g * lanes + lane) * 4), &digits);
            }
            fov_vec_store_bytes(out + at * lanes + lane, fov_sums_whole(&sums));
        }
    }
}

/* The usual numbers of groups have loops of their own, unrolled. */
void FOV_PIXEL_FN(pixel_columns)(const uint8_t *packed, const fov_filter_axis *axis, size_t channels, bool mirror, uint8_t *out) {
    const size_t known = channels == 3 ? axis->groups : 0;
    switch (known) {
    case 1:
        columns(packed, axis, 1, 3, mirror, out);
        break;
    case 2:
        columns(packed, axis, 2, 3, mirror, out);
        break;
    case 3:
        columns(packed, axis, 3, 3, mirror, out);
        break;
    case 4:
        columns(packed, axis, 4, 3, mirror, out);
        break;
    case 5:
        columns(packed, axis, 5, 3, mirror, out);
        break;
    default:
        columns(packed, axis, axis->groups, channels, mirror, out);
    }
}

/* `vectors` vectors of sums from sample `at`. */
static inline void rows_sums(const uint8_t *const *groups, const int32_t *weights, size_t span, size_t at, size_t vectors, fov_vec *whole) {
    fov_sums sums[4];
    for (size_t v = 0; v < vectors; v++) {
        sums[v] = fov_sums_start();
    }
    for (size_t g = 0; g < span; g++) {
        const fov_digits digits = fov_digits_load(weights + 4 * g);
        for (size_t v = 0; v < vectors; v++) {
            fov_sums_add(&sums[v], fov_vec_load(groups[g] + 4 * (at + v * FOV_LANES)), &digits);
        }
    }
    for (size_t v = 0; v < vectors; v++) {
        whole[v] = fov_sums_whole(&sums[v]);
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
