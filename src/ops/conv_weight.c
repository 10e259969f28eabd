/* Weight gradient of a convolution: dW[co, kh, kw, ci] = sum over images and output pixels of dout[n, y, x, co] in[n, y s + kh - p, x s +
 * kw - p, ci].
 *
 * For each tap this is a product with k running over images and output pixels. A tile holds up to 14 output channels by 32 input channels
 * of one tap in registers while k runs. Both sides are copied into [h, w, image, channels of the tile] for a block of images that fits the
 * cache, with the input's columns sorted by residue modulo the stride: then one output row is one contiguous run of k for every tap, and
 * pixels outside the picture are left out.
 *
 * Pictures of few channels (the stem) would fill 3 of 32 columns. There the tile's rows are the kw ci contiguous numbers of one window row,
 * read in place from a zero-padded image, and its columns are output channels.
 *
 * Images are cut into a fixed number of sets whose sums are added in order; large weights are instead cut by input channels, so that
 * they need no second copy. */
#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/conv.h"

enum { BLOCK_BYTES = 640 * 1024, PARTS = 16, PART_BYTES = 128 * 1024, NARROW = 8, SUM_COUNT = 8192 };

typedef struct weight_grad {
    const fov_step *step;
    const fov_kernels *k;
    fov_conv c;
    const fov_real *dout, *in;
    fov_real *dweight, *sums; /* sums: one weight tensor for each set; sums = dweight with one set */
    bool add, narrow;
    size_t columns, panels; /* panels of input channels, or of output channels when narrow */
    size_t sets, parts;     /* of images; of panels */
    size_t images, bands;   /* images a block; bands of output rows a block */
    size_t row_tiles;
} weight_grad;

/* Input rows that a band of output rows can touch. */
static fov_range rows_used(const fov_conv *c, fov_range band) {
    const size_t first = band.first * c->stride;
    const size_t last = (band.last - 1) * c->stride + c->kh;
    const fov_range used = {first > c->pad ? first - c->pad : 0, last > c->pad ? fov_least_size(last - c->pad, c->h) : 0};
    return used.last > used.first ? used : (fov_range){0, 0};
}

static size_t most_rows_in(const fov_conv *c, size_t bands) {
    return fov_least_size(c->h, (fov_ceil_div(c->oh, bands) - 1) * c->stride + c->kh);
}

static size_t block_reals(const weight_grad *g, size_t images, size_t bands) {
    const fov_conv *c = &g->c;
    const size_t out_pixels = fov_ceil_div(c->oh, bands) * c->ow;
    if (g->narrow) {
        return (c->h + 2 * c->pad) * (c->w + 2 * c->pad) * c->ci + out_pixels * g->panels * g->columns + 16;
    }
    const size_t channels = fov_ceil_div(g->panels, g->parts) * g->columns;
    return images * (most_rows_in(c, bands) * c->w * channels + out_pixels * c->co);
}

static weight_grad cut(const fov_conv *c) {
    weight_grad g = {.k = fov_kernels_get(), .c = *c, .narrow = c->ci <= NARROW, .parts = 1, .images = 1, .bands = 1};
    const size_t bytes = c->co * c->kh * c->kw * c->ci * sizeof(fov_real);
    g.columns = g.k->tile_columns();
    g.panels = fov_ceil_div(g.narrow ? c->co : c->ci, g.columns);
    g.row_tiles = fov_ceil_div(g.narrow ? c->kw * c->ci : c->co, g.k->tile_rows());
    if (!g.narrow) {
        g.parts = fov_least_size(fov_least_size(fov_ceil_div(bytes, PART_BYTES), g.panels), PARTS);
    }
    g.sets = fov_least_size(fov_ceil_div(PARTS, g.parts), c->n);
    const size_t most = fov_ceil_div(c->n, g.sets);
    while (g.bands < c->oh && block_reals(&g, 1, g.bands) * sizeof(fov_real) > BLOCK_BYTES) {
        g.bands++;
    }
    while (!g.narrow && g.images < most && block_reals(&g, g.images + 1, g.bands) * sizeof(fov_real) <= BLOCK_BYTES) {
        g.images++;
    }
    return g;
}

