/* Matrix products on the pool: C is cut into blocks by its shape, and each block is one serial product.
 *
 * Two engines do the serial products: our packed register tiles (isa/matmul.c) where AVX2 or AVX-512 is in use, and OpenBLAS with one
 * thread in the portable set and in double precision. When C is small and k is long (weight gradients of linear layers), blocks of C
 * alone would leave processors idle and give each a long walk; k is then cut too, and the parts are added in order. */
#include "kernels/gemm.h"

#include <cblas.h>
#include <limits.h>
#include <pthread.h>

#include "base/error.h"
#include "kernels/kernels.h"

/* A block's packed operands fit a core's L2 cache, and the copies are small next to the product. */
enum { BLOCK_M = 224, BLOCK_N = 256, MIN_CHUNKS = 16, MIN_CUT_K = 512 };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void use_one_thread(void) {
    openblas_set_num_threads(1);
}

static void blas(fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, const size_t size[3], fov_real alpha, fov_real beta) {
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

void fov_gemm_serial(fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k, fov_real alpha,
                     fov_real beta) {
    if (m == 0 || n == 0) {
        return;
    }
    const fov_kernels *kernels = fov_kernels_get();
    if (sizeof(fov_real) == sizeof(float) && kernels->tile_rows() * kernels->tile_columns() > 64) {
        kernels->gemm(c, c_stride, a.data, a.stride, a.transposed, b.data, b.stride, b.transposed, m, n, k, alpha, beta);
    } else {
        blas(c, c_stride, a, b, (const size_t[]){m, n, k}, alpha, beta);
    }
}

typedef struct product {
    fov_real *c, *parts; /* parts: [cuts, m, n], or NULL when k is not cut */
    size_t c_stride;
    fov_matrix a, b;
    size_t m, n, k, rows, columns, cuts; /* rows and columns: blocks of C */
    fov_real beta;
} product;

static size_t blocks(size_t n, size_t unit) {
    return (n + unit - 1) / unit;
}

static size_t cuts_of(size_t m, size_t n, size_t k) {
    const size_t chunks = blocks(m, BLOCK_M) * blocks(n, BLOCK_N);
    if (chunks == 0 || chunks >= MIN_CHUNKS || k < 2 * (size_t)MIN_CUT_K) {
        return 1;
    }
    const size_t wanted = blocks(MIN_CHUNKS, chunks);
    const size_t most = k / MIN_CUT_K;
    return wanted < most ? wanted : most;
}

/* The part of an operand that starts at row `i` and column `j` of op(X). */
static fov_matrix part(fov_matrix x, size_t i, size_t j) {
    x.data += x.transposed ? j * x.stride + i : i * x.stride + j;
    return x;
}

static void block_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const product *p = context;
    const size_t cut = chunk / (p->rows * p->columns);
    const size_t row = chunk / p->columns % p->rows;
    const size_t column = chunk % p->columns;
    const size_t i = p->m * row / p->rows;
    const size_t j = p->n * column / p->columns;
    const size_t q = p->k * cut / p->cuts;
    const size_t m = p->m * (row + 1) / p->rows - i;
    const size_t n = p->n * (column + 1) / p->columns - j;
    const size_t k = p->k * (cut + 1) / p->cuts - q;
    if (p->parts == NULL) {
        fov_gemm_serial(p->c + i * p->c_stride + j, p->c_stride, part(p->a, i, q), part(p->b, q, j), m, n, k, 1, p->beta);
    } else {
        fov_real *to = p->parts + (cut * p->m + i) * p->n + j;
        fov_gemm_serial(to, p->n, part(p->a, i, q), part(p->b, q, j), m, n, k, 1, 0);
    }
}

static void sum_chunk(void *context, size_t row, unsigned worker) {
    (void)worker;
    const product *p = context;
    const fov_kernels *kernels = fov_kernels_get();
    fov_real *c = p->c + row * p->c_stride;
    size_t cut = 0;
    if (p->beta == 0) {
        kernels->add(c, p->parts + row * p->n, p->parts + (p->m + row) * p->n, p->n);
        cut = 2;
    }
    for (; cut < p->cuts; cut++) {
        kernels->accumulate(c, p->parts + (cut * p->m + row) * p->n, p->n);
    }
}

size_t fov_gemm_work(size_t m, size_t n, size_t k) {
    const size_t cuts = cuts_of(m, n, k);
    return cuts == 1 ? 0 : cuts * m * n * sizeof(fov_real);
}

void fov_gemm(fov_pool *pool, fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k, fov_real beta,
              void *work) {
    if (m == 0 || n == 0) {
        return;
    }
    product p = {.c = c, .c_stride = c_stride, .a = a, .b = b, .m = m, .n = n, .k = k, .beta = beta};
    p.rows = blocks(m, BLOCK_M);
    p.columns = blocks(n, BLOCK_N);
    p.cuts = cuts_of(m, n, k);
    p.parts = p.cuts == 1 ? NULL : work;
    fov_pool_for(pool, p.rows * p.columns * p.cuts, block_chunk, &p);
    if (p.parts != NULL) {
        fov_pool_for(pool, m, sum_chunk, &p);
    }
}
