/* Transforms of Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016).
 *
 * A 4 x 4 tile of a 3 x 3 convolution takes 36 products instead of 144: out = A^T [(G w G^T) * (B^T d B)] A with
 *
 *   B^T = 4  0 -5  0  1  0     G = 1/4    0     0       A^T = 1  1  1  1  1  0
 *         0 -4 -4  1  1  0        -1/6 -1/6  -1/6             0  1 -1  2 -2  0
 *         0  4 -4 -1  1  0        -1/6  1/6  -1/6             0  1  1  4  4  0
 *         0 -2 -1  2  1  0         1/24 1/12  1/6             0  1 -1  8 -8  1
 *         0  2 -1 -2  1  0         1/24 -1/12 1/6
 *         0  4  0 -5  0  1           0    0     1
 *
 * and the weight gradient is dw = G^T [(A dout A^T) * (B^T d B)] G. Every transform acts on n independent numbers that lie side by side at
 * each place of the tile (channels of one picture), so it is plain vector arithmetic without shuffles. Numbers are rounded up to whole
 * vectors: buffers of transformed numbers have room for that. */
#include "kernels/isa_vector.h"

/* Each takes its numbers d[0], d[step], ... */

INLINE void times_b(vec o[6], const vec *d, size_t step) {
    const vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const vec even = d4 - 4 * d2, odd = d3 - 4 * d1;
    const vec even2 = d4 - d2, odd2 = 2 * (d3 - d1);
    o[0] = 4 * d0 - 5 * d2 + d4;
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = 4 * d1 - 5 * d3 + d5;
}

INLINE void times_a(vec o[4], const vec *d, size_t step) {
    const vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const vec sum = d1 + d2, difference = d1 - d2, sum2 = d3 + d4, difference2 = d3 - d4;
    o[0] = d0 + sum + sum2;
    o[1] = difference + 2 * difference2;
    o[2] = sum + 4 * sum2;
    o[3] = difference + 8 * difference2 + d5;
}

INLINE void times_a_back(vec o[6], const vec *d, size_t step) {
    const vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    const vec even = d0 + d2, odd = d1 + d3, even2 = d0 + 4 * d2, odd2 = 2 * d1 + 8 * d3;
    o[0] = d0;
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = d3;
}

#define SIXTH ((fov_real)(1.0 / 6))

INLINE void times_g(vec o[6], const vec *d, size_t step) {
    const vec d0 = d[0], d1 = d[step], d2 = d[2 * step];
    const vec even = (d0 + d2) * -SIXTH, odd = d1 * -SIXTH;
    const vec even2 = (d0 * (fov_real)0.25 + d2) * SIXTH, odd2 = d1 * (SIXTH / 2);
    o[0] = d0 * (fov_real)0.25;
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = d2;
}

INLINE void times_g_back(vec o[3], const vec *d, size_t step) {
    const vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const vec sum = (d1 + d2) * -SIXTH, sum2 = (d3 + d4) * SIXTH;
    o[0] = (d0 + sum2) * (fov_real)0.25 + sum;
    o[1] = (d2 - d1) * SIXTH + (d3 - d4) * (SIXTH / 2);
    o[2] = sum + sum2 + d5;
}

INLINE void input_tile(fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column, const size_t inside[4],
                       const int whole, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        vec t[36];
#pragma GCC unroll 6
        for (size_t r = 0; r < 6; r++) {
            vec d[6];
#pragma GCC unroll 6
            for (size_t c = 0; c < 6; c++) {
                const int there = whole || (r >= inside[0] && r < inside[1] && c >= inside[2] && c < inside[3]);
                const fov_real *from = there ? x + (r - inside[0]) * x_row + (c - inside[2]) * x_column + i : x;
                d[c] = there ? load(from) : (vec){0};
                if (c >= 2 && there) { /* what the tile on the right has more; pictures are walked through from memory */
                    __builtin_prefetch(from + 4 * x_column);
                }
            }
            times_b(t + 6 * r, d, 1);
        }
#pragma GCC unroll 6
        for (size_t c = 0; c < 6; c++) {
            vec o[6];
            times_b(o, t + c, 6);
#pragma GCC unroll 6
            for (size_t r = 0; r < 6; r++) {
                store(v + (6 * r + c) * v_step + i, o[r]);
            }
        }
    }
}

void FOV_ISA_FN(winograd_input)(fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column, const size_t inside[4],
                                size_t n) {
    if (inside[0] == 0 && inside[1] == 6 && inside[2] == 0 && inside[3] == 6) {
        input_tile(v, v_step, x, x_row, x_column, (const size_t[]){0, 6, 0, 6}, 1, n);
    } else {
        input_tile(v, v_step, x, x_row, x_column, inside, 0, n);
    }
}