/* Reals of one set's sums. */
static size_t sum_reals(const weight_grad *g) {
    const fov_conv *c = &g->c;
    return c->kh * c->kw * c->ci * (g->narrow ? g->panels * g->columns : c->co);
}

fov_conv_bytes fov_conv_weight_gradient_bytes(const fov_conv *c) {
    const weight_grad g = cut(c);
    return (fov_conv_bytes){.work = g.sets == 1 && !g.narrow ? 0 : g.sets * sum_reals(&g) * sizeof(fov_real),
                            .worker = block_reals(&g, g.images, g.bands) * sizeof(fov_real)};
}

/* ---- copying ---- */

/* A block of images [n, h, w, c]: some images, some rows. */
typedef struct block_source {
    const fov_real *data;
    size_t h, w, c, stride;
    fov_range images, rows;
} block_source;

/* Where column x stands when columns are sorted by x % stride, then by x. */
static size_t sorted_column(size_t x, size_t w, size_t stride) {
    size_t before = 0;
    for (size_t r = 0; r < x % stride; r++) {
        before += w > r ? fov_ceil_div(w - r, stride) : 0;
    }
    return before + x / stride;
}

/* y [row, column, image, width]: `lanes` channels from `channel`, zeros beyond; columns sorted by residue modulo the stride, then by place.
 */
static void copy_block(const fov_kernels *k, fov_real *y, size_t width, const block_source *s, size_t channel, size_t lanes) {
    const size_t images = fov_range_count(s->images);
    for (size_t row = s->rows.first; row < s->rows.last; row++) {
        for (size_t r = 0; r < fov_least_size(s->stride, s->w); r++) {
            const size_t count = fov_ceil_div(s->w - r, s->stride);
            const fov_real *x = s->data + ((s->images.first * s->h + row) * s->w + r) * s->c + channel;
            fov_real *to = y + ((row - s->rows.first) * s->w + sorted_column(r, s->w, s->stride)) * images * width;
            if (count >= images) {
                for (size_t i = 0; i < images; i++) {
                    k->pack_rows(to + i * width, images * width, width, x + i * s->h * s->w * s->c, s->stride * s->c, lanes, count);
                }
            } else {
                for (size_t q = 0; q < count; q++) {
                    k->pack_rows(to + q * images * width, width, width, x + q * s->stride * s->c, s->h * s->w * s->c, lanes, images);
                }
            }
        }
    }
}

/* ---- many input channels ---- */

/* Output coordinates in `within` whose tap `t` hits an input of `extent`. */
static fov_range hits(fov_range within, size_t t, size_t extent, size_t stride, size_t pad) {
    fov_range r = within;
    if (pad > t) {
        const size_t first = fov_ceil_div(pad - t, stride);
        r.first = first > r.first ? first : r.first;
    }
    const size_t last = extent + pad > t ? fov_ceil_div(extent + pad - t, stride) : 0;
    r.last = fov_least_size(r.last, last);
    return r.last > r.first ? r : (fov_range){0, 0};
}

typedef struct block {
    const fov_real *out, *in; /* copies: tiles of output channels, then panels of input channels */
    fov_real *to;
    fov_range band, rows, panels; /* rows: of the input */
    size_t images;
    fov_real beta;
} block;

