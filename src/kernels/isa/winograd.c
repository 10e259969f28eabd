/* Transforms of minimal filtering F(m x m, 3 x 3) (Winograd; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016).
 *
 * With p places along an axis a tile of m x m outputs takes p x p products instead of 9 m m: out = A^T [(G w G^T) * (B d B^T)] A, and the
 * weight gradient is dw = G^T [(A dout A^T) * (B d B^T)] G. A, G and B have a row for each place. Row i of A and G holds powers of a point
 * a_i, and the last one is for the highest power alone; row i of B holds the coefficients of the product of x - a_j over all points but
 * a_i, divided by what it is at a_i, in G or in B (Toom and Cook's way to multiply polynomials). m = 3: points 0, 1, -1, 2; m = 4: 0, 1,
 * -1, 2, -2; m = 5: and 1/2; m = 6: and -1/2; m = 7 would lose a decimal digit. A picture of 2 x 2 in a frame of zeros takes three products
 * an axis: y0 = w1 (x0 + x1) + (w2 - w1) x1, y1 = w1 (x0 + x1) + (w0 - w1) x0. With stride 2, w1 meets every second pixel, one product an
 * output, and w0 and w2 meet the others, as a filter of two taps with stride 1: points 0, 1, -1, 2.
 *
 * Every transform acts on n independent numbers that lie side by side at each place of the tile (channels of one picture), so it is plain
 * vector arithmetic without shuffles. Numbers are rounded up to whole vectors: buffers of transformed numbers have room for that. */
#include "kernels/isa_vector.h"

/* Sanitizers get the loops as they are: what they put into each term, unrolled, takes compilers minutes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLAIN_LOOPS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PLAIN_LOOPS
#endif
#endif
#ifdef PLAIN_LOOPS
#define UNROLL(n)
#else
#define UNROLL_TEXT(text) _Pragma(#text)
#define UNROLL(n) UNROLL_TEXT(GCC unroll n)
#endif

enum { MOST = FOV_WINOGRAD_MOST };

/* Every use of one is expanded with its loops unrolled, so that no number of it is ever read and no term with a zero remains. Rows 1 and 2,
 * 3 and 4 and so on, `pairs` of them, are those of points p and -p: they differ in nothing but signs, and two sums serve both. */
typedef struct matrix {
    size_t pairs;
    fov_real at[MOST][MOST];
} matrix;

typedef struct filtering {
    matrix b, g, a; /* [places] by window, 3 and outputs */
} filtering;

#define N(a, b) ((fov_real)(a) / (b))
#define STRIDED_FILTER                                                                                                                     \
    {                                                                                                                                      \
        {N(1, 2)}, {-N(1, 2), 0, -N(1, 2)}, {-N(1, 6), 0, N(1, 6)}, {N(1, 6), 0, N(1, 3)}, {0, 0, 1}, {0, 1}, {0, 1}, {0, 1}, {            \
            0, 1                                                                                                                           \
        }                                                                                                                                  \
    }

