/* Matrix products on the pool.
 *
 * With AVX2 or AVX-512 both operands are copied into panels in the order in which the register tiles (isa/matmul.c) read them. Copying
 * and its waiting for memory is what a product loses time to, so each operand is copied as rarely as its shape allows:
 *
 *   by rows    A as stored, B fits a few MiB (layers forward, input gradients): B is packed once, then each part packs its own rows of A
 *              and makes whole rows of C, while they and what is done with them besides stay in L2
 *   by slabs   A transposed or B large (weight gradients): k is walked in slabs; the pool packs a slab of both, reading rows as they lie
 *              in memory, then adds its product to blocks of C
 *   by cuts    as by slabs, but C is so small that every chunk has one of its own for a range of k; they are added in order
 *
 * The portable set and double precision use OpenBLAS with one thread, by rows. */
#include "kernels/gemm.h"

#include <cblas.h>
#include <limits.h>
#include <pthread.h>

#include "base/error.h"
#include "kernels/kernels.h"

enum {
    DEPTH = 512,           /* most k of a packed panel */
    PART_NUMBERS = 131072, /* rows of A and C that a part has: half an L2 cache of floats */
    PART_LEAST = 56,       /* rows, so that a panel of B that comes from L3 is used often enough */
    PART_MOST = 224,
    MIN_CHUNKS = 16,
    PACKED_MOST = 4 * 1024 * 1024, /* numbers of B that are packed as a whole */
    SLAB_NUMBERS = 1024 * 1024,
    SLAB_ROWS = 64,      /* of k that a chunk packs */
    CUT_NUMBERS = 65536, /* of C when every chunk has its own */
    CUT_SIDES = 1024,    /* m + n then */
    CUT_LEAST = 512,     /* k of a cut */
    CUT_PACKED = 98304,  /* numbers that a cut packs at a time */
    PAD = 16             /* numbers between panels of A: copies may store whole vectors */
};

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

static bool has_tiles(const fov_kernels *kernels) {
    return sizeof(fov_real) == sizeof(float) && kernels->tile_rows() * kernels->tile_columns() > 64;
}

void fov_gemm_serial(fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k, fov_real alpha,
                     fov_real beta) {
    if (m == 0 || n == 0) {
        return;
    }
    const fov_kernels *kernels = fov_kernels_get();
    if (has_tiles(kernels)) {
        kernels->gemm(c, c_stride, a.data, a.stride, a.transposed, b.data, b.stride, b.transposed, m, n, k, alpha, beta);
    } else {
        blas(c, c_stride, a, b, (const size_t[]){m, n, k}, alpha, beta);
    }
}

/* ---- how a shape is cut ---- */

typedef enum way { BY_BLAS, BY_ROWS, BY_SLABS, BY_CUTS } way;

typedef struct scheme {
    const fov_product *p;
    const fov_kernels *kernels;
    way way;
    size_t height, width;   /* of a tile */
    size_t tiles, panels;   /* that C has, downwards and across */
    size_t parts;           /* of whole rows */
    size_t depths, deepest; /* pieces of k that are packed at a time, and the size of the largest */
    size_t cuts;            /* by cuts: ranges of k with a C of their own */
    size_t a_panel;         /* numbers between packed panels of A */
    size_t down, across;    /* by slabs: blocks of C */
    size_t depth_index;     /* by slabs: the slab at work */
    fov_real *packed_a, *packed_b, *sums;
} scheme;

