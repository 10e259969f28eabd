/* Convolution and its input gradient as one gather: every output pixel is a sum over taps of input pixels times weights.
 *
 *   forward          out[n, y, x, :] = sum over kh, kw of in[n, y s + kh - p, x s + kw - p, :] W[:, kh, kw, :]^T
 *   input gradient   din[n, y, x, :] = sum over kh, kw of dout[n, (y + p - kh) / s, (x + p - kw) / s, :] W[:, kh, kw, :], exact quotients
 * only
 *
 * Rows of a register tile are up to 14 images at one pixel, columns are 32 output channels, k runs over taps and input channels. Images
 * of a group are interleaved once ([h, w, c, image]); then the taps of one window row are one contiguous run of k, the window is never
 * copied (im2col would copy it kh kw times), and taps that fall outside the picture are left out instead of multiplied by zero: 8 % of the
 * work at 16 x 16, 31 % at 4 x 4, 56 % at 2 x 2 for 3 x 3 windows. Weights are packed once a pass, taps ordered so that runs stay
 * contiguous: as they are going forward; by residue modulo the stride, then descending, going back. */
#include "kernels/kernels.h"
#include "ops/conv.h"

/* Interleaved pixels of a chunk share the L2 cache with one panel of weights; enough chunks for many processors. */
enum { BAND_BYTES = 512 * 1024, MOST_GROUPS = 4, WANTED_CHUNKS = 64 };

typedef struct gather {
    const fov_step *step;
    const fov_kernels *k;
    const fov_real *in, *packed;
    fov_real *out;
    size_t n, out_h, out_w, out_c, in_h, in_w, in_c, kh, kw, stride, pad;
    bool back, add;
    /* How it is cut. */
    size_t columns, panels, groups;  /* tile columns; panels of weights; groups of images */
    size_t set, sets, bands, splits; /* groups a chunk; sets of groups; bands of output rows; splits of the panels */
    size_t band_rows;                /* most input rows that a band needs */
} gather;

/* Taps of one output coordinate that hit the input: consecutive inputs, at consecutive places in the packed weights. */
typedef struct span {
    size_t from, tap, count;
} span;

/* Of residue r modulo the stride there are `count` taps, after `before` taps of smaller residues. */
typedef struct residue {
    size_t before, count;
} residue;

static residue residue_of(size_t r, size_t taps, size_t stride) {
    residue found = {0, 0};
    for (size_t i = 0; i <= r; i++) {
        found.before += found.count;
        found.count = taps > i ? (taps - i + stride - 1) / stride : 0;
    }
    return found;
}

static size_t clipped(size_t a, size_t b) {
    return a > b ? a - b : 0;
}

static span span_of(const gather *g, size_t at, size_t taps, size_t extent) {
    span s = {0, 0, 0};
    size_t first, last, before = 0, origin, shift; /* tap t hits input origin + t - shift */
    if (g->back) {
        const residue r = residue_of((at + g->pad) % g->stride, taps, g->stride);
        before = r.before;
        origin = (at + g->pad) / g->stride + 1;
        shift = r.count;
        taps = r.count;
    } else {
        origin = at * g->stride;
        shift = g->pad;
    }
    first = clipped(shift, origin);
    last = clipped(extent + shift, origin);
    last = last < taps ? last : taps;
    if (last > first) {
        s = (span){.from = origin + first - shift, .tap = before + first, .count = last - first};
    }
    return s;
}

/* Input rows that output rows use. */
static fov_range rows_used(const gather *g, fov_range rows) {
    fov_range used = {g->in_h, 0};
    for (size_t y = rows.first; y < rows.last; y++) {
        const span s = span_of(g, y, g->kh, g->in_h);
        if (s.count > 0) {
            used.first = s.from < used.first ? s.from : used.first;
            used.last = s.from + s.count > used.last ? s.from + s.count : used.last;
        }
    }
    return used.last > used.first ? used : (fov_range){0, 0};
}

