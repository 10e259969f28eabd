/* Weight gradient by minimal filtering F(4x4, 3x3): dW = G^T [sum over tiles of (A dout A^T) (B^T d B)] G, see kernels/isa/winograd.c.
 *
 * For each of the 36 places, the sum over tiles and images is a product [co, ci] with k running over them. A chunk owns at most 64 x 64
 * channels, so that its 36 sums stay in L2, and walks over the images of its set in blocks of about 32 tiles; the sums are transformed to 3
 * x 3 once at the end. Sets of images are fixed by the shape, and are added in order. */
#include "kernels/kernels.h"
#include "ops/conv.h"

enum { TILE = 4, WINDOW = 6, PLACES = 36, TAPS = 9, BLOCK_CHANNELS = 64, BLOCK_TILES = 32, WANTED_CHUNKS = 16, PAD_REALS = 16 };

typedef struct winograd_weight {
    const fov_step *step;
    const fov_kernels *k;
    fov_conv c;
    const fov_real *dout, *in;
    fov_real *to; /* [sets, co, 3, 3, ci] */
    bool add;
    size_t tiles_y, tiles_x, columns, panels;
    size_t out_blocks, in_blocks, sets; /* of output channels, of panels of input channels, of images */
    size_t images, rows;                /* images and tile rows a block */
    size_t out_tiles;                   /* register tiles along a block of output channels */
    size_t width;                       /* input channels of a block, whole panels */
    size_t u_step, in_step, out_step;   /* reals between places: sums; one panel's, one register tile's operand */
} winograd_weight;

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t ceil_div(size_t a, size_t b) {
    return (a + b - 1) / b;
}

static winograd_weight cut(const fov_conv *c) {
    winograd_weight g = {.k = fov_kernels_get(), .c = *c, .images = 1};
    g.tiles_y = ceil_div(c->oh, TILE);
    g.tiles_x = ceil_div(c->ow, TILE);
    g.columns = g.k->tile_columns();
    g.panels = ceil_div(c->ci, g.columns);
    g.out_blocks = ceil_div(c->co, BLOCK_CHANNELS);
    g.in_blocks = ceil_div(c->ci, BLOCK_CHANNELS);
    g.sets = least(ceil_div(WANTED_CHUNKS, g.out_blocks * g.in_blocks), c->n);
    const size_t most_out = ceil_div(c->co, g.out_blocks);
    g.out_tiles = ceil_div(most_out, g.k->tile_rows());
    g.width = ceil_div(g.panels, g.in_blocks) * g.columns;
    g.rows = g.tiles_y * g.tiles_x <= BLOCK_TILES ? g.tiles_y : (BLOCK_TILES + g.tiles_x - 1) / g.tiles_x;
    if (g.rows == g.tiles_y) {
        g.images = least(ceil_div(BLOCK_TILES, g.tiles_y * g.tiles_x), ceil_div(c->n, g.sets));
    }
    const size_t k = g.images * g.rows * g.tiles_x;
    g.u_step = most_out * g.width + PAD_REALS;
    g.in_step = k * g.columns + PAD_REALS;
    g.out_step = k * g.k->tile_rows() + PAD_REALS;
    return g;
}

/* A worker's scratch; `total` counts its reals. Pixels are of one panel or one register tile at a time. */
typedef struct scratch {
    fov_real *sums, *in, *out, *pixels;
    size_t total;
} scratch;

static scratch scratch_at(const winograd_weight *g, fov_real *base) {
    const fov_conv *c = &g->c;
    const size_t in = PLACES * g->u_step;
    const size_t out = in + g->width / g->columns * PLACES * g->in_step;
    const size_t pixels = out + g->out_tiles * PLACES * g->out_step;
    const size_t rows = least(c->h, g->rows * TILE + WINDOW - TILE), out_rows = least(c->oh, g->rows * TILE);
    const size_t in_reals = rows * c->w * g->columns, out_reals = out_rows * c->ow * g->k->tile_rows();
    scratch s = {.total = pixels + (in_reals > out_reals ? in_reals : out_reals) * g->images + PAD_REALS};
    if (base != NULL) {
        s.sums = base;
        s.in = base + in;
        s.out = base + out;
        s.pixels = base + pixels;
    }
    return s;
}

/* What a chunk works on: channels, and now some images and tile rows. */
typedef struct block {
    fov_range co, panels, images, tiles;
    fov_range in_rows, out_rows;
    scratch s;
} block;

static fov_range inside(size_t tile, size_t pad, size_t extent) {
    const size_t origin = tile * TILE;
    return (fov_range){pad > origin ? pad - origin : 0, least(WINDOW, extent + pad - origin)};
}

/* One panel of input channels: pixels to [36][tile, image, column]. */
static void transform_in(const winograd_weight *g, const block *b, size_t panel) {
    const fov_conv *c = &g->c;
    const size_t pixel = fov_range_count(b->images) * g->columns;
    const fov_conv_source source = {g->in, c->h, c->w, c->ci, 1, b->images, b->in_rows};
    fov_conv_copy(g->k, b->s.pixels, g->columns, &source, panel * g->columns, least(g->columns, c->ci - panel * g->columns));
    fov_real *to = b->s.in + (panel - b->panels.first) * PLACES * g->in_step;
    for (size_t ty = b->tiles.first; ty < b->tiles.last; ty++) {
        const fov_range rows = inside(ty, c->pad, c->h);
        for (size_t tx = 0; tx < g->tiles_x; tx++, to += pixel) {
            const fov_range columns = inside(tx, c->pad, c->w);
            const size_t where[4] = {rows.first, rows.last, columns.first, columns.last};
            const size_t y = ty * TILE + rows.first - c->pad - b->in_rows.first, x = tx * TILE + columns.first - c->pad;
            g->k->winograd_input(to, g->in_step, b->s.pixels + (y * c->w + x) * pixel, c->w * pixel, pixel, where, pixel);
        }
    }
}

