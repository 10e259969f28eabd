/* The table of inner loops over pixels, one build per instruction set, chosen once at run time; every build gives the same bits.
 *
 * Images are interleaved RGB, 8 bits; `count` counts bytes (3 a pixel), `pixels` counts pixels. Inputs and outputs do not overlap
 * unless said otherwise. augment/isa/ holds the loops, compiled once per set with FOV_ISA_SUFFIX set. */
#ifndef FOV_AUGMENT_PIXELS_H
#define FOV_AUGMENT_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One axis of a resize: output i is the sum over t < taps[i] of weights[i * stride + t] * input[start[i] + t], in 22 fraction bits. */
typedef struct fov_filter_axis {
    size_t count, stride;
    uint32_t *start, *taps;
    int32_t *weights;
} fov_filter_axis;

/* An extended box of fractional radius: `inner` for the 2 radius + 1 full samples, `outer` for the two at its ends, of 2^24. */
typedef struct fov_box {
    size_t radius;
    uint32_t inner, outer;
} fov_box;

/* pixel_pack      four rows of width > 0 to [width][4 rows][4 channels], the fourth channel of no meaning
 * pixel_columns   horizontal filter of packed rows to four rows of axis->count pixels; `mirror` writes them right to left
 * pixel_rows      vertical filter: weighted sum of `taps` rows of `count` bytes
 * pixel_luma      ITU-R 601 grey of each pixel as Pillow's "L"; returns the sum
 * pixel_saturate  luma + product[255 + value - luma], truncated and clamped; `out` may be `rgb`
 * pixel_hue       RGB to HSV of 8 bits, hue + shift modulo 256, and back, as Pillow; `out` may be `rgb`
 * pixel_blur_row, pixel_blur_column  weighted sums of pixels 3 floats apart, of `taps` rows (rounded half to even)
 * pixel_box_row   extended box over pixels 3 bytes apart; padded holds radius + 1 pixels more at either end
 * pixel_box_column  the same over the 2 radius + 3 rows given
 * pixel_idct      libjpeg's islow transform of FOV_JPEG_GROUP blocks, coefficients [8 rows][blocks][8 columns], to 8 rows of 8 bytes a block
 * pixel_chroma_h2v2, pixel_chroma_h2v1  libjpeg's triangle upsampling to 2 count bytes; inputs have one sample more at either end (near[0]
 *                 is the one before the first); sums has room for count + 2
 * pixel_ycc_rgb   JFIF's YCbCr to RGB */
#define FOV_JPEG_GROUP 4

typedef struct fov_pixel_loops {
    const char *name; /* "c", "avx2", "avx512" */
    bool jpeg;        /* pixel_idct and the like are written for this set, not only for comparison */
#define FOV_PIXEL_LOOP(result, name, arguments) result(*name) arguments;
#include "augment/pixels.def"
#undef FOV_PIXEL_LOOP
} fov_pixel_loops;

const fov_pixel_loops *fov_pixel_loops_get(void);              /* the set of fov_cpu_isa(); never NULL */
const fov_pixel_loops *fov_pixel_loops_named(const char *set); /* NULL if this build or processor lacks it */

#endif
