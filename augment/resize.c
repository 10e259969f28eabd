/* Pillow's antialiased resize, bit for bit: separable convolution, horizontal pass first, rounded to 8 bits between the passes.
 *
 * Along an axis with scale = in / out and s = max(scale, 1), output i has its centre at c = (i + .5) scale and weighs input x by
 * f((x - c + .5) / s) over c -+ support * s, normalised to 1; f is the triangle (support 1) or the cubic with a = -1/2 (support 2).
 * Weights are held in 22 fraction bits, so sums are exact in 32-bit integers and free of the order of addition.
 *
 * The passes are fused: rows are filtered horizontally four at a time, when the vertical pass first needs one of them, into a ring
 * that holds one vertical window. The work set stays in cache, and a large picture needs no copy of itself. */
#include <math.h>
#include <string.h>

#include "augment/augment.h"
#include "base/checked.h"

#define FRACTION_ONE 4194304.0 /* 2^22 */
#define GROUP 4                /* rows filtered at once; the layout of pixel_pack */
#define MAX_SIDE ((size_t)1 << 20)

static double triangle(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) {
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    }
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

/* Weights of one output; `real` has room for axis->stride values. */
static void output_weights(const fov_filter_axis *axis, size_t index, size_t in, double center, double spread, bool bicubic, double *real) {
    const double support = (bicubic ? 2.0 : 1.0) * spread;
    const double low = center - support + 0.5, high = center + support + 0.5;
    const size_t start = low > 0.0 ? (size_t)low : 0;
    const size_t end = (size_t)high > in ? in : (size_t)high;
    const size_t taps = end - start;
    const double inverse = 1.0 / spread;
    double sum = 0.0;
    for (size_t t = 0; t < taps; t++) {
        const double x = ((double)(t + start) - center + 0.5) * inverse;
        real[t] = bicubic ? cubic(x) : triangle(x);
        sum += real[t];
    }
    int32_t *weights = axis->weights + index * axis->stride;
    for (size_t t = 0; t < taps; t++) {
        const double weight = (sum != 0.0 ? real[t] / sum : real[t]) * FRACTION_ONE;
        weights[t] = (int32_t)(weight < 0.0 ? weight - 0.5 : weight + 0.5);
    }
    axis->start[index] = (uint32_t)start;
    axis->taps[index] = (uint32_t)taps;
}

/* The axis for outputs [first, first + count) of `out`, in one block of scratch. */
static fov_status make_axis(fov_augmenter *augmenter, fov_scratch slot, size_t in, size_t out, size_t first, size_t count, bool bicubic,
                            fov_filter_axis *axis) {
    const double scale = (double)in / (double)out;
    const double spread = scale < 1.0 ? 1.0 : scale;
    const size_t stride = (size_t)ceil((bicubic ? 2.0 : 1.0) * spread) * 2 + 1;
    size_t per_output, words;
    if (!fov_add_size(stride, 2, &per_output) || !fov_mul_size(count, per_output, &words) || !fov_add_size(words, 2 * stride, &words)) {
        return FOV_FAIL(FOV_E_LIMIT, "resize from %zu to %zu needs more weights than memory can hold", in, out);
    }
    double *block = fov_augmenter_scratch(augmenter, slot, words, sizeof(uint32_t));
    FOV_TRY_ALLOC(block);
    axis->count = count;
    axis->stride = stride;
    axis->weights = (int32_t *)(void *)(block + stride);
    axis->start = (uint32_t *)(void *)(axis->weights + count * stride);
    axis->taps = axis->start + count;
    for (size_t i = 0; i < count; i++) {
        output_weights(axis, i, in, ((double)(first + i) + 0.5) * scale, spread, bicubic, block);
    }
    return FOV_OK;
}

typedef struct resizer {
    const fov_pixel_loops *loops;
    const fov_image *image;
    const fov_resize *resize;
    fov_filter_axis x, y;
    bool copy_x;       /* the horizontal pass changes no size */
    uint8_t *packed;   /* GROUP rows of the box */
    uint8_t *ring;     /* rows of the window's width, row r at r % ring_rows */
    size_t ring_rows;  /* a multiple of GROUP */
    size_t row_bytes;  /* of the window */
    size_t next;       /* first row of the box not yet in the ring */
    const uint8_t **rows;
} resizer;

static const uint8_t *box_row(const resizer *r, size_t row) {
    const fov_resize *z = r->resize;
    const size_t inside = row < z->height ? row : z->height - 1;
    return r->image->pixels + ((z->top + inside) * r->image->width + z->left) * 3;
}

static void copy_row(const uint8_t *from, size_t width, bool mirror, uint8_t *to) {
    if (!mirror) {
        memcpy(to, from, 3 * width);
        return;
    }
    for (size_t x = 0; x < width; x++) {
        const uint8_t *pixel = from + 3 * (width - 1 - x);
        to[3 * x] = pixel[0];
        to[3 * x + 1] = pixel[1];
        to[3 * x + 2] = pixel[2];
    }
}