static void tap_tiles(const weight_grad *g, const block *b, size_t tap) {
    const fov_conv *c = &g->c;
    const fov_range ys = hits(b->band, tap / c->kw, c->h, c->stride, c->pad);
    const fov_range xs = hits((fov_range){0, c->ow}, tap % c->kw, c->w, c->stride, c->pad);
    const bool any = fov_range_count(ys) > 0 && fov_range_count(xs) > 0;
    const size_t in_y = any ? ys.first * c->stride + tap / c->kw - c->pad - b->rows.first : 0;
    const size_t in_x = any ? sorted_column(xs.first * c->stride + tap % c->kw - c->pad, c->w, c->stride) : 0;
    const size_t out_at = any ? ((ys.first - b->band.first) * c->ow + xs.first) * b->images : 0;
    const size_t in_at = (in_y * c->w + in_x) * b->images * g->columns;
    const size_t out_reals = fov_range_count(b->band) * c->ow * b->images;
    const size_t in_reals = fov_range_count(b->rows) * c->w * b->images * g->columns;
    for (size_t p = b->panels.first; p < b->panels.last; p++) {
        const size_t channel = p * g->columns;
        const fov_real *in = b->in + (p - b->panels.first) * in_reals + in_at;
        for (size_t t = 0; t < g->row_tiles; t++) {
            const fov_range co = fov_range_part(c->co, t, g->row_tiles);
            const size_t rows = fov_range_count(co);
            g->k->gemm_tile(b->to + (co.first * c->kh * c->kw + tap) * c->ci + channel, c->kh * c->kw * c->ci, rows,
                            fov_least_size(c->ci - channel, g->columns), b->out + co.first * out_reals + out_at * rows, rows,
                            c->ow * b->images * rows, in, c->stride * c->w * b->images * g->columns, fov_range_count(xs) * b->images,
                            fov_range_count(ys), 1, b->beta);
        }
    }
}

static void wide_block(const weight_grad *g, const block *with, fov_range images, fov_real *scratch) {
    const fov_conv *c = &g->c;
    block b = *with;
    b.images = fov_range_count(images);
    const block_source out = {g->dout, c->oh, c->ow, c->co, 1, images, b.band};
    const block_source in = {g->in, c->h, c->w, c->ci, c->stride, images, b.rows};
    const size_t out_reals = fov_range_count(b.band) * c->ow * b.images;
    const size_t in_reals = fov_range_count(b.rows) * c->w * b.images * g->columns;
    for (size_t t = 0; t < g->row_tiles; t++) {
        const fov_range co = fov_range_part(c->co, t, g->row_tiles);
        copy_block(g->k, scratch + co.first * out_reals, fov_range_count(co), &out, co.first, fov_range_count(co));
    }
    fov_real *panels = scratch + c->co * out_reals;
    for (size_t p = b.panels.first; p < b.panels.last; p++) {
        copy_block(g->k, panels + (p - b.panels.first) * in_reals, g->columns, &in, p * g->columns,
                      fov_least_size(c->ci - p * g->columns, g->columns));
    }
    b.out = scratch;
    b.in = panels;
    for (size_t tap = 0; tap < c->kh * c->kw; tap++) {
        tap_tiles(g, &b, tap);
    }
}

static void wide_chunk(void *context, size_t chunk, unsigned worker) {
    const weight_grad *g = context;
    const size_t set = chunk / g->parts;
    const fov_range images = fov_range_part(g->c.n, set, g->sets);
    block b = {.to = g->sums + set * sum_reals(g), .panels = fov_range_part(g->panels, chunk % g->parts, g->parts)};
    b.beta = g->sets == 1 && g->add ? 1 : 0;
    for (size_t i = images.first; i < images.last; i += g->images) {
        const fov_range some = {i, fov_least_size(i + g->images, images.last)};
        for (size_t band = 0; band < g->bands; band++) {
            b.band = fov_range_part(g->c.oh, band, g->bands);
            b.rows = rows_used(&g->c, b.band);
            wide_block(g, &b, some, fov_step_worker(g->step, worker));
            b.beta = 1;
        }
    }
}

/* ---- few input channels ---- */

static void pad_image(const fov_conv *c, fov_real *y, const fov_real *x) {
    const size_t row = (c->w + 2 * c->pad) * c->ci;
    memset(y, 0, ((c->h + 2 * c->pad) * row + 16) * sizeof *y);
    for (size_t i = 0; i < c->h; i++) {
        memcpy(y + (i + c->pad) * row + c->pad * c->ci, x + i * c->w * c->ci, c->w * c->ci * sizeof *y);
    }
}

