/* Matrices of tests of products. Included after cmocka.h. */
#ifndef FOV_TESTS_MATRIX_CASE_H
#define FOV_TESTS_MATRIX_CASE_H

#include "base/memory.h"
#include "base/rng.h"
#include "kernels/gemm.h"

/* n numbers in [-1, 1) of their own stream; the caller frees. */
static inline fov_real *random_reals(size_t n, unsigned stream) {
    fov_real *x = fov_mem_alloc(FOV_MEM_BASE, (n + 1) * sizeof *x);
    assert_non_null(x);
    fov_rng rng;
    fov_rng_init(&rng, 1, 0, stream, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < n; i++) {
        x[i] = (fov_real)fov_rng_range(&rng, -1, 1);
    }
    return x;
}

/* Row i, column j of op(x). */
static inline double element(fov_matrix x, size_t i, size_t j) {
    return (double)(x.transposed ? x.data[j * x.stride + i] : x.data[i * x.stride + j]);
}

#endif