/* Puts the next group of rows into the ring. */
static void fill_group(resizer *r) {
    const uint8_t *from[GROUP];
    uint8_t *to[GROUP];
    for (size_t k = 0; k < GROUP; k++) {
        from[k] = box_row(r, r->next + k);
        to[k] = r->ring + ((r->next + k) % r->ring_rows) * r->row_bytes;
    }
    if (r->copy_x) {
        for (size_t k = 0; k < GROUP; k++) {
            copy_row(from[k] + 3 * r->resize->window_left, r->x.count, r->resize->mirror, to[k]);
        }
    } else {
        r->loops->pixel_pack(from, r->resize->width, r->packed);
        r->loops->pixel_columns(r->packed, &r->x, r->resize->mirror, to);
    }
    r->next += GROUP;
}

static void run(resizer *r, uint8_t *output) {
    r->next = r->y.start[0] / GROUP * GROUP;
    for (size_t i = 0; i < r->y.count; i++) {
        const size_t start = r->y.start[i], taps = r->y.taps[i];
        while (r->next < start + taps) {
            fill_group(r);
        }
        for (size_t t = 0; t < taps; t++) {
            r->rows[t] = r->ring + ((start + t) % r->ring_rows) * r->row_bytes;
        }
        r->loops->pixel_rows(r->rows, r->y.weights + i * r->y.stride, taps, r->row_bytes, output + i * r->row_bytes);
    }
}

static fov_status check(const fov_image *image, const fov_resize *z) {
    if (image->channels != 3 || image->width == 0 || image->height == 0 || image->width > MAX_SIDE || image->height > MAX_SIDE) {
        return FOV_FAIL(FOV_E_INVALID, "resize takes pictures of 3 channels and sides from 1 to %zu, got %zu x %zu x %zu", MAX_SIDE,
                        image->width, image->height, image->channels);
    }
    if (z->window_width == 0 || z->window_height == 0 || z->window_width > MAX_SIDE || z->window_height > MAX_SIDE) {
        return FOV_FAIL(FOV_E_INVALID, "resize makes pictures with sides from 1 to %zu, asked for %zu x %zu", MAX_SIDE, z->window_width,
                        z->window_height);
    }
    FOV_ASSERT(z->width > 0 && z->height > 0 && z->left + z->width <= image->width && z->top + z->height <= image->height);
    FOV_ASSERT(z->window_left + z->window_width <= z->out_width && z->window_top + z->window_height <= z->out_height);
    return FOV_OK;
}

fov_status fov_resize_apply(fov_augmenter *augmenter, const fov_image *image, const fov_resize *resize, uint8_t *output) {
    FOV_TRY(check(image, resize));
    const fov_resize *z = resize;
    const bool bicubic = z->interpolation == FOV_BICUBIC;
    resizer r = {.loops = augmenter->loops, .image = image, .resize = z, .copy_x = z->out_width == z->width};
    FOV_TRY(make_axis(augmenter, FOV_SCRATCH_AXIS_X, z->width, z->out_width, z->window_left, z->window_width, bicubic, &r.x));
    FOV_TRY(make_axis(augmenter, FOV_SCRATCH_AXIS_Y, z->height, z->out_height, z->window_top, z->window_height, bicubic, &r.y));
    r.row_bytes = 3 * z->window_width;
    r.ring_rows = ((r.y.stride + 2) / GROUP + 2) * GROUP; /* a window of `stride` rows touches at most so many groups */
    r.packed = fov_augmenter_scratch(augmenter, FOV_SCRATCH_PACKED, z->width, GROUP * 4);
    FOV_TRY_ALLOC(r.packed);
    r.ring = fov_augmenter_scratch(augmenter, FOV_SCRATCH_ROWS, r.ring_rows, r.row_bytes);
    FOV_TRY_ALLOC(r.ring);
    r.rows = fov_augmenter_scratch(augmenter, FOV_SCRATCH_POINTERS, r.y.stride, sizeof *r.rows);
    FOV_TRY_ALLOC(r.rows);
    run(&r, output);
    return FOV_OK;
}

/* (size - window) / 2, halves to even, as Python's round. */
static size_t center_offset(size_t size, size_t window) {
    const size_t spare = size - window, half = spare / 2;
    return spare % 2 == 0 ? half : half + half % 2;
}

void fov_resize_center(size_t width, size_t height, size_t shorter, size_t window, fov_interpolation interpolation, fov_resize *resize) {
    FOV_ASSERT(width > 0 && height > 0 && window > 0 && shorter >= window);
    const bool wide = width > height;
    const size_t out_width = wide ? shorter * width / height : shorter;
    const size_t out_height = wide ? shorter : shorter * height / width;
    *resize = (fov_resize){
        .width = width,
        .height = height,
        .out_width = out_width,
        .out_height = out_height,
        .window_left = center_offset(out_width, window),
        .window_top = center_offset(out_height, window),
        .window_width = window,
        .window_height = window,
        .interpolation = interpolation,
    };
}