static const filtering filterings[FOV_WINOGRAD_WAYS] = {
    [FOV_WINOGRAD_WHOLE_2] = {.b = {0, {{1, 1}, {0, 1}, {1, 0}}},
                              .g = {0, {{0, 1, 0}, {0, -1, 1}, {1, -1, 0}}},
                              .a = {0, {{1, 1}, {1, 0}, {0, 1}}}},
    [FOV_WINOGRAD_3] =
        {.b = {0, {{2, -1, -2, 1, 0}, {0, -2, -1, 1, 0}, {0, 2, -3, 1, 0}, {0, -1, 0, 1, 0}, {0, 2, -1, -2, 1}}},
         .g = {0, {{N(1, 2), 0, 0}, {-N(1, 2), -N(1, 2), -N(1, 2)}, {-N(1, 6), N(1, 6), -N(1, 6)}, {N(1, 6), N(1, 3), N(2, 3)}, {0, 0, 1}}},
         .a = {1, {{1, 0, 0}, {1, 1, 1}, {1, -1, 1}, {1, 2, 4}, {0, 0, 1}}}},
    [FOV_WINOGRAD_4] = {.b = {2,
                              {{4, 0, -5, 0, 1, 0},
                               {0, -4, -4, 1, 1, 0},
                               {0, 4, -4, -1, 1, 0},
                               {0, -2, -1, 2, 1, 0},
                               {0, 2, -1, -2, 1, 0},
                               {0, 4, 0, -5, 0, 1}}},
                        .g = {2,
                              {{N(1, 4), 0, 0},
                               {-N(1, 6), -N(1, 6), -N(1, 6)},
                               {-N(1, 6), N(1, 6), -N(1, 6)},
                               {N(1, 24), N(1, 12), N(1, 6)},
                               {N(1, 24), -N(1, 12), N(1, 6)},
                               {0, 0, 1}}},
                        .a = {2, {{1, 0, 0, 0}, {1, 1, 1, 1}, {1, -1, 1, -1}, {1, 2, 4, 8}, {1, -2, 4, -8}, {0, 0, 0, 1}}}},
    [FOV_WINOGRAD_5] = {.b = {0,
                              {{-2, 4, N(5, 2), -5, -N(1, 2), 1, 0},
                               {0, 2, -2, -N(9, 2), N(1, 2), 1, 0},
                               {0, -2, 6, -N(7, 2), -N(3, 2), 1, 0},
                               {0, 1, -N(3, 2), -2, N(3, 2), 1, 0},
                               {0, -1, N(5, 2), 0, -N(5, 2), 1, 0},
                               {0, 4, 0, -5, 0, 1, 0},
                               {0, -2, 4, N(5, 2), -5, -N(1, 2), 1}}},
                        .g = {0,
                              {{-N(1, 2), 0, 0},
                               {-N(1, 3), -N(1, 3), -N(1, 3)},
                               {N(1, 9), -N(1, 9), N(1, 9)},
                               {N(1, 36), N(1, 18), N(1, 9)},
                               {-N(1, 60), N(1, 30), -N(1, 15)},
                               {N(32, 45), N(16, 45), N(8, 45)},
                               {0, 0, 1}}},
                        .a = {2,
                              {{1, 0, 0, 0, 0},
                               {1, 1, 1, 1, 1},
                               {1, -1, 1, -1, 1},
                               {1, 2, 4, 8, 16},
                               {1, -2, 4, -8, 16},
                               {1, N(1, 2), N(1, 4), N(1, 8), N(1, 16)},
                               {0, 0, 0, 0, 1}}}},
    [FOV_WINOGRAD_6] = {.b = {3,
                              {{-1, 0, N(21, 4), 0, -N(21, 4), 0, 1, 0},
                               {0, 1, 1, -N(17, 4), -N(17, 4), 1, 1, 0},
                               {0, -1, 1, N(17, 4), -N(17, 4), -1, 1, 0},
                               {0, N(1, 2), N(1, 4), -N(5, 2), -N(5, 4), 2, 1, 0},
                               {0, -N(1, 2), N(1, 4), N(5, 2), -N(5, 4), -2, 1, 0},
                               {0, 2, 4, -N(5, 2), -5, N(1, 2), 1, 0},
                               {0, -2, 4, N(5, 2), -5, -N(1, 2), 1, 0},
                               {0, -1, 0, N(21, 4), 0, -N(21, 4), 0, 1}}},
                        .g = {3,
                              {{-1, 0, 0},
                               {-N(2, 9), -N(2, 9), -N(2, 9)},
                               {-N(2, 9), N(2, 9), -N(2, 9)},
                               {N(1, 90), N(1, 45), N(2, 45)},
                               {N(1, 90), -N(1, 45), N(2, 45)},
                               {N(32, 45), N(16, 45), N(8, 45)},
                               {N(32, 45), -N(16, 45), N(8, 45)},
                               {0, 0, 1}}},
                        .a = {3,
                              {{1, 0, 0, 0, 0, 0},
                               {1, 1, 1, 1, 1, 1},
                               {1, -1, 1, -1, 1, -1},
                               {1, 2, 4, 8, 16, 32},
                               {1, -2, 4, -8, 16, -32},
                               {1, N(1, 2), N(1, 4), N(1, 8), N(1, 16), N(1, 32)},
                               {1, -N(1, 2), N(1, 4), -N(1, 8), N(1, 16), -N(1, 32)},
                               {0, 0, 0, 0, 0, 1}}}},
    [FOV_WINOGRAD_STRIDED] = {.b = {0,
                                    {{2, 0, -1, 0, -2, 0, 1},
                                     {0, 0, -2, 0, -1, 0, 1},
                                     {0, 0, 2, 0, -3, 0, 1},
                                     {0, 0, -1, 0, 0, 0, 1},
                                     {0, 0, 2, 0, -1, 0, -2, 0, 1},
                                     {0, 1},
                                     {0, 0, 0, 1},
                                     {0, 0, 0, 0, 0, 1},
                                     {0, 0, 0, 0, 0, 0, 0, 1}}},
                              .g = {0, STRIDED_FILTER},
                              .a = {1,
                                    {{1}, {1, 1, 1, 1}, {1, -1, 1, -1}, {1, 2, 4, 8}, {0, 0, 0, 1}, {1}, {0, 1}, {0, 0, 1}, {0, 0, 0, 1}}}},
    [FOV_WINOGRAD_STRIDED_BACK] =
        {
            .b = {0,
                  {{2, -1, -2, 1}, {0, -2, -1, 1}, {0, 2, -3, 1}, {0, -1, 0, 1}, {0, 2, -1, -2, 1}, {1}, {0, 1}, {0, 0, 1}, {0, 0, 0, 1}}},
            .g = {0, STRIDED_FILTER},
            .a = {1,
                  {{0, 1},
                   {0, 1, 0, 1, 0, 1, 0, 1},
                   {0, 1, 0, -1, 0, 1, 0, -1},
                   {0, 1, 0, 2, 0, 4, 0, 8},
                   {0, 0, 0, 0, 0, 0, 0, 1},
                   {1},
                   {0, 0, 1},
                   {0, 0, 0, 0, 1},
                   {0, 0, 0, 0, 0, 0, 1}}}},
};