static size_t blocks(size_t n, size_t unit) {
    return (n + unit - 1) / unit;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t part_count(const fov_product *p, size_t tiles, size_t height) {
    const size_t rows = least(most(PART_NUMBERS / (p->n + p->k + 1), PART_LEAST), PART_MOST);
    const size_t parts = most(blocks(tiles, rows / height), MIN_CHUNKS);
    return least(parts + parts % 2, tiles);
}

static scheme scheme_of(const fov_product *p) {
    scheme s = {.p = p, .kernels = fov_kernels_get(), .way = BY_BLAS, .cuts = 1};
    s.height = s.kernels->tile_rows();
    s.width = s.kernels->tile_columns();
    s.tiles = blocks(p->m, s.height);
    s.panels = blocks(p->n, s.width);
    s.parts = part_count(p, s.tiles, s.height);
    if (!has_tiles(s.kernels)) {
        return s;
    }
    size_t depth = DEPTH;
    if (!p->a.transposed && p->k <= PACKED_MOST / (s.panels * s.width + 1)) {
        s.way = BY_ROWS;
    } else if (p->m + p->n <= CUT_SIDES && p->m * p->n <= CUT_NUMBERS && p->k >= 2 * CUT_LEAST) {
        s.way = BY_CUTS;
        s.cuts = least(p->k / CUT_LEAST, MIN_CHUNKS);
        depth = least(CUT_PACKED / (s.tiles * s.height + s.panels * s.width), 256);
    } else {
        s.way = BY_SLABS;
        depth = least(most(SLAB_NUMBERS / (p->m + p->n), 64), DEPTH);
        s.down = blocks(s.tiles, 112 / s.height);
        s.across = least(blocks(MIN_CHUNKS, s.down), s.panels);
    }
    s.depths = most(blocks(blocks(p->k, s.cuts), depth), 1);
    s.deepest = blocks(blocks(p->k, s.cuts), s.depths) + 1;
    s.a_panel = (s.height * s.deepest + PAD + 15) / 16 * 16;
    return s;
}

/* ---- packed operands ---- */

/* Packs `lanes` rows of op(A), or columns of op(B), from `first`, and `n` of k from `from`; y is [n, width]. */
static void pack(const fov_kernels *kernels, fov_real *y, size_t width, fov_matrix x, bool is_b, size_t first, size_t lanes, size_t from,
                 size_t n) {
    if (x.transposed != is_b) {
        kernels->pack_rows(y, width, width, x.data + from * x.stride + first, x.stride, lanes, n);
    } else {
        kernels->pack_lanes(y, width, x.data + first * x.stride + from, x.stride, lanes, n);
    }
}

static void pack_tile(const scheme *s, fov_real *panel, size_t first, size_t rows, size_t from, size_t n) {
    pack(s->kernels, panel, rows, s->p->a, false, first, rows, from, n);
}

static void pack_panel(const scheme *s, fov_real *panel, size_t index, size_t from, size_t n) {
    const size_t first = index * s->width;
    pack(s->kernels, panel, s->width, s->p->b, true, first, least(s->width, s->p->n - first), from, n);
}

static size_t tile_first(const scheme *s, size_t tile) {
    return s->p->m * tile / s->tiles;
}

/* Tiles [tile, tile_end) times panels [panel, panel_end); a and b start at the first of them, both `depth` long. */
static void multiply(const scheme *s, fov_real *c, size_t c_stride, const size_t tiles[2], const size_t panels[2], const fov_real *a,
                     const fov_real *b, size_t b_panel, size_t depth, fov_real beta) {
    for (size_t j = panels[0]; j < panels[1]; j++) {
        const size_t column = j * s->width, columns = least(s->width, s->p->n - column);
        for (size_t t = tiles[0]; t < tiles[1]; t++) {
            const size_t row = tile_first(s, t), rows = tile_first(s, t + 1) - row;
            s->kernels->gemm_tile(c + row * c_stride + column, c_stride, rows, columns, a + (t - tiles[0]) * s->a_panel, rows, 0,
                                  b + (j - panels[0]) * b_panel, 0, depth, 1, 1, beta);
        }
    }
}

static size_t cut_at(size_t n, size_t index, size_t count) {
    return n * index / count;
}

/* ---- by rows ---- */

static void whole_panel_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const size_t index = chunk / s->panels, panel = chunk % s->panels;
    const size_t from = cut_at(s->p->k, index, s->depths), depth = cut_at(s->p->k, index + 1, s->depths) - from;
    pack_panel(s, s->packed_b + from * s->panels * s->width + panel * depth * s->width, panel, from, depth);
}

