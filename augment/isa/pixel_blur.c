/* Inner loops of the two blurs. All run along the row, over neighbouring bytes or floats, so that they vectorise in any width. */
#include "augment/isa/pixel_loops.h"

#define TILE 64

/* Adding and taking away 1.5 * 2^23 rounds a float below 2^22 to the nearest integer, ties to even. */
#define ROUNDER 12582912.0F

static inline void blur_row_tile(const float *padded, size_t step, const float *weights, size_t taps, size_t count, float *restrict out) {
    float sum[TILE];
    for (size_t x = 0; x < count; x++) {
        sum[x] = 0.0F;
    }
    for (size_t t = 0; t < taps; t++) {
        const float *restrict row = padded + step * t;
        const float weight = weights[t];
        for (size_t x = 0; x < count; x++) {
            const float term = weight * row[x];
            sum[x] += term;
        }
    }
    for (size_t x = 0; x < count; x++) {
        out[x] = sum[x];
    }
}

void FOV_PIXEL_FN(pixel_blur_row)(const float *padded, size_t step, const float *weights, size_t taps, size_t count, float *out) {
    size_t at = 0;
    for (; at + TILE <= count; at += TILE) {
        blur_row_tile(padded + at, step, weights, taps, TILE, out + at);
    }
    if (at < count) {
        blur_row_tile(padded + at, step, weights, taps, count - at, out + at);
    }
}

static inline void blur_column_tile(const float *const *rows, const float *weights, size_t taps, size_t at, size_t count,
                                    uint8_t *restrict out) {
    float sum[TILE];
    for (size_t x = 0; x < count; x++) {
        sum[x] = 0.0F;
    }
    for (size_t t = 0; t < taps; t++) {
        const float *restrict row = rows[t] + at;
        const float weight = weights[t];
        for (size_t x = 0; x < count; x++) {
            const float term = weight * row[x];
            sum[x] += term;
        }
    }
    for (size_t x = 0; x < count; x++) {
        const float rounded = (sum[x] + ROUNDER) - ROUNDER;
        out[at + x] = (uint8_t)fov_clip8((int32_t)rounded);
    }
}

void FOV_PIXEL_FN(pixel_blur_column)(const float *const *rows, const float *weights, size_t taps, size_t count, uint8_t *out) {
    size_t at = 0;
    for (; at + TILE <= count; at += TILE) {
        blur_column_tile(rows, weights, taps, at, TILE, out);
    }
    if (at < count) {
        blur_column_tile(rows, weights, taps, at, count - at, out);
    }
}

static inline uint8_t box_value(const fov_box *box, uint32_t inner_sum, uint32_t ends) {
    return (uint8_t)((inner_sum * box->inner + ends * box->outer + (1U << 23)) >> 24);
}

static inline void box_row_tile(const uint8_t *padded, size_t step, const fov_box *box, size_t count, uint8_t *restrict out) {
    const size_t width = 2 * box->radius + 1;
    uint32_t sum[TILE];
    for (size_t x = 0; x < count; x++) {
        sum[x] = 0;
    }
    for (size_t t = 1; t <= width; t++) {
        const uint8_t *restrict row = padded + step * t;
        for (size_t x = 0; x < count; x++) {
            sum[x] += row[x];
        }
    }
    const uint8_t *restrict far = padded + step * (width + 1);
    for (size_t x = 0; x < count; x++) {
        out[x] = box_value(box, sum[x], (uint32_t)padded[x] + far[x]);
    }
}

void FOV_PIXEL_FN(pixel_box_row)(const uint8_t *padded, size_t step, const fov_box *box, size_t count, uint8_t *out) {
    size_t at = 0;
    for (; at + TILE <= count; at += TILE) {
        box_row_tile(padded + at, step, box, TILE, out + at);
    }
    if (at < count) {
        box_row_tile(padded + at, step, box, count - at, out + at);
    }
}

static inline void box_column_tile(const uint8_t *const *rows, const fov_box *box, size_t at, size_t count, uint8_t *restrict out) {
    const size_t width = 2 * box->radius + 1;
    uint32_t sum[TILE];
    for (size_t x = 0; x < count; x++) {
        sum[x] = 0;
    }
    for (size_t t = 1; t <= width; t++) {
        const uint8_t *restrict row = rows[t] + at;
        for (size_t x = 0; x < count; x++) {
            sum[x] += row[x];
        }
    }
    const uint8_t *restrict near = rows[0] + at, *restrict far = rows[width + 1] + at;
    for (size_t x = 0; x < count; x++) {
        out[at + x] = box_value(box, sum[x], (uint32_t)near[x] + far[x]);
    }
}

void FOV_PIXEL_FN(pixel_box_column)(const uint8_t *const *rows, const fov_box *box, size_t count, uint8_t *out) {
    size_t at = 0;
    for (; at + TILE <= count; at += TILE) {
        box_column_tile(rows, box, at, TILE, out);
    }
    if (at < count) {
        box_column_tile(rows, box, at, count - at, out);
    }
}
