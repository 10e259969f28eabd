/* The three passes of a convolution, on plain arrays. Images [n, h, w, c], weights [co, kh, kw, ci]. */
#ifndef FOV_OPS_CONV_H
#define FOV_OPS_CONV_H

#include "graph/graph.h"

typedef struct fov_range {
    size_t first, last; /* last is not in it */
} fov_range;

/* Piece i of n things cut into `count` pieces whose sizes differ by at most one. */
static inline fov_range fov_range_part(size_t n, size_t i, size_t count) {
    return (fov_range){n * i / count, n * (i + 1) / count};
}

static inline size_t fov_range_count(fov_range r) {
    return r.last - r.first;
}

typedef struct fov_conv {
    size_t n, h, w, ci, kh, kw, co, oh, ow, stride, pad;
} fov_conv;

/* Bytes of scratch: `work` once, `worker` for each pool worker. */
typedef struct fov_conv_bytes {
    size_t work, worker;
} fov_conv_bytes;

/* Every pass by minimal filtering (Winograd): for 3 x 3 windows with stride 1, or with stride 2 and padding 1, and whole vectors of
 * channels, where it saves enough. */
bool fov_winograd_able(const fov_conv *c);  /* it can be computed so */
bool fov_winograd_suits(const fov_conv *c); /* and that saves products */
void fov_winograd_forward(const fov_step *step, const fov_conv *c, fov_real *out, const fov_real *in, const fov_real *weight);
fov_conv_bytes fov_winograd_forward_bytes(const fov_conv *c);
void fov_winograd_input_gradient(const fov_step *step, const fov_conv *c, fov_real *din, const fov_real *dout, const fov_real *weight,
                                 bool add);
fov_conv_bytes fov_winograd_input_gradient_bytes(const fov_conv *c);
void fov_winograd_weight_gradient(const fov_step *step, const fov_conv *c, fov_real *dweight, const fov_real *dout, const fov_real *in,
                                  bool add);
fov_conv_bytes fov_winograd_weight_gradient_bytes(const fov_conv *c);

/* Every pass as one product over pixels: for windows of 1 x 1 without padding. */
bool fov_point_suits(const fov_conv *c);
unsigned fov_point_joins(const fov_conv *c, bool backward); /* as fov_op.joins */
void fov_point_forward(const fov_step *step, const fov_conv *c, fov_real *out, const fov_real *in, const fov_real *weight);
fov_conv_bytes fov_point_forward_bytes(const fov_conv *c);
void fov_point_input_gradient(const fov_step *step, const fov_conv *c, fov_real *din, const fov_real *dout, const fov_real *weight,
                              bool add);
fov_conv_bytes fov_point_input_gradient_bytes(const fov_conv *c);
void fov_point_weight_gradient(const fov_step *step, const fov_conv *c, fov_real *dweight, const fov_real *dout, const fov_real *in,
                               bool add);
fov_conv_bytes fov_point_weight_gradient_bytes(const fov_conv *c);

/* Both gradients in one pass over dout, where that pays; false: it does not, and nothing was done. */
typedef struct fov_conv_gradients {
    fov_real *din, *dweight;
    const fov_real *dout, *in, *weight;
    bool add_in, add_weight;
    bool dout_later; /* somebody reads dout afterwards */
} fov_conv_gradients;
bool fov_point_gradients(const fov_step *step, const fov_conv *c, const fov_conv_gradients *g);

/* Every pass directly. out [n, oh, ow, co] = conv(in [n, h, w, ci], weight). Uses step->work and the workers' scratch. */
void fov_conv_forward(const fov_step *step, const fov_conv *c, fov_real *out, const fov_real *in, const fov_real *weight);
fov_conv_bytes fov_conv_forward_bytes(const fov_conv *c);

/* din [n, h, w, ci] (+)= the gradient that dout [n, oh, ow, co] sends through the weights. */
void fov_conv_input_gradient(const fov_step *step, const fov_conv *c, fov_real *din, const fov_real *dout, const fov_real *weight,
                             bool add);
fov_conv_bytes fov_conv_input_gradient_bytes(const fov_conv *c);

/* dweight [co, kh, kw, ci] (+)= dout times the windows of in. */
void fov_conv_weight_gradient(const fov_step *step, const fov_conv *c, fov_real *dweight, const fov_real *dout, const fov_real *in,
                              bool add);