/* One register tile of output channels: pixels to [36][tile, image, channel]. What is written past a tile is overwritten by the next. */
static void transform_out(const winograd_weight *g, const block *b, size_t t, fov_range co) {
    const fov_conv *c = &g->c;
    const size_t pixel = fov_range_count(b->images) * fov_range_count(co);
    const fov_conv_source source = {g->dout, c->oh, c->ow, c->co, 1, b->images, b->out_rows};
    fov_conv_copy(g->k, b->s.pixels, fov_range_count(co), &source, co.first, fov_range_count(co));
    fov_real *to = b->s.out + t * PLACES * g->out_step;
    for (size_t ty = b->tiles.first; ty < b->tiles.last; ty++) {
        for (size_t tx = 0; tx < g->tiles_x; tx++, to += pixel) {
            const size_t y = ty * TILE - b->out_rows.first, x = tx * TILE;
            g->k->winograd_gradient(to, g->out_step, b->s.pixels + (y * c->ow + x) * pixel, c->ow * pixel, pixel,
                                    least(TILE, c->oh - ty * TILE), least(TILE, c->ow - x), pixel);
        }
    }
}

static fov_range tile_channels(const block *b, size_t t, size_t tiles) {
    const fov_range part = fov_range_part(fov_range_count(b->co), t, tiles);
    return (fov_range){b->co.first + part.first, b->co.first + part.last};
}

static void add_block(const winograd_weight *g, const block *b, fov_real beta) {
    const size_t k = fov_range_count(b->images) * fov_range_count(b->tiles) * g->tiles_x;
    for (size_t panel = b->panels.first; panel < b->panels.last; panel++) {
        transform_in(g, b, panel);
    }
    for (size_t t = 0; t < g->out_tiles; t++) {
        transform_out(g, b, t, tile_channels(b, t, g->out_tiles));
    }
    for (size_t place = 0; place < PLACES; place++) {
        for (size_t p = 0; p < fov_range_count(b->panels); p++) {
            const fov_real *in = b->s.in + (p * PLACES + place) * g->in_step;
            for (size_t t = 0; t < g->out_tiles; t++) {
                const fov_range co = tile_channels(b, t, g->out_tiles);
                const size_t rows = fov_range_count(co);
                g->k->gemm_tile(b->s.sums + place * g->u_step + (co.first - b->co.first) * g->width + p * g->columns, g->width, rows,
                                g->columns, b->s.out + (t * PLACES + place) * g->out_step, rows, 0, in, 0, k, 1, 1, beta);
            }
        }
    }
}

static void weight_chunk(void *context, size_t chunk, unsigned worker) {
    const winograd_weight *g = context;
    const fov_conv *c = &g->c;
    const size_t set = chunk / (g->out_blocks * g->in_blocks);
    const fov_range images = fov_range_part(c->n, set, g->sets);
    block b = {.co = fov_range_part(c->co, chunk / g->in_blocks % g->out_blocks, g->out_blocks),
               .panels = fov_range_part(g->panels, chunk % g->in_blocks, g->in_blocks),
               .s = scratch_at(g, fov_step_worker(g->step, worker))};
    fov_real beta = 0;
    for (size_t i = images.first; i < images.last; i += g->images) {
        b.images = (fov_range){i, least(i + g->images, images.last)};
        for (size_t ty = 0; ty < g->tiles_y; ty += g->rows) {
            b.tiles = (fov_range){ty, least(ty + g->rows, g->tiles_y)};
            b.out_rows = (fov_range){ty * TILE, least(b.tiles.last * TILE, c->oh)};
            b.in_rows = (fov_range){ty * TILE > c->pad ? ty * TILE - c->pad : 0, least((b.tiles.last - 1) * TILE + WINDOW - c->pad, c->h)};
            add_block(g, &b, beta);
            beta = 1;
        }
    }
    const size_t first = b.panels.first * g->columns;
    const size_t channels = least(b.panels.last * g->columns, c->ci) - first;
    fov_real *to = g->to + set * c->co * TAPS * c->ci + first;
    for (size_t co = b.co.first; co < b.co.last; co++) {
        g->k->winograd_filter_gradient(to + co * TAPS * c->ci, c->ci, b.s.sums + (co - b.co.first) * g->width, g->u_step,
                                       g->sets == 1 && g->add, channels);
    }
}

fov_conv_bytes fov_winograd_weight_gradient_bytes(const fov_conv *c) {
    const winograd_weight g = cut(c);
    return (fov_conv_bytes){.work = g.sets == 1 ? 0 : g.sets * c->co * TAPS * c->ci * sizeof(fov_real),
                            .worker = scratch_at(&g, NULL).total * sizeof(fov_real)};
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
