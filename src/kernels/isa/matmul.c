/* Matrix products from register tiles: C [m, n] = alpha A [m, k] B [k, n] + beta C.
 *
 * The tile of C stays in registers while k runs: TILE_ROWS rows of two vectors each, one broadcast number of A against two vectors of B
 * (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 2008). 14 x 32 floats fill the 32 registers of
 * AVX-512 and 6 x 16 the 16 of AVX2, and leave the load ports idle enough for B to come from L2. Both operands are first copied into
 * panels in the order in which they are read. Tiles depend on the shape alone. A tile may take its k in several segments, which lets a
 * convolution run over the taps of its window without copying the window (see ops/conv2d.c).
 *
 * Written with vector types, so that one source serves every set and both precisions. */
#include "kernels/isa_tile.h"

#if defined(__AVX512F__)
#include "kernels/isa_transpose.h"
#endif

enum {
    BLOCK_K = 384,                                                                     /* rows of a packed block of B */
    BLOCK_N = 393216 / (BLOCK_K * (int)sizeof(fov_real)) / TILE_COLUMNS * TILE_COLUMNS /* and its columns: 384 KiB, most of an L2 cache */
};

/* A tile's operands, see kernels.def; and what is asked for meanwhile, a line at each step of k: more at a time would hold up the loads
 * that the sums wait for. */
typedef struct operands {
    const fov_real *a, *b;
    size_t a_stride, a_step, b_stride, b_step, k, segments;
    const char *ahead;
    size_t ahead_step;
} operands;

size_t FOV_ISA_FN(tile_rows)(void) {
    return TILE_ROWS;
}

size_t FOV_ISA_FN(tile_columns)(void) {
    return TILE_COLUMNS;
}

INLINE void store_row(fov_real *c, vec x0, vec x1, fov_real alpha, fov_real beta) {
    if (beta == 0) {
        store(c, x0 * alpha);
        store(c + LANES, x1 * alpha);
    } else {
        store(c, x0 * alpha + load(c) * beta);
        store(c + LANES, x1 * alpha + load(c + LANES) * beta);
    }
}

/* One full-width tile. `rows` is a constant wherever this is expanded, so that rows beyond it vanish. */
INLINE void panel_tile(const size_t rows, fov_real *c, size_t c_stride, const operands *o, fov_real alpha, fov_real beta) {
#define DECLARE(i) vec x##i = {0}, y##i = {0};
    EACH_ROW(DECLARE)
#undef DECLARE
    prefetch_tile(rows, c, c_stride);
    const char *ahead = o->ahead;
    for (size_t s = 0; s < o->segments; s++) {
        __asm__ volatile("" : "+r"(o) : : "memory"); /* else what an inner loop does not use stays in registers that it needs */
        const size_t a_stride = o->a_stride, b_stride = o->b_stride, ahead_step = o->ahead_step;
        const fov_real *a = o->a + s * o->a_step;
        const fov_real *b = o->b + s * o->b_step;
        for (size_t p = o->k; p > 0; p--) {
            const vec b0 = load(b);
            const vec b1 = load(b + LANES);
#define STEP(i)                                                                                                                            \
    if (rows > i) {                                                                                                                        \
        const fov_real t = a[i];                                                                                                           \
        x##i += b0 * t;                                                                                                                    \
        y##i += b1 * t;                                                                                                                    \
    }
            EACH_ROW(STEP)
#undef STEP
            __builtin_prefetch(ahead, 0, 2);
            ahead += ahead_step;
            a += a_stride;
            b += b_stride;
        }
    }
    __asm__("" : "+r"(c_stride)); /* else addresses of rows of C are kept from before the loop, in more registers than there are */
#define STORE(i)                                                                                                                           \
    if (rows > i) {                                                                                                                        \
        store_row(c + i * c_stride, x##i, y##i, alpha, beta);                                                                              \
    }
    EACH_ROW(STORE)
#undef STORE
}

#define TILE(n)                                                                                                                            \
    static void tile_##n(fov_real *c, size_t c_stride, const operands *o, fov_real alpha, fov_real beta) {                                 \
        panel_tile(n, c, c_stride, o, alpha, beta);                                                                                        \
    }
