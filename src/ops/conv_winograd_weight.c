/* Weight gradient by minimal filtering: dW = G^T [sum over tiles of (A dout A^T) (B d B^T)] G, see kernels/isa/winograd.c for the
 * transforms.
 *
 * For each place of a tile, the sum over tiles is a product [co, ci] with k running over them. A chunk owns some channels of both and walks
 * over tiles in blocks; the sums are transformed to 3 x 3 once at the end. All it works on comes from L3, place by place and in order: more
 * channels mean that fewer chunks transform the same tile, more tiles that sums are fetched less often, and both pay more than a block that
 * stays in L2. Both operands are multiplied as their transforms lie, [tile, channel]. Channels come in units of whole vectors.
 *
 * Few channels are one block or two of at most 128 x 128, and a chunk takes a set of the tiles and transforms them itself. Sets are fixed
 * by the shape, and are added in order. Of more channels each tile would be transformed by several chunks: there the transforms of a group
 * of tiles are made once, into memory that all chunks read. */
#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/conv.h"

enum {
    TAPS = 9,
    MOST_CHANNELS = 128,                          /* of a block */
    FEW_CHANNELS = 64,                            /* where larger blocks would be too few */
    SET_TILES = 256,                              /* fewer do not pay for transforming the sums and adding them up */
    BLOCK_REALS = (4 << 20) / (int)sizeof(float), /* that a chunk works on, of all places */
    MOST_TILES = 96,
    LEAST_TILES = 16,
    UNIT = 16, /* channels that fill a line of the caches, or several */
    WANTED_CHUNKS = 16,
    LEAST_SHARED = 8,                              /* blocks of few channels for whose sake transforms are made once */
    GROUP_REALS = (20 << 20) / (int)sizeof(float), /* of those transforms at a time, which L3 can hold */
    SHARED_TILES = 144,
    TRANSFORM_TILES = 8, /* that a chunk transforms for all */
    PAD_REALS = 16,      /* between rows and places whose distance would be a multiple of what the caches are divided by */
};

typedef struct winograd_weight {
    const fov_step *step;
    const fov_kernels *k;
    fov_conv c;
    fov_winograd_map map;
    const fov_real *dout, *in;
    fov_real *to; /* [sets, co, 3, 3, ci] */
    bool add, shared;
    fov_range group; /* tiles whose transforms are in step->work, if they are shared */
    size_t columns, panels;
    size_t out_blocks, in_blocks, sets; /* of output channels, of panels of input channels, of tiles */
    size_t in_width, out_width;         /* most channels of a block; of the input, whole panels */
    size_t in_row, out_row;             /* reals between tiles of the two operands */
    size_t tiles, rows;                 /* most tiles of a block; room for tiles in the operands */
    size_t sum_step, in_step, out_step; /* reals between places: sums; the two operands */
} winograd_weight;

static size_t blocks_of(const fov_conv *c, size_t channels) {
    return fov_ceil_div(c->co, channels) * fov_ceil_div(c->ci, channels);
}

static winograd_weight cut(const fov_conv *c) {
    winograd_weight g = {.k = fov_kernels_get(), .c = *c};
    g.map = fov_winograd_map_of(c);
    g.columns = g.k->tile_columns();
    g.panels = fov_ceil_div(c->ci, g.columns);
    g.shared = blocks_of(c, FEW_CHANNELS) >= LEAST_SHARED;
    const size_t most_sets = g.shared ? 1 : fov_ceil_div(g.map.tiles, SET_TILES);
    const size_t channels = blocks_of(c, MOST_CHANNELS) * most_sets < WANTED_CHUNKS ? FEW_CHANNELS : MOST_CHANNELS;
    g.out_blocks = fov_ceil_div(c->co, channels);
    g.in_blocks = fov_ceil_div(c->ci, channels);
    g.sets = fov_least_size(fov_ceil_div(WANTED_CHUNKS, g.out_blocks * g.in_blocks), most_sets);
    g.out_width = fov_ceil_div(c->co / UNIT, g.out_blocks) * UNIT;
    g.in_width = fov_ceil_div(g.panels, g.in_blocks) * g.columns;
    g.in_row = (g.shared ? g.panels * g.columns : g.in_width) + PAD_REALS;
    g.out_row = (g.shared ? c->co : g.out_width) + PAD_REALS;
    const size_t sums = g.out_width * g.in_width;
    if (g.shared) {
        g.tiles = SHARED_TILES;
        const size_t most = fov_most_size(GROUP_REALS / (g.map.places * (g.in_row + g.out_row)), g.tiles);
        g.rows = fov_ceil_div(g.map.tiles, fov_ceil_div(g.map.tiles, most));
    } else {
        const size_t share = BLOCK_REALS / g.map.places;
        g.tiles = sums < share ? fov_least_size(MOST_TILES, (share - sums) / (g.in_width + g.out_width)) : 0;
        g.tiles = g.tiles < LEAST_TILES ? LEAST_TILES : g.tiles;
        g.rows = g.tiles;
    }
    g.sum_step = sums + PAD_REALS;
    g.in_step = g.rows * g.in_row + PAD_REALS;
    g.out_step = g.rows * g.out_row + PAD_REALS;
    return g;
}

