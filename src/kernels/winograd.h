/* Ways of minimal filtering: one axis of a 3 x 3 window. A tile takes places x places products for outputs x outputs numbers, of a window
 * of window x window pixels; both axes go the same way. The matrices are in kernels/isa/winograd.c. */
#ifndef FOV_KERNELS_WINOGRAD_H
#define FOV_KERNELS_WINOGRAD_H

#include <stddef.h>

/* Number n: n outputs of a row that may go on. FOV_WINOGRAD_WHOLE_2: a picture of 2 x 2, whose window needs no frame of zeros. */
typedef enum fov_winograd_way {
    FOV_WINOGRAD_WHOLE_2,
    FOV_WINOGRAD_3,
    FOV_WINOGRAD_4,
    FOV_WINOGRAD_5,
    FOV_WINOGRAD_6,
    FOV_WINOGRAD_WAYS
} fov_winograd_way;

enum { FOV_WINOGRAD_MOST_WINDOW = 8, FOV_WINOGRAD_MOST_PLACES = 8 }; /* along one axis, of all ways */

typedef struct fov_winograd_axis {
    size_t outputs, window, places;
} fov_winograd_axis;

static inline fov_winograd_axis fov_winograd_axis_of(fov_winograd_way way) {
    static const fov_winograd_axis axes[FOV_WINOGRAD_WAYS] = {{2, 2, 3}, {3, 5, 5}, {4, 6, 6}, {5, 7, 7}, {6, 8, 8}};
    return axes[way];
}

#endif