EACH_TILE(TILE)
#undef TILE

typedef void (*tile_fn)(fov_real *c, size_t c_stride, const operands *o, fov_real alpha, fov_real beta);

#define NAME(n) tile_##n,
static const tile_fn tiles[TILE_ROWS + 1] = {NULL, EACH_TILE(NAME)};
#undef NAME

/* The same with A as it lies in memory, a_stride between its rows. Every third row has a pointer; the others are addressed from it. */
INLINE void direct_tile(const size_t rows, fov_real *c, size_t c_stride, const operands *o, fov_real beta) {
#define DECLARE(i) vec x##i = {0}, y##i = {0};
    EACH_ROW(DECLARE)
#undef DECLARE
    prefetch_tile(rows, c, c_stride);
    const size_t stride = o->a_stride, b_stride = o->b_stride, ahead_step = o->ahead_step;
    const char *ahead = o->ahead;
    const fov_real *a0 = o->a, *a3 = a0 + (rows > 3 ? 3 * stride : 0), *a6 = a0 + (rows > 6 ? 6 * stride : 0);
    const fov_real *a9 = a0 + (rows > 9 ? 9 * stride : 0), *a12 = a0 + (rows > 12 ? 12 * stride : 0), *b = o->b;
    for (size_t p = o->k; p > 0; p--) {
        __asm__("" : "+r"(a0), "+r"(a3), "+r"(a6), "+r"(a9), "+r"(a12)); /* else each row gets a pointer, more than there are registers */
        const vec b0 = load(b);
        const vec b1 = load(b + LANES);
#define STEP(i)                                                                                                                            \
    if (rows > i) {                                                                                                                        \
        const fov_real t = ((i) < 3 ? a0 : (i) < 6 ? a3 : (i) < 9 ? a6 : (i) < 12 ? a9 : a12)[(i) % 3 * stride];                           \
        x##i += b0 * t;                                                                                                                    \
        y##i += b1 * t;                                                                                                                    \
    }
        EACH_ROW(STEP)
#undef STEP
        __builtin_prefetch(ahead, 0, 2);
        ahead += ahead_step;
        a0++;
        a3++;
        a6++;
        a9++;
        a12++;
        b += b_stride;
    }
    __asm__("" : "+r"(c_stride)); /* else addresses of rows of C are kept from before the loop, in more registers than there are */
#define STORE(i)                                                                                                                           \
    if (rows > i) {                                                                                                                        \
        store_row(c + i * c_stride, x##i, y##i, 1, beta);                                                                                  \
    }
    EACH_ROW(STORE)
#undef STORE
}

#define DIRECT(n)                                                                                                                          \
    static void direct_##n(fov_real *c, size_t c_stride, const operands *o, fov_real alpha, fov_real beta) {                               \
        (void)alpha;                                                                                                                       \
        direct_tile(n, c, c_stride, o, beta);                                                                                              \
    }
EACH_TILE(DIRECT)
#undef DIRECT

#define NAME(n) direct_##n,
static const tile_fn directs[TILE_ROWS + 1] = {NULL, EACH_TILE(NAME)};
#undef NAME

/* A tile of fewer columns is computed at full width into a buffer: packed panels of B are filled up with zeros. */
static void tile_narrow(tile_fn tile, fov_real *c, size_t c_stride, size_t rows, size_t columns, const operands *o, fov_real alpha,
                        fov_real beta) {
    _Alignas(64) fov_real buffer[TILE_ROWS * TILE_COLUMNS];
    tile(buffer, TILE_COLUMNS, o, alpha, 0);
    store_narrow(c, c_stride, buffer, rows, columns, beta);
}

