/* Kernels on rows: bias and activation after a matrix product, layer norm (Ba et al. 2016), L2 norm, and their gradients.
 *
 * GELU (Hendrycks and Gimpel 2016) is exact, x Phi(x), not the tanh form: timm's ViT and MAE mean this one. In float both Phi and its
 * derivative come from one exponential: for t = |x|, Phi(-t) = exp(-t^2 / 2) P(v) with v = (3 - t) / (3 + t), which maps [0, inf) to (-1,
 * 1], and P of degree 9 fitted (weighted Chebyshev by Lawson's iteration) to relative error 8e-9. The tail keeps its relative precision,
 * which 1 + erf would lose. The double build, which proves gradients, uses erfc. */
#include <math.h>
#include <string.h>

#include "kernels/isa.h"

#define SQRT_HALF 0.70710678118654752440
#define PHI_AT_0 ((fov_real)0.39894228040143267794)

#ifdef FOVEA_DOUBLE

/* Phi(-|x|) and exp(-x^2 / 2). */
static inline double normal_tail(double x, double *density) {
    *density = exp(-0.5 * x * x);
    return 0.5 * erfc(fabs(x) * SQRT_HALF);
}

#else

/* e^x for x in [-87, 0]: 2^k e^r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits. */
static inline float exp_negative(float x) {
    const float shifted = x * 1.44269504F + 12582912.0F;
    const float k = shifted - 12582912.0F;
    float r = x - k * 0.693359375F;
    r = r - k * -2.12194440e-4F;
    float p = 1.0F / 5040.0F;
    p = p * r + 1.0F / 720.0F;
    p = p * r + 1.0F / 120.0F;
    p = p * r + 1.0F / 24.0F;
    p = p * r + 1.0F / 6.0F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127U) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static inline float normal_tail(float x, float *density) {
    const float size = x < 0.0F ? -x : x;
    const float t = size < 13.0F ? size : 13.0F; /* e^(-13^2 / 2) is still a normal number */
    const float v = (3.0F - t) / (3.0F + t);
    const float e = exp_negative(-0.5F * t * t);
    float p = -5.367189532e-05F;
    p = p * v + 1.155437925e-04F;
    p = p * v + 3.394849236e-04F;
    p = p * v + -9.837584711e-04F;
    p = p * v + -2.904556186e-03F;
    p = p * v + 6.13207067e-03F;
    p = p * v + 4.621329096e-02F;
    p = p * v + 1.232250307e-01F;
    p = p * v + 2.06402619e-01F;
    p = p * v + 1.215139476e-01F;
    *density = e;
    return e * p;
}

#endif

static inline fov_real gelu(fov_real x) {
    fov_real density;
    const fov_real tail = normal_tail(x, &density);
    return x > 0 ? x - x * tail : x * tail;
}

static inline fov_real gelu_slope(fov_real x) {
    fov_real density;
    const fov_real tail = normal_tail(x, &density);
    return (x > 0 ? 1 - tail : tail) + x * PHI_AT_0 * density;
}

void FOV_ISA_FN(linear_bias)(fov_real *y, const fov_real *bias, size_t rows, size_t d) {
    for (size_t r = 0; r < rows && bias != NULL; r++) {
        fov_real *row = y + r * d;
#pragma omp simd
        for (size_t j = 0; j < d; j++) {
            row[j] += bias[j];
        }
    }
}

void FOV_ISA_FN(linear_bias_relu)(fov_real *y, const fov_real *bias, size_t rows, size_t d) {
    FOV_ISA_FN(linear_bias)(y, bias, rows, d);
#pragma omp simd
    for (size_t i = 0; i < rows * d; i++) {
        y[i] = y[i] > 0 ? y[i] : 0;
    }
}

void FOV_ISA_FN(linear_bias_gelu)(fov_real *y, fov_real *z, const fov_real *bias, size_t rows, size_t d) {
    FOV_ISA_FN(linear_bias)(z, bias, rows, d);
#pragma omp simd
    for (size_t i = 0; i < rows * d; i++) {
        y[i] = gelu(z[i]);
    }
}

void FOV_ISA_FN(relu_backward)(fov_real *dx, const fov_real *dy, const fov_real *y, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        dx[i] = y[i] > 0 ? dy[i] : 0;
    }
}

void FOV_ISA_FN(gelu_backward)(fov_real *dx, const fov_real *dy, const fov_real *x, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        dx[i] = dy[i] * gelu_slope(x[i]);
    }
}

void FOV_ISA_FN(column_sums)(fov_real *sums, const fov_real *x, size_t rows, size_t d) {
    for (size_t r = 0; r < rows; r++) {
        const fov_real *row = x + r * d;
#pragma omp simd
        for (size_t j = 0; j < d; j++) {
            sums[j] += row[j];
        }
    }
}

