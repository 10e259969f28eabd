/* Max pooling and bytes to numbers, on rows of c channels. */
#include "kernels/isa.h"

/* ---- pooling ---- */

static void take_first(fov_real *y, uint8_t *index, const fov_real *x, uint8_t tap, size_t c) {
    for (size_t j = 0; j < c; j++) {
        y[j] = x[j];
    }
    for (size_t j = 0; index != NULL && j < c; j++) {
        index[j] = tap;
    }
}

static void take_larger(fov_real *restrict y, uint8_t *restrict index, const fov_real *restrict x, uint8_t tap, size_t c) {
#pragma omp simd
    for (size_t j = 0; j < c; j++) {
        const int wins = (x[j] > y[j]) | (x[j] != x[j]);
        y[j] = wins ? x[j] : y[j];
        index[j] = wins ? tap : index[j];
    }
}

static void take_larger_value(fov_real *restrict y, const fov_real *restrict x, size_t c) {
#pragma omp simd
    for (size_t j = 0; j < c; j++) {
        y[j] = ((x[j] > y[j]) | (x[j] != x[j])) ? x[j] : y[j];
    }
}

void FOV_ISA_FN(maxpool_pixel)(fov_real *y, uint8_t *index, const fov_real *x, size_t x_row, const size_t taps[4], size_t kernel,
                               size_t c) {
    take_first(y, index, x, (uint8_t)(taps[0] * kernel + taps[2]), c);
    for (size_t row = taps[0]; row < taps[1]; row++) {
        for (size_t column = taps[2]; column < taps[3]; column++) {
            const fov_real *from = x + (row - taps[0]) * x_row + (column - taps[2]) * c;
            if (index == NULL) {
                take_larger_value(y, from, c);
            } else if (row > taps[0] || column > taps[2]) {
                take_larger(y, index, from, (uint8_t)(row * kernel + column), c);
            }
        }
    }
}

void FOV_ISA_FN(maxpool_pixel_backward)(fov_real *dx, size_t x_row, const fov_real *dy, const uint8_t *index, const size_t taps[4],
                                        size_t kernel, size_t c) {
    for (size_t row = taps[0]; row < taps[1]; row++) {
        for (size_t column = taps[2]; column < taps[3]; column++) {
            fov_real *restrict to = dx + (row - taps[0]) * x_row + (column - taps[2]) * c;
            const uint8_t tap = (uint8_t)(row * kernel + column);
#pragma omp simd
            for (size_t j = 0; j < c; j++) {
                to[j] += index[j] == tap ? dy[j] : 0;
            }
        }
    }
}

/* ---- bytes ---- */

void FOV_ISA_FN(byte_table)(fov_real *y, const uint8_t *x, const fov_real *table, size_t rows, size_t c) {
    if (c == 3) {
        for (size_t i = 0; i < 3 * rows; i += 3) {
            y[i] = table[x[i]];
            y[i + 1] = table[256 + x[i + 1]];
            y[i + 2] = table[512 + x[i + 2]];
        }
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < c; j++) {
            y[i * c + j] = table[j * 256 + x[i * c + j]];
        }
    }
}

void FOV_ISA_FN(word_affine)(fov_real *y, const uint16_t *x, const double *scale, const double *shift, size_t period, size_t n) {
    for (size_t first = 0; first < n; first += period) {
        const size_t count = n - first < period ? n - first : period;
        for (size_t i = 0; i < count; i++) {
            y[first + i] = (fov_real)((double)x[first + i] * scale[i] + shift[i]);
        }
    }
}
