/* The engine behind products of sets without register tiles (portable, double). */
#ifndef FOV_KERNELS_GEMM_BLAS_H
#define FOV_KERNELS_GEMM_BLAS_H

#include "kernels/gemm.h"
#include "kernels/kernels.h"

/* Whether the set has register tiles, so that OpenBLAS is not needed. */
bool fov_gemm_has_tiles(const fov_kernels *kernels);
/* C = alpha op(A) op(B) + beta C on the calling thread; size: m, n, k. */
void fov_blas(fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, const size_t size[3], fov_real alpha, fov_real beta);

#endif