static void part_chunk(void *context, size_t part, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const fov_product *p = s->p;
    _Alignas(64) fov_real packed[PART_NUMBERS + PART_MOST * PAD];
    const size_t tiles[2] = {s->tiles * part / s->parts, s->tiles * (part + 1) / s->parts}, panels[2] = {0, s->panels};
    if (p->before != NULL) {
        p->before(p->context, part);
    }
    for (size_t i = 0; i < s->depths; i++) {
        const size_t from = cut_at(p->k, i, s->depths), depth = cut_at(p->k, i + 1, s->depths) - from;
        for (size_t t = tiles[0]; t < tiles[1]; t++) {
            const size_t row = tile_first(s, t);
            pack_tile(s, packed + (t - tiles[0]) * s->a_panel, row, tile_first(s, t + 1) - row, from, depth);
        }
        multiply(s, p->c, p->c_stride, tiles, panels, packed, s->packed_b + from * s->panels * s->width, depth * s->width, depth,
                 i == 0 ? p->beta : 1);
    }
    if (p->after != NULL) {
        p->after(p->context, part);
    }
}

static void run_by_rows(fov_pool *pool, scheme *s, fov_real *work) {
    s->packed_b = work;
    fov_pool_for(pool, s->depths * s->panels, whole_panel_chunk, s);
    fov_pool_for(pool, s->parts, part_chunk, s);
}

/* ---- by slabs ---- */

static void slab_pack_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const size_t from = cut_at(s->p->k, s->depth_index, s->depths), depth = cut_at(s->p->k, s->depth_index + 1, s->depths) - from;
    const size_t first = chunk * SLAB_ROWS, end = least(first + SLAB_ROWS, depth);
    for (size_t at = first; at < end; at += 16) {
        const size_t n = least(end - at, 16);
        for (size_t t = 0; t < s->tiles; t++) {
            const size_t row = tile_first(s, t), rows = tile_first(s, t + 1) - row;
            pack_tile(s, s->packed_a + t * s->a_panel + at * rows, row, rows, from + at, n);
        }
        for (size_t j = 0; j < s->panels; j++) {
            pack_panel(s, s->packed_b + (j * depth + at) * s->width, j, from + at, n);
        }
    }
}

static void slab_block_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const size_t depth = cut_at(s->p->k, s->depth_index + 1, s->depths) - cut_at(s->p->k, s->depth_index, s->depths);
    const size_t row = chunk / s->across, column = chunk % s->across;
    const size_t tiles[2] = {s->tiles * row / s->down, s->tiles * (row + 1) / s->down};
    const size_t panels[2] = {s->panels * column / s->across, s->panels * (column + 1) / s->across};
    multiply(s, s->p->c, s->p->c_stride, tiles, panels, s->packed_a + tiles[0] * s->a_panel, s->packed_b + panels[0] * depth * s->width,
             depth * s->width, depth, s->depth_index == 0 ? s->p->beta : 1);
}

static void run_by_slabs(fov_pool *pool, scheme *s, fov_real *work) {
    s->packed_a = work;
    s->packed_b = work + s->tiles * s->a_panel;
    for (s->depth_index = 0; s->depth_index < s->depths; s->depth_index++) {
        fov_pool_for(pool, blocks(s->deepest, SLAB_ROWS), slab_pack_chunk, s);
        fov_pool_for(pool, s->down * s->across, slab_block_chunk, s);
    }
}

/* ---- by cuts ---- */

static void cut_chunk(void *context, size_t cut, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const fov_product *p = s->p;
    _Alignas(64) fov_real packed[CUT_PACKED + 2 * PAD * CUT_SIDES];
    fov_real *c = s->sums + cut * p->m * p->n, *b = packed + s->tiles * s->a_panel;
    const size_t begin = cut_at(p->k, cut, s->cuts), length = cut_at(p->k, cut + 1, s->cuts) - begin;
    const size_t tiles[2] = {0, s->tiles}, panels[2] = {0, s->panels};
    for (size_t i = 0; i < s->depths; i++) {
        const size_t from = begin + cut_at(length, i, s->depths), depth = begin + cut_at(length, i + 1, s->depths) - from;
        for (size_t at = 0; at < depth; at += 16) {
            const size_t n = least(depth - at, 16);
            for (size_t t = 0; t < s->tiles; t++) {
                const size_t row = tile_first(s, t), rows = tile_first(s, t + 1) - row;
                pack_tile(s, packed + t * s->a_panel + at * rows, row, rows, from + at, n);
            }
            for (size_t j = 0; j < s->panels; j++) {
                pack_panel(s, b + (j * depth + at) * s->width, j, from + at, n);
            }
        }
        multiply(s, c, p->n, tiles, panels, packed, b, depth * s->width, depth, i == 0 ? 0 : 1);
    }
}

