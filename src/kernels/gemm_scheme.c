/* How a product is cut: into parts, blocks, ranges and pieces that suit the caches, by its shape alone, so that bits do not depend on
 * threads; and one tile of it. */
#include "kernels/gemm_scheme.h"

#include "base/error.h"
#include "kernels/gemm_blas.h"

enum {
    DEPTH = 512,     /* most k of a packed panel */
    PART_LEAST = 56, /* rows, so that a panel of B that comes from L3 is used often enough */
    MIN_CHUNKS = 16,
    PACKED_MOST = 4 * 1024 * 1024, /* numbers of B that are packed as a whole */
    BLOCK_ROWS = 196,              /* of C, by blocks: little, so that two pieces of operands are in L2 beside it */
    BLOCK_COLUMNS = 96,
    BLOCK_WHOLE = 16384, /* numbers of a C that is one block, so that operands are read once */
    PAIR_ROWS = 392,     /* the same in bfloat16, whose operands are packed for each block: few blocks */
    PAIR_COLUMNS = 384,
    BLOCK_DEPTH = 256,
    CUT_LEAST = 512,     /* k of a range */
    PAIR_MOST = 65536,   /* numbers of D, which stays in an L2 cache too */
    PAIR_NUMBERS = 65536 /* of rows of A and E that D takes at a time */
};
_Static_assert(PAIR_ROWS + PAIR_COLUMNS == FOV_BLOCK_SIDES, "what panels lie beside each other");

/* ---- how a shape is cut ---- */

/* Parts that suit the caches. */
static size_t part_count(const fov_product *p, size_t tiles, size_t height) {
    const size_t rows = fov_least_size(fov_most_size(FOV_PART_NUMBERS / (p->n + p->k + 1), PART_LEAST), FOV_PART_MOST);
    const size_t parts = fov_most_size(fov_ceil_div(tiles, rows / height), MIN_CHUNKS);
    return fov_least_size(parts + parts % 2, tiles);
}

static void cut_by_blocks(fov_scheme *s) {
    const fov_product *p = s->p;
    s->down = fov_ceil_div(s->tiles, (size_t)(p->bf16 ? PAIR_ROWS : BLOCK_ROWS) / s->height);
    s->across = fov_ceil_div(s->panels, (size_t)(p->bf16 ? PAIR_COLUMNS : BLOCK_COLUMNS) / s->width);
    if (!p->bf16 && p->m <= PAIR_ROWS && p->n <= PAIR_COLUMNS && p->m * p->n <= BLOCK_WHOLE) {
        s->down = s->across = 1;
    }
    const size_t wanted = fov_ceil_div(MIN_CHUNKS, s->down * s->across);
    s->cuts = fov_most_size(fov_least_size(wanted, s->k / CUT_LEAST), 1);
    s->direct_a = !p->bf16 && p->a.transposed;
    s->direct_b = !p->bf16 && !p->b.transposed && p->n % s->width == 0;
}

fov_scheme fov_scheme_of(const fov_product *p) {
    fov_scheme s = {.p = p, .kernels = fov_kernels_get(), .way = FOV_BY_BLAS, .cuts = 1};
    s.k = p->bf16 ? (p->k + 1) / 2 : p->k;
    s.height = s.kernels->tile_rows();
    s.width = s.kernels->tile_columns();
    s.panels = fov_ceil_div(p->n, s.width);
    if (p->part_rows > 0) {
        FOV_ASSERT(!p->bf16); /* whose parts are packed on the stack */
        s.parts = fov_ceil_div(p->m, p->part_rows);
        s.part_tiles = fov_ceil_div(p->part_rows, s.height);
        s.tiles = (s.parts - 1) * s.part_tiles + fov_ceil_div(p->m - (s.parts - 1) * p->part_rows, s.height);
    } else {
        s.tiles = fov_ceil_div(p->m, s.height);
        s.parts = part_count(p, s.tiles, s.height);
    }
    if (!fov_gemm_has_tiles(s.kernels)) {
        FOV_ASSERT(!p->bf16 && p->make == NULL);
        return s;
    }
    size_t depth = DEPTH;
    if (!p->a.transposed && s.k <= PACKED_MOST / (s.panels * s.width + 1)) {
        s.way = FOV_BY_ROWS;
        s.direct_a = !p->bf16;
    } else {
        s.way = FOV_BY_BLOCKS;
        cut_by_blocks(&s);
        const size_t sides = (fov_ceil_div(s.tiles, s.down) * s.height + fov_ceil_div(s.panels, s.across) * s.width);
        depth = fov_least_size(FOV_BLOCK_PACKED / sides, BLOCK_DEPTH);
    }
    s.depths = fov_most_size(fov_ceil_div(fov_ceil_div(s.k, s.cuts), depth), 1);
    s.deepest = fov_ceil_div(fov_ceil_div(s.k, s.cuts), s.depths) + 1;
    s.a_panel = (s.height * s.deepest + FOV_PANEL_PAD + 15) / 16 * 16;
    if (p->e_columns > 0) {
        s.round = fov_most_size(PAIR_NUMBERS / (s.height * (p->k + p->e_columns)), 1);
        s.runs = fov_least_size(p->k * p->e_columns <= PAIR_MOST / 4 ? 2 * MIN_CHUNKS : MIN_CHUNKS, s.parts);
    }
    return s;
}