/* What a chunk works on, and where. */
typedef struct block {
    fov_range co, ci;
    fov_real *sums, *in, *out; /* [place][co, ci], [place][tile, ci], [place][tile, co] */
    fov_stream pixels[2];      /* of inputs and output gradients that come next */
} block;

static void transform(const winograd_weight *g, const block *b, fov_range tiles) {
    const fov_conv *c = &g->c;
    fov_winograd_tile t, next = fov_winograd_tile_at(&g->map, tiles.first);
    for (size_t i = tiles.first; i < tiles.last; i++) {
        t = next;
        if (i + 1 < tiles.last) {
            next = fov_winograd_tile_at(&g->map, i + 1);
            for (size_t row = 0; row < g->map.axis.window; row++) {
                fov_winograd_ask_window(&g->map, &next, row, g->in + b->ci.first, c->ci, fov_range_count(b->ci));
                fov_winograd_ask_outputs(&g->map, &next, row, g->dout + b->co.first, c->co, fov_range_count(b->co), 0);
            }
        }
        g->k->winograd_input(g->map.way, b->in + (i - tiles.first) * g->in_row, g->in_step, g->in + t.in_pixel * c->ci + b->ci.first,
                             c->w * c->ci, c->ci, t.inside, fov_range_count(b->ci));
        g->k->winograd_gradient(g->map.way, b->out + (i - tiles.first) * g->out_row, g->out_step,
                                g->dout + t.out_pixel * c->co + b->co.first, c->ow * c->co, c->co, t.rows, t.columns,
                                fov_range_count(b->co));
    }
}

/* What tile `call` of a place asks for, and the bytes from step to step. Shared operands: the next place's. Else pixels of the next tiles,
 * inputs and output gradients in turn. */
static const fov_real *ahead_of(const winograd_weight *g, const block *b, size_t place, size_t call, size_t calls, size_t k, size_t *step) {
    if (!g->shared) {
        const size_t at = place * calls + call, count = g->map.places * calls;
        return fov_stream_part(&b->pixels[at % 2], at / 2, fov_ceil_div(count, 2), k, step);
    }
    const size_t in_lines = fov_range_count(b->ci) / UNIT, lines = in_lines + fov_range_count(b->co) / UNIT;
    if (place + 1 == g->map.places || call >= lines) {
        *step = 0;
        return b->in;
    }
    *step = (call < in_lines ? g->in_row : g->out_row) * sizeof(fov_real);
    return call < in_lines ? b->in + (place + 1) * g->in_step + call * UNIT : b->out + (place + 1) * g->out_step + (call - in_lines) * UNIT;
}

/* The sums of k tiles. */
static void multiply(const winograd_weight *g, const block *b, size_t k, fov_real beta) {
    const size_t parts = fov_ceil_div(fov_range_count(b->co), g->k->tile_rows());
    const size_t calls = fov_ceil_div(fov_range_count(b->ci), g->columns) * parts;
    for (size_t place = 0; place < g->map.places; place++) {
        for (size_t call = 0; call < calls; call++) {
            const size_t j = call / parts * g->columns;
            const fov_range rows = fov_range_part(fov_range_count(b->co), call % parts, parts);
            size_t step = 0;
            const fov_real *ahead = ahead_of(g, b, place, call, calls, k, &step);
            g->k->gemm_tile_ahead(b->sums + place * g->sum_step + rows.first * g->in_width + j, g->in_width, fov_range_count(rows),
                                  g->columns, b->out + place * g->out_step + rows.first, 1, g->out_row, b->in + place * g->in_step + j,
                                  g->in_row, k, beta, ahead, step);
        }
    }
}

static void sums_to_filters(const winograd_weight *g, const block *b, fov_real *to, bool add) {
    const fov_conv *c = &g->c;
    for (size_t co = b->co.first; co < b->co.last; co++) {
        g->k->winograd_filter_gradient(g->map.way, to + co * TAPS * c->ci + b->ci.first, c->ci, b->sums + (co - b->co.first) * g->in_width,
                                       g->sum_step, add, fov_range_count(b->ci));
    }
}

static block block_of(const winograd_weight *g, size_t chunk) {
    const fov_range panels = fov_range_part(g->panels, chunk % g->in_blocks, g->in_blocks);
    const fov_range units = fov_range_part(g->c.co / UNIT, chunk / g->in_blocks % g->out_blocks, g->out_blocks);
    return (block){.co = {units.first * UNIT, units.last * UNIT},
                   .ci = {panels.first * g->columns, fov_least_size(panels.last * g->columns, g->c.ci)}};
}

/* ---- each chunk transforms what it needs ---- */

