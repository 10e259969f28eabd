/* Matrix products of operands rounded to bfloat16, summed in float: the panels and the tile that gemm.c uses for them.
 *
 * A bfloat16 is the upper half of a float, so its products are exact in float and only the rounding of operands differs from
 * isa/matmul.c. vdpbf16ps multiplies pairs: a 32-bit word of a panel holds two steps of k, the earlier one in its lower half, and a tile
 * makes twice the products in as many instructions. Sets without AVX512-BF16 have plain loops: a reference for tests, too slow to use. */
#include <string.h>

#include "kernels/isa_tile.h"

#if defined(__AVX512BF16__) && !defined(FOVEA_DOUBLE)

#include "kernels/isa_transpose.h"

static inline __m512i to_pairs(__m512 earlier, __m512 later) {
    return (__m512i)_mm512_cvtne2ps_pbh(later, earlier);
}

static inline __mmask16 first_lanes(size_t n) {
    return (__mmask16)(n < 16 ? (1U << n) - 1U : 0xffffU);
}

void FOV_ISA_FN(bf16_pack_lanes)(uint32_t *y, size_t width, const fov_real *x, size_t x_stride, size_t lanes, size_t n) {
    for (size_t first = 0; first < width; first += 16) {
        const __mmask16 kept = first_lanes(width - first);
        for (size_t i = 0; i < n; i += 32) {
            const size_t pairs = n - i < 32 ? (n - i + 1) / 2 : 16;
            const __mmask16 low = first_lanes(n - i), high = first_lanes(n - i > 16 ? n - i - 16 : 0);
            __m512 r[16];
#pragma GCC unroll 16
            for (size_t l = 0; l < 16; l++) {
                const float *row = x + (first + l) * x_stride + i;
                const __mmask16 there = first + l < lanes ? 0xffffU : 0;
                r[l] =
                    _mm512_castsi512_ps(to_pairs(_mm512_maskz_loadu_ps(low & there, row), _mm512_maskz_loadu_ps(high & there, row + 16)));
            }
            transpose_16(r);
#pragma GCC unroll 16
            for (size_t j = 0; j < 16; j++) {
                if (j < pairs) {
                    _mm512_mask_storeu_ps(y + (i / 2 + j) * width + first, kept, r[j]);
                }
            }
        }
    }
}

void FOV_ISA_FN(bf16_pack_rows)(uint32_t *y, size_t width, const fov_real *x, size_t x_stride, size_t lanes, size_t n) {
    /* Words of two rows in turn, from all of one row before all of the other. */
    const __m512i turns = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3,
                                           18, 2, 17, 1, 16, 0);
    for (size_t first = 0; first < width; first += 16) {
        const __mmask16 kept = first_lanes(width - first), there = first_lanes(lanes > first ? lanes - first : 0);
        for (size_t i = 0; i < n; i += 2) {
            const float *row = x + i * x_stride + first;
            __builtin_prefetch(row + n * x_stride); /* which are packed next, as a rule */
            __builtin_prefetch(row + (n + 1) * x_stride);
            const __m512 earlier = _mm512_maskz_loadu_ps(there, row);
            const __m512 later = _mm512_maskz_loadu_ps(i + 1 < n ? there : 0, row + x_stride);
            _mm512_mask_storeu_epi32(y + i / 2 * width + first, kept, _mm512_permutexvar_epi16(turns, to_pairs(earlier, later)));
        }
    }
}

