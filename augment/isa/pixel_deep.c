/* Inner loops for samples of 16 bits: the resize in double, one lane a sample of four packed rows, and conversions. Lanes come in
 * sixteens; those past 4 x channels are 0. Plain loops, which the compiler makes vectors of. */
#include <string.h>

#include "augment/isa/pixel_loops.h"

#define LANES 16
#define TILE 64

void FOV_PIXEL_FN(pixel_deep_pack)(const uint16_t *const *rows, size_t width, size_t channels, double *packed) {
    const size_t lanes = fov_deep_lanes(channels);
    for (size_t x = 0; x < width; x++) {
        double *to = packed + x * lanes;
        for (size_t r = 0; r < 4; r++) {
            for (size_t c = 0; c < channels; c++) {
                to[r * channels + c] = (double)rows[r][x * channels + c];
            }
        }
        for (size_t k = 4 * channels; k < lanes; k++) {
            to[k] = 0.0;
        }
    }
}

static inline void weigh(const double *restrict from, size_t step, const double *restrict weights, size_t taps, float *restrict out) {
    double sum[LANES];
#pragma omp simd
    for (size_t k = 0; k < LANES; k++) {
        sum[k] = 0.0;
    }
    for (size_t t = 0; t < taps; t++) {
        const double weight = weights[t];
#pragma omp simd
        for (size_t k = 0; k < LANES; k++) {
            sum[k] += from[t * step + k] * weight;
        }
    }
#pragma omp simd
    for (size_t k = 0; k < LANES; k++) {
        out[k] = (float)sum[k];
    }
}

void FOV_PIXEL_FN(pixel_deep_columns)(const double *packed, const fov_filter_axis *axis, size_t channels, bool mirror, float *out) {
    const size_t lanes = fov_deep_lanes(channels), row = axis->count * channels;
    for (size_t i = 0; i < axis->count; i++) {
        const size_t begin = axis->start[i] - 4 * (size_t)axis->first[i];
        float value[4 * 32];
        for (size_t lane = 0; lane < lanes; lane += LANES) {
            weigh(packed + axis->start[i] * lanes + lane, lanes, axis->real + i * 4 * axis->groups + begin, axis->taps[i], value + lane);
        }
        const size_t at = mirror ? axis->count - 1 - i : i;
        for (size_t r = 0; r < 4; r++) {
            for (size_t c = 0; c < channels; c++) {
                out[r * row + at * channels + c] = value[r * channels + c];
            }
        }
    }
}

/* Adding and taking away 1.5 * 2^23 rounds a float below 2^22 to the nearest integer, ties to even. */
#define ROUNDER 12582912.0F

static inline uint16_t clip16(float value) {
    const float low = value > 0.0F ? value : 0.0F;
    const float inside = low < 65535.0F ? low : 65535.0F;
    return (uint16_t)(int32_t)((inside + ROUNDER) - ROUNDER);
}

void FOV_PIXEL_FN(pixel_deep_rows)(const float *const *groups, const fov_filter_axis *axis, size_t index, size_t count, uint16_t *out) {
    const double *weights = axis->real + index * 4 * axis->groups;
    const size_t begin = axis->start[index] - 4 * (size_t)axis->first[index], end = begin + axis->taps[index];
    for (size_t at = 0; at < count; at += TILE) {
        const size_t width = count - at < TILE ? count - at : TILE;
        double sum[TILE];
        for (size_t x = 0; x < width; x++) {
            sum[x] = 0.0;
        }
        for (size_t t = begin; t < end; t++) {
            const float *restrict row = groups[t / 4] + t % 4 * count + at;
            const double weight = weights[t];
            for (size_t x = 0; x < width; x++) {
                sum[x] += (double)row[x] * weight;
            }
        }
        for (size_t x = 0; x < width; x++) {
            out[at + x] = clip16((float)sum[x]);
        }
    }
}

void FOV_PIXEL_FN(pixel_deep_floats)(const uint16_t *const *rows, size_t count, float *restrict out) {
    for (size_t i = 0; i < count; i++) {
        for (size_t r = 0; r < FOV_PACK_ROWS; r++) {
            out[i * FOV_PACK_ROWS + r] = (float)rows[r][i];
        }
    }
}

void FOV_PIXEL_FN(pixel_deep_blur_column)(const float *const *rows, const float *weights, size_t taps, size_t count, uint16_t *out) {
    for (size_t at = 0; at < count; at += TILE) {
        const size_t width = count - at < TILE ? count - at : TILE;
        float sum[TILE];
        for (size_t x = 0; x < width; x++) {
            sum[x] = 0.0F;
        }
        for (size_t t = 0; t < taps; t++) {
            const float *restrict row = rows[t] + at;
            const float weight = weights[t];
            for (size_t x = 0; x < width; x++) {
                const float term = weight * row[x];
                sum[x] += term;
            }
        }
        for (size_t x = 0; x < width; x++) {
            out[at + x] = clip16(sum[x]);
        }
    }
}
