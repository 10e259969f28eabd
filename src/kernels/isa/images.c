/* Max pooling and bytes to numbers, on rows of c channels. */
#include <string.h>

#include "kernels/isa_vector.h"

/* ---- pooling ---- */

/* LANES taps as they lie in memory, a byte each. */
typedef uint8_t taps_of_lanes __attribute__((vector_size(VECTOR_BYTES / sizeof(fov_real))));

/* Columns from the end of a window to what is asked for early: windows of several rows are more streams than the processor foresees. */
enum { AHEAD = 8 };

INLINE void store_taps(uint8_t *p, mask x) {
    const taps_of_lanes taps = __builtin_convertvector(x, taps_of_lanes);
    memcpy(p, &taps, sizeof taps);
}

INLINE mask load_taps(const uint8_t *p) {
    taps_of_lanes taps;
    memcpy(&taps, p, sizeof taps);
    return __builtin_convertvector(taps, mask);
}

INLINE vec choose(mask which, vec a, vec b) {
    return (vec)((which & (mask)a) | (~which & (mask)b));
}

/* LANES channels: the largest and its tap stay in registers over the window. */
INLINE void pool_lanes(fov_real *y, uint8_t *index, const fov_real *x, size_t x_row, const size_t taps[4], size_t kernel, size_t c) {
    vec best = load(x);
    mask from = (mask){0} + (int)(taps[0] * kernel + taps[2]);
    for (size_t row = taps[0]; row < taps[1]; row++) {
        const fov_real *at = x + (row - taps[0]) * x_row;
        for (size_t column = taps[2]; column < taps[3]; column++, at += c) {
            const vec value = load(at);
            const mask wins = (value > best) | (value != value), tap = (mask){0} + (int)(row * kernel + column);
            best = choose(wins, value, best);
            from = (wins & tap) | (~wins & from);
        }
        __builtin_prefetch(at + AHEAD * c);
        __builtin_prefetch(at + (AHEAD + 1) * c);
    }
    store(y, best);
    if (index != NULL) {
        store_taps(index, from);
    }
}

/* One channel, the same. */
static void pool_one(fov_real *y, uint8_t *index, const fov_real *x, size_t x_row, const size_t taps[4], size_t kernel, size_t c) {
    fov_real best = x[0];
    size_t from = taps[0] * kernel + taps[2];
    for (size_t row = taps[0]; row < taps[1]; row++) {
        for (size_t column = taps[2]; column < taps[3]; column++) {
            const fov_real value = x[(row - taps[0]) * x_row + (column - taps[2]) * c];
            if ((value > best) | (value != value)) {
                best = value;
                from = row * kernel + column;
            }
        }
    }
    *y = best;
    if (index != NULL) {
        *index = (uint8_t)from;
    }
}

void FOV_ISA_FN(maxpool_pixel)(fov_real *y, uint8_t *index, const fov_real *x, size_t x_row, const size_t taps[4], size_t kernel,
                               size_t c) {
    size_t j = 0;
    for (; j + LANES <= c; j += LANES) {
        pool_lanes(y + j, index == NULL ? NULL : index + j, x + j, x_row, taps, kernel, c);
    }
    for (; j < c; j++) {
        pool_one(y + j, index == NULL ? NULL : index + j, x + j, x_row, taps, kernel, c);
    }
}

/* LANES channels: dy and its taps stay in registers over the window. */
INLINE void unpool_lanes(fov_real *dx, size_t x_row, const fov_real *dy, const uint8_t *index, const size_t taps[4], size_t kernel,
                         size_t c) {
    const mask from = load_taps(index), value = (mask)load(dy);
    for (size_t row = taps[0]; row < taps[1]; row++) {
        fov_real *to = dx + (row - taps[0]) * x_row;
        for (size_t column = taps[2]; column < taps[3]; column++, to += c) {
            const mask here = from == (mask){0} + (int)(row * kernel + column);
            store(to, load(to) + (vec)(here & value));
        }
    }
}

static void unpool_one(fov_real *dx, size_t x_row, fov_real dy, uint8_t index, const size_t taps[4], size_t kernel, size_t c) {
    for (size_t row = taps[0]; row < taps[1]; row++) {
        for (size_t column = taps[2]; column < taps[3]; column++) {
            dx[(row - taps[0]) * x_row + (column - taps[2]) * c] += row * kernel + column == index ? dy : 0;
        }
    }
}

void FOV_ISA_FN(maxpool_pixel_backward)(fov_real *dx, size_t x_row, const fov_real *dy, const uint8_t *index, const size_t taps[4],
                                        size_t kernel, size_t c) {
    size_t j = 0;
    for (; j + LANES <= c; j += LANES) {
        unpool_lanes(dx + j, x_row, dy + j, index + j, taps, kernel, c);
    }
    for (; j < c; j++) {
        unpool_one(dx + j, x_row, dy[j], index[j], taps, kernel, c);
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
