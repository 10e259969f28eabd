/* Sizes of register tiles and what all of them need, and the tile that products with an epilogue of their own are made of. For files in
 * src/kernels/isa.
 *
 * A tile of C [rows, width vectors] stays in registers while k runs, one broadcast number of A against `width` vectors of B (Goto and van
 * de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 2008). 14 x 32 floats fill the 32 registers of AVX-512, 6 x 16
 * the 16 of AVX2. */
#ifndef FOV_KERNELS_ISA_TILE_H
#define FOV_KERNELS_ISA_TILE_H

#include "kernels/isa_vector.h"

/* X(n) for every number of rows that a tile can have; X(i) for every row of the largest one. */
#if defined(__AVX512F__)
#define TILE_ROWS 14
#define EACH_TILE(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#else
#define TILE_ROWS 6
#define EACH_TILE(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)
#endif

enum { TILE_COLUMNS = 2 * LANES };

/* Asks for the lines of C before the sums that go there begin. */
INLINE void prefetch_tile(size_t rows, const fov_real *c, size_t c_stride) {
    for (size_t i = 0; i < rows; i++) {
        __builtin_prefetch(c + i * c_stride, 1);
        __builtin_prefetch(c + i * c_stride + TILE_COLUMNS - 1, 1);
    }
}

/* C [rows, columns] = tile + beta C, of a tile that was computed at its full width, TILE_COLUMNS between rows; beta is 0 (C is not read)
 * or 1. */
INLINE void store_narrow(fov_real *c, size_t c_stride, const fov_real *tile, size_t rows, size_t columns, fov_real beta) {
    for (size_t i = 0; i < rows; i++) {
        const fov_real *x = tile + i * TILE_COLUMNS;
        fov_real *y = c + i * c_stride;
        for (size_t j = 0; j < columns; j++) {
            y[j] = beta == 0 ? x[j] : x[j] + beta * y[j];
        }
    }
}

INLINE void store_sum(fov_real *c, vec x, int add) {
    store(c, add ? x + load(c) : x);
}

/* Memory that is asked for while a tile is made, two lines at each of its steps: more at a time would hold up the loads that the sums wait
 * for. It is asked for as if it were for L1, although little of it stays there until it is read: what is asked for L2 alone comes later
 * when memory is busy. Pieces of `count` steps, `step` bytes apart, and `jump` from the last of a piece to the next piece. */
typedef struct tile_ahead {
    const char *at;
    size_t step, jump, count;
} tile_ahead;

/* Operands of a tile. Step p of B is at b + p b_row, as many numbers as the tile is wide. A's number for row i and step p lies at
 * a[i a_row + p a_step], where either a_row or a_step is 1; after every `segment` steps (at least k: never) it goes on at a + a_jump.
 * tops, unless NULL, are raised to the largest of each column of alpha A B; for distant rows of A only. */
typedef struct tile_operands {
    const fov_real *a, *b;
    size_t a_row, a_step, a_jump, b_row, segment, k;
    fov_real *tops;
    tile_ahead ahead;
} tile_operands;

typedef vec tile_sums[TILE_ROWS][3];

INLINE void scale_rows(const size_t rows, tile_sums sum, const fov_real *alpha) {
#pragma GCC unroll 14
    for (size_t i = 0; i < TILE_ROWS; i++) {
        if (i < rows) {
            sum[i][0] *= alpha[i];
            sum[i][1] *= alpha[i];
            sum[i][2] *= alpha[i];
        }
    }
}

/* Raises tops to the largest of each column. */
INLINE void raise_tops(const size_t rows, const size_t width, tile_sums sum, fov_real *tops) {
#pragma GCC unroll 3
    for (size_t j = 0; j < 3; j++) {
        if (j < width) {
            vec top = load(tops + j * LANES);
#pragma GCC unroll 14
            for (size_t i = 0; i < TILE_ROWS; i++) {
                top = i < rows ? larger(top, sum[i][j]) : top;
            }
            store(tops + j * LANES, top);
        }
    }
}

