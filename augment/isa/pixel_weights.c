/* Weights of a resize, computed in the reference's double arithmetic for eight outputs at once, one to a lane, so that each output's
 * weights are summed in the reference's order. Fixed-point weights are then written as the set's multiply-add takes them.
 *
 * f is the triangle, or the cubic with a = -1/2; both sides of the cubic are computed and one is chosen, which has no branch. */
#include <math.h>
#include <string.h>

#include "augment/isa/pixel_simd.h"

#define TILE FOV_FILTER_TILE
#define FRACTION_ONE 4194304.0 /* 2^22 */

static inline double triangle(double x) {
    return x < 1.0 ? 1.0 - x : 0.0;
}

static inline double cubic(double x) {
    const double a = -0.5;
    const double inner = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    const double outer = (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return x < 1.0 ? inner : x < 2.0 ? outer : 0.0;
}

/* One tile's outputs from `at`; those past the end repeat the last. */
typedef struct tile {
    double start[TILE], taps[TILE], center[TILE], sum[TILE];
    size_t most; /* taps of the output that has most */
} tile;

static void tile_start(const fov_filter *filter, const fov_filter_axis *axis, size_t at, tile *t) {
    t->most = 0;
    for (size_t k = 0; k < TILE; k++) {
        const size_t i = at + k < axis->count ? at + k : axis->count - 1;
        t->start[k] = (double)axis->start[i];
        t->taps[k] = (double)axis->taps[i];
        t->center[k] = filter->origin + ((double)(axis->offset + i) + 0.5) * filter->scale;
        t->sum[k] = 0.0;
        t->most = axis->taps[i] > t->most ? axis->taps[i] : t->most;
    }
}

static inline void tile_values(const fov_filter *filter, tile *t, bool bicubic, double *restrict real) {
    const double inverse = 1.0 / (filter->scale < 1.0 ? 1.0 : filter->scale);
    for (size_t n = 0; n < t->most; n++) {
        const double tap = (double)n;
#pragma omp simd
        for (size_t k = 0; k < TILE; k++) {
            const double x = fabs((tap + t->start[k] - t->center[k] + 0.5) * inverse);
            const double value = bicubic ? cubic(x) : triangle(x);
            const double inside = tap < t->taps[k] ? value : 0.0;
            real[n * TILE + k] = inside;
            t->sum[k] += inside;
        }
    }
    for (size_t n = 0; n < t->most; n++) {
#pragma omp simd
        for (size_t k = 0; k < TILE; k++) {
            real[n * TILE + k] = t->sum[k] != 0.0 ? real[n * TILE + k] / t->sum[k] : real[n * TILE + k];
        }
    }
}

static void tile_make(const fov_filter *filter, const fov_filter_axis *axis, size_t at, tile *t) {
    tile_start(filter, axis, at, t);
    if (filter->bicubic) {
        tile_values(filter, t, true, axis->tile);
    } else {
        tile_values(filter, t, false, axis->tile);
    }
}

/* Weights in the form of this set, in place; see pixel_simd.h. */
static void to_digits(int32_t *weights, size_t groups) {
#if FOV_ISA_LEVEL == 3
    /* w = d0 + 2^8 d1 + 2^16 d2 with digits in -128..127: adding 128 to each digit makes them the bytes of w + 0x808080. Word d holds
     * digit d of the four weights. */
    const __m128i half = _mm_set1_epi32(0x808080), digits_first = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (size_t g = 0; g < groups; g++) {
        __m128i *group = (__m128i *)(void *)(weights + 4 * g);
        const __m128i bytes = _mm_xor_si128(_mm_add_epi32(_mm_loadu_si128(group), half), half);
        _mm_storeu_si128(group, _mm_shuffle_epi8(bytes, digits_first));
    }
#elif FOV_ISA_LEVEL > 0
    /* w = low + 2^15 high. Words hold the low digits of weights 0 and 2, of 1 and 3, then the high digits. */
    const __m128i pairs = _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    for (size_t g = 0; g < groups; g++) {
        __m128i *group = (__m128i *)(void *)(weights + 4 * g);
        const __m128i weight = _mm_loadu_si128(group);
        const __m128i words = _mm_packs_epi32(_mm_and_si128(weight, _mm_set1_epi32(0x7FFF)), _mm_srai_epi32(weight, 15));
        _mm_storeu_si128(group, _mm_shuffle_epi8(words, pairs));
    }
#else
    (void)weights, (void)groups;
#endif
}

void FOV_PIXEL_FN(pixel_weights)(const fov_filter *filter, const fov_filter_axis *axis) {
    const size_t stride = 4 * axis->groups;
    memset(axis->weights, 0, axis->count * stride * sizeof *axis->weights);
    for (size_t at = 0; at < axis->count; at += TILE) {
        tile t;
        tile_make(filter, axis, at, &t);
        int32_t *to[TILE];
        const size_t outputs = axis->count - at < TILE ? axis->count - at : TILE;
        for (size_t k = 0; k < outputs; k++) {
            to[k] = axis->weights + (at + k) * stride + (axis->start[at + k] - 4 * (size_t)axis->first[at + k]);
        }
        for (size_t n = 0; n < t.most; n++) {
            int32_t fixed[TILE];
#pragma omp simd
            for (size_t k = 0; k < TILE; k++) {
                const double weight = axis->tile[n * TILE + k] * FRACTION_ONE;
                fixed[k] = (int32_t)(weight + (weight < 0.0 ? -0.5 : 0.5));
            }
            for (size_t k = 0; k < outputs; k++) {
                if (n < axis->taps[at + k]) {
                    to[k][n] = fixed[k];
                }
            }
        }
    }
    to_digits(axis->weights, axis->count * axis->groups);
}

void FOV_PIXEL_FN(pixel_weights_real)(const fov_filter *filter, const fov_filter_axis *axis) {
    const size_t stride = 4 * axis->groups;
    memset(axis->real, 0, axis->count * stride * sizeof *axis->real);
    for (size_t at = 0; at < axis->count; at += TILE) {
        tile t;
        tile_make(filter, axis, at, &t);
        for (size_t k = 0; k < TILE && at + k < axis->count; k++) {
            double *to = axis->real + (at + k) * stride + (axis->start[at + k] - 4 * (size_t)axis->first[at + k]);
            for (size_t n = 0; n < axis->taps[at + k]; n++) {
                to[n] = axis->tile[n * TILE + k];
            }
        }
    }
}
