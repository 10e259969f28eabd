/* The order of the draws is part of what the steps mean: area, ratio, top, left. */
#include "augment/box.h"

#include <math.h>

void fov_box_sides(fov_rng *rng, const double *scale, const double *ratio, size_t width, size_t height, double *more, double *less) {
    const double area = (double)width * (double)height * fov_rng_range(rng, scale[0], scale[1]);
    const double drawn = exp(fov_rng_range(rng, log(ratio[0]), log(ratio[1])));
    *more = rint(sqrt(area * drawn));
    *less = rint(sqrt(area / drawn));
}

void fov_box_place(fov_rng *rng, size_t width, size_t height, fov_resize *box) {
    box->top = (size_t)fov_rng_below(rng, height - box->height + 1);
    box->left = (size_t)fov_rng_below(rng, width - box->width + 1);
}

const char *fov_box_check(const double *scale, const double *ratio) {
    if (scale[0] > scale[1]) {
        return "scale low must not be above scale high";
    }
    return ratio[0] > ratio[1] ? "ratio low must not be above ratio high" : NULL;
}