static size_t most_rows(const gather *g, size_t bands) {
    size_t most = 0;
    for (size_t b = 0; b < bands; b++) {
        const fov_range used = rows_used(g, fov_range_part(g->out_h, b, bands));
        most = used.last - used.first > most ? used.last - used.first : most;
    }
    return most;
}

static void cut(gather *g) {
    g->k = fov_kernels_get();
    const size_t rows = g->k->tile_rows();
    g->columns = g->k->tile_columns();
    g->groups = (g->n + rows - 1) / rows;
    g->panels = (g->out_c + g->columns - 1) / g->columns;
    const size_t row_bytes = rows * g->in_w * g->in_c * sizeof(fov_real);
    g->bands = 1;
    g->band_rows = most_rows(g, 1);
    while (g->bands < g->out_h && g->band_rows * row_bytes > BAND_BYTES) {
        g->bands++;
        g->band_rows = most_rows(g, g->bands);
    }
    g->set = 1;
    while (g->set < MOST_GROUPS && (g->set + 1) * g->band_rows * row_bytes <= BAND_BYTES) {
        g->set++;
    }
    g->sets = (g->groups + g->set - 1) / g->set;
    /* Every split of the panels interleaves the pixels again, which costs little next to nine taps but not next to one. */
    const size_t most = g->kh * g->kw >= 9 ? g->panels : (g->panels + 3) / 4;
    g->splits = 1;
    while (g->splits < most && g->sets * g->bands * g->splits < WANTED_CHUNKS) {
        g->splits++;
    }
}

static size_t group_reals(const gather *g) {
    return g->band_rows * g->in_w * g->in_c * g->k->tile_rows();
}

static size_t panel_reals(const gather *g) {
    return g->kh * g->kw * g->in_c * g->columns;
}

/* One panel of output channels, in one band, for one group of images. */
static void tiles(const gather *g, const fov_real *pixels, fov_range images, fov_range rows, size_t top, size_t panel) {
    const size_t lanes = images.last - images.first;
    const size_t channel = panel * g->columns;
    const size_t columns = g->out_c - channel < g->columns ? g->out_c - channel : g->columns;
    const fov_real *weights = g->packed + panel * panel_reals(g);
    const size_t image = g->out_h * g->out_w * g->out_c;
    for (size_t y = rows.first; y < rows.last; y++) {
        const span sy = span_of(g, y, g->kh, g->in_h);
        for (size_t x = 0; x < g->out_w; x++) {
            const span sx = span_of(g, x, g->kw, g->in_w);
            const size_t at = sy.count == 0 ? 0 : ((sy.from - top) * g->in_w + sx.from) * g->in_c * lanes;
            g->k->gemm_tile(g->out + images.first * image + (y * g->out_w + x) * g->out_c + channel, image, lanes, columns, pixels + at,
                            lanes, g->in_w * g->in_c * lanes, weights + (sy.tap * g->kw + sx.tap) * g->in_c * g->columns,
                            g->kw * g->in_c * g->columns, sx.count * g->in_c, sy.count, 1, g->add ? 1 : 0);
        }
    }
}

static void gather_chunk(void *context, size_t chunk, unsigned worker) {
    const gather *g = context;
    const size_t set = chunk / (g->bands * g->splits);
    const fov_range rows = fov_range_part(g->out_h, chunk / g->splits % g->bands, g->bands);
    const fov_range panels = fov_range_part(g->panels, chunk % g->splits, g->splits);
    const fov_range groups = fov_range_part(g->groups, set, g->sets);
    const fov_range used = rows_used(g, rows);
    const size_t row = g->in_w * g->in_c;
    fov_real *pixels = fov_step_worker(g->step, worker);
    for (size_t i = groups.first; i < groups.last; i++) {
        const fov_range images = fov_range_part(g->n, i, g->groups);
        const size_t lanes = images.last - images.first;
        g->k->pack_lanes(pixels + (i - groups.first) * group_reals(g), lanes, g->in + (images.first * g->in_h + used.first) * row,
                         g->in_h * row, lanes, (used.last - used.first) * row);
    }
    for (size_t panel = panels.first; panel < panels.last; panel++) {
        for (size_t i = groups.first; i < groups.last; i++) {
            tiles(g, pixels + (i - groups.first) * group_reals(g), fov_range_part(g->n, i, g->groups), rows, used.first, panel);
        }
    }
}

