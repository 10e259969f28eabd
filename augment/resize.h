/* What the two forms of a resize share: resize.c takes a picture's rows, resize_sideways.c its columns. */
#ifndef FOV_AUGMENT_RESIZE_H
#define FOV_AUGMENT_RESIZE_H

#include "augment/augment.h"

/* One axis of the box on the frame: pixels [start, start + size), of which the box begins at `origin` and is `extent` long. */
typedef struct fov_span {
    size_t start, size;
    double origin, extent;
} fov_span;

/* The outputs of an axis that are made, [offset, offset + count) of `out`, and how. */
typedef struct fov_axis_outputs {
    size_t out, offset, count;
    bool bicubic, deep;
} fov_axis_outputs;

/* The axis in one block of scratch, its weights in the form of `loops`. */
FOV_MUST_USE fov_status fov_resize_axis(fov_augmenter *augmenter, fov_scratch slot, const fov_pixel_loops *loops, const fov_span *in,
                                        fov_axis_outputs outputs, fov_filter_axis *axis);

/* Scratch of a lane: the first is the one that other steps share. */
fov_scratch fov_lane_slot(size_t lane, fov_scratch slot);

/* Bytes of a buffer in scratch that loops may read and write FOV_PIXEL_SLACK past the end of. */
static inline size_t fov_slack_bytes(size_t bytes) {
    return (bytes + 2 * FOV_PIXEL_SLACK) / FOV_PIXEL_SLACK * FOV_PIXEL_SLACK;
}

/* Room for a resizer whose axes, place and size are set, that across columns with weights of the portable set. Samples of 8 bits. */
FOV_MUST_USE fov_status fov_sideways_begin(fov_augmenter *augmenter, size_t lane);
/* Columns [first, end) of the box, each as a row of its height; `pixels` is the first of them. Those that came before may come again. */
void fov_sideways_feed(fov_resizer *resizer, const uint8_t *pixels, size_t row_bytes, size_t first, size_t end, uint8_t *packed);

#endif
