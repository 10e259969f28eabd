/* Matrix products on the pool.
 *
 * With AVX2 or AVX-512 the register tiles (isa/matmul.c) multiply. Copying operands into the order of use, and waiting for memory
 * meanwhile, is what a product loses time to, so operands are read as they lie wherever a tile can, and tiles ask for what comes next:
 *
 *   by rows    A as stored, B fits some MiB (layers forward, input gradients): B is packed once, then each part makes whole rows of C from
 *              its own rows of A as they lie, while they and what is done with them besides stay in L2
 *   by blocks  A transposed or B large (weight gradients): a chunk makes a block of C from a range of k, in pieces that fit L2 beside it;
 *              ranges of k of one block are added in order. Only what lies across the tile is packed: A with k side by side, B transposed
 *              or with panels that are not full
 *
 *   pairs      by rows, and a second product that takes the same rows transposed (both gradients of a layer) while they are in cache: a
 *              thread takes some parts in a row and has sums of its own, which are added in order
 *
 * Operands in bfloat16 are always packed.
 *
 * The portable set and double precision use OpenBLAS with one thread, by rows. */
#include "kernels/gemm.h"

#include "base/error.h"
#include "kernels/gemm_blas.h"
#include "kernels/gemm_scheme.h"

/* ---- by OpenBLAS ---- */

static void part_rows(const fov_scheme *s, size_t part, size_t *first, size_t *rows) {
    *first = fov_tile_first(s, fov_part_first(s, part));
    *rows = fov_tile_first(s, fov_part_first(s, part + 1)) - *first;
}

static void blas_chunk(void *context, size_t part, unsigned worker) {
    (void)worker;
    const fov_scheme *s = context;
    const fov_product *p = s->p;
    size_t first, rows;
    part_rows(s, part, &first, &rows);
    fov_matrix a = p->a;
    a.data += first * (a.transposed ? 1 : a.stride);
    if (p->before != NULL) {
        p->before(p->context, part);
    }
    fov_blas(p->c + first * p->c_stride, p->c_stride, a, p->b, (const size_t[]){rows, p->n, p->k}, 1, p->beta);
    if (p->after != NULL) {
        p->after(p->context, part);
    }
}

/* ---- all ---- */

bool fov_product_bits_free(void) {
    return fov_gemm_has_tiles(fov_kernels_get());
}

size_t fov_product_work(const fov_product *p) {
    if (p->m == 0 || p->n == 0) {
        return 0;
    }
    const fov_scheme s = fov_scheme_of(p);
    const size_t numbers = s.way == FOV_BY_ROWS ? s.panels * s.width * s.k : s.cuts > 1 ? s.cuts * p->m * p->n : 0;
    return (numbers + s.runs * p->k * p->e_columns) * sizeof(fov_real);
}

size_t fov_product_parts(const fov_product *p) {
    return p->m == 0 ? 0 : fov_scheme_of(p).parts;
}

void fov_product_part(const fov_product *p, size_t part, size_t *first, size_t *rows) {
    const fov_scheme s = fov_scheme_of(p);
    part_rows(&s, part, first, rows);
}

static void before_chunk(void *context, size_t part, unsigned worker) {
    (void)worker;
    const fov_scheme *s = context;
    if (s->p->before != NULL) {
        s->p->before(s->p->context, part);
    }
    if (s->p->make != NULL) {
        fov_make_rows(s, fov_part_first(s, part), fov_part_first(s, part + 1), NULL);
    }
}

static void after_chunk(void *context, size_t part, unsigned worker) {
    (void)worker;
    const fov_scheme *s = context;
    s->p->after(s->p->context, part);
}

void fov_product_run(fov_pool *pool, const fov_product *p, void *work) {
    if (p->m == 0 || p->n == 0) {
        return;
    }
    fov_scheme s = fov_scheme_of(p);
    if (s.way == FOV_BY_BLAS) {
        fov_pool_for(pool, s.parts, blas_chunk, &s);
    } else if (p->e_columns > 0) {
        FOV_ASSERT(fov_product_pairs(p) && p->before == NULL);
        fov_run_pairs(pool, &s, work);
    } else if (s.way == FOV_BY_ROWS) {
        fov_run_by_rows(pool, &s, work);
    } else {
        if (p->before != NULL || p->make != NULL) {
            fov_pool_for(pool, s.parts, before_chunk, &s);
        }
        fov_run_by_blocks(pool, &s, work);
        if (p->after != NULL) {
            fov_pool_for(pool, s.parts, after_chunk, &s);
        }
    }
}