fov_conv_bytes fov_conv_weight_gradient_bytes(const fov_conv *c);

/* ---- shared by minimal filtering ---- */

/* Tiles of the outputs of n images, image by image, row by row. */
typedef struct fov_winograd_map {
    fov_winograd_way way;
    fov_winograd_axis axis;
    size_t places; /* of a tile, along both axes */
    size_t n, out_h, out_w, in_h, in_w, pad;
    size_t tiles_y, tiles_x, tiles; /* of an image; of all images */
} fov_winograd_map;

typedef struct fov_winograd_tile {
    size_t image, y, x, rows, columns; /* its outputs: from y, x, and how many of a whole tile there are */
    size_t inside[4];                  /* first and last row, first and last column of its window that are inside the picture */
    size_t in_pixel, out_pixel;        /* among the pixels of all images: first one inside, first output */
} fov_winograd_tile;

fov_winograd_map fov_winograd_map_of(const fov_conv *c); /* of its outputs */
fov_winograd_tile fov_winograd_tile_at(const fov_winograd_map *m, size_t tile);

/* Ask for pixels of one row of a tile that will be needed soon, `channels` of the c numbers of each, in pictures w wide. Always inlined:
 * compilers take a call whose only effect is a prefetch for one without any. */
static inline __attribute__((always_inline)) void fov_winograd_ask(const fov_real *from, size_t pixels, size_t c, size_t channels,
                                                                   const int write) {
    const size_t line = 64 / sizeof(fov_real);
    for (size_t i = 0; i < pixels; i++) {
        for (size_t j = 0; j < channels; j += line) {
            if (write) { /* clang takes nothing but a number there */
                __builtin_prefetch(from + i * c + j, 1, 2);
            } else {
                __builtin_prefetch(from + i * c + j, 0, 2);
            }
        }
    }
}

/* Of its window, less the columns that the tile on its left has too. */
static inline __attribute__((always_inline)) void fov_winograd_ask_window(const fov_winograd_map *m, const fov_winograd_tile *t, size_t row,
                                                                          const fov_real *in, size_t c, size_t channels) {
    if (row >= t->inside[0] && row < t->inside[1]) {
        const size_t known = t->x == 0 ? 0 : m->axis.window - m->axis.advance - t->inside[2];
        if (t->inside[3] > t->inside[2] + known) {
            fov_winograd_ask(in + (t->in_pixel + (row - t->inside[0]) * m->in_w + known) * c, t->inside[3] - t->inside[2] - known, c,
                             channels, 0);
        }
    }
}

static inline __attribute__((always_inline)) void fov_winograd_ask_outputs(const fov_winograd_map *m, const fov_winograd_tile *t,
                                                                           size_t row, const fov_real *out, size_t c, size_t channels,
                                                                           const int write) {
    if (row < t->rows) {
        fov_winograd_ask(out + (t->out_pixel + row * m->out_w) * c, t->columns, c, channels, write);
    }
}

/* Rows of all pictures, one after the other, that tiles before `tile` need: of inputs, of outputs. */
size_t fov_winograd_rows_in(const fov_winograd_map *m, size_t tile);
size_t fov_winograd_rows_out(const fov_winograd_map *m, size_t tile);

/* Bytes that will be needed soon, asked for while register tiles run (gemm_tile_ahead): so they cost nothing. A burst of
 * prefetches arrives in part only, as it seems because memory has enough to do by then. */
typedef struct fov_stream {
    const fov_real *first, *last;
} fov_stream;

/* What one of `calls` tiles of k steps asks for, and the bytes from step to step. */
static inline const fov_real *fov_stream_part(const fov_stream *s, size_t call, size_t calls, size_t k, size_t *step) {
    const fov_range part = fov_range_part((size_t)(s->last - s->first), call, calls);
    *step = fov_range_count(part) * sizeof(fov_real) / k;
    return s->first + part.first;
}

/* ---- shared by weight gradients ---- */

/* dweight (+)= the sum of `sets` tensors of `count` numbers, in order. */
void fov_conv_add_sets(const fov_step *step, fov_real *dweight, const fov_real *sums, size_t sets, size_t count, bool add);

#endif
