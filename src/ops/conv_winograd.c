/* Convolution and its input gradient by minimal filtering, see kernels/isa/winograd.c for the transforms. The picture's size says which
 * size of tiles takes the fewest products.
 *
 * Tiles of all images stand in one row, in the order of memory. The transforms of a block of tiles give, for each place of a tile, a
 * matrix [tile, c] that register tiles multiply as it lies with a panel of transformed weights [c, 32]; the products of a block and 32
 * output channels stay in L2 until they are transformed back. The weights are transformed once a pass. Where there are more numbers of
 * transformed weights than of transformed pixels, it goes the other way round: pixels are transformed once a pass, and a panel of weights
 * stays in the caches while all tiles are multiplied with it. Channels lie side by side in pictures and matrices, so nothing is ever
 * copied or transposed. While products are made memory is idle: the weights and pixels that come next, and the places of results, are asked
 * for then. */
#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/conv.h"

enum {
    TAPS = 9,
    BLOCK_PLACES = 14 * 36,      /* of all tiles of a block, which fits L2 with a panel of weights */
    MOST_BLOCK_PLACES = 56 * 36, /* where weights do not stay in L3: fewer blocks fetch them less often, and the block comes from L3 */
    MOST_TILES = 112,
    LARGE = 4 << 20, /* numbers of such weights */
    WANTED_CHUNKS = 32,
    LEAST_PANELS = 16, /* that threads share when each panel is transformed where it is needed */
    PAD_REALS = 16,    /* between rows whose distance would be a multiple of what the caches are divided by */
};

typedef struct winograd {
    const fov_step *step;
    const fov_kernels *k;
    const fov_real *in, *weight;
    fov_real *transformed; /* weights, or pixels if by_panel */
    fov_real *out;
    fov_winograd_map map;
    size_t out_c, in_c;
    bool back, add, by_panel;
    size_t columns, panels;        /* columns of a panel of weights */
    size_t block, blocks;          /* tiles of a block */
    size_t runs, splits;           /* of blocks, one after the other; of the panels */
    size_t v_row;                  /* reals between tiles of the transformed input */
    size_t v_step, m_step, u_step; /* reals between places: transformed input, products, transformed weights */
} winograd;

static void cut(winograd *g) {
    g->k = fov_kernels_get();
    g->columns = g->k->tile_columns();
    g->panels = fov_ceil_div(g->out_c, g->columns);
    const size_t places = g->map.places * g->in_c * g->out_c > LARGE ? MOST_BLOCK_PLACES : BLOCK_PLACES;
    const size_t rows = g->k->tile_rows(), most = fov_least_size(places / g->map.places, MOST_TILES);
    g->block = most < rows ? rows : most / rows * rows;
    g->blocks = fov_ceil_div(g->map.tiles, g->block);
    g->splits = 1;
    g->runs = fov_least_size(g->blocks, 2 * WANTED_CHUNKS);
    while (g->splits < fov_ceil_div(g->panels, 4) && g->blocks * g->splits < WANTED_CHUNKS) {
        g->splits++;
    }
    g->by_panel = g->panels >= LEAST_PANELS && g->map.tiles < g->out_c;
    g->v_row = g->in_c + PAD_REALS;
    g->v_step = g->v_row * g->block + PAD_REALS;
    g->m_step = g->columns * g->block + PAD_REALS;
    g->u_step = g->in_c * g->columns + PAD_REALS;
}

/* ---- tiles ---- */

fov_winograd_tile fov_winograd_tile_at(const fov_winograd_map *m, size_t tile) {
    const size_t each = m->tiles_y * m->tiles_x;
    const size_t size = m->axis.outputs, window = m->axis.window;
    fov_winograd_tile t = {.image = tile / each, .y = tile % each / m->tiles_x * size, .x = tile % m->tiles_x * size};
    const size_t y = t.y / size * m->axis.advance, x = t.x / size * m->axis.advance;
    t.rows = fov_least_size(size, m->out_h - t.y);
    t.columns = fov_least_size(size, m->out_w - t.x);
    t.inside[0] = m->pad > y ? m->pad - y : 0;
    t.inside[1] = fov_least_size(window, m->in_h + m->pad - y);
    t.inside[2] = m->pad > x ? m->pad - x : 0;
    t.inside[3] = fov_least_size(window, m->in_w + m->pad - x);
    t.in_pixel = (t.image * m->in_h + y + t.inside[0] - m->pad) * m->in_w + x + t.inside[2] - m->pad;
    t.out_pixel = (t.image * m->out_h + t.y) * m->out_w + t.x;
    return t;
}

