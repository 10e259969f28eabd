/* The step `resize`: shorter side to the view's size, then the central square (torchvision Resize and CenterCrop). No randomness. */
#include "augment/augment.h"

static const fov_augment_param params[] = {
    {.name = "interpolation", .min = 0.0, .max = 1.0, .fallback = FOV_BILINEAR, .choices = fov_interpolation_names},
};

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    (void)rng;
    fov_resize_center(width, height, image_size, image_size, (fov_interpolation)(int)param[0], &plan->resize);
    plan->applies = true;
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    return fov_resize_apply(augmenter, image, &plan->resize, output);
}

extern const fov_augment fov_augment_resize;
const fov_augment fov_augment_resize = {
    .name = "resize",
    .summary = "shorter side resized to the view, central square kept",
    .pixels = FOV_PIXELS_ANY,
    .params = params,
    .param_count = 1,
    .shown_count = 1,
    .first = true,
    .draw = draw,
    .apply = apply,
};