/* One full-width tile; `rows` is a constant wherever this is expanded, so that rows beyond it vanish. */
INLINE void pair_tile(const size_t rows, float *c, size_t c_stride, const uint32_t *a, const uint32_t *b, size_t pairs, float beta) {
#define DECLARE(i) __m512 x##i = _mm512_setzero_ps(), y##i = _mm512_setzero_ps();
    EACH_ROW(DECLARE)
#undef DECLARE
    prefetch_tile(rows, c, c_stride);
    for (size_t p = pairs; p > 0; p--) {
        const __m512bh b0 = (__m512bh)_mm512_loadu_si512(b), b1 = (__m512bh)_mm512_loadu_si512(b + 16);
#define STEP(i)                                                                                                                            \
    if (rows > i) {                                                                                                                        \
        const __m512bh t = (__m512bh)_mm512_set1_epi32((int)a[i]);                                                                         \
        x##i = _mm512_dpbf16_ps(x##i, b0, t);                                                                                              \
        y##i = _mm512_dpbf16_ps(y##i, b1, t);                                                                                              \
    }
        EACH_ROW(STEP)
#undef STEP
        a += rows;
        b += TILE_COLUMNS;
    }
#define STORE(i)                                                                                                                           \
    if (rows > i) {                                                                                                                        \
        float *to = c + i * c_stride;                                                                                                      \
        _mm512_storeu_ps(to, beta == 0 ? x##i : _mm512_fmadd_ps(_mm512_set1_ps(beta), _mm512_loadu_ps(to), x##i));                         \
        _mm512_storeu_ps(to + 16, beta == 0 ? y##i : _mm512_fmadd_ps(_mm512_set1_ps(beta), _mm512_loadu_ps(to + 16), y##i));               \
    }
    EACH_ROW(STORE)
#undef STORE
}

#define TILE(n)                                                                                                                            \
    static void tile_##n(float *c, size_t c_stride, const uint32_t *a, const uint32_t *b, size_t pairs, float beta) {                      \
        pair_tile(n, c, c_stride, a, b, pairs, beta);                                                                                      \
    }
EACH_TILE(TILE)
#undef TILE

typedef void (*tile_fn)(float *c, size_t c_stride, const uint32_t *a, const uint32_t *b, size_t pairs, float beta);

#define NAME(n) tile_##n,
static const tile_fn tiles[TILE_ROWS + 1] = {NULL, EACH_TILE(NAME)};
#undef NAME

static void whole_tile(float *c, size_t c_stride, size_t rows, const uint32_t *a, const uint32_t *b, size_t pairs, float beta) {
    tiles[rows](c, c_stride, a, b, pairs, beta);
}

#else

static uint32_t rounded(fov_real number) {
    const float x = (float)number;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffU) > 0x7f800000U) {
        return bits >> 16 | 0x40U; /* not a number stays so */
    }
    return (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16; /* to the nearest, ties to even */
}

static fov_real value(uint32_t half) {
    const uint32_t bits = half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return (fov_real)x;
}

void FOV_ISA_FN(bf16_pack_lanes)(uint32_t *y, size_t width, const fov_real *x, size_t x_stride, size_t lanes, size_t n) {
    for (size_t i = 0; i < n; i += 2) {
        for (size_t l = 0; l < width; l++) {
            const fov_real *pair = x + l * x_stride + i;
            y[i / 2 * width + l] = l < lanes ? rounded(pair[0]) | (i + 1 < n ? rounded(pair[1]) << 16 : 0) : 0;
        }
    }
}

void FOV_ISA_FN(bf16_pack_rows)(uint32_t *y, size_t width, const fov_real *x, size_t x_stride, size_t lanes, size_t n) {
    for (size_t i = 0; i < n; i += 2) {
        for (size_t l = 0; l < width; l++) {
            const fov_real *pair = x + i * x_stride + l;
            y[i / 2 * width + l] = l < lanes ? rounded(pair[0]) | (i + 1 < n ? rounded(pair[x_stride]) << 16 : 0) : 0;
        }
    }
}

static void whole_tile(fov_real *c, size_t c_stride, size_t rows, const uint32_t *a, const uint32_t *b, size_t pairs, fov_real beta) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < TILE_COLUMNS; j++) {
            fov_real sum = 0;
            for (size_t p = 0; p < pairs; p++) {
                const uint32_t left = a[p * rows + i], right = b[p * TILE_COLUMNS + j];
                sum += value(left & 0xffffU) * value(right & 0xffffU) + value(left >> 16) * value(right >> 16);
            }
            c[i * c_stride + j] = beta == 0 ? sum : sum + beta * c[i * c_stride + j];
        }
    }
}

#endif

void FOV_ISA_FN(bf16_tile)(fov_real *c, size_t c_stride, size_t rows, size_t columns, const uint32_t *a, const uint32_t *b, size_t pairs,
                           fov_real beta) {
    if (columns == TILE_COLUMNS) {
        whole_tile(c, c_stride, rows, a, b, pairs, beta);
        return;
    }
    _Alignas(64) fov_real buffer[TILE_ROWS * TILE_COLUMNS];
    whole_tile(buffer, TILE_COLUMNS, rows, a, b, pairs, 0);
    store_narrow(c, c_stride, buffer, rows, columns, beta);
}