/* ---- matrices ---- */

INLINE int begins_pair(const matrix *m, size_t r) {
    return r % 2 == 1 && r < 2 * m->pairs;
}

INLINE int ends_pair(const matrix *m, size_t r) {
    return r > 0 && begins_pair(m, r - 1);
}

/* Which terms of a row are meant: all, or those that the next row has too, or with the other sign. */
typedef enum terms { ALL, SAME, OPPOSITE } terms;

/* The sum of m->at[r][c] d[c step] over some terms; those without a product come first. */
INLINE vec row_sum(const matrix *m, size_t r, const size_t width, const terms which, const vec *d, size_t step) {
    vec sum = {0};
    int begun = 0;
    UNROLL(18)
    for (size_t i = 0; i < 2 * MOST; i++) {
        const size_t c = i % MOST;
        const fov_real factor = c < width ? m->at[r][c] : 0;
        if (factor != 0 && (factor == 1) == (i < MOST) && (which == ALL || (factor == m->at[r + 1][c]) == (which == SAME))) {
            const vec term = factor == 1 ? d[c * step] : factor * d[c * step];
            sum = begun ? sum + term : term;
            begun = 1;
        }
    }
    return sum;
}

/* o[r] = the sum of m->at[r][c] d[c step]. */
INLINE void times(vec *o, const matrix *m, const size_t rows, const size_t width, const vec *d, size_t step) {
    UNROLL(9)
    for (size_t r = 0; r < rows; r++) {
        if (begins_pair(m, r)) {
            const vec same = row_sum(m, r, width, SAME, d, step), opposite = row_sum(m, r, width, OPPOSITE, d, step);
            o[r] = same + opposite;
            o[r + 1] = same - opposite;
        } else if (!ends_pair(m, r)) {
            o[r] = row_sum(m, r, width, ALL, d, step);
        }
    }
}