static void sum_chunk(void *context, size_t row, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const fov_product *p = s->p;
    fov_real *c = p->c + row * p->c_stride;
    size_t cut = 0;
    if (p->beta == 0) {
        s->kernels->add(c, s->sums + row * p->n, s->sums + (p->m + row) * p->n, p->n);
        cut = 2;
    }
    for (; cut < s->cuts; cut++) {
        s->kernels->accumulate(c, s->sums + (cut * p->m + row) * p->n, p->n);
    }
}

static void run_by_cuts(fov_pool *pool, scheme *s, fov_real *work) {
    s->sums = work;
    fov_pool_for(pool, s->cuts, cut_chunk, s);
    fov_pool_for(pool, s->p->m, sum_chunk, s);
}

/* ---- by OpenBLAS ---- */

static void part_rows(const scheme *s, size_t part, size_t *first, size_t *rows) {
    *first = tile_first(s, s->tiles * part / s->parts);
    *rows = tile_first(s, s->tiles * (part + 1) / s->parts) - *first;
}

static void blas_chunk(void *context, size_t part, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const fov_product *p = s->p;
    size_t first, rows;
    part_rows(s, part, &first, &rows);
    fov_matrix a = p->a;
    a.data += first * (a.transposed ? 1 : a.stride);
    if (p->before != NULL) {
        p->before(p->context, part);
    }
    blas(p->c + first * p->c_stride, p->c_stride, a, p->b, (const size_t[]){rows, p->n, p->k}, 1, p->beta);
    if (p->after != NULL) {
        p->after(p->context, part);
    }
}

/* ---- all ---- */

size_t fov_product_work(const fov_product *p) {
    if (p->m == 0 || p->n == 0) {
        return 0;
    }
    const scheme s = scheme_of(p);
    switch (s.way) {
    case BY_ROWS:
        return s.panels * s.width * p->k * sizeof(fov_real);
    case BY_SLABS:
        return (s.tiles * s.a_panel + s.panels * s.width * s.deepest) * sizeof(fov_real);
    case BY_CUTS:
        return s.cuts * p->m * p->n * sizeof(fov_real);
    case BY_BLAS:
    default:
        return 0;
    }
}

size_t fov_product_parts(const fov_product *p) {
    return p->m == 0 ? 0 : scheme_of(p).parts;
}

void fov_product_part(const fov_product *p, size_t part, size_t *first, size_t *rows) {
    const scheme s = scheme_of(p);
    part_rows(&s, part, first, rows);
}

static void before_chunk(void *context, size_t part, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    s->p->before(s->p->context, part);
}

static void after_chunk(void *context, size_t part, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    s->p->after(s->p->context, part);
}

void fov_product_run(fov_pool *pool, const fov_product *p, void *work) {
    if (p->m == 0 || p->n == 0) {
        return;
    }
    scheme s = scheme_of(p);
    if (s.way == BY_BLAS) {
        fov_pool_for(pool, s.parts, blas_chunk, &s);
    } else if (s.way == BY_ROWS) {
        run_by_rows(pool, &s, work);
    } else {
        if (p->before != NULL) {
            fov_pool_for(pool, s.parts, before_chunk, &s);
        }
        (s.way == BY_SLABS ? run_by_slabs : run_by_cuts)(pool, &s, work);
        if (p->after != NULL) {
            fov_pool_for(pool, s.parts, after_chunk, &s);
        }
    }
}

size_t fov_gemm_work(size_t m, size_t n, size_t k) {
    const fov_product plain = {.m = m, .n = n, .k = k}, turned = {.m = m, .n = n, .k = k, .a = {.transposed = true}};
    return most(fov_product_work(&plain), fov_product_work(&turned));
}

void fov_gemm(fov_pool *pool, fov_real *c, size_t c_stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k, fov_real beta,
              void *work) {
    const fov_product p = {.c = c, .c_stride = c_stride, .a = a, .b = b, .m = m, .n = n, .k = k, .beta = beta};
    fov_product_run(pool, &p, work);
}
