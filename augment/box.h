/* A random box by area and ratio of sides, as random crops and random erasing draw it. */
#ifndef FOV_AUGMENT_BOX_H
#define FOV_AUGMENT_BOX_H

#include "augment/augment.h"

#define FOV_BOX_TRIES 10 /* of either, as in torchvision */

/* area = H W U(scale[0], scale[1]), ratio = exp U(ln ratio[0], ln ratio[1]); *more = round sqrt(area ratio), *less = round sqrt(area / ratio). */
void fov_box_sides(fov_rng *rng, const double *scale, const double *ratio, size_t width, size_t height, double *more, double *less);
/* A uniform place of the box, whose sides are set and fit, in the picture: top, then left. */
void fov_box_place(fov_rng *rng, size_t width, size_t height, fov_resize *box);
/* What is wrong with such bounds, or NULL. */
const char *fov_box_check(const double *scale, const double *ratio);

#endif
