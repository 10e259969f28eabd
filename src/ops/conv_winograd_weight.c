/* Weight gradient by minimal filtering: dW = G^T [sum over tiles of (A dout A^T) (B d B^T)] G, see kernels/isa/winograd.c.
 *
 * For each place of a tile, the sum over tiles is a product [co, ci] with k running over them. A chunk owns at most 128 x 128 channels and
 * walks over the tiles of its set in blocks; the sums are transformed to 3 x 3 once at the end. All it works on comes from L3, place by
 * place and in order: more channels mean that fewer chunks transform the same tile, more tiles that sums are fetched less often, and both
 * pay more than a block that stays in L2. Both operands are multiplied as their transforms lie, [tile, channel]. Channels come in units of
 * whole vectors. Where that leaves too few chunks, blocks have 64 x 64 channels. Sets of tiles are fixed by the shape, and are added in
 * order. */
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
    UNIT = 16,
    WANTED_CHUNKS = 16,
    PAD_REALS = 16,
};

typedef struct winograd_weight {
    const fov_step *step;
    const fov_kernels *k;
    fov_conv c;
    fov_winograd_map map;
    const fov_real *dout, *in;
    fov_real *to; /* [sets, co, 3, 3, ci] */
    bool add;
    size_t columns, panels;
    size_t out_blocks, in_blocks, sets; /* of output channels, of panels of input channels, of tiles */
    size_t in_width, out_width;         /* most channels of a block; of the input, whole panels */
    size_t tiles;                       /* most tiles of a block */
    size_t sum_step, in_step, out_step; /* reals between places: sums; the two operands */
} winograd_weight;

static winograd_weight cut(const fov_conv *c) {
    winograd_weight g = {.k = fov_kernels_get(), .c = *c};
    g.map = fov_winograd_map_of(c);
    g.columns = g.k->tile_columns();
    g.panels = fov_ceil_div(c->ci, g.columns);
    const size_t most_sets = fov_ceil_div(g.map.tiles, SET_TILES);
    const size_t large = fov_ceil_div(c->co, MOST_CHANNELS) * fov_ceil_div(c->ci, MOST_CHANNELS);
    const size_t channels = large * most_sets < WANTED_CHUNKS ? FEW_CHANNELS : MOST_CHANNELS;
    g.out_blocks = fov_ceil_div(c->co, channels);
    g.in_blocks = fov_ceil_div(c->ci, channels);
    g.sets = fov_least_size(fov_ceil_div(WANTED_CHUNKS, g.out_blocks * g.in_blocks), most_sets);
    g.out_width = fov_ceil_div(c->co / UNIT, g.out_blocks) * UNIT;
    g.in_width = fov_ceil_div(g.panels, g.in_blocks) * g.columns;
    const size_t sums = g.out_width * g.in_width, share = BLOCK_REALS / g.map.places;
    g.tiles = sums < share ? fov_least_size(MOST_TILES, (share - sums) / (g.out_width + g.in_width)) : 0;
    g.tiles = g.tiles < LEAST_TILES ? LEAST_TILES : g.tiles;
    g.sum_step = sums + PAD_REALS;
    g.in_step = g.tiles * g.in_width + PAD_REALS;
    g.out_step = g.tiles * g.out_width + PAD_REALS;
    return g;
}

/* What a chunk works on, and where. */
typedef struct block {
    fov_range co, ci;
    fov_real *sums, *in, *out; /* [place][co, ci], [place][tile, ci], [place][tile, co] */
} block;

static inline __attribute__((always_inline)) void ask_for(const winograd_weight *g, const block *b, const fov_winograd_tile *t,
                                                          size_t row) {
    const fov_conv *c = &g->c;
    fov_winograd_ask_window(&g->map, t, row, g->in + b->ci.first, c->ci, fov_range_count(b->ci));
    fov_winograd_ask_outputs(&g->map, t, row, g->dout + b->co.first, c->co, fov_range_count(b->co), 0);
}

static void transform(const winograd_weight *g, const block *b, fov_range tiles) {
    const fov_conv *c = &g->c;
    fov_winograd_tile t, next = fov_winograd_tile_at(&g->map, tiles.first);
    for (size_t i = tiles.first; i < tiles.last; i++) {
        t = next;
        if (i + 1 < tiles.last) {
            next = fov_winograd_tile_at(&g->map, i + 1);
            for (size_t row = 0; row < g->map.axis.window; row++) {
                ask_for(g, b, &next, row);
            }
        }
        g->k->winograd_input(g->map.way, b->in + (i - tiles.first) * g->in_width, g->in_step, g->in + t.in_pixel * c->ci + b->ci.first,
                             c->w * c->ci, c->ci, t.inside, fov_range_count(b->ci));
        g->k->winograd_gradient(g->map.way, b->out + (i - tiles.first) * g->out_width, g->out_step,
                                g->dout + t.out_pixel * c->co + b->co.first, c->ow * c->co, c->co, t.rows, t.columns,
                                fov_range_count(b->co));
    }
}

