/* Optimizer steps: memory-bound, so each is one pass over weights, gradients and state. Formulas in kernels.h. */
#include <math.h>

#include "kernels/isa.h"

void FOV_ISA_FN(momentum_step)(fov_real *w, const fov_real *g, fov_real *m, const fov_momentum_constants *c, size_t n) {
    const fov_momentum_constants k = *c;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const fov_real update = k.ratio * (k.g_scale * g[i] + k.weight_decay * w[i]);
        m[i] = k.momentum * m[i] + update;
        w[i] -= k.lr * m[i];
    }
}

#ifdef FOVEA_DOUBLE
#define ROOT sqrt
#else
#define ROOT sqrtf
#endif

void FOV_ISA_FN(adamw_step)(fov_real *w, const fov_real *g, fov_real *m, fov_real *v, const fov_adamw_constants *c, size_t n) {
    const fov_adamw_constants k = *c;
    const fov_real keep = 1 - k.lr * k.weight_decay;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const fov_real gradient = k.g_scale * g[i];
        m[i] = k.beta1 * m[i] + (1 - k.beta1) * gradient;
        v[i] = k.beta2 * v[i] + (1 - k.beta2) * gradient * gradient;
        w[i] = keep * w[i] - k.lr * (m[i] * k.correction1) / (ROOT(v[i]) * k.correction2 + k.eps);
    }
}

void FOV_ISA_FN(ema_step)(fov_real *y, const fov_real *x, fov_real decay, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        y[i] = decay * y[i] + (1 - decay) * x[i];
    }
}

double FOV_ISA_FN(decayed_squares)(const fov_real *g, const fov_real *w, fov_real g_scale, fov_real decay, size_t n) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        const double x = (double)(g_scale * g[i] + decay * w[i]);
        sum += x * x;
    }
    return sum;
}