bool fov_product_pairs(const fov_product *p) {
    const fov_scheme s = fov_scheme_of(p);
    return s.way == FOV_BY_ROWS && !p->bf16 && p->part_rows > 0 && s.depths == 1 && s.panels * s.width * s.k <= FOV_GROUP_PACKED &&
           s.runs > 1 && p->k * p->e_columns <= PAIR_MOST && p->e_columns % s.width == 0;
}

/* ---- operands ---- */

/* Packs `lanes` rows of op(A), or columns of op(B), from `first`, and `n` steps from `from`; y is [n, width]. */
static void pack(const fov_scheme *s, fov_real *y, size_t width, fov_matrix x, bool is_b, size_t first, size_t lanes, size_t from,
                 size_t n) {
    const bool along = x.transposed != is_b; /* the lanes are side by side in memory */
    if (s->p->bf16) {
        uint32_t *pairs = (uint32_t *)(void *)y;
        const size_t begin = 2 * from, count = fov_least_size(2 * n, s->p->k - begin);
        const fov_real *at = along ? x.data + begin * x.stride + first : x.data + first * x.stride + begin;
        (along ? s->kernels->bf16_pack_rows : s->kernels->bf16_pack_lanes)(pairs, width, at, x.stride, lanes, count);
    } else if (along) {
        s->kernels->pack_rows(y, width, width, x.data + from * x.stride + first, x.stride, lanes, n);
    } else {
        s->kernels->pack_lanes(y, width, x.data + first * x.stride + from, x.stride, lanes, n);
    }
}

void fov_pack_tile(const fov_scheme *s, fov_real *panel, size_t tile, size_t from, size_t n) {
    const size_t first = fov_tile_first(s, tile), rows = fov_tile_first(s, tile + 1) - first;
    pack(s, panel, rows, s->p->a, false, first, rows, from, n);
}

void fov_pack_panel(const fov_scheme *s, fov_real *panel, size_t index, size_t from, size_t n) {
    const size_t first = index * s->width;
    pack(s, panel, s->width, s->p->b, true, first, fov_least_size(s->width, s->p->n - first), from, n);
}

void fov_multiply_tile(const fov_scheme *s, fov_real *c, size_t c_stride, fov_side a, fov_side b, size_t t, size_t j, size_t depth,
                       fov_real beta, fov_asking ahead) {
    const fov_product *p = s->p;
    const size_t column = j * s->width, columns = fov_least_size(s->width, p->n - column);
    const size_t row = fov_tile_first(s, t), rows = fov_tile_first(s, t + 1) - row, along = row - fov_tile_first(s, a.begin);
    const fov_real *panel = b.data + (j - b.begin) * (b.direct ? s->width : depth * s->width);
    if (p->bf16) {
        const void *tile = a.data + (t - a.begin) * s->a_panel, *pairs = panel;
        s->kernels->bf16_tile(c + row * c_stride + column, c_stride, rows, columns, tile, pairs, depth, beta);
        return;
    }
    const bool as_rows = a.direct && !p->a.transposed;
    const fov_real *tile = a.data + (!a.direct ? (t - a.begin) * s->a_panel : as_rows ? along * p->a.stride : along);
    const size_t lane = as_rows ? p->a.stride : 1, stride = !a.direct ? rows : as_rows ? 1 : p->a.stride;
    s->kernels->gemm_tile_ahead(c + row * c_stride + column, c_stride, rows, columns, tile, lane, stride, panel,
                                b.direct ? p->b.stride : s->width, depth, beta, ahead.from, ahead.step * sizeof(fov_real));
}
