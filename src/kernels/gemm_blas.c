/* OpenBLAS with one thread, the engine where there are no register tiles; and products with nothing done besides, by either. */
#include "kernels/gemm_blas.h"

#include <cblas.h>
#include <limits.h>
#include <pthread.h>

#include "base/checked.h"
#include "base/error.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void use_one_thread(void) {
    openblas_set_num_threads(1);
}

void fov_blas(fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, const size_t size[3], fov_real alpha, fov_real beta) {
    (void)pthread_once(&once, use_one_thread);
    FOV_ASSERT(size[0] <= INT_MAX && size[1] <= INT_MAX && size[2] <= INT_MAX);
    FOV_ASSERT(a.stride <= INT_MAX && b.stride <= INT_MAX && c_stride <= INT_MAX);
    const CBLAS_TRANSPOSE ta = a.transposed ? CblasTrans : CblasNoTrans;
    const CBLAS_TRANSPOSE tb = b.transposed ? CblasTrans : CblasNoTrans;
#ifdef FOVEA_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, (int)size[0], (int)size[1], (int)size[2], alpha, a.data, (int)a.stride, b.data, (int)b.stride, beta,
                c, (int)c_stride);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, (int)size[0], (int)size[1], (int)size[2], alpha, a.data, (int)a.stride, b.data, (int)b.stride, beta,
                c, (int)c_stride);
#endif
}

bool fov_gemm_has_tiles(const fov_kernels *kernels) {
    return sizeof(fov_real) == sizeof(float) && kernels->tile_rows() * kernels->tile_columns() > 64;
}

void fov_gemm_serial(fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k, fov_real alpha,
                     fov_real beta) {
    if (m == 0 || n == 0) {
        return;
    }
    const fov_kernels *kernels = fov_kernels_get();
    if (fov_gemm_has_tiles(kernels)) {
        kernels->gemm(c, c_stride, a.data, a.stride, a.transposed, b.data, b.stride, b.transposed, m, n, k, alpha, beta);
    } else {
        fov_blas(c, c_stride, a, b, (const size_t[]){m, n, k}, alpha, beta);
    }
}

size_t fov_gemm_work(size_t m, size_t n, size_t k) {
    const fov_product plain = {.m = m, .n = n, .k = k}, turned = {.m = m, .n = n, .k = k, .a = {.transposed = true}};
    return fov_most_size(fov_product_work(&plain), fov_product_work(&turned));
}

void fov_gemm(fov_pool *pool, fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k, fov_real beta,
              void *work) {
    const fov_product p = {.c = c, .c_stride = c_stride, .a = a, .b = b, .m = m, .n = n, .k = k, .beta = beta};
    fov_product_run(pool, &p, work);
}
