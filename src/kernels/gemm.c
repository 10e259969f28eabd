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

#include "base/checked.h"
#include "base/error.h"
#include "kernels/gemm_blas.h"
#include "kernels/kernels.h"

enum {
    DEPTH = 512,           /* most k of a packed panel */
    PART_NUMBERS = 131072, /* rows of A and C that a part has: half an L2 cache of floats */
    PART_LEAST = 56,       /* rows, so that a panel of B that comes from L3 is used often enough */
    PART_MOST = 224,
    SLAB_NUMBERS = 16384, /* rows of A that are made at a time: they stay in L1 or near it */
    MIN_CHUNKS = 16,
    PACKED_MOST = 4 * 1024 * 1024, /* numbers of B that are packed as a whole */
    BLOCK_ROWS = 196,              /* of C, by blocks: little, so that two pieces of operands are in L2 beside it */
    BLOCK_COLUMNS = 96,
    BLOCK_WHOLE = 16384, /* numbers of a C that is one block, so that operands are read once */
    PAIR_ROWS = 392,     /* the same in bfloat16, whose operands are packed for each block: few blocks */
    PAIR_COLUMNS = 384,
    BLOCK_PACKED = 131072, /* numbers of both operands that are packed at a time */
    BLOCK_DEPTH = 256,
    CUT_LEAST = 512,      /* k of a range */
    GROUP_PACKED = 98304, /* numbers of B that stay in an L2 cache while a part's rows meet them */
    PAIR_MOST = 65536,    /* numbers of D, which does so too */
    PAIR_NUMBERS = 65536, /* of rows of A and E that D takes at a time */
    PAD = 16              /* numbers between packed panels of A */
};

/* Panels lie on the stack of the thread that packs them. */
enum { PART_PANELS = PART_NUMBERS + PART_MOST * PAD, BLOCK_PANELS = BLOCK_PACKED + (PAIR_ROWS + PAIR_COLUMNS) * PAD };
_Static_assert(BLOCK_PANELS * sizeof(float) < FOV_POOL_STACK && PART_PANELS * sizeof(float) < FOV_POOL_STACK, "panels fit a chunk's stack");

/* ---- how a shape is cut ---- */

typedef enum way { BY_BLAS, BY_ROWS, BY_BLOCKS } way;

typedef struct scheme {
    const fov_product *p;
    const fov_kernels *kernels;
    way way;
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
} scheme;

static size_t cut_at(size_t n, size_t index, size_t count) {
    return n * index / count;
}

/* Parts that suit the caches. */
static size_t part_count(const fov_product *p, size_t tiles, size_t height) {
    const size_t rows = fov_least_size(fov_most_size(PART_NUMBERS / (p->n + p->k + 1), PART_LEAST), PART_MOST);
    const size_t parts = fov_most_size(fov_ceil_div(tiles, rows / height), MIN_CHUNKS);
    return fov_least_size(parts + parts % 2, tiles);
}

static void cut_by_blocks(scheme *s) {
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

static scheme scheme_of(const fov_product *p) {
    scheme s = {.p = p, .kernels = fov_kernels_get(), .way = BY_BLAS, .cuts = 1};
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
        s.way = BY_ROWS;
        s.direct_a = !p->bf16;
    } else {
        s.way = BY_BLOCKS;
        cut_by_blocks(&s);
        const size_t sides = (fov_ceil_div(s.tiles, s.down) * s.height + fov_ceil_div(s.panels, s.across) * s.width);
        depth = fov_least_size(BLOCK_PACKED / sides, BLOCK_DEPTH);
    }
    s.depths = fov_most_size(fov_ceil_div(fov_ceil_div(s.k, s.cuts), depth), 1);
    s.deepest = fov_ceil_div(fov_ceil_div(s.k, s.cuts), s.depths) + 1;
    s.a_panel = (s.height * s.deepest + PAD + 15) / 16 * 16;
    if (p->e_columns > 0) {
        s.round = fov_most_size(PAIR_NUMBERS / (s.height * (p->k + p->e_columns)), 1);
        s.runs = fov_least_size(p->k * p->e_columns <= PAIR_MOST / 4 ? 2 * MIN_CHUNKS : MIN_CHUNKS, s.parts);
    }
    return s;
}

/* First row of a tile; first tile of a part. */
static size_t tile_first(const scheme *s, size_t tile) {
    if (s->part_tiles == 0) {
        return cut_at(s->p->m, tile, s->tiles);
    }
    const size_t part = fov_least_size(tile / s->part_tiles, s->parts - 1), row = part * s->p->part_rows, before = part * s->part_tiles;
    return row + cut_at(fov_least_size(s->p->part_rows, s->p->m - row), tile - before, fov_least_size(s->part_tiles, s->tiles - before));
}

