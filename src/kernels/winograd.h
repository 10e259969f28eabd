/* Ways of minimal filtering: one axis of a 3 x 3 window. A tile takes places x places products for outputs x outputs numbers, of a window
 * of window x window pixels; the next tile's window begins `advance` pixels on. Both axes go the same way. The matrices are in
 * kernels/isa/winograd.c. */
#ifndef FOV_KERNELS_WINOGRAD_H
#define FOV_KERNELS_WINOGRAD_H

#include <stddef.h>

/* X(name, outputs, window, places, advance) of every way. Number n: n outputs of a row that may go on, stride 1. WHOLE_2: a picture of 2 x
 * 2, whose window needs no frame of zeros. STRIDED: four outputs with stride 2 and padding 1, and its input gradient, where every second
 * output lies between pixels. */
#define FOV_WINOGRAD_EACH(X)                                                                                                               \
    X(WHOLE_2, 2, 2, 3, 2)                                                                                                                 \
    X(3, 3, 5, 5, 3)                                                                                                                       \
    X(4, 4, 6, 6, 4)                                                                                                                       \
    X(5, 5, 7, 7, 5)                                                                                                                       \
    X(6, 6, 8, 8, 6)                                                                                                                       \
    X(STRIDED, 4, 9, 9, 8)                                                                                                                 \
    X(STRIDED_BACK, 8, 5, 9, 4)

#define X(name, ...) FOV_WINOGRAD_##name,
typedef enum fov_winograd_way { FOV_WINOGRAD_EACH(X) FOV_WINOGRAD_WAYS } fov_winograd_way;
#undef X

enum { FOV_WINOGRAD_MOST = 9 }; /* of each of these numbers, along one axis, of all ways */

typedef struct fov_winograd_axis {
    size_t outputs, window, places, advance;
} fov_winograd_axis;

static inline fov_winograd_axis fov_winograd_axis_of(fov_winograd_way way) {
#define X(name, ...) {__VA_ARGS__},
    static const fov_winograd_axis axes[FOV_WINOGRAD_WAYS] = {FOV_WINOGRAD_EACH(X)};
#undef X
    return axes[way];
}

#endif
