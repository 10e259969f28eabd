/* Inner loops of the antialiased resize: 8-bit pixels times weights of 22 fraction bits, summed in 32-bit integers as Pillow does.
 *
 * The horizontal pass works on four rows at once, packed as 16 bytes a column: each tap is then one multiply-add of 16 lanes by one
 * weight, which vectorises in any width without shuffles. The vertical pass runs along the row. */
#include <string.h>

#include "augment/isa/pixel_loops.h"

#define LANES 16
#define TILE 64
#define FRACTION_BITS 22

/* Four bytes are moved a pixel, the last belonging to the next one; nothing reads that lane. The last pixel has no next. */
void FOV_PIXEL_FN(pixel_pack)(const uint8_t *const *rows, size_t width, uint8_t *restrict packed) {
    const uint8_t *const a = rows[0], *const b = rows[1], *const c = rows[2], *const d = rows[3];
    for (size_t x = 0; x + 1 < width; x++) {
        uint8_t *restrict to = packed + x * LANES;
        memcpy(to, a + 3 * x, 4);
        memcpy(to + 4, b + 3 * x, 4);
        memcpy(to + 8, c + 3 * x, 4);
        memcpy(to + 12, d + 3 * x, 4);
    }
    uint8_t *last = packed + (width - 1) * LANES;
    for (size_t r = 0; r < 4; r++) {
        memcpy(last + 4 * r, rows[r] + 3 * (width - 1), 3);
        last[4 * r + 3] = 0;
    }
}

void FOV_PIXEL_FN(pixel_columns)(const uint8_t *restrict packed, const fov_filter_axis *axis, bool mirror, uint8_t *const *out) {
    for (size_t i = 0; i < axis->count; i++) {
        const uint8_t *restrict from = packed + (size_t)axis->start[i] * LANES;
        const int32_t *restrict weights = axis->weights + i * axis->stride;
        const size_t taps = axis->taps[i];
        int32_t sum[LANES];
        uint8_t pixel[LANES];
        /* the simd marks keep these loops from being unrolled to scalars before they are vectorised */
#pragma omp simd
        for (size_t k = 0; k < LANES; k++) {
            sum[k] = 1 << (FRACTION_BITS - 1);
        }
        for (size_t t = 0; t < taps; t++) {
            const int32_t weight = weights[t];
#pragma omp simd
            for (size_t k = 0; k < LANES; k++) {
                sum[k] += weight * from[t * LANES + k];
            }
        }
#pragma omp simd
        for (size_t k = 0; k < LANES; k++) {
            pixel[k] = (uint8_t)fov_clip8(sum[k] >> FRACTION_BITS);
        }
        const size_t at = 3 * (mirror ? axis->count - 1 - i : i);
        for (size_t r = 0; r < 4; r++) {
            out[r][at] = pixel[4 * r];
            out[r][at + 1] = pixel[4 * r + 1];
            out[r][at + 2] = pixel[4 * r + 2];
        }
    }
}

static inline void rows_tile(const uint8_t *const *rows, const int32_t *weights, size_t taps, size_t at, size_t count,
                             uint8_t *restrict out) {
    int32_t sum[TILE];
    for (size_t x = 0; x < count; x++) {
        sum[x] = 1 << (FRACTION_BITS - 1);
    }
    for (size_t t = 0; t < taps; t++) {
        const uint8_t *restrict row = rows[t] + at;
        const int32_t weight = weights[t];
        for (size_t x = 0; x < count; x++) {
            sum[x] += weight * row[x];
        }
    }
    for (size_t x = 0; x < count; x++) {
        out[at + x] = (uint8_t)fov_clip8(sum[x] >> FRACTION_BITS);
    }
}

void FOV_PIXEL_FN(pixel_rows)(const uint8_t *const *rows, const int32_t *weights, size_t taps, size_t count, uint8_t *out) {
    size_t at = 0;
    for (; at + TILE <= count; at += TILE) {
        rows_tile(rows, weights, taps, at, TILE, out);
    }
    if (at < count) {
        rows_tile(rows, weights, taps, at, count - at, out);
    }
}
