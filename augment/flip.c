/* Left-right flip with probability p (torchvision RandomHorizontalFlip). */
#include "augment/augment.h"

static const fov_augment_param params[] = {{.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.5}};

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    (void)width, (void)height, (void)image_size;
    plan->applies = fov_rng_uniform(rng) < param[0];
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    (void)plan;
    const size_t bytes = fov_pixel_bytes(fov_image_format(image)), row_bytes = image->width * bytes;
    for (size_t y = 0; y < image->height; y++) {
        augmenter->loops->pixel_mirror(image->pixels + y * row_bytes, image->width, bytes, output + y * row_bytes);
    }
    return FOV_OK;
}

extern const fov_augment fov_augment_flip;
const fov_augment fov_augment_flip = {
    .name = "flip",
    .summary = "left-right flip",
    .pixels = FOV_PIXELS_ANY,
    .params = params,
    .param_count = 1,
    .shown_count = 1,
    .mirrors = true,
    .draw = draw,
    .apply = apply,
};