void FOV_ISA_FN(winograd_gradient)(fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column, size_t rows,
                                   size_t columns, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        vec t[24];
#pragma GCC unroll 4
        for (size_t r = 0; r < 4; r++) {
            vec d[4];
#pragma GCC unroll 4
            for (size_t c = 0; c < 4; c++) {
                const fov_real *from = x + r * x_row + c * x_column + i;
                d[c] = r < rows && c < columns ? load(from) : (vec){0};
                __builtin_prefetch(from + 4 * x_column);
            }
            times_a_back(t + 6 * r, d, 1);
        }
#pragma GCC unroll 6
        for (size_t c = 0; c < 6; c++) {
            vec o[6];
            times_a_back(o, t + c, 6);
#pragma GCC unroll 6
            for (size_t r = 0; r < 6; r++) {
                store(v + (6 * r + c) * v_step + i, o[r]);
            }
        }
    }
}

/* What becomes of a number: it is written, written past the caches, or added. */
enum { WRITE, PAST, ADD };

INLINE void output_tile(fov_real *y, size_t y_row, size_t y_column, size_t rows, size_t columns, const fov_real *m, size_t m_step,
                        const int how, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        vec t[24];
#pragma GCC unroll 6
        for (size_t r = 0; r < 6; r++) {
            vec d[6];
#pragma GCC unroll 6
            for (size_t c = 0; c < 6; c++) {
                d[c] = load(m + (6 * r + c) * m_step + i);
            }
            times_a(t + 4 * r, d, 1);
        }
#pragma GCC unroll 4
        for (size_t c = 0; c < 4; c++) {
            vec o[4];
            times_a(o, t + c, 4);
#pragma GCC unroll 4
            for (size_t r = 0; r < 4; r++) {
                if (r < rows && c < columns) {
                    fov_real *to = y + r * y_row + c * y_column + i;
                    if (how == PAST) {
                        stream(to, o[r]);
                    } else {
                        store(to, how == ADD ? load(to) + o[r] : o[r]);
                    }
                }
            }
        }
    }
}

void FOV_ISA_FN(winograd_output)(fov_real *y, size_t y_row, size_t y_column, size_t rows, size_t columns, const fov_real *m, size_t m_step,
                                 int add, int past, size_t n) {
    if (add) {
        output_tile(y, y_row, y_column, rows, columns, m, m_step, ADD, n);
    } else if (past && streamable(y, y_row) && streamable(y, y_column)) {
        output_tile(y, y_row, y_column, rows, columns, m, m_step, PAST, n);
        fence();
    } else {
        output_tile(y, y_row, y_column, rows, columns, m, m_step, WRITE, n);
    }
}

void FOV_ISA_FN(winograd_filter)(fov_real *u, size_t u_step, const fov_real *w, size_t w_step, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        vec t[18];
#pragma GCC unroll 3
        for (size_t r = 0; r < 3; r++) {
            const vec d[3] = {load(w + 3 * r * w_step + i), load(w + (3 * r + 1) * w_step + i), load(w + (3 * r + 2) * w_step + i)};
            times_g(t + 6 * r, d, 1);
        }
#pragma GCC unroll 6
        for (size_t c = 0; c < 6; c++) {
            vec o[6];
            times_g(o, t + c, 6);
#pragma GCC unroll 6
            for (size_t r = 0; r < 6; r++) {
                store(u + (6 * r + c) * u_step + i, o[r]);
            }
        }
    }
}

void FOV_ISA_FN(winograd_filter_gradient)(fov_real *w, size_t w_step, const fov_real *u, size_t u_step, int add, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        vec t[18];
#pragma GCC unroll 6
        for (size_t r = 0; r < 6; r++) {
            vec d[6];
#pragma GCC unroll 6
            for (size_t c = 0; c < 6; c++) {
                d[c] = load(u + (6 * r + c) * u_step + i);
            }
            times_g_back(t + 3 * r, d, 1);
        }
#pragma GCC unroll 3
        for (size_t c = 0; c < 3; c++) {
            vec o[3];
            times_g_back(o, t + c, 3);
#pragma GCC unroll 3
            for (size_t r = 0; r < 3; r++) {
                fov_real *to = w + (3 * r + c) * w_step + i;
                store(to, add ? load(to) + o[r] : o[r]);
            }
        }
    }
}