void FOV_ISA_FN(layernorm_forward)(fov_real *y, fov_real *stats, const fov_real *x, const fov_real *gamma, const fov_real *beta, double eps,
                                   size_t rows, size_t d) {
    for (size_t r = 0; r < rows; r++) {
        const fov_real *in = x + r * d;
        fov_real *out = y + r * d;
        fov_real sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < d; j++) {
            sum += in[j];
        }
        const fov_real mean = sum / (fov_real)d;
        /* A second pass over a row in cache: E[x^2] - E[x]^2 would cancel. */
#pragma omp simd reduction(+ : squares)
        for (size_t j = 0; j < d; j++) {
            squares += (in[j] - mean) * (in[j] - mean);
        }
        const fov_real rstd = (fov_real)(1.0 / sqrt((double)squares / (double)d + eps));
        stats[2 * r] = mean;
        stats[2 * r + 1] = rstd;
#pragma omp simd
        for (size_t j = 0; j < d; j++) {
            out[j] = (in[j] - mean) * rstd * gamma[j] + beta[j];
        }
    }
}

static inline void layernorm_row_gradient(fov_real *dx, const fov_real *dy, const fov_real *x, fov_real mean, fov_real rstd,
                                          const fov_real *gamma, int accumulate, size_t d) {
    fov_real sum = 0, along = 0;
#pragma omp simd reduction(+ : sum, along)
    for (size_t j = 0; j < d; j++) {
        const fov_real g = dy[j] * gamma[j];
        sum += g;
        along += g * (x[j] - mean);
    }
    const fov_real shift = sum / (fov_real)d, turn = along * rstd * rstd / (fov_real)d;
    if (!accumulate) { /* dx may hold anything, NaN included */
#pragma omp simd
        for (size_t j = 0; j < d; j++) {
            dx[j] = rstd * (dy[j] * gamma[j] - shift - (x[j] - mean) * turn);
        }
    } else {
#pragma omp simd
        for (size_t j = 0; j < d; j++) {
            dx[j] += rstd * (dy[j] * gamma[j] - shift - (x[j] - mean) * turn);
        }
    }
}

/* Each row is read from memory once: both gradients of a row are made while it is in L1. */
void FOV_ISA_FN(layernorm_backward)(fov_real *dx, fov_real *dgamma, fov_real *dbeta, const fov_real *dy, const fov_real *x,
                                    const fov_real *stats, const fov_real *gamma, int accumulate, size_t rows, size_t d) {
    for (size_t r = 0; r < rows; r++) {
        const fov_real *in = x + r * d, *slope = dy + r * d;
        const fov_real mean = stats[2 * r], rstd = stats[2 * r + 1];
        if (dgamma != NULL) {
#pragma omp simd
            for (size_t j = 0; j < d; j++) {
                dgamma[j] += slope[j] * ((in[j] - mean) * rstd);
                dbeta[j] += slope[j];
            }
        }
        if (dx != NULL) { /* last: dx may be dy */
            layernorm_row_gradient(dx + r * d, slope, in, mean, rstd, gamma, accumulate, d);
        }
    }
}

void FOV_ISA_FN(l2norm_forward)(fov_real *y, fov_real *norms, const fov_real *x, double eps, size_t rows, size_t d) {
    for (size_t r = 0; r < rows; r++) {
        const fov_real *in = x + r * d;
        fov_real *out = y + r * d;
        double squares = 0;
#pragma omp simd reduction(+ : squares)
        for (size_t j = 0; j < d; j++) {
            squares += (double)in[j] * (double)in[j];
        }
        const double norm = sqrt(squares);
        const fov_real factor = (fov_real)(1.0 / (norm > eps ? norm : eps));
        norms[r] = (fov_real)(norm > eps ? norm : -eps);
#pragma omp simd
        for (size_t j = 0; j < d; j++) {
            out[j] = in[j] * factor;
        }
    }
}

/* y = x / |x|: dx = (dy - y (y . dy)) / |x|, the part along y falls away. y = x / eps: dx = dy / eps. */
void FOV_ISA_FN(l2norm_backward)(fov_real *dx, const fov_real *dy, const fov_real *y, const fov_real *norms, int accumulate, size_t rows,
                                 size_t d) {
    for (size_t r = 0; r < rows; r++) {
        const fov_real *unit = y + r * d, *slope = dy + r * d;
        fov_real *out = dx + r * d;
        const fov_real along = norms[r] > 0 ? (fov_real)FOV_ISA_FN(dot)(unit, slope, d) : 0;
        const fov_real factor = 1 / (norms[r] > 0 ? norms[r] : -norms[r]);
        if (accumulate) {
#pragma omp simd
            for (size_t j = 0; j < d; j++) {
                out[j] += (slope[j] - unit[j] * along) * factor;
            }
        } else {
#pragma omp simd
            for (size_t j = 0; j < d; j++) {
                out[j] = (slope[j] - unit[j] * along) * factor;
            }
        }
    }
}