/* o[c] = the sum of m->at[r][c] d[r step]. */
INLINE void times_back(vec *o, const matrix *m, const size_t rows, const size_t width, const vec *d, size_t step) {
    vec t[MOST];
    UNROLL(9)
    for (size_t r = 0; r < rows; r++) {
        if (begins_pair(m, r)) {
            t[r] = d[r * step] + d[(r + 1) * step];
            t[r + 1] = d[r * step] - d[(r + 1) * step];
        } else if (!ends_pair(m, r)) {
            t[r] = d[r * step];
        }
    }
    UNROLL(9)
    for (size_t c = 0; c < width; c++) {
        vec sum = {0};
        int begun = 0;
        UNROLL(18)
        for (size_t i = 0; i < 2 * MOST; i++) {
            const size_t r = i % MOST;
            const fov_real factor = r < rows && !ends_pair(m, r) ? m->at[r][c] : 0;
            if (factor != 0 && (factor == 1) == (i < MOST)) {
                const size_t from = begins_pair(m, r) && factor != m->at[r + 1][c] ? r + 1 : r;
                const vec term = factor == 1 ? t[from] : factor * t[from];
                sum = begun ? sum + term : term;
                begun = 1;
            }
        }
        o[c] = sum;
    }
}

/* Places that are stored one after the other: a pointer that moves is one register, all the addresses would be kept in memory. */
INLINE void store_places(fov_real *v, size_t v_step, const vec *o, const size_t count) {
    UNROLL(9)
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

/* ---- pictures ---- */

/* Where the numbers of a window's columns lie in a row, from the first one inside, and which of them are inside. */
typedef struct row_window {
    size_t at[MOST];
    choice inside[MOST];
} row_window;

INLINE row_window row_window_of(const size_t window, const size_t inside[4], size_t x_column) {
    row_window c;
    UNROLL(9)
    for (size_t i = 0; i < window; i++) {
        const int there = i >= inside[2] && i < inside[3];
        c.at[i] = there ? (i - inside[2]) * x_column : 0;
        c.inside[i] = choose(there);
    }
    return c;
}

INLINE void input_tile(const fov_winograd_way way, fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column,
                       const size_t inside[4], const int whole, size_t n) {
    const fov_winograd_axis size = fov_winograd_axis_of(way);
    const filtering *f = &filterings[way];
    const row_window at = row_window_of(size.window, inside, x_column);
    vec t[MOST * MOST];
    for (size_t i = 0; i < n; i += LANES) {
        const fov_real *from = x + i;
        UNROLL(9)
        for (size_t r = 0; r < size.window; r++) {
            vec d[MOST];
            if (whole || (r >= inside[0] && r < inside[1])) {
                UNROLL(9)
                for (size_t c = 0; c < size.window; c++) {
                    d[c] = whole ? load(from + at.at[c]) : load_chosen(at.inside[c], from + at.at[c]);
                }
                times(t + r * size.places, &f->b, size.places, size.window, d, 1);
                from += x_row;
            } else {
                UNROLL(9)
                for (size_t c = 0; c < size.places; c++) {
                    t[r * size.places + c] = (vec){0};
                }
            }
            __asm__("" : "+r"(from) : : "memory"); /* rows go to memory one by one, else all are kept for want of registers */
        }
        UNROLL(9)
        for (size_t c = 0; c < size.places; c++) {
            vec o[MOST];
            times(o, &f->b, size.places, size.window, t + c, size.places);
            store_places(v + i + c * v_step, size.places * v_step, o, size.places);
        }
    }
}

INLINE void input(const fov_winograd_way way, fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column,
                  const size_t inside[4], size_t n) {
    const fov_winograd_axis size = fov_winograd_axis_of(way);
    if (inside[0] == 0 && inside[1] == size.window && inside[2] == 0 && inside[3] == size.window) {
        input_tile(way, v, v_step, x, x_row, x_column, (const size_t[]){0, size.window, 0, size.window}, 1, n);
    } else {
        input_tile(way, v, v_step, x, x_row, x_column, inside, 0, n);
    }
}

INLINE void gradient_tile(const fov_winograd_way way, fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column,
                          size_t rows, size_t columns, const int whole, size_t n) {
    const fov_winograd_axis size = fov_winograd_axis_of(way);
    const filtering *f = &filterings[way];
    for (size_t i = 0; i < n; i += LANES) {
        vec t[MOST * MOST];
        UNROLL(9)
        for (size_t r = 0; r < size.outputs; r++) {
            vec d[MOST];
            UNROLL(9)
            for (size_t c = 0; c < size.outputs; c++) {
                d[c] = whole || (r < rows && c < columns) ? load(x + r * x_row + c * x_column + i) : (vec){0};
            }
            times(t + r * size.places, &f->a, size.places, size.outputs, d, 1);
        }
        UNROLL(9)
        for (size_t c = 0; c < size.places; c++) {
            vec o[MOST];
            times(o, &f->a, size.places, size.outputs, t + c, size.places);
            store_places(v + i + c * v_step, size.places * v_step, o, size.places);
        }
    }
}

INLINE void gradient(const fov_winograd_way way, fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column, size_t rows,
                     size_t columns, size_t n) {
    const fov_winograd_axis size = fov_winograd_axis_of(way);
    if (rows == size.outputs && columns == size.outputs) {
        gradient_tile(way, v, v_step, x, x_row, x_column, size.outputs, size.outputs, 1, n);
    } else {
        gradient_tile(way, v, v_step, x, x_row, x_column, rows, columns, 0, n);
    }
}

INLINE void output_tile(const fov_winograd_way way, fov_real *y, size_t y_row, size_t y_column, size_t rows, size_t columns,
                        const fov_real *m, size_t m_step, const int add, const int whole, size_t n) {
    const fov_winograd_axis size = fov_winograd_axis_of(way);
    const filtering *f = &filterings[way];
    for (size_t i = 0; i < n; i += LANES) {
        vec t[MOST * MOST];
        const fov_real *from = m + i;
        UNROLL(9)
        for (size_t r = 0; r < size.places; r++) {
            vec d[MOST];
            UNROLL(9)
            for (size_t c = 0; c < size.places; c++) {
                d[c] = load(from);
                from += m_step;
                __asm__("" : "+r"(from));
            }
            times_back(t + r * size.outputs, &f->a, size.places, size.outputs, d, 1);
        }
        UNROLL(9)
        for (size_t c = 0; c < size.outputs; c++) {
            vec o[MOST];
            times_back(o, &f->a, size.places, size.outputs, t + c, size.outputs);
            UNROLL(9)
            for (size_t r = 0; r < size.outputs; r++) {
                if (whole || (r < rows && c < columns)) {
                    fov_real *to = y + r * y_row + c * y_column + i;
                    store(to, add ? load(to) + o[r] : o[r]);
                }
            }
        }
    }
}

INLINE void output(const fov_winograd_way way, fov_real *y, size_t y_row, size_t y_column, size_t rows, size_t columns, const fov_real *m,
                   size_t m_step, int add, size_t n) {
    const fov_winograd_axis size = fov_winograd_axis_of(way);
    if (add) {
        output_tile(way, y, y_row, y_column, rows, columns, m, m_step, 1, 0, n);
    } else if (rows < size.outputs || columns < size.outputs) {
        output_tile(way, y, y_row, y_column, rows, columns, m, m_step, 0, 0, n);
    } else {
        output_tile(way, y, y_row, y_column, size.outputs, size.outputs, m, m_step, 0, 1, n);
    }
}

/* ---- weights ---- */

INLINE void filter(const fov_winograd_way way, fov_real *u, size_t u_step, const fov_real *w, size_t w_step, size_t n) {
    const fov_winograd_axis size = fov_winograd_axis_of(way);
    const filtering *f = &filterings[way];
    for (size_t i = 0; i < n; i += LANES) {
        vec t[3 * MOST];
        UNROLL(3)
        for (size_t r = 0; r < 3; r++) {
            const vec d[3] = {load(w + 3 * r * w_step + i), load(w + (3 * r + 1) * w_step + i), load(w + (3 * r + 2) * w_step + i)};
            times(t + r * size.places, &f->g, size.places, 3, d, 1);
        }
        UNROLL(9)
        for (size_t c = 0; c < size.places; c++) {
            vec o[MOST];
            times(o, &f->g, size.places, 3, t + c, size.places);
            store_places(u + i + c * u_step, size.places * u_step, o, size.places);
        }
    }
}

INLINE void filter_gradient(const fov_winograd_way way, fov_real *w, size_t w_step, const fov_real *u, size_t u_step, int add, size_t n) {
    const fov_winograd_axis size = fov_winograd_axis_of(way);
    const filtering *f = &filterings[way];
    for (size_t i = 0; i < n; i += LANES) {
        vec t[3 * MOST];
        UNROLL(9)
        for (size_t r = 0; r < size.places; r++) {
            vec d[MOST];
            UNROLL(9)
            for (size_t c = 0; c < size.places; c++) {
                d[c] = load(u + (r * size.places + c) * u_step + i);
            }
            times_back(t + 3 * r, &f->g, size.places, 3, d, 1);
        }
        UNROLL(3)
        for (size_t c = 0; c < 3; c++) {
            vec o[3];
            times_back(o, &f->g, size.places, 3, t + c, 3);
            UNROLL(3)
            for (size_t r = 0; r < 3; r++) {
                fov_real *to = w + (3 * r + c) * w_step + i;
                store(to, add ? load(to) + o[r] : o[r]);
            }
        }
    }
}

/* ---- entries ---- */

/* RUN with the way as a constant. */
#define X(name, ...)                                                                                                                       \
    case FOV_WINOGRAD_##name:                                                                                                              \
        RUN(FOV_WINOGRAD_##name);                                                                                                          \
        break;
#define BY_WAY(way)                                                                                                                        \
    switch (way) {                                                                                                                         \
        FOV_WINOGRAD_EACH(X)                                                                                                               \
    case FOV_WINOGRAD_WAYS:                                                                                                                \
        break;                                                                                                                             \
    }

void FOV_ISA_FN(winograd_input)(fov_winograd_way way, fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column,
                                const size_t inside[4], size_t n) {
#define RUN(constant) input(constant, v, v_step, x, x_row, x_column, inside, n)
    BY_WAY(way)
#undef RUN
}

void FOV_ISA_FN(winograd_gradient)(fov_winograd_way way, fov_real *v, size_t v_step, const fov_real *x, size_t x_row, size_t x_column,
                                   size_t rows, size_t columns, size_t n) {
#define RUN(constant) gradient(constant, v, v_step, x, x_row, x_column, rows, columns, n)
    BY_WAY(way)
#undef RUN
}

void FOV_ISA_FN(winograd_output)(fov_winograd_way way, fov_real *y, size_t y_row, size_t y_column, size_t rows, size_t columns,
                                 const fov_real *m, size_t m_step, int add, size_t n) {
#define RUN(constant) output(constant, y, y_row, y_column, rows, columns, m, m_step, add, n)
    BY_WAY(way)
#undef RUN
}

void FOV_ISA_FN(winograd_filter)(fov_winograd_way way, fov_real *u, size_t u_step, const fov_real *w, size_t w_step, size_t n) {
#define RUN(constant) filter(constant, u, u_step, w, w_step, n)
    BY_WAY(way)
#undef RUN
}

void FOV_ISA_FN(winograd_filter_gradient)(fov_winograd_way way, fov_real *w, size_t w_step, const fov_real *u, size_t u_step, int add,
                                          size_t n) {
#define RUN(constant) filter_gradient(constant, w, w_step, u, u_step, add, n)
    BY_WAY(way)
#undef RUN
}