/* The pixels that tiles need and no tile before them, inputs or output gradients. */
static fov_stream pixels_of(const winograd_weight *g, fov_range tiles, bool of_inputs) {
    const fov_conv *c = &g->c;
    const fov_real *from = of_inputs ? g->in : g->dout;
    const size_t row = of_inputs ? c->w * c->ci : c->ow * c->co;
    size_t (*const rows)(const fov_winograd_map *, size_t) = of_inputs ? fov_winograd_rows_in : fov_winograd_rows_out;
    return (fov_stream){from + rows(&g->map, tiles.first) * row, from + rows(&g->map, tiles.last) * row};
}

static void weight_chunk(void *context, size_t chunk, unsigned worker) {
    const winograd_weight *g = context;
    const size_t set = chunk / (g->out_blocks * g->in_blocks);
    const fov_range tiles = fov_range_part(g->map.tiles, set, g->sets);
    block b = block_of(g, chunk);
    b.sums = fov_step_worker(g->step, worker);
    b.in = b.sums + g->map.places * g->sum_step;
    b.out = b.in + g->map.places * g->in_step;
    const size_t blocks = fov_ceil_div(fov_range_count(tiles), g->tiles);
    for (size_t i = 0; i < blocks; i++) {
        const fov_range here = fov_range_part(fov_range_count(tiles), i, blocks);
        transform(g, &b, (fov_range){tiles.first + here.first, tiles.first + here.last});
        const size_t end = fov_range_part(fov_range_count(tiles), i + 1 < blocks ? i + 1 : i, blocks).last;
        const fov_range next = {tiles.first + here.last, tiles.first + end};
        b.pixels[0] = pixels_of(g, next, true);
        b.pixels[1] = pixels_of(g, next, false);
        multiply(g, &b, fov_range_count(here), i > 0 ? 1 : 0);
    }
    sums_to_filters(g, &b, g->to + set * g->c.co * TAPS * g->c.ci, g->sets == 1 && g->add);
}

/* ---- transforms are made once, for all chunks ---- */

static size_t shared_out(const winograd_weight *g) {
    return g->map.places * g->in_step;
}

static void transform_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const winograd_weight *g = context;
    const size_t count = fov_range_count(g->group);
    const fov_range here = fov_range_part(count, chunk, fov_ceil_div(count, TRANSFORM_TILES));
    const block b = {.co = {0, g->c.co},
                     .ci = {0, g->c.ci},
                     .in = (fov_real *)g->step->work + here.first * g->in_row,
                     .out = (fov_real *)g->step->work + shared_out(g) + here.first * g->out_row};
    transform(g, &b, (fov_range){g->group.first + here.first, g->group.first + here.last});
}

static void shared_chunk(void *context, size_t chunk, unsigned worker) {
    const winograd_weight *g = context;
    block b = block_of(g, chunk);
    b.sums = fov_step_worker(g->step, worker);
    const size_t count = fov_range_count(g->group), blocks = fov_ceil_div(count, g->tiles);
    for (size_t i = 0; i < blocks; i++) {
        const fov_range here = fov_range_part(count, i, blocks);
        b.in = (fov_real *)g->step->work + here.first * g->in_row + b.ci.first;
        b.out = (fov_real *)g->step->work + shared_out(g) + here.first * g->out_row + b.co.first;
        multiply(g, &b, fov_range_count(here), i > 0 ? 1 : 0);
    }
    sums_to_filters(g, &b, g->to, g->add);
}

static void run_shared(winograd_weight *g) {
    const size_t groups = fov_ceil_div(g->map.tiles, g->rows);
    for (size_t i = 0; i < groups; i++) {
        g->group = fov_range_part(g->map.tiles, i, groups);
        fov_pool_for(g->step->pool, fov_ceil_div(fov_range_count(g->group), TRANSFORM_TILES), transform_chunk, g);
        fov_pool_for(g->step->pool, g->out_blocks * g->in_blocks, shared_chunk, g);
        g->add = true;
    }
}

/* ---- entries ---- */

fov_conv_bytes fov_winograd_weight_gradient_bytes(const fov_conv *c) {
    const winograd_weight g = cut(c);
    const size_t sums = g.map.places * g.sum_step, operands = g.map.places * (g.in_step + g.out_step);
    const size_t sets = g.sets == 1 ? 0 : g.sets * c->co * TAPS * c->ci;
    return (fov_conv_bytes){.work = (g.shared ? operands : sets) * sizeof(fov_real),
                            .worker = (g.shared ? sums : sums + operands) * sizeof(fov_real)};
}

void fov_winograd_weight_gradient(const fov_step *step, const fov_conv *c, fov_real *dweight, const fov_real *dout, const fov_real *in,
                                  bool add) {
    winograd_weight g = cut(c);
    g.step = step;
    g.dout = dout;
    g.in = in;
    g.add = add;
    g.to = g.sets == 1 ? dweight : step->work;
    if (g.shared) {
        run_shared(&g);
        return;
    }
    fov_pool_for(step->pool, g.sets * g.out_blocks * g.in_blocks, weight_chunk, &g);
    if (g.sets > 1) {
        fov_conv_add_sets(step, dweight, g.to, g.sets, c->co * TAPS * c->ci, add);
    }
}