/* ---- packing weights ---- */

typedef struct packing {
    const gather *g;
    const fov_real *weight;
    fov_real *packed;
} packing;

static void pack_forward(void *context, size_t panel, unsigned worker) {
    (void)worker;
    const packing *p = context;
    const gather *g = p->g;
    const size_t k = g->kh * g->kw * g->in_c;
    const size_t channel = panel * g->columns;
    const size_t lanes = g->out_c - channel < g->columns ? g->out_c - channel : g->columns;
    g->k->pack_lanes(p->packed + panel * panel_reals(g), g->columns, p->weight + channel * k, k, lanes, k);
}

static size_t place_of(size_t tap, size_t taps, size_t stride) {
    const residue r = residue_of(tap % stride, taps, stride);
    return r.before + r.count - 1 - tap / stride;
}

static void pack_back(void *context, size_t panel, unsigned worker) {
    (void)worker;
    const packing *p = context;
    const gather *g = p->g;
    const size_t channel = panel * g->columns;
    const size_t lanes = g->out_c - channel < g->columns ? g->out_c - channel : g->columns;
    for (size_t tap = 0; tap < g->kh * g->kw; tap++) {
        const size_t place = place_of(tap / g->kw, g->kh, g->stride) * g->kw + place_of(tap % g->kw, g->kw, g->stride);
        g->k->pack_rows(p->packed + panel * panel_reals(g) + place * g->in_c * g->columns, g->columns, g->columns,
                        p->weight + tap * g->out_c + channel, g->kh * g->kw * g->out_c, lanes, g->in_c);
    }
}

/* ---- entries ---- */

static gather forward_of(const fov_conv *c) {
    gather g = {.n = c->n,
                .out_h = c->oh,
                .out_w = c->ow,
                .out_c = c->co,
                .in_h = c->h,
                .in_w = c->w,
                .in_c = c->ci,
                .kh = c->kh,
                .kw = c->kw,
                .stride = c->stride,
                .pad = c->pad,
                .back = false};
    cut(&g);
    return g;
}

static gather back_of(const fov_conv *c) {
    gather g = {.n = c->n,
                .out_h = c->h,
                .out_w = c->w,
                .out_c = c->ci,
                .in_h = c->oh,
                .in_w = c->ow,
                .in_c = c->co,
                .kh = c->kh,
                .kw = c->kw,
                .stride = c->stride,
                .pad = c->pad,
                .back = true};
    cut(&g);
    return g;
}

static fov_conv_bytes bytes_of(const gather *g) {
    return (fov_conv_bytes){.work = g->panels * panel_reals(g) * sizeof(fov_real), .worker = g->set * group_reals(g) * sizeof(fov_real)};
}

fov_conv_bytes fov_conv_forward_bytes(const fov_conv *c) {
    const gather g = forward_of(c);
    return bytes_of(&g);
}

fov_conv_bytes fov_conv_input_gradient_bytes(const fov_conv *c) {
    const gather g = back_of(c);
    return bytes_of(&g);
}

static void run(gather *g, const fov_step *step, const fov_real *weight) {
    packing p = {.g = g, .weight = weight, .packed = step->work};
    g->step = step;
    g->packed = step->work;
    fov_pool_for(step->pool, g->panels, g->back ? pack_back : pack_forward, &p);
    fov_pool_for(step->pool, g->sets * g->bands * g->splits, gather_chunk, g);
}

void fov_conv_forward(const fov_step *step, const fov_conv *c, fov_real *out, const fov_real *in, const fov_real *weight) {
    gather g = forward_of(c);
    g.out = out;
    g.in = in;
    run(&g, step, weight);
}

void fov_conv_input_gradient(const fov_step *step, const fov_conv *c, fov_real *din, const fov_real *dout, const fov_real *weight,
                             bool add) {
    gather g = back_of(c);
    g.out = din;
    g.in = dout;
    g.add = add;
    run(&g, step, weight);
}