void FOV_ISA_FN(gemm_tile)(fov_real *c, size_t c_stride, size_t rows, size_t columns, const fov_real *a, size_t a_stride, size_t a_step,
                           const fov_real *b, size_t b_step, size_t k, size_t segments, fov_real alpha, fov_real beta) {
    const operands o = {.a = a,
                        .b = b,
                        .a_stride = a_stride,
                        .a_step = a_step,
                        .b_stride = TILE_COLUMNS,
                        .b_step = b_step,
                        .k = k,
                        .segments = segments,
                        .ahead = (const char *)b};
    if (columns == TILE_COLUMNS) {
        tiles[rows](c, c_stride, &o, alpha, beta);
    } else {
        tile_narrow(tiles[rows], c, c_stride, rows, columns, &o, alpha, beta);
    }
}

void FOV_ISA_FN(gemm_tile_ahead)(fov_real *c, size_t c_stride, size_t rows, size_t columns, const fov_real *a, size_t a_lane,
                                 size_t a_stride, const fov_real *b, size_t b_stride, size_t k, fov_real beta, const void *ahead,
                                 size_t ahead_step) {
    const operands o = {.a = a,
                        .b = b,
                        .a_stride = a_lane == 1 ? a_stride : a_lane,
                        .b_stride = b_stride,
                        .k = k,
                        .segments = 1,
                        .ahead = ahead,
                        .ahead_step = ahead_step};
    const tile_fn tile = (a_lane == 1 ? tiles : directs)[rows];
    if (columns == TILE_COLUMNS) {
        tile(c, c_stride, &o, 1, beta);
    } else {
        tile_narrow(tile, c, c_stride, rows, columns, &o, 1, beta);
    }
}

void FOV_ISA_FN(gemm_tile_at)(fov_real *c, size_t c_stride, size_t rows, size_t columns, const fov_real *a, size_t a_lane, size_t a_stride,
                              const fov_real *b, size_t b_stride, size_t k, fov_real beta) {
    FOV_ISA_FN(gemm_tile_ahead)(c, c_stride, rows, columns, a, a_lane, a_stride, b, b_stride, k, beta, b, 0);
}

#if defined(__AVX512F__) && !defined(FOVEA_DOUBLE)
static void interleave_16(float *y, size_t y_stride, size_t width, const float *x, size_t x_stride, size_t lanes, size_t n) {
    const __mmask16 kept = (__mmask16)((1U << width) - 1U);
    for (size_t i = 0; i < n; i += 16) {
        const size_t left = n - i < 16 ? n - i : 16;
        const __mmask16 there = (__mmask16)((1U << left) - 1U);
        __m512 r[16];
#pragma GCC unroll 16
        for (size_t l = 0; l < 16; l++) {
            r[l] = l < lanes ? _mm512_maskz_loadu_ps(there, x + l * x_stride + i) : _mm512_setzero_ps();
        }
        transpose_16(r);
#pragma GCC unroll 16
        for (size_t j = 0; j < 16; j++) {
            if (j < left) {
                _mm512_mask_storeu_ps(y + (i + j) * y_stride, kept, r[j]);
            }
        }
    }
}

void FOV_ISA_FN(pack_lanes)(fov_real *y, size_t width, const fov_real *x, size_t x_stride, size_t lanes, size_t n) {
    for (size_t l = 0; l < width; l += 16) {
        const size_t here = lanes <= l ? 0 : (lanes - l < 16 ? lanes - l : 16);
        interleave_16(y + l, width, width - l < 16 ? width - l : 16, x + l * x_stride, x_stride, here, n);
    }
}

void FOV_ISA_FN(pack_rows)(fov_real *y, size_t y_stride, size_t width, const fov_real *x, size_t x_stride, size_t lanes, size_t n) {
    for (size_t l = 0; l < width; l += 16) {
        const size_t here = lanes <= l ? 0 : (lanes - l < 16 ? lanes - l : 16);
        const __mmask16 there = (__mmask16)((1U << here) - 1U);
        const __mmask16 kept = (__mmask16)(width - l < 16 ? (1U << (width - l)) - 1U : 0xffffU);
        for (size_t i = 0; i < n; i++) {
            __builtin_prefetch(x + (i + n) * x_stride + l); /* which are packed next, as a rule */
            _mm512_mask_storeu_ps(y + i * y_stride + l, kept, _mm512_maskz_loadu_ps(there, x + i * x_stride + l));
        }
    }
}
#else
void FOV_ISA_FN(pack_lanes)(fov_real *y, size_t width, const fov_real *x, size_t x_stride, size_t lanes, size_t n) {
    for (size_t first = 0; first < n; first += 16) { /* 16 rows of y stay in L1 while each lane adds its part */
        const size_t last = n - first < 16 ? n : first + 16;
        for (size_t l = 0; l < width; l++) {
            for (size_t i = first; i < last; i++) {
                y[i * width + l] = l < lanes ? x[l * x_stride + i] : 0;
            }
        }
    }
}

