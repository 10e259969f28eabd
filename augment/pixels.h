/* The table of inner loops over pixels, one build per instruction set, chosen once at run time; every build gives the same bits.
 *
 * Images are interleaved; `count` counts samples (channels a pixel), `pixels` counts pixels. Inputs and outputs do not overlap unless
 * said otherwise. augment/isa/ holds the loops, compiled once per set with FOV_ISA_SUFFIX and FOV_ISA_LEVEL set. */
#ifndef FOV_AUGMENT_PIXELS_H
#define FOV_AUGMENT_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes behind a buffer of scratch that loops of the resize read or write past its end; their contents mean nothing. */
#define FOV_PIXEL_SLACK 64

/* Pillow's filter along one axis: output i has its centre at origin + (i + .5) scale, in inputs 0 to in - 1. */
typedef struct fov_filter {
    double origin, scale;
    size_t in;
    bool bicubic; /* else the triangle */
} fov_filter;

#define FOV_PACK_ROWS 16 /* that go through the horizontal pass together: four groups */
#define FOV_PACK_GROUPS (FOV_PACK_ROWS / 4)

/* Bytes of FOV_PACK_ROWS packed rows. */
static inline size_t fov_pack_bytes(size_t width, size_t channels) {
    return (width + 3) / 4 * 4 * FOV_PACK_ROWS * channels;
}

/* Lanes of packed pixels of 16 bits: four rows of each channel, and unused ones up to a whole vector. */
static inline size_t fov_deep_lanes(size_t channels) {
    return (4 * channels + 15) / 16 * 16;
}

/* Weights of the outputs [offset, offset + count) of a filter. Inputs are taken in groups of four: output i (from 0) is the sum over
 * k < 4 groups of weight k of output i times input 4 first[i] + k. Of its groups only the first span[i] have weights other than 0.
 * first[] does not fall. Either `weights` (fixed point, in the set's own form, four words a group) or `real` is used. */
typedef struct fov_filter_axis {
    size_t in; /* of the filter */
    size_t offset, count, groups, tap_limit;
    uint32_t *first, *span;
    uint32_t *start, *taps; /* the same before grouping: inputs [start, start + taps) */
    int32_t *weights;       /* [count][groups][4] */
    double *real;           /* [count][groups][4] */
    double *tile;           /* scratch: [tap_limit][FOV_FILTER_TILE] */
} fov_filter_axis;

#define FOV_FILTER_TILE 8

/* An extended box of fractional radius: `inner` for the 2 radius + 1 full samples, `outer` for the two at its ends, of 2^24. */
typedef struct fov_box {
    size_t radius;
    uint32_t inner, outer;
} fov_box;

/* clang-format off */
/* pixel_weights   fills an axis' weights, 22 fraction bits, from its start, taps and first; pixel_weights_real  the same in double
 * pixel_pack      FOV_PACK_ROWS rows of `width` > 0 pixels, arranged as the set's pixel_columns likes, in fov_pack_bytes; a row has each
 *                 channel by itself, `plane` samples apart, or with 1 whole pixels
 * pixel_columns   horizontal filter of packed rows; `mirror` right to left. Each four of them go to an out of their own, arranged as the
 *                 set's pixel_rows likes: 4 x axis->count x channels bytes
 * pixel_rows      vertical filter of output `index` from its span[index] groups; count = samples of a row
 * pixel_sum_row   the vertical filter row by row, with weights of the portable set: sums[i] += weight row[i], or = where the sums `begin`
 * pixel_sum_bytes  such sums, rounded to bytes
 * pixel_deep_pack, _columns, _rows  the same for 16 bits: packed [width][16 lanes or a multiple], lane = row * channels + channel;
 *                 out and groups[g] are [4 rows][count] floats
 * pixel_table     out[i] = table[in[i]]; `out` may be `in`
 * pixel_mirror    a row of `width` pixels of `bytes` bytes, right to left
 * pixel_luma_sum  sum of the ITU-R 601 greys of RGB pixels, as Pillow's "L"
 * pixel_gray      the grey in all three channels; `out` may be `rgb`
 * pixel_saturate  grey + factor (value - grey) in float, truncated and clamped; `out` may be `rgb`
 * pixel_hue       RGB to HSV of 8 bits, hue + shift modulo 256, and back, as Pillow; `out` may be `rgb`
 * pixel_floats, pixel_deep_floats  FOV_PACK_ROWS rows to floats, [count][FOV_PACK_ROWS]
 * pixel_blur_rows  of such rows, weighted sums of `taps` samples `step` samples apart, to rows `stride` floats apart, in strips of
 *                 FOV_PACK_ROWS samples that are `strip` floats apart. Samples that are read and written are count rounded up to whole
 *                 strips. The weights are symmetric, their number is odd, and `padded` is used up
 * pixel_blur_columns  weighted sums of `taps` rows in such strips from each of the first `height` rows, rounded half to even; weights as there
 * pixel_deep_blur_column  weighted sums of `taps` rows in one piece, rounded half to even
 * pixel_box_row   extended box over samples `step` bytes apart; padded holds radius + 1 pixels more at either end
 * pixel_box_column  the same over the 2 radius + 3 rows given
 * pixel_idct      libjpeg's islow transform of FOV_JPEG_GROUP blocks, coefficients [8 rows][blocks][8 columns], to 8 rows of 8 bytes a block;
 *                 coefficients become 0
 * pixel_chroma_h2v1  libjpeg's triangle upsampling to 2 count bytes; the row has one sample more at either end, row[0] before the first
 * pixel_ycc       JFIF's YCbCr to rows of red, green and blue
 * pixel_ycc_h2v2  the same of a row whose chroma is upsampled both ways: rows of Cb, the near and the far one, then of Cr, all from the
 *                 sample before the first pixel's; `second`: 1 where that pixel is the right one of its pair, else 0. FOV_JPEG_AHEAD
 *                 samples past the last one's neighbour are read; sums[2] are scratch for as many
 * pixel_join      such rows to RGB pixels */
/* clang-format on */
#define FOV_JPEG_GROUP 4
#define FOV_JPEG_AHEAD 32

typedef struct fov_pixel_loops {
    const char *name; /* "c", "avx2", "avx512", "avx512vnni" */
    bool jpeg;        /* pixel_idct and the like are written for this set, not only for comparison */
#define FOV_PIXEL_LOOP(result, name, arguments) result(*name) arguments;
#include "augment/pixels.def"
#undef FOV_PIXEL_LOOP
} fov_pixel_loops;

const fov_pixel_loops *fov_pixel_loops_get(void);              /* the set of fov_cpu_isa(); never NULL */
const fov_pixel_loops *fov_pixel_loops_named(const char *set); /* NULL if this build or processor lacks it */

#endif
