/* A decoder for the JPEG files that nearly all photos are: baseline, Huffman-coded, one scan, grey or YCbCr with 4:4:4, 4:2:2 or 4:2:0.
 *
 * It gives libjpeg-turbo's pixels bit for bit, or none: whatever is unusual or damaged makes it step back, and the caller lets libjpeg
 * decide. So it has no errors of its own, and libjpeg remains the one judge of files. */
#ifndef FOV_AUGMENT_JPEG_BASELINE_H
#define FOV_AUGMENT_JPEG_BASELINE_H

#include "augment/image.h"

#define FOV_JPEG_COMPONENTS 3

typedef struct fov_jpeg_component {
    unsigned h, v;                         /* sampling factors */
    const uint16_t *quant;                 /* 64, row by row */
    const uint8_t *dc_counts, *dc_symbols; /* Huffman tables as a DHT segment has them: counts[1..16] by length, up to 256 symbols */
    const uint8_t *ac_counts, *ac_symbols;
} fov_jpeg_component;

/* A frame and its only scan, as the header declares them. */
typedef struct fov_jpeg_frame {
    size_t width, height;
    unsigned component_count; /* 1: grey; 3: YCbCr */
    fov_jpeg_component component[FOV_JPEG_COMPONENTS];
    size_t restart_interval; /* in MCUs; 0: none */
    const uint8_t *bytes;    /* entropy-coded data, after the header of the scan */
    size_t size;             /* up to the end of the file, or as many as are there */
    /* Where not all are there (else NULL), replaces those from *at up to *end by at least `count` from the same place on, or all that
     * follow. */
    bool (*more)(void *context, const uint8_t **at, const uint8_t **end, size_t count); /* false: ends the decoding */
} fov_jpeg_frame;

typedef struct fov_baseline fov_baseline; /* tables and scratch of one thread */
FOV_MUST_USE fov_status fov_baseline_new(fov_baseline **baseline);
void fov_baseline_free(fov_baseline *baseline); /* takes NULL */

/* Whether frames of this kind are decoded here at all. None is with the portable loops, which are slower than libjpeg-turbo's. */
bool fov_baseline_takes(const fov_baseline *baseline, const fov_jpeg_frame *frame);

/* Decodes the box of the frame (all of it inside; not empty) to RGB, in order: `rows` gives the place for rows of the box from y on, up
 * to *count of box.width * 3 bytes one behind the other, and says how many, or gives NULL to end it. `context` is for it and frame->more.
 * `*done` is false then, and when the data are not what this decoder knows: the rows are undefined. Data below the box are not looked at;
 * with a box that reaches the last row, the file must end properly after it. Box NULL: the whole frame is read and no pixels are made.
 * Fails only with FOV_E_NOMEM. */
typedef struct fov_jpeg_box {
    size_t left, top, width, height;
    bool planar; /* rows are of red, of green and of blue samples */
} fov_jpeg_box;
typedef uint8_t *(*fov_jpeg_rows_fn)(void *context, size_t y, size_t *count);
FOV_MUST_USE fov_status fov_baseline_decode(fov_baseline *baseline, const fov_jpeg_frame *frame, const fov_jpeg_box *box,
                                            fov_jpeg_rows_fn rows, void *context, bool *done);

#endif