size_t fov_winograd_rows_in(const fov_winograd_map *m, size_t tile) {
    const size_t each = m->tiles_y * m->tiles_x, last = tile == 0 ? 0 : tile - 1;
    const size_t rows = last % each / m->tiles_x * m->axis.advance + m->axis.window - m->pad;
    return tile == 0 ? 0 : last / each * m->in_h + fov_least_size(rows, m->in_h);
}

size_t fov_winograd_rows_out(const fov_winograd_map *m, size_t tile) {
    const size_t each = m->tiles_y * m->tiles_x, last = tile == 0 ? 0 : tile - 1;
    const size_t rows = (last % each / m->tiles_x + 1) * m->axis.outputs;
    return tile == 0 ? 0 : last / each * m->out_h + fov_least_size(rows, m->out_h);
}

static size_t tiles_of(fov_winograd_way way, size_t h, size_t w) {
    const size_t size = fov_winograd_axis_of(way).outputs;
    return fov_ceil_div(h, size) * fov_ceil_div(w, size);
}

static size_t products_of(fov_winograd_way way, size_t h, size_t w) {
    const size_t places = fov_winograd_axis_of(way).places;
    return tiles_of(way, h, w) * places * places;
}

/* Tiles of 4 x 4, unless another size saves so many products that its transforms, which take longer, pay. */
static fov_winograd_way best_way(size_t h, size_t w) {
    fov_winograd_way best = FOV_WINOGRAD_4;
    const size_t most = products_of(best, h, w) * 10 / 13;
    for (fov_winograd_way way = FOV_WINOGRAD_3; way <= FOV_WINOGRAD_6; way++) {
        if (products_of(way, h, w) <= most && products_of(way, h, w) < products_of(best, h, w)) {
            best = way;
        }
    }
    return best;
}

static fov_winograd_map map_of(fov_winograd_way way, size_t n, const size_t out[2], const size_t in[2], size_t pad) {
    fov_winograd_map m = {.way = way, .axis = fov_winograd_axis_of(way), .n = n, .pad = pad};
    m.out_h = out[0];
    m.out_w = out[1];
    m.in_h = in[0];
    m.in_w = in[1];
    m.places = m.axis.places * m.axis.places;
    m.tiles_y = fov_ceil_div(m.out_h, m.axis.outputs);
    m.tiles_x = fov_ceil_div(m.out_w, m.axis.outputs);
    m.tiles = n * m.tiles_y * m.tiles_x;
    return m;
}

static bool is_whole_2(const fov_conv *c) {
    return c->oh == 2 && c->ow == 2 && c->pad == 1 && c->stride == 1;
}

fov_winograd_map fov_winograd_map_of(const fov_conv *c) {
    const fov_winograd_way way = c->stride == 2 ? FOV_WINOGRAD_STRIDED : is_whole_2(c) ? FOV_WINOGRAD_WHOLE_2 : best_way(c->oh, c->ow);
    return map_of(way, c->n, (const size_t[]){c->oh, c->ow}, (const size_t[]){c->h, c->w}, is_whole_2(c) ? 0 : c->pad);
}

/* Of the gradient of its input. */
static fov_winograd_map map_back_of(const fov_conv *c) {
    const fov_winograd_way way = c->stride == 2 ? FOV_WINOGRAD_STRIDED_BACK : is_whole_2(c) ? FOV_WINOGRAD_WHOLE_2 : best_way(c->h, c->w);
    const size_t pad = c->stride == 2 || is_whole_2(c) ? 0 : 2 - c->pad;
    return map_of(way, c->n, (const size_t[]){c->h, c->w}, (const size_t[]){c->oh, c->ow}, pad);
}

/* The tiles of a block, and the pixels that no earlier block needs. */
typedef struct tiles {
    size_t count;
    fov_stream pixels;
    fov_winograd_tile at[MOST_TILES];
} tiles;

static void list_tiles(const winograd *g, tiles *t, size_t block) {
    const fov_range all = fov_range_part(g->map.tiles, block, g->blocks);
    const size_t row = g->map.in_w * g->in_c;
    t->count = fov_range_count(all);
    t->pixels.first = g->in + fov_winograd_rows_in(&g->map, all.first) * row;
    t->pixels.last = g->in + fov_winograd_rows_in(&g->map, all.last) * row;
    for (size_t i = 0; i < t->count; i++) {
        t->at[i] = fov_winograd_tile_at(&g->map, all.first + i);
    }
}

/* Asks for lines of outputs, to be written: part `i` of `count`. */
static inline __attribute__((always_inline)) void ask_for_outputs(const winograd *g, const tiles *here, size_t channel, size_t i,
                                                                  size_t count) {
    const size_t size = g->map.axis.outputs;
    const fov_range rows = fov_range_part(size * here->count, i, count);
    for (size_t row = rows.first; row < rows.last; row++) {
        fov_winograd_ask_outputs(&g->map, &here->at[row / size], row % size, g->out + channel, g->out_c,
                                 fov_least_size(g->columns, g->out_c - channel), 1);
    }
}

