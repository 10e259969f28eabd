/* Batch norm, max pooling and bytes to numbers, on rows of c channels.
 *
 * The sums of batch norm walk down a strip of channels that fits one or two registers, RUN rows at a time in the real type, and add each
 * run to the sum in double. */
#include "kernels/isa.h"

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

enum { LANES = VECTOR_BYTES / (int)sizeof(fov_real), RUN = 32 };

typedef fov_real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef fov_real vec_anywhere __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(fov_real)), may_alias));
#ifdef FOVEA_DOUBLE
typedef int64_t mask __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t mask __attribute__((vector_size(VECTOR_BYTES)));
#endif

static inline vec load(const fov_real *p) {
    return *(const vec_anywhere *)p;
}

static inline void store(fov_real *p, vec x) {
    *(vec_anywhere *)p = x;
}

/* Adds a run's sums to the totals and starts them anew. */
static inline void flush(double *total, vec *sum) {
    for (int l = 0; l < LANES; l++) {
        total[l] += (double)(*sum)[l];
    }
    *sum = (vec){0};
}

/* ---- batch norm, forward ---- */

static void sums_strip(double *sums, const fov_real *x, const fov_real *pivot, size_t rows, size_t c) {
    const vec about = load(pivot);
    double total[2][LANES] = {{0}};
    for (size_t first = 0; first < rows; first += RUN) {
        const size_t last = rows - first < RUN ? rows : first + RUN;
        vec sum[2] = {{0}, {0}};
        vec square[2] = {{0}, {0}};
        size_t i = first;
        for (; i + 1 < last; i += 2) {
            const vec a = load(x + i * c) - about;
            const vec b = load(x + (i + 1) * c) - about;
            sum[0] += a;
            sum[1] += b;
            square[0] += a * a;
            square[1] += b * b;
        }
        if (i < last) {
            const vec a = load(x + i * c) - about;
            sum[0] += a;
            square[0] += a * a;
        }
        sum[0] += sum[1];
        square[0] += square[1];
        flush(total[0], &sum[0]);
        flush(total[1], &square[0]);
    }
    for (int l = 0; l < LANES; l++) {
        sums[l] = total[0][l];
        sums[c + (size_t)l] = total[1][l];
    }
}

void FOV_ISA_FN(bn_sums)(double *sums, const fov_real *x, const fov_real *pivot, size_t rows, size_t c) {
    size_t j = 0;
    for (; j + LANES <= c; j += LANES) {
        sums_strip(sums + j, x + j, pivot + j, rows, c);
    }
    for (; j < c; j++) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < rows; i++) {
            const double d = (double)(x[i * c + j] - pivot[j]);
            sum += d;
            square += d * d;
        }
        sums[j] = sum;
        sums[c + j] = square;
    }
}

static inline __attribute__((always_inline)) void apply(fov_real *y, const fov_real *x, const fov_real *residual, const fov_real *scale,
                                                        const fov_real *shift, const int add, const int relu, size_t rows, size_t c) {
    for (size_t i = 0; i < rows; i++, x += c, y += c, residual = add ? residual + c : NULL) {
#pragma omp simd
        for (size_t j = 0; j < c; j++) {
            fov_real v = x[j] * scale[j] + shift[j];
            v = add ? v + residual[j] : v;
            y[j] = relu && v < 0 ? 0 : v;
        }
    }
}

void FOV_ISA_FN(bn_apply)(fov_real *y, const fov_real *x, const fov_real *residual, const fov_real *scale, const fov_real *shift, int relu,
                          size_t rows, size_t c) {
    if (residual == NULL) {
        if (relu) {
            apply(y, x, NULL, scale, shift, 0, 1, rows, c);
        } else {
            apply(y, x, NULL, scale, shift, 0, 0, rows, c);
        }
    } else if (relu) {
        apply(y, x, residual, scale, shift, 1, 1, rows, c);
    } else {
        apply(y, x, residual, scale, shift, 1, 0, rows, c);
    }
}

/* ---- batch norm, backward ---- */

/* How g follows from dy: unmasked, by scale x + shift > 0, by y > 0. */
enum { ALL, BY_X, BY_Y };

static inline __attribute__((always_inline)) vec masked(const int how, vec dy, vec x, const fov_real *y, vec scale, vec shift) {
    if (how == ALL) {
        return dy;
    }
    const vec zero = {0};
    const vec out = how == BY_X ? x * scale + shift : load(y);
    return (vec)((mask)dy & (mask)(out > zero));
}

static inline __attribute__((always_inline)) fov_real masked_one(const int how, fov_real dy, fov_real x, const fov_real *y, fov_real scale,
                                                                 fov_real shift) {
    if (how == ALL) {
        return dy;
    }
    return (how == BY_X ? x * scale + shift : *y) > 0 ? dy : 0;
}

typedef struct gradient {
    fov_real *dresidual;
    const fov_real *dy, *x, *y, *mean, *scale, *shift;
    size_t rows, c;
} gradient;

