/* Ways of minimal filtering: one axis of a 3 x 3 window. A tile takes places x places products for outputs x outputs numbers, of a window
 * of window x window pixels; the next tile's window begins `advance` pixels on. Both axes go the same way. The matrices are in
 * kernels/isa/winograd.c. */
#ifndef FOV_KERNELS_WINOGRAD_H
#define FOV_KERNELS_WINOGRAD_H

#include <stddef.h>

/* Number n: n outputs of a row that may go on, stride 1. FOV_WINOGRAD_WHOLE_2: a picture of 2 x 2, whose window needs no frame of zeros.
 * FOV_WINOGRAD_STRIDED: four outputs with stride 2 and padding 1, and its input gradient, where every second output lies between pixels. */
typedef enum fov_winograd_way {
    FOV_WINOGRAD_WHOLE_2,
    FOV_WINOGRAD_3,
    FOV_WINOGRAD_4,
    FOV_WINOGRAD_5,
    FOV_WINOGRAD_6,
    FOV_WINOGRAD_STRIDED,
    FOV_WINOGRAD_STRIDED_BACK,
    FOV_WINOGRAD_WAYS
} fov_winograd_way;

enum { FOV_WINOGRAD_MOST = 9 }; /* of each of these numbers, along one axis, of all ways */

typedef struct fov_winograd_axis {
    size_t outputs, window, places, advance;
} fov_winograd_axis;

static inline fov_winograd_axis fov_winograd_axis_of(fov_winograd_way way) {
    static const fov_winograd_axis axes[FOV_WINOGRAD_WAYS] = {{2, 2, 3, 2}, {3, 5, 5, 3}, {4, 6, 6, 4}, {5, 7, 7, 5},
                                                              {6, 8, 8, 6}, {4, 9, 9, 8}, {8, 5, 9, 4}};
    return axes[way];
}

#endif