/* ---- pixels ---- */

/* v [places, tile, in_c] of a block. */
static void transform_inputs(const winograd *g, const tiles *here, fov_real *v) {
    for (size_t i = 0; i < here->count; i++) {
        const fov_winograd_tile *t = &here->at[i];
        for (size_t row = 0; row < g->map.axis.window && i + 1 < here->count; row++) {
            fov_winograd_ask_window(&g->map, t + 1, row, g->in, g->in_c, g->in_c);
        }
        g->k->winograd_input(g->map.way, v + i * g->v_row, g->v_step, g->in + t->in_pixel * g->in_c, g->map.in_w * g->in_c, g->in_c,
                             t->inside, g->in_c);
    }
}

/* Meanwhile the weights of the next place come into the caches, or the pixels of the next block. */
static void multiply(const winograd *g, const tiles *here, const tiles *next, size_t panel, const fov_real *u, const fov_real *v,
                     fov_real *m) {
    const size_t parts = fov_ceil_div(here->count, g->k->tile_rows()), places = g->map.places;
    for (size_t place = 0; place < places; place++) {
        const fov_stream weights = {u + (place + 1) * g->u_step, u + (place + 2) * g->u_step};
        for (size_t p = 0; p < parts; p++) {
            const fov_range rows = fov_range_part(here->count, p, parts);
            size_t step = 0;
            const fov_real *ahead = next == NULL ? fov_stream_part(&weights, p, parts, g->in_c, &step)
                                                 : fov_stream_part(&next->pixels, place * parts + p, places * parts, g->in_c, &step);
            g->k->gemm_tile_ahead(m + place * g->m_step + rows.first * g->columns, g->columns, fov_range_count(rows), g->columns,
                                  v + place * g->v_step + rows.first * g->v_row, g->v_row, 1, u + place * g->u_step, g->columns, g->in_c, 0,
                                  ahead, step);
        }
        ask_for_outputs(g, here, panel * g->columns, place, places);
    }
}

/* One panel of a block's outputs; next, unless NULL: the block whose pixels are needed after it. */
static void make_outputs(const winograd *g, const tiles *here, const tiles *next, size_t panel, const fov_real *u, const fov_real *v,
                         fov_real *m) {
    const size_t channel = panel * g->columns, channels = fov_least_size(g->columns, g->out_c - channel);
    multiply(g, here, next, panel, u, v, m);
    for (size_t i = 0; i < here->count; i++) {
        const fov_winograd_tile *t = &here->at[i];
        g->k->winograd_output(g->map.way, g->out + t->out_pixel * g->out_c + channel, g->map.out_w * g->out_c, g->out_c, t->rows,
                              t->columns, m + i * g->columns, g->m_step, g->add, channels);
    }
}

/* ---- weights ---- */

/* A panel as [tap, input channel, column], then its transform to u. Going back, inputs are output channels and taps are mirrored. */
static void transform_weights(const winograd *g, size_t panel, fov_real *u, fov_real *taps) {
    const size_t channel = panel * g->columns, step = g->in_c * g->columns;
    const size_t lanes = fov_least_size(g->columns, g->out_c - channel);
    if (g->back) {
        for (size_t tap = 0; tap < TAPS; tap++) {
            g->k->pack_rows(taps + (TAPS - 1 - tap) * step, g->columns, g->columns, g->weight + tap * g->out_c + channel, TAPS * g->out_c,
                            lanes, g->in_c);
        }
    } else {
        g->k->pack_lanes(taps, g->columns, g->weight + channel * TAPS * g->in_c, TAPS * g->in_c, lanes, TAPS * g->in_c);
    }
    g->k->winograd_filter(g->map.way, u, g->u_step, taps, step, step);
}

/* ---- weights once, then pixels block by block ---- */

static size_t panel_reals(const winograd *g) {
    return g->map.places * g->u_step;
}

static void panel_once(void *context, size_t panel, unsigned worker) {
    const winograd *g = context;
    transform_weights(g, panel, g->transformed + panel * panel_reals(g), fov_step_worker(g->step, worker));
}

/* A run of blocks, some panels of output channels. */
static void run_of_blocks(void *context, size_t chunk, unsigned worker) {
    const winograd *g = context;
    const fov_range panels = fov_range_part(g->panels, chunk % g->splits, g->splits);
    const fov_range blocks = fov_range_part(g->blocks, chunk / g->splits, g->runs);
    fov_real *v = fov_step_worker(g->step, worker), *m = v + g->map.places * g->v_step;
    tiles lists[2];
    list_tiles(g, &lists[0], blocks.first);
    for (size_t b = 0; b < fov_range_count(blocks); b++) {
        const tiles *here = &lists[b % 2];
        tiles *next = &lists[(b + 1) % 2];
        next->count = 0;
        if (blocks.first + b + 1 < blocks.last) {
            list_tiles(g, next, blocks.first + b + 1);
        }
        transform_inputs(g, here, v);
        for (size_t panel = panels.first; panel < panels.last; panel++) {
            make_outputs(g, here, panel + 1 == panels.last && next->count > 0 ? next : NULL, panel, g->transformed + panel * panel_reals(g),
                         v, m);
        }
    }
}

