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
    const vec even2 = d4 - d2, odd2 = d3 - d1;
    o[0] = 4 * (d0 - d2) + even2;
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + 2 * odd2;
    o[4] = even2 - 2 * odd2;
    o[5] = 4 * (d1 - d3) + (d5 - d3);
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
    const vec even = d0 + d2, odd = d1 + d3, even2 = d0 + 4 * d2, odd2 = d1 + 4 * d3;
    o[0] = d0;
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + 2 * odd2;
    o[4] = even2 - 2 * odd2;
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

/* Places that are stored one after the other: a pointer that moves is one register, 36 addresses are kept in memory. */
INLINE void store_places(fov_real *v, size_t v_step, const vec *o, const size_t count) {
#pragma GCC unroll 6
    for (size_t i = 0; i < count; i++) {
        store(v, o[i]);
        v += v_step;
        __asm__("" : "+r"(v));
    }
}

#if defined(__AVX512F__) && !defined(FOVEA_DOUBLE)
typedef __mmask16 choice;

INLINE choice choose(int all) {
    return all ? 0xffff : 0;
}

INLINE vec load_chosen(choice c, const fov_real *p) {
    return (vec)_mm512_maskz_loadu_ps(c, p);
}
#else
typedef mask choice;

INLINE choice choose(int all) {
    return (mask){0} - (all ? 1 : 0);
}

INLINE vec load_chosen(choice c, const fov_real *p) {
    return (vec)((mask)load(p) & c);
}
#endif

/* Where the numbers of a window's columns lie in a row, from the first one inside, and which of them are inside. */
typedef struct row_window {
    size_t at[6];
    choice inside[6];
} row_window;

INLINE row_window row_window_of(const size_t inside[4], size_t x_column) {
    row_window c;
#pragma GCC unroll 6
    for (size_t i = 0; i < 6; i++) {
        const int there = i >= inside[2] && i < inside[3];
        c.at[i] = there ? (i - inside[2]) * x_column : 0;
        c.inside[i] = choose(there);
    }
    return c;
}

INLINE void input_tile(fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column, const size_t inside[4],
                       const int whole, size_t n) {
    const row_window at = row_window_of(inside, x_column);
    vec t[36];
    for (size_t i = 0; i < n; i += LANES) {
        const fov_real *from = x + i;
#pragma GCC unroll 6
        for (size_t r = 0; r < 6; r++) {
            vec d[6];
            if (whole || (r >= inside[0] && r < inside[1])) {
#pragma GCC unroll 6
                for (size_t c = 0; c < 6; c++) {
                    d[c] = whole ? load(from + at.at[c]) : load_chosen(at.inside[c], from + at.at[c]);
                }
                times_b(t + 6 * r, d, 1);
                from += x_row;
            } else {
#pragma GCC unroll 6
                for (size_t c = 0; c < 6; c++) {
                    t[6 * r + c] = (vec){0};
                }
            }
            __asm__("" : "+r"(from) : : "memory"); /* rows go to memory one by one, else all six are kept for want of registers */
        }
#pragma GCC unroll 6
        for (size_t c = 0; c < 6; c++) {
            vec o[6];
            times_b(o, t + c, 6);
            store_places(v + i + c * v_step, 6 * v_step, o, 6);
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

INLINE void gradient_tile(fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column, size_t rows, size_t columns,
                          const int whole, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        vec t[24];
#pragma GCC unroll 4
        for (size_t r = 0; r < 4; r++) {
            vec d[4];
#pragma GCC unroll 4
            for (size_t c = 0; c < 4; c++) {
                d[c] = whole || (r < rows && c < columns) ? load(x + r * x_row + c * x_column + i) : (vec){0};
            }
            times_a_back(t + 6 * r, d, 1);
        }
#pragma GCC unroll 6
        for (size_t c = 0; c < 6; c++) {
            vec o[6];
            times_a_back(o, t + c, 6);
            store_places(v + i + c * v_step, 6 * v_step, o, 6);
        }
    }
}

void FOV_ISA_FN(winograd_gradient)(fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column, size_t rows,
                                   size_t columns, size_t n) {
    if (rows == 4 && columns == 4) {
        gradient_tile(v, v_step, x, x_row, x_column, 4, 4, 1, n);
    } else {
        gradient_tile(v, v_step, x, x_row, x_column, rows, columns, 0, n);
    }
}

INLINE void output_tile(fov_real *y, size_t y_row, size_t y_column, size_t rows, size_t columns, const fov_real *m, size_t m_step,
                        const int add, const int whole, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        vec t[24];
        const fov_real *from = m + i;
#pragma GCC unroll 6
        for (size_t r = 0; r < 6; r++) {
            vec d[6];
#pragma GCC unroll 6
            for (size_t c = 0; c < 6; c++) {
                d[c] = load(from);
                from += m_step;
                __asm__("" : "+r"(from));
            }
            times_a(t + 4 * r, d, 1);
        }
#pragma GCC unroll 4
        for (size_t c = 0; c < 4; c++) {
            vec o[4];
            times_a(o, t + c, 4);
#pragma GCC unroll 4
            for (size_t r = 0; r < 4; r++) {
                if (whole || (r < rows && c < columns)) {
                    fov_real *to = y + r * y_row + c * y_column + i;
                    store(to, add ? load(to) + o[r] : o[r]);
                }
            }
        }
    }
}

void FOV_ISA_FN(winograd_output)(fov_real *y, size_t y_row, size_t y_column, size_t rows, size_t columns, const fov_real *m, size_t m_step,
                                 int add, size_t n) {
    if (add) {
        output_tile(y, y_row, y_column, rows, columns, m, m_step, 1, 0, n);
    } else if (rows < 4 || columns < 4) {
        output_tile(y, y_row, y_column, rows, columns, m, m_step, 0, 0, n);
    } else {
        output_tile(y, y_row, y_column, 4, 4, m, m_step, 0, 1, n);
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