static size_t part_first(const scheme *s, size_t part) {
    return s->part_tiles == 0 ? cut_at(s->tiles, part, s->parts) : fov_least_size(part * s->part_tiles, s->tiles);
}

/* ---- operands ---- */

/* Packs `lanes` rows of op(A), or columns of op(B), from `first`, and `n` steps from `from`; y is [n, width]. */
static void pack(const scheme *s, fov_real *y, size_t width, fov_matrix x, bool is_b, size_t first, size_t lanes, size_t from, size_t n) {
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

static void pack_tile(const scheme *s, fov_real *panel, size_t tile, size_t from, size_t n) {
    const size_t first = tile_first(s, tile), rows = tile_first(s, tile + 1) - first;
    pack(s, panel, rows, s->p->a, false, first, rows, from, n);
}

static void pack_panel(const scheme *s, fov_real *panel, size_t index, size_t from, size_t n) {
    const size_t first = index * s->width;
    pack(s, panel, s->width, s->p->b, true, first, fov_least_size(s->width, s->p->n - first), from, n);
}

/* A range of tiles or panels of C, and where the operand of the first of them is: packed, or as it lies. */
typedef struct side {
    size_t begin, end;
    const fov_real *data;
    bool direct;
} side;

/* Lines of memory that a tile asks for, one at each step of k: more at a time would hold up the loads that its sums wait for. */
typedef struct asking {
    const fov_real *from;
    size_t step; /* in numbers */
} asking;

static void multiply_tile(const scheme *s, fov_real *c, size_t c_stride, side a, side b, size_t t, size_t j, size_t depth, fov_real beta,
                          asking ahead) {
    const fov_product *p = s->p;
    const size_t column = j * s->width, columns = fov_least_size(s->width, p->n - column);
    const size_t row = tile_first(s, t), rows = tile_first(s, t + 1) - row, along = row - tile_first(s, a.begin);
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

/* What the `index`-th of `count` tiles of a block asks for: of the piece of k that comes next, from `from`, a column of lines of A (as many
 * as tiles downwards cover them) or B (two a panel). */
static asking next_piece(const scheme *s, side a, side b, size_t from, size_t index, size_t count) {
    enum { LINE = 64 / sizeof(fov_real) };
    const fov_product *p = s->p;
    const size_t tiles = a.end - a.begin, columns = tiles + 2 * (b.end - b.begin), column = columns * index / count;
    if (column == columns * (index + 1) / count || (column < tiles ? !p->a.transposed : p->b.transposed)) {
        return (asking){b.data, 0}; /* nothing, or an operand whose k lies side by side */
    }
    if (column < tiles) {
        return (asking){p->a.data + from * p->a.stride + tile_first(s, a.begin + column + 1) - 1, p->a.stride};
    }
    return (asking){p->b.data + from * p->b.stride + b.begin * s->width + (column - tiles) * LINE, p->b.stride};
}

/* C's tiles of a range downwards and one across, `depth` of k. Columns outside, rows inside: a panel of B is read from further away, but
 * once. Meanwhile the piece of both operands that comes `next` is asked for, if that is not 0. */
static void multiply(const scheme *s, fov_real *c, size_t c_stride, side a, side b, size_t depth, fov_real beta, size_t next) {
    const size_t count = (b.end - b.begin) * (a.end - a.begin);
    size_t done = 0;
    for (size_t j = b.begin; j < b.end; j++) {
        for (size_t t = a.begin; t < a.end; t++, done++) {
            const asking ahead = next == 0 ? (asking){b.data, 0} : next_piece(s, a, b, next, done, count);
            multiply_tile(s, c, c_stride, a, b, t, j, depth, beta, ahead);
        }
    }
}

/* ---- by rows ---- */

static void whole_panel_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const size_t index = chunk / s->panels, panel = chunk % s->panels;
    const size_t from = cut_at(s->k, index, s->depths), depth = cut_at(s->k, index + 1, s->depths) - from;
    pack_panel(s, s->packed_b + from * s->panels * s->width + panel * depth * s->width, panel, from, depth);
}

/* What a tile of a part asks for, one range of memory after the other. */
typedef struct wanted {
    const fov_real *from[7];
    size_t numbers[7], count, all;
} wanted;

static void want(wanted *w, const fov_real *rows, size_t numbers) {
    if (rows != NULL) {
        w->from[w->count] = rows;
        w->numbers[w->count++] = numbers;
        w->all += numbers;
    }
}

/* Tiles whose rows of A are made at a time. */
static size_t slab_of(const scheme *s) {
    return fov_most_size(SLAB_NUMBERS / (s->p->k * s->height + 1), 1);
}

/* Rows of A that come next: those of the tile below, or if they are made, of the slab below with what they are made from; after the last
 * one those of the part that this thread will probably do next. And what is read when this part is done. */
static wanted wanted_by(const scheme *s, size_t part, size_t t, size_t from) {
    const fov_product *p = s->p;
    wanted w = {.count = 0};
    const size_t end = part_first(s, part + 1), below = t + (p->make == NULL ? 1 : slab_of(s));
    const size_t next =
        below < end ? below : fov_least_size(part_first(s, fov_least_size(part + s->threads, s->parts - 1)) + below - end, s->tiles - 1);
    const size_t row = tile_first(s, next), numbers = s->height * p->a.stride;
    for (size_t i = 0; i < 2 && p->make_reads[i] != NULL; i++) {
        want(&w, p->make_reads[i] + row * p->a.stride, numbers);
    }
    if (p->a.data != NULL) {
        want(&w, p->a.data + row * p->a.stride + (p->make == NULL ? from : 0), numbers);
    }
    for (size_t i = 0; i < 2 && p->after_reads[i] != NULL; i++) {
        want(&w, p->after_reads[i] + tile_first(s, t) * p->c_stride, s->height * p->c_stride);
    }
    if (p->e != NULL) {
        want(&w, p->e + tile_first(s, t) * p->e_columns, s->height * p->e_columns);
    }
    for (size_t i = 0; i < 2 && p->e_reads[i] != NULL; i++) {
        if (p->e_reads[i] != p->after_reads[0] && p->e_reads[i] != p->after_reads[1]) {
            want(&w, p->e_reads[i] + tile_first(s, t) * p->e_columns, s->height * p->e_columns);
        }
    }
    return w;
}

/* The share of one of `count` panels. */
static asking share_of(const wanted *w, size_t index, size_t count, size_t depth) {
    size_t at = w->all * index / count, i = 0;
    for (; i + 1 < w->count && at >= w->numbers[i]; i++) {
        at -= w->numbers[i];
    }
    return (asking){w->from[i] + at, fov_ceil_div(w->all, fov_most_size(count * depth, 1))};
}

static void make_rows(const scheme *s, size_t begin, size_t end, fov_real *to) {
    const size_t row = tile_first(s, begin);
    s->p->make(s->p->context, row, tile_first(s, end) - row, to);
}

/* A part's rows as they lie against the panels of B: some of these stay in cache while all rows meet them, and what comes next is asked
 * for. */
static void multiply_rows(const scheme *s, size_t part, side b, size_t from, size_t depth, fov_real beta) {
    const fov_product *p = s->p;
    side a = {.begin = part_first(s, part), .end = part_first(s, part + 1), .direct = true};
    a.data = p->a.data + tile_first(s, a.begin) * p->a.stride + from;
    const size_t groups = fov_most_size(fov_ceil_div(s->panels * s->width * depth, GROUP_PACKED), 1), slab = slab_of(s);
    for (size_t g = 0; g < groups; g++) {
        const size_t begin = cut_at(s->panels, g, groups), end = cut_at(s->panels, g + 1, groups);
        for (size_t t = a.begin; t < a.end; t++) {
            if (p->make != NULL && from + g == 0 && (t - a.begin) % slab == 0) {
                make_rows(s, t, fov_least_size(t + slab, a.end), NULL);
            }
            const wanted w = wanted_by(s, part, t, from);
            for (size_t j = begin; j < end; j++) {
                multiply_tile(s, p->c, p->c_stride, a, b, t, j, depth, beta, share_of(&w, j - begin, end - begin, depth));
            }
        }
    }
}

/* The same with A packed. */
static void multiply_packed(const scheme *s, size_t part, side b, size_t from, size_t depth, fov_real beta) {
    _Alignas(64) fov_real packed[PART_PANELS];
    const side a = {.begin = part_first(s, part), .end = part_first(s, part + 1), .data = packed};
    for (size_t t = a.begin; t < a.end; t++) {
        pack_tile(s, packed + (t - a.begin) * s->a_panel, t, from, depth);
    }
    multiply(s, s->p->c, s->p->c_stride, a, b, depth, beta, 0);
}

static void part_chunk(void *context, size_t part, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const fov_product *p = s->p;
    if (p->before != NULL) {
        p->before(p->context, part);
    }
    for (size_t i = 0; i < s->depths; i++) {
        const size_t from = cut_at(s->k, i, s->depths), depth = cut_at(s->k, i + 1, s->depths) - from;
        const side b = {.end = s->panels, .data = s->packed_b + from * s->panels * s->width};
        (s->direct_a ? multiply_rows : multiply_packed)(s, part, b, from, depth, i == 0 ? p->beta : 1);
    }
    if (p->after != NULL) {
        p->after(p->context, part);
    }
}

static void run_by_rows(fov_pool *pool, scheme *s, fov_real *work) {
    s->packed_b = work;
    s->threads = fov_pool_threads(pool);
    fov_pool_for(pool, s->depths * s->panels, whole_panel_chunk, s);
    fov_pool_for(pool, s->parts, part_chunk, s);
}

/* ---- pairs: by rows, and a second product of these rows ---- */

/* What one thread does in a row: the tiles whose rows D has still to take, and where they are. */
typedef struct pair {
    side rows;
    size_t made; /* first tile whose rows are still to be made */
    fov_real *slab, *slab_e, *d;
    fov_real beta;
} pair;

/* D += A^T E of the rows that wait. */
static void take_rows(const scheme *s, pair *q) {
    const fov_product *p = s->p;
    const size_t first = tile_first(s, q->rows.begin), depth = tile_first(s, q->rows.end) - first, tiles = fov_ceil_div(p->k, s->height);
    const fov_real *e = p->e == NULL ? q->slab_e : p->e + first * p->e_columns;
    if (p->e == NULL) {
        p->make_e(p->context, first, depth, q->slab_e);
    }
    for (size_t j = 0; j < p->e_columns; j += s->width) {
        for (size_t t = 0; t < tiles; t++) {
            const size_t row = cut_at(p->k, t, tiles);
            s->kernels->gemm_tile_at(q->d + row * p->e_columns + j, p->e_columns, cut_at(p->k, t + 1, tiles) - row, s->width,
                                     q->rows.data + row, 1, p->a.stride, e + j, p->e_columns, depth, q->beta);
        }
    }
    q->rows.begin = q->rows.end;
    q->beta = 1;
}

static void pair_part(const scheme *s, pair *q, size_t part) {
    const fov_product *p = s->p;
    const size_t end = part_first(s, part + 1);
    const side b = {.end = s->panels, .data = s->packed_b};
    for (size_t t = part_first(s, part); t < end; t++) {
        if (q->rows.begin == t) {
            q->rows.data = p->a.data == NULL ? q->slab : p->a.data + tile_first(s, t) * p->a.stride;
        }
        if (p->make != NULL && q->made == t) {
            q->made = fov_least_size(fov_least_size(t + slab_of(s), end), q->rows.begin + s->round);
            const size_t along = tile_first(s, t) - tile_first(s, q->rows.begin);
            make_rows(s, t, q->made, p->a.data == NULL ? q->slab + along * p->a.stride : NULL);
        }
        const wanted w = wanted_by(s, part, t, 0);
        for (size_t j = 0; j < s->panels; j++) {
            multiply_tile(s, p->c, p->c_stride, q->rows, b, t, j, s->k, p->beta, share_of(&w, j, s->panels, s->k));
        }
        q->rows.end = t + 1;
        if (q->rows.end - q->rows.begin == s->round) {
            take_rows(s, q);
        }
    }
    if (p->after != NULL) {
        p->after(p->context, part);
    }
}

static void pair_chunk(void *context, size_t run, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const fov_product *p = s->p;
    _Alignas(64) fov_real slab[PART_NUMBERS];
    const size_t begin = cut_at(s->parts, run, s->runs), end = cut_at(s->parts, run + 1, s->runs), first = part_first(s, begin);
    pair q = {.rows = {.begin = first, .end = first, .direct = true}, .made = first, .slab = slab};
    q.slab_e = slab + s->round * s->height * p->k;
    q.d = s->sums + run * p->k * p->e_columns;
    for (size_t part = begin; part < end; part++) {
        pair_part(s, &q, part);
    }
    if (q.rows.end > q.rows.begin) {
        take_rows(s, &q);
    }
}

/* ---- by blocks ---- */

/* Packs a piece of both operands a few rows of k at a time, each read once as it lies in memory. */
static void pack_piece(const scheme *s, side a, side b, fov_real *a_to, fov_real *b_to, size_t from, size_t depth) {
    for (size_t at = 0; at < depth; at += 16) {
        const size_t n = fov_least_size(depth - at, 16);
        for (size_t t = a.begin; t < a.end && !a.direct; t++) {
            const size_t rows = tile_first(s, t + 1) - tile_first(s, t);
            pack_tile(s, a_to + (t - a.begin) * s->a_panel + at * rows, t, from + at, n);
        }
        for (size_t j = b.begin; j < b.end && !b.direct; j++) {
            pack_panel(s, b_to + ((j - b.begin) * depth + at) * s->width, j, from + at, n);
        }
    }
}

static void block_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const scheme *s = context;
    const fov_product *p = s->p;
    _Alignas(64) fov_real packed[BLOCK_PANELS];
    const size_t cut = chunk / (s->down * s->across), row = chunk / s->across % s->down, column = chunk % s->across;
    side a = {.begin = cut_at(s->tiles, row, s->down), .end = cut_at(s->tiles, row + 1, s->down), .direct = s->direct_a};
    side b = {.begin = cut_at(s->panels, column, s->across), .end = cut_at(s->panels, column + 1, s->across), .direct = s->direct_b};
    fov_real *a_to = packed, *b_to = packed + (s->direct_a ? 0 : (a.end - a.begin) * s->a_panel);
    fov_real *c = s->cuts == 1 ? p->c : s->sums + cut * p->m * p->n;
    const size_t c_stride = s->cuts == 1 ? p->c_stride : p->n;
    const size_t begin = cut_at(s->k, cut, s->cuts), length = cut_at(s->k, cut + 1, s->cuts) - begin;
    for (size_t i = 0; i < s->depths; i++) {
        const size_t from = begin + cut_at(length, i, s->depths), depth = begin + cut_at(length, i + 1, s->depths) - from;
        a.data = a.direct ? p->a.data + from * p->a.stride + tile_first(s, a.begin) : a_to;
        b.data = b.direct ? p->b.data + from * p->b.stride + b.begin * s->width : b_to;
        pack_piece(s, a, b, a_to, b_to, from, depth);
        multiply(s, c, c_stride, a, b, depth, i > 0 ? 1 : s->cuts == 1 ? p->beta : 0, i + 1 < s->depths ? from + depth : 0);
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

static void run_by_blocks(fov_pool *pool, scheme *s, fov_real *work) {
    s->sums = work;
    fov_pool_for(pool, s->cuts * s->down * s->across, block_chunk, s);
    if (s->cuts > 1) {
        fov_pool_for(pool, s->p->m, sum_chunk, s);
    }
}

static void run_pairs(fov_pool *pool, scheme *s, fov_real *work) {
    const fov_product *p = s->p;
    const fov_product second = {.c = p->d, .c_stride = p->e_columns, .m = p->k, .n = p->e_columns, .beta = p->d_beta};
    s->packed_b = work;
    s->sums = work + s->panels * s->width * s->k;
    s->threads = 1; /* the part below is this thread's next one */
    fov_pool_for(pool, s->panels, whole_panel_chunk, s);
    fov_pool_for(pool, s->runs, pair_chunk, s);
    scheme sum = {.p = &second, .kernels = s->kernels, .sums = s->sums, .cuts = s->runs};
    fov_pool_for(pool, p->k, sum_chunk, &sum);
}

/* ---- by OpenBLAS ---- */

static void part_rows(const scheme *s, size_t part, size_t *first, size_t *rows) {
    *first = tile_first(s, part_first(s, part));
    *rows = tile_first(s, part_first(s, part + 1)) - *first;
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
    const scheme s = scheme_of(p);
    const size_t numbers = s.way == BY_ROWS ? s.panels * s.width * s.k : s.cuts > 1 ? s.cuts * p->m * p->n : 0;
    return (numbers + s.runs * p->k * p->e_columns) * sizeof(fov_real);
}

bool fov_product_pairs(const fov_product *p) {
    const scheme s = scheme_of(p);
    return s.way == BY_ROWS && !p->bf16 && p->part_rows > 0 && s.depths == 1 && s.panels * s.width * s.k <= GROUP_PACKED && s.runs > 1 &&
           p->k * p->e_columns <= PAIR_MOST && p->e_columns % s.width == 0;
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
    if (s->p->before != NULL) {
        s->p->before(s->p->context, part);
    }
    if (s->p->make != NULL) {
        make_rows(s, part_first(s, part), part_first(s, part + 1), NULL);
    }
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
    } else if (p->e_columns > 0) {
        FOV_ASSERT(fov_product_pairs(p) && p->before == NULL);
        run_pairs(pool, &s, work);
    } else if (s.way == BY_ROWS) {
        run_by_rows(pool, &s, work);
    } else {
        if (p->before != NULL || p->make != NULL) {
            fov_pool_for(pool, s.parts, before_chunk, &s);
        }
        run_by_blocks(pool, &s, work);
        if (p->after != NULL) {
            fov_pool_for(pool, s.parts, after_chunk, &s);
        }
    }
}