/* ---- pixels once, then weights panel by panel ---- */

static size_t block_reals(const winograd *g) {
    return g->map.places * g->v_step;
}

static void block_once(void *context, size_t block, unsigned worker) {
    (void)worker;
    const winograd *g = context;
    tiles here;
    list_tiles(g, &here, block);
    transform_inputs(g, &here, g->transformed + block * block_reals(g));
}

static void whole_panel(void *context, size_t panel, unsigned worker) {
    const winograd *g = context;
    fov_real *u = fov_step_worker(g->step, worker), *rest = u + panel_reals(g);
    transform_weights(g, panel, u, rest);
    for (size_t block = 0; block < g->blocks; block++) {
        tiles here;
        list_tiles(g, &here, block);
        make_outputs(g, &here, NULL, panel, u, g->transformed + block * block_reals(g), rest);
    }
}

/* ---- entries ---- */

static winograd forward_of(const fov_conv *c) {
    winograd g = {.out_c = c->co, .in_c = c->ci};
    g.map = fov_winograd_map_of(c);
    cut(&g);
    return g;
}

static winograd back_of(const fov_conv *c) {
    winograd g = {.out_c = c->ci, .in_c = c->co, .back = true};
    g.map = map_back_of(c);
    cut(&g);
    return g;
}

static fov_conv_bytes bytes_of(const winograd *g) {
    const size_t taps = TAPS * g->in_c * g->columns, products = g->map.places * g->m_step;
    const size_t panel = panel_reals(g), block = block_reals(g);
    const size_t work = g->by_panel ? g->blocks * block : g->panels * panel;
    const size_t worker = g->by_panel ? panel + fov_most_size(taps, products) : fov_most_size(taps, block + products);
    return (fov_conv_bytes){.work = work * sizeof(fov_real), .worker = worker * sizeof(fov_real)};
}

static void run(winograd *g, const fov_step *step, const fov_real *weight) {
    g->step = step;
    g->weight = weight;
    g->transformed = step->work;
    if (g->by_panel) {
        fov_pool_for(step->pool, g->blocks, block_once, g);
        fov_pool_for(step->pool, g->panels, whole_panel, g);
    } else {
        fov_pool_for(step->pool, g->panels, panel_once, g);
        fov_pool_for(step->pool, g->runs * g->splits, run_of_blocks, g);
    }
}

/* Products of the direct method along one axis: taps inside the picture, for every output. */
static size_t taps_inside(const fov_conv *c, size_t out, size_t in) {
    const size_t pad = c->pad;
    size_t count = 0;
    for (size_t i = 0; i < 3 * out; i++) {
        const size_t at = i / 3 * c->stride + i % 3;
        count += at >= pad && at < in + pad;
    }
    return count;
}

bool fov_winograd_able(const fov_conv *c) {
    const bool stride = c->stride == 1 || (c->stride == 2 && c->pad == 1);
    return c->kh == 3 && c->kw == 3 && stride && c->ci % 16 == 0 && c->co % 16 == 0;
}

bool fov_winograd_suits(const fov_conv *c) {
    if (!fov_winograd_able(c)) {
        return false;
    }
    const fov_winograd_map m = fov_winograd_map_of(c);
    const size_t here = m.places * m.tiles_y * m.tiles_x;
    const size_t direct = taps_inside(c, c->oh, c->h) * taps_inside(c, c->ow, c->w);
    return 2 * direct > 3 * here; /* the transforms must pay */
}

fov_conv_bytes fov_winograd_forward_bytes(const fov_conv *c) {
    const winograd g = forward_of(c);
    return bytes_of(&g);
}

fov_conv_bytes fov_winograd_input_gradient_bytes(const fov_conv *c) {
    const winograd g = back_of(c);
    return bytes_of(&g);
}

void fov_winograd_forward(const fov_step *step, const fov_conv *c, fov_real *out, const fov_real *in, const fov_real *weight) {
    winograd g = forward_of(c);
    g.out = out;
    g.in = in;
    run(&g, step, weight);
}

void fov_winograd_input_gradient(const fov_step *step, const fov_conv *c, fov_real *din, const fov_real *dout, const fov_real *weight,
                                 bool add) {
    winograd g = back_of(c);
    g.out = din;
    g.in = dout;
    g.add = add;
    run(&g, step, weight);
}
