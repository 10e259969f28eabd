/* How matrix products are cut and packed: what the ways of gemm.c share. */
#ifndef FOV_KERNELS_GEMM_SCHEME_H
#define FOV_KERNELS_GEMM_SCHEME_H

#include "base/checked.h"
#include "base/pool.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"

/* Numbers, of floats. Panels lie on the stack of the thread that packs them. */
enum {
    FOV_PART_NUMBERS = 131072, /* rows of A and C that a part has: half an L2 cache of floats */
    FOV_PART_MOST = 224,       /* rows of a part */
    FOV_GROUP_PACKED = 98304,  /* of B that stay in an L2 cache while a part's rows meet them */
    FOV_BLOCK_PACKED = 131072, /* of both operands that are packed at a time, by blocks */
    FOV_BLOCK_SIDES = 776,     /* rows and columns of the largest block */
    FOV_PANEL_PAD = 16,        /* between packed panels of A */
    FOV_PART_PANELS = FOV_PART_NUMBERS + FOV_PART_MOST * FOV_PANEL_PAD,
    FOV_BLOCK_PANELS = FOV_BLOCK_PACKED + FOV_BLOCK_SIDES * FOV_PANEL_PAD
};
_Static_assert(FOV_BLOCK_PANELS * sizeof(float) < FOV_POOL_STACK && FOV_PART_PANELS * sizeof(float) < FOV_POOL_STACK,
               "panels fit a chunk's stack");

typedef enum fov_product_way { FOV_BY_BLAS, FOV_BY_ROWS, FOV_BY_BLOCKS } fov_product_way;

typedef struct fov_scheme {
    const fov_product *p;
    const fov_kernels *kernels;
    fov_product_way way;
    size_t k;                 /* steps of a panel: of k, or with bf16 pairs of them */
    size_t height, width;     /* of a tile */
    size_t tiles, panels;     /* that C has, downwards and across */
    size_t parts, part_tiles; /* of whole rows; tiles of one where the caller says how many rows it has, else 0 */
    size_t down, across;      /* by blocks: blocks of C */
    size_t cuts;              /* by blocks: ranges of k */
    size_t depths, deepest;   /* pieces of k (of a range) that are multiplied at a time, and the size of the largest */
    size_t runs, round;       /* pairs: of parts, each with sums of its own; tiles whose rows D takes at a time */
    size_t a_panel;           /* numbers between packed panels of A */
    bool direct_a, direct_b;
    unsigned threads; /* parts are done so many at a time */
    fov_real *packed_b, *sums;
} fov_scheme;

fov_scheme fov_scheme_of(const fov_product *product);

static inline size_t fov_cut_at(size_t n, size_t index, size_t count) {
    return n * index / count;
}

/* First row of a tile; first tile of a part. */
static inline size_t fov_tile_first(const fov_scheme *s, size_t tile) {
    if (s->part_tiles == 0) {
        return fov_cut_at(s->p->m, tile, s->tiles);
    }
    const size_t part = fov_least_size(tile / s->part_tiles, s->parts - 1), row = part * s->p->part_rows, before = part * s->part_tiles;
    return row +
           fov_cut_at(fov_least_size(s->p->part_rows, s->p->m - row), tile - before, fov_least_size(s->part_tiles, s->tiles - before));
}

static inline size_t fov_part_first(const fov_scheme *s, size_t part) {
    return s->part_tiles == 0 ? fov_cut_at(s->tiles, part, s->parts) : fov_least_size(part * s->part_tiles, s->tiles);
}

/* Packs a tile's rows of op(A), a panel's columns of op(B): `n` steps from `from`. */
void fov_pack_tile(const fov_scheme *s, fov_real *panel, size_t tile, size_t from, size_t n);
void fov_pack_panel(const fov_scheme *s, fov_real *panel, size_t index, size_t from, size_t n);

/* A range of tiles or panels of C, and where the operand of the first of them is: packed, or as it lies. */
typedef struct fov_side {
    size_t begin, end;
    const fov_real *data;
    bool direct;
} fov_side;

/* Lines of memory that a tile asks for, one at each step of k: more at a time would hold up the loads that its sums wait for. */
typedef struct fov_asking {
    const fov_real *from;
    size_t step; /* in numbers */
} fov_asking;

/* One tile of C, t downwards and j across: `depth` steps of k, on top of beta times what is there. */
void fov_multiply_tile(const fov_scheme *s, fov_real *c, size_t c_stride, fov_side a, fov_side b, size_t t, size_t j, size_t depth,
                       fov_real beta, fov_asking ahead);

/* The ways. `work`: fov_product_work bytes. */
void fov_run_by_rows(fov_pool *pool, fov_scheme *s, fov_real *work);
void fov_run_pairs(fov_pool *pool, fov_scheme *s, fov_real *work);
void fov_run_by_blocks(fov_pool *pool, fov_scheme *s, fov_real *work);

/* The caller's rows of A, of tiles from `begin` to before `end`; `to` as in fov_product.make. */
void fov_make_rows(const fov_scheme *s, size_t begin, size_t end, fov_real *to);
/* C = beta C + the `cuts` sums, in their order. */
void fov_add_sums(fov_pool *pool, fov_scheme *s);

#endif
