/* Convolution and its input gradient by minimal filtering F(4x4, 3x3), see kernels/isa/winograd.c for the transforms.
 *
 * As in conv_gather.c, up to 14 images of a group are interleaved ([h, w, c, image]). The transform of a 6 x 6 window then gives, for each
 * of the 36 places, a panel [c, image] that a register tile multiplies with the transformed weights [36][c, 32]; the products of one window
 * and 32 output channels stay in L2 until they are transformed back. The weights are transformed once a pass. Two windows at a time share
 * them. */
#include "kernels/kernels.h"
#include "ops/conv.h"

enum {
    TILE = 4,
    WINDOW = 6,
    PLACES = 36,
    TAPS = 9,
    BAND_BYTES = 512 * 1024,
    MOST_GROUPS = 4,
    SHARING = 2,
    WANTED_CHUNKS = 32,
    PAD_REALS = 16
};

typedef struct winograd {
    const fov_step *step;
    const fov_kernels *k;
    const fov_real *in, *transformed;
    fov_real *out;
    size_t n, out_h, out_w, out_c, in_h, in_w, in_c, pad;
    bool back, add;
    size_t tiles_y, tiles_x;
    size_t lanes, columns, panels, groups; /* images a group at most; columns of a panel of weights */
    size_t set, sets, bands, splits;       /* groups a chunk; bands of tile rows; splits of the panels */
    size_t band_rows;                      /* most input rows that a band needs */
    size_t v_step, m_step, u_step;         /* reals between places: transformed input, products, transformed weights */
} winograd;

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t ceil_div(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* Input rows that tile rows use. */
static fov_range rows_used(const winograd *g, fov_range tiles) {
    const size_t first = tiles.first * TILE, last = (tiles.last - 1) * TILE + WINDOW;
    return (fov_range){first > g->pad ? first - g->pad : 0, least(last > g->pad ? last - g->pad : 0, g->in_h)};
}

static size_t most_rows(const winograd *g, size_t bands) {
    size_t most = 0;
    for (size_t b = 0; b < bands; b++) {
        const size_t rows = fov_range_count(rows_used(g, fov_range_part(g->tiles_y, b, bands)));
        most = rows > most ? rows : most;
    }
    return most;
}

static void cut(winograd *g) {
    g->k = fov_kernels_get();
    g->lanes = g->k->tile_rows();
    g->columns = g->k->tile_columns();
    g->tiles_y = ceil_div(g->out_h, TILE);
    g->tiles_x = ceil_div(g->out_w, TILE);
    g->groups = ceil_div(g->n, g->lanes);
    g->panels = ceil_div(g->out_c, g->columns);
    const size_t row_bytes = g->lanes * g->in_w * g->in_c * sizeof(fov_real);
    g->bands = 1;
    g->band_rows = most_rows(g, 1);
    while (g->bands < g->tiles_y && (g->band_rows * row_bytes > BAND_BYTES || g->groups * g->bands < WANTED_CHUNKS)) {
        g->bands++;
        g->band_rows = most_rows(g, g->bands);
    }
    g->set = 1;
    while (g->set < MOST_GROUPS && (g->set + 1) * g->band_rows * row_bytes <= BAND_BYTES) {
        g->set++;
    }
    g->sets = ceil_div(g->groups, g->set);
    g->splits = 1;
    while (g->splits < ceil_div(g->panels, 4) && g->sets * g->bands * g->splits < WANTED_CHUNKS) {
        g->splits++;
    }
    g->v_step = g->in_c * g->lanes + PAD_REALS;
    g->m_step = g->columns * g->lanes + PAD_REALS;
    g->u_step = g->in_c * g->columns + PAD_REALS;
}

static size_t group_reals(const winograd *g) {
    return g->band_rows * g->in_w * g->in_c * g->lanes + PAD_REALS;
}

/* One 6 x 6 window of one group of images. */
typedef struct unit {
    fov_range images;
    size_t y, x;            /* tile row and column */
    const fov_real *pixels; /* the group's, from input row `top` */
    size_t top;
} unit;

/* What of a window is inside, along one axis. */
static fov_range inside(size_t tile, size_t pad, size_t extent) {
    const size_t origin = tile * TILE;
    return (fov_range){pad > origin ? pad - origin : 0, least(WINDOW, extent + pad - origin)};
}

static void transform_input(const winograd *g, const unit *u, fov_real *v) {
    const size_t lanes = fov_range_count(u->images);
    const size_t pixel = g->in_c * lanes;
    const fov_range rows = inside(u->y, g->pad, g->in_h), columns = inside(u->x, g->pad, g->in_w);
    const size_t where[4] = {rows.first, rows.last, columns.first, columns.last};
    const size_t y = u->y * TILE + rows.first - g->pad - u->top, x = u->x * TILE + columns.first - g->pad;
    g->k->winograd_input(v, g->v_step, u->pixels + (y * g->in_w + x) * pixel, g->in_w * pixel, pixel, where, pixel);
}

static void transform_output(const winograd *g, const unit *u, const fov_real *m, size_t channel) {
    const size_t rows = least(TILE, g->out_h - u->y * TILE), columns = least(TILE, g->out_w - u->x * TILE);
    for (size_t i = u->images.first; i < u->images.last; i++) {
        fov_real *to = g->out + ((i * g->out_h + u->y * TILE) * g->out_w + u->x * TILE) * g->out_c + channel;
        g->k->winograd_output(to, g->out_w * g->out_c, g->out_c, rows, columns, m + (i - u->images.first) * g->columns, g->m_step, g->add,
                              least(g->columns, g->out_c - channel));
    }
}

/* Some windows, all of a split's output channels. */
static void run_units(const winograd *g, const unit *units, size_t count, fov_range panels, fov_real *v, fov_real *m) {
    for (size_t i = 0; i < count; i++) {
        transform_input(g, &units[i], v + i * PLACES * g->v_step);
    }
    for (size_t panel = panels.first; panel < panels.last; panel++) {
        for (size_t place = 0; place < PLACES; place++) {
            const fov_real *weights = g->transformed + (panel * PLACES + place) * g->u_step;
            for (size_t i = 0; i < count; i++) {
                const size_t lanes = fov_range_count(units[i].images);
                g->k->gemm_tile(m + (i * PLACES + place) * g->m_step, g->columns, lanes, g->columns, v + (i * PLACES + place) * g->v_step,
                                lanes, 0, weights, 0, g->in_c, 1, 1, 0);
            }
        }
        for (size_t i = 0; i < count; i++) {
            transform_output(g, &units[i], m + i * PLACES * g->m_step, panel * g->columns);
        }
    }
}

static void winograd_chunk(void *context, size_t chunk, unsigned worker) {
    const winograd *g = context;
    const fov_range tiles = fov_range_part(g->tiles_y, chunk / g->splits % g->bands, g->bands);
    const fov_range panels = fov_range_part(g->panels, chunk % g->splits, g->splits);
    const fov_range groups = fov_range_part(g->groups, chunk / (g->bands * g->splits), g->sets);
    const fov_range used = rows_used(g, tiles);
    const size_t row = g->in_w * g->in_c;
    fov_real *pixels = fov_step_worker(g->step, worker);
    fov_real *v = pixels + g->set * group_reals(g);
    fov_real *m = v + SHARING * PLACES * g->v_step;
    for (size_t i = groups.first; i < groups.last; i++) {
        const fov_range images = fov_range_part(g->n, i, g->groups);
        g->k->pack_lanes(pixels + (i - groups.first) * group_reals(g), fov_range_count(images),
                         g->in + (images.first * g->in_h + used.first) * row, g->in_h * row, fov_range_count(images),
                         fov_range_count(used) * row);
    }
    unit units[SHARING];
    const size_t each = fov_range_count(tiles) * g->tiles_x, all = each * fov_range_count(groups);
    for (size_t done = 0; done < all; done += SHARING) {
        const size_t count = least(SHARING, all - done);
        for (size_t i = 0; i < count; i++) {
            const size_t group = (done + i) / each, tile = (done + i) % each;
            units[i] = (unit){.images = fov_range_part(g->n, groups.first + group, g->groups),
                              .y = tiles.first + tile / g->tiles_x,
                              .x = tile % g->tiles_x,
                              .pixels = pixels + group * group_reals(g),
                              .top = used.first};
        }
        run_units(g, units, count, panels, v, m);
    }
}

/* ---- weights ---- */

typedef struct transforming {
    const winograd *g;
    const fov_real *weight;
    fov_real *to;
} transforming;

/* A panel as [tap, input channel, column], then its transform. Going back, inputs are output channels and taps are mirrored. */
static void transform_panel(void *context, size_t panel, unsigned worker) {
    const transforming *t = context;
    const winograd *g = t->g;
    const size_t channel = panel * g->columns, step = g->in_c * g->columns;
    const size_t lanes = least(g->columns, g->out_c - channel);
    fov_real *taps = fov_step_worker(g->step, worker);
    if (g->back) {
        for (size_t tap = 0; tap < TAPS; tap++) {
            g->k->pack_rows(taps + (TAPS - 1 - tap) * step, g->columns, g->columns, t->weight + tap * g->out_c + channel, TAPS * g->out_c,
                            lanes, g->in_c);
        }
    } else {
        g->k->pack_lanes(taps, g->columns, t->weight + channel * TAPS * g->in_c, TAPS * g->in_c, lanes, TAPS * g->in_c);
    }
    g->k->winograd_filter(t->to + panel * PLACES * g->u_step, g->u_step, taps, step, step);
}

/* ---- entries ---- */

static winograd forward_of(const fov_conv *c) {
    winograd g = {.n = c->n, .out_h = c->oh, .out_w = c->ow, .out_c = c->co, .in_h = c->h, .in_w = c->w, .in_c = c->ci, .pad = c->pad};
    cut(&g);
    return g;
}

static winograd back_of(const fov_conv *c) {
    winograd g = {.n = c->n,
                  .out_h = c->h,
                  .out_w = c->w,
                  .out_c = c->ci,
                  .in_h = c->oh,
                  .in_w = c->ow,
                  .in_c = c->co,
                  .pad = 2 - c->pad,
                  .back = true};
    cut(&g);
    return g;
}

static fov_conv_bytes bytes_of(const winograd *g) {
    const size_t run = g->set * group_reals(g) + SHARING * PLACES * (g->v_step + g->m_step) + PAD_REALS;
    const size_t transform = TAPS * g->in_c * g->columns;
    return (fov_conv_bytes){.work = g->panels * PLACES * g->u_step * sizeof(fov_real),
                            .worker = (run > transform ? run : transform) * sizeof(fov_real)};
}

static void run(winograd *g, const fov_step *step, const fov_real *weight) {
    transforming t = {.g = g, .weight = weight, .to = step->work};
    g->step = step;
    g->transformed = step->work;
    fov_pool_for(step->pool, g->panels, transform_panel, &t);
    fov_pool_for(step->pool, g->sets * g->bands * g->splits, winograd_chunk, g);
}

/* Products of the direct method along one axis: taps inside the picture, for every output. */
static size_t taps_inside(size_t out, size_t in, size_t pad) {
    size_t count = 0;
    for (size_t i = 0; i < 3 * out; i++) {
        const size_t at = i / 3 + i % 3;
        count += at >= pad && at < in + pad;
    }
    return count;
}

bool fov_winograd_suits(const fov_conv *c) {
    if (c->kh != 3 || c->kw != 3 || c->stride != 1 || c->ci % 16 != 0 || c->co % 16 != 0) {
        return false;
    }
    const size_t here = PLACES * ceil_div(c->oh, TILE) * ceil_div(c->ow, TILE);
    const size_t direct = taps_inside(c->oh, c->h, c->pad) * taps_inside(c->ow, c->w, c->pad);
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
