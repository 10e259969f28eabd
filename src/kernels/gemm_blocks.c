/* Products by blocks: a chunk makes a block of C from a range of k, in pieces that fit L2 beside it; ranges of k of one block are added in
 * order. */
#include "kernels/gemm_scheme.h"

enum { SUM_NUMBERS = 4096 /* of C that sums are added to at a time */ };

/* Operands of a block, from a step of k on. */
typedef struct piece {
    fov_side a, b;
    size_t from;
} piece;

/* What the `index`-th of `count` tiles of a block asks for: of the piece that comes next, a column of lines of A (as many as tiles
 * downwards cover them) or B (two a panel). */
static fov_asking piece_share(const fov_scheme *s, const piece *next, size_t index, size_t count) {
    enum { LINE = 64 / sizeof(fov_real) };
    const fov_product *p = s->p;
    const size_t tiles = next->a.end - next->a.begin, columns = tiles + 2 * (next->b.end - next->b.begin), column = columns * index / count;
    if (column == columns * (index + 1) / count || (column < tiles ? !p->a.transposed : p->b.transposed)) {
        return (fov_asking){p->a.data, 0}; /* nothing, or an operand whose k lies side by side */
    }
    if (column < tiles) {
        return (fov_asking){p->a.data + next->from * p->a.stride + fov_tile_first(s, next->a.begin + column + 1) - 1, p->a.stride};
    }
    return (fov_asking){p->b.data + next->from * p->b.stride + next->b.begin * s->width + (column - tiles) * LINE, p->b.stride};
}

/* C's tiles of a range downwards and one across, `depth` of k. Columns outside, rows inside: a panel of B is read from further away, but
 * once. Meanwhile the piece that comes next is asked for. */
static void multiply(const fov_scheme *s, fov_real *c, size_t c_stride, fov_side a, fov_side b, size_t depth, fov_real beta,
                     const piece *next) {
    const size_t count = (b.end - b.begin) * (a.end - a.begin);
    size_t done = 0;
    for (size_t j = b.begin; j < b.end; j++) {
        for (size_t t = a.begin; t < a.end; t++, done++) {
            const fov_asking ahead = piece_share(s, next, done, count);
            fov_multiply_tile(s, c, c_stride, a, b, t, j, depth, beta, ahead);
        }
    }
}

/* Packs a piece of both operands a few rows of k at a time, each read once as it lies in memory. */
static void pack_piece(const fov_scheme *s, fov_side a, fov_side b, fov_real *a_to, fov_real *b_to, size_t from, size_t depth) {
    for (size_t at = 0; at < depth; at += 16) {
        const size_t n = fov_least_size(depth - at, 16);
        for (size_t t = a.begin; t < a.end && !a.direct; t++) {
            const size_t rows = fov_tile_first(s, t + 1) - fov_tile_first(s, t);
            fov_pack_tile(s, a_to + (t - a.begin) * s->a_panel + at * rows, t, from + at, n);
        }
        for (size_t j = b.begin; j < b.end && !b.direct; j++) {
            fov_pack_panel(s, b_to + ((j - b.begin) * depth + at) * s->width, j, from + at, n);
        }
    }
}

/* The first piece of a chunk. */
static piece chunk_begin(const fov_scheme *s, size_t chunk) {
    const size_t cut = chunk / (s->down * s->across), row = chunk / s->across % s->down, column = chunk % s->across;
    return (piece){.a = {.begin = fov_cut_at(s->tiles, row, s->down), .end = fov_cut_at(s->tiles, row + 1, s->down), .direct = s->direct_a},
                   .b = {.begin = fov_cut_at(s->panels, column, s->across),
                         .end = fov_cut_at(s->panels, column + 1, s->across),
                         .direct = s->direct_b},
                   .from = fov_cut_at(s->k, cut, s->cuts)};
}

/* After the last piece of a chunk comes the first one of the chunk that this thread will probably do next. */
static void block_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_scheme *s = context;
    const fov_product *p = s->p;
    _Alignas(64) fov_real packed[FOV_BLOCK_PANELS];
    const size_t cut = chunk / (s->down * s->across), chunks = s->cuts * s->down * s->across;
    const piece first = chunk_begin(s, chunk), other = chunk_begin(s, fov_least_size(chunk + s->threads, chunks - 1));
    fov_side a = first.a, b = first.b;
    fov_real *a_to = packed, *b_to = packed + (s->direct_a ? 0 : (a.end - a.begin) * s->a_panel);
    fov_real *c = s->cuts == 1 ? p->c : s->sums + cut * p->m * p->n;
    const size_t c_stride = s->cuts == 1 ? p->c_stride : p->n, length = fov_cut_at(s->k, cut + 1, s->cuts) - first.from;
    for (size_t i = 0; i < s->depths; i++) {
        const size_t from = first.from + fov_cut_at(length, i, s->depths), depth = first.from + fov_cut_at(length, i + 1, s->depths) - from;
        const piece below = {.a = a, .b = b, .from = from + depth};
        a.data = a.direct ? p->a.data + from * p->a.stride + fov_tile_first(s, a.begin) : a_to;
        b.data = b.direct ? p->b.data + from * p->b.stride + b.begin * s->width : b_to;
        pack_piece(s, a, b, a_to, b_to, from, depth);
        multiply(s, c, c_stride, a, b, depth, i > 0 ? 1 : s->cuts == 1 ? p->beta : 0, i + 1 < s->depths ? &below : &other);
    }
}

/* Rows whose sums are added at a time. */
static size_t sum_rows(const fov_product *p) {
    return fov_most_size(SUM_NUMBERS / p->n, 1);
}

static void sum_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_scheme *s = context;
    const fov_product *p = s->p;
    const size_t first = chunk * sum_rows(p), rows = fov_least_size(sum_rows(p), p->m - first);
    const bool whole = p->c_stride == p->n; /* rows lie one behind the other */
    const size_t runs = whole ? 1 : rows, run = whole ? rows * p->n : p->n;
    for (size_t cut = p->beta == 0 ? 1 : 0; cut < s->cuts; cut++) {
        for (size_t r = 0; r < runs; r++) {
            fov_real *c = p->c + (first + r) * p->c_stride;
            const fov_real *sums = s->sums + (cut * p->m + first + r) * p->n;
            if (cut == 1 && p->beta == 0) {
                s->kernels->add(c, sums - p->m * p->n, sums, run);
            } else {
                s->kernels->accumulate(c, sums, run);
            }
        }
    }
}

void fov_add_sums(fov_pool *pool, fov_scheme *s) {
    fov_pool_for(pool, fov_ceil_div(s->p->m, sum_rows(s->p)), sum_chunk, s);
}

void fov_run_by_blocks(fov_pool *pool, fov_scheme *s, fov_real *work) {
    s->sums = work;
    s->threads = fov_pool_threads(pool);
    fov_pool_for(pool, s->cuts * s->down * s->across, block_chunk, s);
    if (s->cuts > 1) {
        fov_add_sums(pool, s);
    }
}
