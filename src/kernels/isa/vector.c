/* Elementwise loops and reductions. Reductions keep a fixed set of partial sums, so that the result depends on n alone. */
#include "kernels/isa.h"

void FOV_ISA_FN(fill)(fov_real *y, fov_real value, size_t n) {
    for (size_t i = 0; i < n; i++) {
        y[i] = value;
    }
}

void FOV_ISA_FN(add)(fov_real *y, const fov_real *a, const fov_real *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        y[i] = a[i] + b[i];
    }
}

void FOV_ISA_FN(accumulate)(fov_real *y, const fov_real *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

void FOV_ISA_FN(scale)(fov_real *y, const fov_real *x, fov_real a, size_t n) {
    for (size_t i = 0; i < n; i++) {
        y[i] = a * x[i];
    }
}

void FOV_ISA_FN(axpy)(fov_real *y, const fov_real *x, fov_real a, size_t n) {
    for (size_t i = 0; i < n; i++) {
        y[i] += a * x[i];
    }
}

double FOV_ISA_FN(dot)(const fov_real *a, const fov_real *b, size_t n) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

double FOV_ISA_FN(sum_squares)(const fov_real *x, size_t n) {
    return FOV_ISA_FN(dot)(x, x, n);
}
