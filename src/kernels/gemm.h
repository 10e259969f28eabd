/* Matrix products, row-major: C [m, n] = op(A) [m, k] op(B) [k, n] + beta C.
 *
 * Engines: our packed register tiles with AVX2 and AVX-512; OpenBLAS with one thread in the portable set and in double. Tiles and the
 * split of long reductions depend on m, n and k alone, so the bits do not depend on the number of threads. */
#ifndef FOV_KERNELS_GEMM_H
#define FOV_KERNELS_GEMM_H

#include <stdbool.h>

#include "base/pool.h"
#include "base/real.h"

typedef struct fov_matrix {
    const fov_real *data;
    size_t stride;   /* elements between rows as stored */
    bool transposed; /* op(X) = X^T: data is stored [columns, rows] of the product's operand */
} fov_matrix;

/* Bytes of `work` that fov_gemm needs for a shape (0 for most; partial sums when k is long and m n small). */
size_t fov_gemm_work(size_t m, size_t n, size_t k);
/* On the pool. beta is 0 (C is not read) or 1. */
void fov_gemm(fov_pool *pool, fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k, fov_real beta,
              void *work);
/* On the calling thread, for use inside a chunk. */
void fov_gemm_serial(fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k, fov_real alpha, fov_real beta);

#endif
