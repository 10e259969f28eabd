/* Matrix products, row-major: C [m, n] = op(A) [m, k] op(B) [k, n] + beta C.
 *
 * Engines: our packed register tiles with AVX2 and AVX-512; OpenBLAS with one thread in the portable set and in double. Blocks and the
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

/* One product and what its chunks do besides. C is computed in parts, each some whole rows: fov_product_part tells which. `before` runs
 * before a part reads its rows of A, and may write them; `after` runs when the part's rows of C are complete; both on the thread that has
 * them in cache, every part once, in any order. Either may be NULL. */
typedef struct fov_product {
    fov_real *c;
    size_t c_stride;
    fov_matrix a, b;
    size_t m, n, k;
    fov_real beta; /* 0: C is not read; or 1 */
    bool bf16;     /* operands are rounded to bfloat16, sums are float; needs a set with tiles (not the portable one, not double) */
    void (*before)(void *context, size_t part);
    void (*after)(void *context, size_t part);
    void *context;
    size_t part_rows; /* of a part, the last may have fewer; 0: as suits the caches */
    /* Makes rows of A, a few at a time and just before they are read; NULL: they are there. `to`: where they are wanted, side by side;
     * NULL: where they belong. */
    void (*make)(void *context, size_t row, size_t rows, fov_real *to);
    /* Memory that `make` and `after` read besides, in rows as wide as those of A and of C, which is asked for in time; NULL: none. */
    const fov_real *make_reads[2], *after_reads[2];
    /* A second product from the same rows, while they are in cache: D [k, e_columns] = A^T E + d_beta D, E [m, e_columns]; 0 columns: none.
     * For what fov_product_pairs allows. With `make` A may have no memory (a.data NULL): its rows then live only until both have read them.
     * So may E (e NULL): make_e makes its rows to `to`, from rows of e_reads. */
    const fov_real *e;
    fov_real *d, d_beta;
    size_t e_columns;
    void (*make_e)(void *context, size_t row, size_t rows, fov_real *to);
    const fov_real *e_reads[2];
} fov_product;

/* Whether a product can make a second one: tiles, little of B and D, whole vectors of E, part_rows said. Reads sizes alone. */
bool fov_product_pairs(const fov_product *p);

/* Whether numbers of C are the same bits however its rows are cut into parts: of our tiles yes, of OpenBLAS no. */
bool fov_product_bits_free(void);
/* Bytes of `work` for a product: packed operands, partial sums. Reads the sizes and `transposed`, no numbers. */
size_t fov_product_work(const fov_product *p);
size_t fov_product_parts(const fov_product *p);
void fov_product_part(const fov_product *p, size_t part, size_t *first, size_t *rows);
/* On the pool; `work` is aligned to 64 bytes. */
void fov_product_run(fov_pool *pool, const fov_product *p, void *work);

/* The same without anything besides. The work is enough for any transposition. */
size_t fov_gemm_work(size_t m, size_t n, size_t k);
void fov_gemm(fov_pool *pool, fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k, fov_real beta,
              void *work);
/* On the calling thread, for use inside a chunk. */
void fov_gemm_serial(fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k, fov_real alpha, fov_real beta);

#endif
