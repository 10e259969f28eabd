/* Rows of contrastive losses: log-sum-exp and softmax; and the errors of normalised patches.
 *
 * log-sum-exp subtracts the row's largest entry, so exp is called with x <= 0 there. In float exp(x) = 2^n exp(r) with
 * n = round(x / ln 2) and |r| <= ln 2 / 2; exp(r) = 1 + r + r^2 P(r), P of degree 5 fitted for the least largest relative error
 * (1e-10; 8e-8 after rounding). Written without branches or calls so that compilers turn the loops into vector code, which libm's
 * expf does not allow. Entries more than 87.3 below give 0, so that no subnormal numbers slow the products that follow; NaN stays NaN. */
#include <math.h>

#include "kernels/isa.h"

#ifdef FOVEA_DOUBLE
static inline fov_real exp_value(fov_real x) { return exp(x); }
#else
#define EXP_LOWEST (-87.336544F) /* 2^-126, the smallest normal number */
#define EXP_HIGHEST 88.0F
#define ROUND_MAGIC 12582912.0F /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
#define ROUND_MAGIC_BITS 0x4B400000U

typedef union float_bits {
    float value;
    uint32_t bits;
} float_bits;

static inline fov_real exp_value(fov_real x) {
    const float low = x < EXP_LOWEST ? EXP_LOWEST : x;
    const float t = low > EXP_HIGHEST ? EXP_HIGHEST : low;
    const float_bits shifted = {.value = t * 1.44269504F + ROUND_MAGIC};
    const float n = shifted.value - ROUND_MAGIC;
    /* ln 2 in two parts: n times the first is exact. */
    const float r = (t - n * 0.693359375F) + n * 2.12194440e-4F;
    float p = 1.97881731e-4F;
    p = p * r + 1.39468710e-3F;
    p = p * r + 8.33351072e-3F;
    p = p * r + 4.16662656e-2F;
    p = p * r + 0.166666657F;
    p = p * r + 0.5F;
    const float mantissa = 1.0F + (r + r * r * p);
    const float_bits power = {.bits = (shifted.bits - ROUND_MAGIC_BITS + 127U) << 23};
    const float result = mantissa * power.value;
    return x < EXP_LOWEST ? 0.0F : result;
}
#endif

static inline fov_real row_max(const fov_real *x, size_t n) {
    fov_real top = x[0];
#pragma omp simd reduction(max : top)
    for (size_t i = 0; i < n; i++) {
        top = x[i] > top ? x[i] : top;
    }
    return top;
}

void FOV_ISA_FN(lse_rows)(fov_real *lse, const fov_real *x, size_t rows, size_t columns) {
    for (size_t i = 0; i < rows; i++) {
        const fov_real *xi = x + i * columns;
        const fov_real top = row_max(xi, columns);
        double sum = 0.0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < columns; j++) {
            sum += (double)exp_value(xi[j] - top);
        }
        lse[i] = (fov_real)((double)top + log(sum));
    }
}

void FOV_ISA_FN(softmax_both_ways)(fov_real *y, fov_real lse_row, const fov_real *lse_column, size_t n) {
#pragma omp simd
    for (size_t j = 0; j < n; j++) {
        y[j] = exp_value(y[j] - lse_row) + exp_value(y[j] - lse_column[j]);
    }
}

void FOV_ISA_FN(patch_moments)(double *mean, double *squares, const fov_real *x, size_t n) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i];
    }
    const double centre = sum / (double)n;
    double deviation = 0.0;
#pragma omp simd reduction(+ : deviation)
    for (size_t i = 0; i < n; i++) {
        const double d = (double)x[i] - centre;
        deviation += d * d;
    }
    *mean = centre;
    *squares = deviation;
}

double FOV_ISA_FN(patch_error)(const fov_real *prediction, const fov_real *target, fov_real mean, fov_real rstd, size_t n) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        const double d = (double)(prediction[i] - (target[i] - mean) * rstd);
        sum += d * d;
    }
    return sum;
}

void FOV_ISA_FN(patch_error_backward)(fov_real *grad, const fov_real *prediction, const fov_real *target, fov_real mean, fov_real rstd,
                                      fov_real factor, int accumulate, size_t n) {
    if (!accumulate) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) {
            grad[i] = factor * (prediction[i] - (target[i] - mean) * rstd);
        }
        return;
    }
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        grad[i] += factor * (prediction[i] - (target[i] - mean) * rstd);
    }
}