static inline __attribute__((always_inline)) void gradient_strip(double *sums, const gradient *g, size_t j, const int how, const int keep) {
    const size_t c = g->c;
    const vec mean = load(g->mean + j);
    const vec scale = how == BY_X ? load(g->scale + j) : mean;
    const vec shift = how == BY_X ? load(g->shift + j) : mean;
    double total[2][LANES] = {{0}};
    for (size_t first = 0; first < g->rows; first += RUN) {
        const size_t last = g->rows - first < RUN ? g->rows : first + RUN;
        vec sum = {0}, product = {0};
        for (size_t i = first; i < last; i++) {
            const size_t at = i * c + j;
            const vec x = load(g->x + at);
            const vec d = masked(how, load(g->dy + at), x, how == BY_Y ? g->y + at : NULL, scale, shift);
            sum += d;
            product += d * (x - mean);
            if (keep != 0) {
                store(g->dresidual + at, keep == 1 ? d : d + load(g->dresidual + at));
            }
        }
        flush(total[0], &sum);
        flush(total[1], &product);
    }
    for (int l = 0; l < LANES; l++) {
        sums[j + (size_t)l] = total[0][l];
        sums[c + j + (size_t)l] = total[1][l];
    }
}

static inline __attribute__((always_inline)) void gradient_column(double *sums, const gradient *g, size_t j, const int how,
                                                                  const int keep) {
    double sum = 0, product = 0;
    for (size_t i = 0; i < g->rows; i++) {
        const size_t at = i * g->c + j;
        const fov_real scale = how == BY_X ? g->scale[j] : 0;
        const fov_real shift = how == BY_X ? g->shift[j] : 0;
        const fov_real d = masked_one(how, g->dy[at], g->x[at], how == BY_Y ? g->y + at : NULL, scale, shift);
        sum += (double)d;
        product += (double)d * (double)(g->x[at] - g->mean[j]);
        if (keep != 0) {
            g->dresidual[at] = keep == 1 ? d : d + g->dresidual[at];
        }
    }
    sums[j] = sum;
    sums[g->c + j] = product;
}

/* keep: 0 g is not kept, 1 written, 2 added. */
static inline __attribute__((always_inline)) void gradient_sums(double *sums, const gradient *g, const int how, const int keep) {
    size_t j = 0;
    for (; j + LANES <= g->c; j += LANES) {
        gradient_strip(sums, g, j, how, keep);
    }
    for (; j < g->c; j++) {
        gradient_column(sums, g, j, how, keep);
    }
}

#define GRADIENT_SUMS(name, how)                                                                                                           \
    static void gradient_sums_##name(double *sums, const gradient *g, int keep) {                                                          \
        if (keep == 0) {                                                                                                                   \
            gradient_sums(sums, g, how, 0);                                                                                                \
        } else if (keep == 1) {                                                                                                            \
            gradient_sums(sums, g, how, 1);                                                                                                \
        } else {                                                                                                                           \
            gradient_sums(sums, g, how, 2);                                                                                                \
        }                                                                                                                                  \
    }
GRADIENT_SUMS(all, ALL)
GRADIENT_SUMS(by_x, BY_X)
GRADIENT_SUMS(by_y, BY_Y)
#undef GRADIENT_SUMS

void FOV_ISA_FN(bn_gradient_sums)(double *sums, fov_real *dresidual, int accumulate, const fov_real *dy, const fov_real *x,
                                  const fov_real *y, const fov_real *mean, const fov_real *scale, const fov_real *shift, size_t rows,
                                  size_t c) {
    const gradient g = {
        .dresidual = dresidual, .dy = dy, .x = x, .y = y, .mean = mean, .scale = scale, .shift = shift, .rows = rows, .c = c};
    const int keep = dresidual == NULL ? 0 : (accumulate ? 2 : 1);
    if (scale == NULL) {
        gradient_sums_all(sums, &g, keep);
    } else if (y == NULL) {
        gradient_sums_by_x(sums, &g, keep);
    } else {
        gradient_sums_by_y(sums, &g, keep);
    }
}

static inline __attribute__((always_inline)) void gradient_rows(fov_real *dx, const int accumulate, const gradient *g,
                                                                const fov_real *factor, const fov_real *center, const fov_real *slope,
                                                                const int how) {
    const fov_real *dy = g->dy, *x = g->x, *y = g->y;
    const fov_real *mean = g->mean, *scale = g->scale, *shift = g->shift;
    const size_t c = g->c;
    for (size_t i = 0; i < g->rows; i++, dx += c, dy += c, x += c, y = how == BY_Y ? y + c : NULL) {
#pragma omp simd
        for (size_t j = 0; j < c; j++) {
            fov_real d = dy[j];
            if (how == BY_X) {
                d = x[j] * scale[j] + shift[j] > 0 ? d : 0;
            } else if (how == BY_Y) {
                d = y[j] > 0 ? d : 0;
            }
            const fov_real v = factor[j] * (d - center[j] - (x[j] - mean[j]) * slope[j]);
            dx[j] = accumulate ? dx[j] + v : v;
        }
    }
}

void FOV_ISA_FN(bn_gradient)(fov_real *dx, int accumulate, const fov_real *dy, const fov_real *x, const fov_real *y, const fov_real *mean,
                             const fov_real *scale, const fov_real *shift, const fov_real *factor, const fov_real *center,
                             const fov_real *slope, size_t rows, size_t c) {
    const gradient g = {.dy = dy, .x = x, .y = y, .mean = mean, .scale = scale, .shift = shift, .rows = rows, .c = c};
    const int how = scale == NULL ? ALL : (y == NULL ? BY_X : BY_Y);
#define CASE(h, a)                                                                                                                         \
    if (how == (h) && (accumulate != 0) == (a)) {                                                                                          \
        gradient_rows(dx, a, &g, factor, center, slope, h);                                                                                \
        return;                                                                                                                            \
    }
    CASE(ALL, 0)
    CASE(ALL, 1)
    CASE(BY_X, 0)
    CASE(BY_X, 1)
    CASE(BY_Y, 0)
    CASE(BY_Y, 1)
#undef CASE
}

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