static void narrow_band(const weight_grad *g, const fov_real *padded, const fov_real *out, fov_range band, fov_real *to, fov_real beta) {
    const fov_conv *c = &g->c;
    const size_t width = g->panels * g->columns;
    const size_t row = (c->w + 2 * c->pad) * c->ci;
    const size_t out_reals = fov_range_count(band) * c->ow * g->columns;
    for (size_t y = 0; y < c->kh; y++) {
        for (size_t t = 0; t < g->row_tiles; t++) {
            const fov_range r = fov_range_part(c->kw * c->ci, t, g->row_tiles);
            for (size_t p = 0; p < g->panels; p++) {
                g->k->gemm_tile(to + (y * c->kw * c->ci + r.first) * width + p * g->columns, width, fov_range_count(r), g->columns,
                                padded + (band.first * c->stride + y) * row + r.first, c->stride * c->ci, c->stride * row,
                                out + p * out_reals, c->ow * g->columns, c->ow, fov_range_count(band), 1, beta);
            }
        }
    }
}

static void narrow_chunk(void *context, size_t set, unsigned worker) {
    const weight_grad *g = context;
    const fov_conv *c = &g->c;
    const fov_range images = fov_range_part(c->n, set, g->sets);
    fov_real *padded = fov_step_worker(g->step, worker);
    fov_real *out = padded + (c->h + 2 * c->pad) * (c->w + 2 * c->pad) * c->ci + 16;
    fov_real beta = 0;
    for (size_t i = images.first; i < images.last; i++) {
        pad_image(c, padded, g->in + i * c->h * c->w * c->ci);
        for (size_t b = 0; b < g->bands; b++) {
            const fov_range band = fov_range_part(c->oh, b, g->bands);
            const size_t pixels = fov_range_count(band) * c->ow;
            const fov_real *from = g->dout + (i * c->oh + band.first) * c->ow * c->co;
            for (size_t p = 0; p < g->panels; p++) {
                g->k->pack_rows(out + p * pixels * g->columns, g->columns, g->columns, from + p * g->columns, c->co,
                                fov_least_size(c->co - p * g->columns, g->columns), pixels);
            }
            narrow_band(g, padded, out, band, g->sums + set * sum_reals(g), beta);
            beta = 1;
        }
    }
}

/* ---- adding up the sets, in order ---- */

static void narrow_sum(void *context, size_t co, unsigned worker) {
    (void)worker;
    const weight_grad *g = context;
    const size_t k = g->c.kh * g->c.kw * g->c.ci;
    const size_t width = g->panels * g->columns;
    fov_real *y = g->dweight + co * k;
    for (size_t i = 0; i < k; i++) {
        fov_real sum = g->add ? y[i] : 0;
        for (size_t set = 0; set < g->sets; set++) {
            sum += g->sums[set * sum_reals(g) + i * width + co];
        }
        y[i] = sum;
    }
}

typedef struct addition {
    const fov_step *step;
    fov_real *dweight;
    const fov_real *sums;
    size_t sets, count;
    bool add;
} addition;

static void add_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const addition *a = context;
    const size_t first = chunk * SUM_COUNT;
    const size_t count = fov_least_size(a->count - first, SUM_COUNT);
    if (!a->add) {
        memset(a->dweight + first, 0, count * sizeof *a->dweight);
    }
    for (size_t set = 0; set < a->sets; set++) {
        a->step->k->accumulate(a->dweight + first, a->sums + set * a->count + first, count);
    }
}

void fov_conv_add_sets(const fov_step *step, fov_real *dweight, const fov_real *sums, size_t sets, size_t count, bool add) {
    addition a = {.step = step, .dweight = dweight, .sums = sums, .sets = sets, .count = count, .add = add};
    fov_pool_for(step->pool, fov_ceil_div(count, SUM_COUNT), add_chunk, &a);
}

void fov_conv_weight_gradient(const fov_step *step, const fov_conv *c, fov_real *dweight, const fov_real *dout, const fov_real *in,
                              bool add) {
    weight_grad g = cut(c);
    g.step = step;
    g.dweight = dweight;
    g.dout = dout;
    g.in = in;
    g.add = add;
    g.sums = g.sets == 1 && !g.narrow ? dweight : step->work;
    if (g.narrow) {
        fov_pool_for(step->pool, g.sets, narrow_chunk, &g);
        fov_pool_for(step->pool, c->co, narrow_sum, &g);
        return;
    }
    fov_pool_for(step->pool, g.sets * g.parts, wide_chunk, &g);
    if (g.sets > 1) {
        fov_conv_add_sets(step, dweight, g.sums, g.sets, sum_reals(&g), add);
    }
}