/* Asks for part `i` of `count` of the pixels that some tiles need. */
static inline __attribute__((always_inline)) void ask_for_part(const winograd_weight *g, const block *b, fov_range tiles, size_t i,
                                                               size_t count) {
    const size_t window = g->map.axis.window;
    const fov_range rows = fov_range_part(window * fov_range_count(tiles), i, count);
    for (size_t row = rows.first; row < rows.last; row++) {
        const fov_winograd_tile t = fov_winograd_tile_at(&g->map, tiles.first + row / window);
        ask_for(g, b, &t, row % window);
    }
}

/* The sums of a block of k tiles; meanwhile the next tiles come into the caches. */
static void multiply(const winograd_weight *g, const block *b, size_t k, fov_range next, fov_real beta) {
    const size_t parts = fov_ceil_div(fov_range_count(b->co), g->k->tile_rows()), places = g->map.places;
    for (size_t place = 0; place < places; place++) {
        for (size_t j = 0; j < fov_range_count(b->ci); j += g->columns) {
            for (size_t p = 0; p < parts; p++) {
                const fov_range rows = fov_range_part(fov_range_count(b->co), p, parts);
                g->k->gemm_tile_at(b->sums + place * g->sum_step + rows.first * g->in_width + j, g->in_width, fov_range_count(rows),
                                   g->columns, b->out + place * g->out_step + rows.first, 1, g->out_width, b->in + place * g->in_step + j,
                                   g->in_width, k, beta);
            }
        }
        ask_for_part(g, b, next, place, places);
    }
}

static void weight_chunk(void *context, size_t chunk, unsigned worker) {
    const winograd_weight *g = context;
    const fov_conv *c = &g->c;
    const size_t set = chunk / (g->out_blocks * g->in_blocks);
    const fov_range tiles = fov_range_part(g->map.tiles, set, g->sets);
    const fov_range panels = fov_range_part(g->panels, chunk % g->in_blocks, g->in_blocks);
    const fov_range units = fov_range_part(c->co / UNIT, chunk / g->in_blocks % g->out_blocks, g->out_blocks);
    block b = {.co = {units.first * UNIT, units.last * UNIT},
               .ci = {panels.first * g->columns, fov_least_size(panels.last * g->columns, c->ci)},
               .sums = fov_step_worker(g->step, worker)};
    b.in = b.sums + g->map.places * g->sum_step;
    b.out = b.in + g->map.places * g->in_step;
    const size_t blocks = fov_ceil_div(fov_range_count(tiles), g->tiles);
    for (size_t i = 0; i < blocks; i++) {
        const fov_range here = fov_range_part(fov_range_count(tiles), i, blocks);
        transform(g, &b, (fov_range){tiles.first + here.first, tiles.first + here.last});
        const fov_range next = fov_range_part(fov_range_count(tiles), i + 1 < blocks ? i + 1 : i, blocks);
        multiply(g, &b, fov_range_count(here), (fov_range){tiles.first + next.first, tiles.first + next.last}, i > 0 ? 1 : 0);
    }
    fov_real *to = g->to + set * c->co * TAPS * c->ci + b.ci.first;
    for (size_t co = b.co.first; co < b.co.last; co++) {
        g->k->winograd_filter_gradient(g->map.way, to + co * TAPS * c->ci, c->ci, b.sums + (co - b.co.first) * g->in_width, g->sum_step,
                                       g->sets == 1 && g->add, fov_range_count(b.ci));
    }
}

fov_conv_bytes fov_winograd_weight_gradient_bytes(const fov_conv *c) {
    const winograd_weight g = cut(c);
    return (fov_conv_bytes){.work = g.sets == 1 ? 0 : g.sets * c->co * TAPS * c->ci * sizeof(fov_real),
                            .worker = g.map.places * (g.sum_step + g.in_step + g.out_step) * sizeof(fov_real)};
}

void fov_winograd_weight_gradient(const fov_step *step, const fov_conv *c, fov_real *dweight, const fov_real *dout, const fov_real *in,
                                  bool add) {
    winograd_weight g = cut(c);
    g.step = step;
    g.dout = dout;
    g.in = in;
    g.add = add;
    g.to = g.sets == 1 ? dweight : step->work;
    fov_pool_for(step->pool, g.sets * g.out_blocks * g.in_blocks, weight_chunk, &g);
    if (g.sets > 1) {
        fov_conv_add_sets(step, dweight, g.to, g.sets, c->co * TAPS * c->ci, add);
    }
}