INLINE void store_sums(const size_t rows, const size_t width, tile_sums sum, fov_real *c, size_t c_stride, int add) {
#pragma GCC unroll 14
    for (size_t i = 0; i < TILE_ROWS; i++) {
        if (i < rows) {
            store_sum(c, sum[i][0], add);
            if (width > 1) {
                store_sum(c + LANES, sum[i][1], add);
            }
            if (width > 2) {
                store_sum(c + 2 * LANES, sum[i][2], add);
            }
            c += c_stride;
            __asm__("" : "+r"(c)); /* one address after the other */
        }
    }
}

/* C (+)= alpha[row] A B (alpha NULL: 1), c_stride between rows of C. rows, width (1 to 3 vectors) and whether rows of A are adjacent (else
 * its steps are) are constants wherever this is expanded, so that loops over them unroll and what lies beyond vanishes. Of distant rows
 * every third has a pointer, and the others are addressed from it. */
INLINE void tile_of(const size_t rows, const size_t width, const int adjacent, fov_real *c, size_t c_stride, const tile_operands *o,
                    const fov_real *alpha, int add) {
    tile_sums sum;
#pragma GCC unroll 14
    for (size_t i = 0; i < TILE_ROWS; i++) {
        sum[i][0] = sum[i][1] = sum[i][2] = (vec){0};
    }
    const size_t a_row = adjacent ? 1 : o->a_row, a_step = adjacent ? o->a_step : 1, b_row = o->b_row;
    const fov_real *b = o->b, *segment = o->a;
    const char *ahead = o->ahead.at;
    const size_t ahead_step = o->ahead.step, ahead_jump = o->ahead.jump, ahead_count = o->ahead.count;
    size_t ahead_left = ahead_count;
    for (size_t left = o->k, steps; left > 0; left -= steps, segment += o->a_jump) {
        const fov_real *a0 = segment, *a3 = a0 + (rows > 3 ? 3 * a_row : 0), *a6 = a0 + (rows > 6 ? 6 * a_row : 0);
        const fov_real *a9 = a0 + (rows > 9 ? 9 * a_row : 0), *a12 = a0 + (rows > 12 ? 12 * a_row : 0);
        steps = left < o->segment ? left : o->segment;
        for (size_t p = steps; p > 0; p--) {
            if (!adjacent) { /* else each row gets a pointer, more than there are registers */
                __asm__("" : "+r"(a0), "+r"(a3), "+r"(a6), "+r"(a9), "+r"(a12));
            }
            const vec b0 = load(b), b1 = width > 1 ? load(b + LANES) : b0, b2 = width > 2 ? load(b + 2 * LANES) : b0;
#pragma GCC unroll 14
            for (size_t i = 0; i < TILE_ROWS; i++) {
                if (i < rows) {
                    const fov_real t = adjacent ? a0[i] : (i < 3 ? a0 : i < 6 ? a3 : i < 9 ? a6 : i < 12 ? a9 : a12)[i % 3 * a_row];
                    sum[i][0] += b0 * t;
                    if (width > 1) {
                        sum[i][1] += b1 * t;
                    }
                    if (width > 2) {
                        sum[i][2] += b2 * t;
                    }
                }
            }
            __builtin_prefetch(ahead, 0, 3);
            __builtin_prefetch(ahead + 64, 0, 3);
            ahead_left--;
            ahead += ahead_left == 0 ? ahead_jump : ahead_step;
            ahead_left = ahead_left == 0 ? ahead_count : ahead_left;
            a0 += a_step;
            a3 += a_step;
            a6 += a_step;
            a9 += a_step;
            a12 += a_step;
            b += b_row;
        }
    }
    if (alpha != NULL) {
        scale_rows(rows, sum, alpha);
    }
    if (!adjacent && o->tops != NULL) {
        raise_tops(rows, width, sum, o->tops);
    }
    store_sums(rows, width, sum, c, c_stride, add);
}

#endif