void FOV_ISA_FN(pack_rows)(fov_real *y, size_t y_stride, size_t width, const fov_real *x, size_t x_stride, size_t lanes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (size_t l = 0; l < lanes; l++) {
            y[i * y_stride + l] = x[i * x_stride + l];
        }
        for (size_t l = lanes; l < width; l++) {
            y[i * y_stride + l] = 0;
        }
    }
}
#endif

/* `lanes` rows of an operand whose element (lane, p) lies at lane * stride + p, or p * stride + lane when `along`. */
static void pack(fov_real *y, size_t width, const fov_real *x, size_t stride, int along, size_t lanes, size_t n) {
    if (along) {
        FOV_ISA_FN(pack_rows)(y, width, width, x, stride, lanes, n);
    } else {
        FOV_ISA_FN(pack_lanes)(y, width, x, stride, lanes, n);
    }
}

/* Rows of C against one packed block of B, k of them. */
static void block_rows(fov_real *c, size_t c_stride, const fov_real *a, size_t a_stride, int a_transposed, const fov_real *packed,
                       const size_t size[3], fov_real alpha, fov_real beta) {
    const size_t m = size[0];
    const size_t n = size[1];
    const size_t k = size[2];
    _Alignas(64) fov_real panel[TILE_ROWS * BLOCK_K];
    const size_t count = (m + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t t = 0; t < count; t++) {
        const size_t first = m * t / count;
        const size_t rows = m * (t + 1) / count - first;
        pack(panel, rows, a + first * (a_transposed ? 1 : a_stride), a_stride, a_transposed, rows, k);
        for (size_t j = 0; j < n; j += TILE_COLUMNS) {
            const size_t columns = n - j < TILE_COLUMNS ? n - j : TILE_COLUMNS;
            FOV_ISA_FN(gemm_tile)(c + first * c_stride + j, c_stride, rows, columns, panel, rows, 0, packed + j * k, 0, k, 1, alpha, beta);
        }
    }
}

void FOV_ISA_FN(gemm)(fov_real *c, size_t c_stride, const fov_real *a, size_t a_stride, int a_transposed, const fov_real *b,
                      size_t b_stride, int b_transposed, size_t m, size_t n, size_t k, fov_real alpha, fov_real beta) {
    _Alignas(64) fov_real packed[BLOCK_K * BLOCK_N];
    const size_t cuts = k == 0 ? 1 : (k + BLOCK_K - 1) / BLOCK_K;
    for (size_t j = 0; j < n; j += BLOCK_N) {
        const size_t columns = n - j < BLOCK_N ? n - j : BLOCK_N;
        for (size_t cut = 0; cut < cuts; cut++) {
            const size_t p = k * cut / cuts;
            const size_t depth = k * (cut + 1) / cuts - p;
            for (size_t i = 0; i < columns; i += TILE_COLUMNS) {
                const size_t lanes = columns - i < TILE_COLUMNS ? columns - i : TILE_COLUMNS;
                const fov_real *from = b_transposed ? b + (j + i) * b_stride + p : b + p * b_stride + j + i;
                pack(packed + i * depth, TILE_COLUMNS, from, b_stride, !b_transposed, lanes, depth);
            }
            const size_t size[3] = {m, columns, depth};
            block_rows(c + j, c_stride, a_transposed ? a + p * a_stride : a + p, a_stride, a_transposed, packed, size, alpha,
                       cut == 0 ? beta : 1);
        }
    }
}
